//! Calls over a network that loses, doubles and reorders: every leg ends exactly once at both ends, and nothing
//! stays behind.

#![allow(clippy::unwrap_used)]

mod network;

use network::{Network, Random, SDP, is_last};
use std::collections::HashMap;
use trunkline_sip::{Event, LegId, ReferTo, SessionTimer, Transport};

/// An application that does what a seed says, and checks what it is told.
struct Application {
    random: Random,
    live: Vec<LegId>,
    ended: HashMap<LegId, usize>,
}

impl Application {
    fn on_event(&mut self, net: &mut Network, end: usize, event: &Event) {
        let leg = leg_of(event);
        if let Some(leg) = leg {
            assert!(
                !self.ended.contains_key(&leg),
                "{event:?} after the last event"
            );
        }
        let (now, endpoint) = (net.now, &mut net.ends[end].endpoint);
        match event {
            Event::Invite { leg, .. } => {
                self.live.push(*leg);
                match self.random.next() % 5 {
                    0 => endpoint.reject(now, *leg, 486, "Busy Here", &[]),
                    1 => {}
                    2 => endpoint
                        .provisional(now, *leg, 180, "Ringing", None, &[])
                        .unwrap(),
                    _ => endpoint.answer(now, *leg, SDP, &[]),
                }
            }
            Event::Answered { leg, .. } => endpoint.ack(now, *leg, Some(SDP)),
            Event::Reinvite { leg, .. } => endpoint.answer_reinvite(now, *leg, SDP),
            Event::Progress { leg, fork, .. } => {
                drop(endpoint.prack(now, *leg, *fork, SDP)); // where it was an offer
            }
            Event::Refer { leg, id, .. } => {
                endpoint.accept_refer(now, *leg, *id);
                endpoint.notify_refer(now, *leg, *id, 200, "OK");
            }
            Event::Info { leg, id, .. } => endpoint.respond_info(now, *leg, *id, 200),
            _ => {}
        }
        if is_last(event)
            && let Some(leg) = leg
        {
            *self.ended.entry(leg).or_default() += 1;
            self.live.retain(|live| *live != leg);
        }
    }

    /// Something a caller or callee does by itself.
    fn act(&mut self, net: &mut Network, end: usize) {
        if self.live.is_empty() {
            return;
        }
        let leg = self.live[self.random.next() as usize % self.live.len()];
        let (now, endpoint) = (net.now, &mut net.ends[end].endpoint);
        match self.random.next() % 12 {
            0 | 1 => endpoint.hangup(now, leg, None),
            2 => endpoint.reinvite(now, leg, SDP),
            3 => endpoint.info(now, leg, "text/plain", b"hello"),
            4 => endpoint.answer(now, leg, SDP, &[]),
            5 => drop(endpoint.provisional(now, leg, 183, "Session Progress", Some(SDP), &[])),
            8 | 9 => endpoint.update(now, leg, SDP),
            10 => {
                let to = ReferTo {
                    uri: "sip:c@10.0.0.9".into(),
                    ..ReferTo::default()
                };
                drop(endpoint.refer(now, leg, to));
            }
            6 => endpoint.reject_reinvite(now, leg, 488, "Not Acceptable Here"),
            _ => {}
        }
    }
}

fn leg_of(event: &Event) -> Option<LegId> {
    match event {
        Event::Invite { leg, .. }
        | Event::Cancelled { leg, .. }
        | Event::Confirmed { leg, .. }
        | Event::Trying { leg }
        | Event::Progress { leg, .. }
        | Event::Answered { leg, .. }
        | Event::Rejected { leg, .. }
        | Event::Reinvite { leg, .. }
        | Event::ReinviteAnswered { leg, .. }
        | Event::ReinviteRejected { leg, .. }
        | Event::Info { leg, .. }
        | Event::Prack { leg, .. }
        | Event::Refer { leg, .. }
        | Event::ReferProgress { leg, .. }
        | Event::Ended { leg, .. } => Some(*leg),
        Event::Request { leg, .. } => *leg,
        Event::Response { .. }
        | Event::SubscriptionEnded { .. }
        | Event::Refused { .. }
        | Event::Dropped { .. } => None,
    }
}

fn tell(net: &mut Network, applications: &mut [Application]) {
    for (end, application) in applications.iter_mut().enumerate() {
        for event in net.take(end) {
            application.on_event(net, end, &event);
        }
    }
    net.collect();
}

fn storm(seed: u64, transport: Transport) {
    let timer = SessionTimer {
        expires_s: 90,
        min_se_s: 90,
    };
    let mut net = Network::with(transport, |config| {
        config.session_timer = seed.is_multiple_of(5).then_some(timer);
    });
    net.random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    if transport == Transport::Udp {
        net.loss = [0, 5, 20, 40][seed as usize % 4];
        net.duplicates = [0, 10, 30][seed as usize % 3];
        net.delay = [1, 50, 800][seed as usize / 4 % 3];
    }
    let mut applications: Vec<_> = (0..2)
        .map(|end| Application {
            random: Random(seed * 2 + end + 1),
            live: Vec::new(),
            ended: HashMap::new(),
        })
        .collect();
    let mut placed = 0;
    for round in 0..12 {
        if round < 4 {
            let offer = (round % 3 != 2).then_some(SDP);
            let leg = net.call(offer);
            applications[0].live.push(leg);
            placed += 1;
        }
        let limit = net.now + std::time::Duration::from_millis(700);
        while net.step(limit) {
            tell(&mut net, &mut applications);
        }
        for (end, application) in applications.iter_mut().enumerate() {
            application.act(&mut net, end);
        }
        tell(&mut net, &mut applications);
    }
    // Whatever still talks hangs up; a peer that cannot be told has no media either, so its application does too.
    for _ in 0..4 {
        for (end, application) in applications.iter_mut().enumerate() {
            for leg in application.live.clone() {
                net.ends[end].endpoint.hangup(net.now, leg, None);
            }
        }
        let limit = net.now + std::time::Duration::from_secs(100);
        while net.step(limit) {
            tell(&mut net, &mut applications);
        }
    }
    tell(&mut net, &mut applications);
    net.drain();
    assert_eq!(
        applications[0].ended.len(),
        placed,
        "every leg placed has ended"
    );
    for application in &applications {
        assert!(
            application.live.is_empty(),
            "{:?} never ended",
            application.live
        );
        assert!(application.ended.values().all(|times| *times == 1));
    }
}

#[test]
fn every_leg_ends_once_whatever_the_network_does() {
    for seed in 1..=300 {
        storm(seed, Transport::Udp);
    }
}

#[test]
fn every_leg_ends_once_over_streams() {
    for seed in 1..=60 {
        storm(seed, Transport::Tcp);
    }
}

#[test]
fn a_run_repeats_bit_for_bit() {
    let run = || {
        let mut net = Network::new(Transport::Udp);
        (net.loss, net.delay) = (20, 100);
        let caller = net.call(Some(SDP));
        net.run_for(5000);
        net.ends[0].endpoint.hangup(net.now, caller, None);
        net.run_for(100_000);
        net.log
    };
    assert_eq!(run(), run());
}
