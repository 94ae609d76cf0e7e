//! Both ends act at once: every order in which the messages can arrive, one after the other, and then the same under
//! loss, duplication and delay. Whatever happens, each leg ends once and nothing stays behind.

#![allow(clippy::unwrap_used)]

mod network;

use bytes::Bytes;
use network::{Network, Random, SDP, config, is_last};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_sip::{
    Counts, Endpoint, Event, Flow, Invite, LegId, ReferTo, Reliability, Transport,
};

/// How far the call is when both ends act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Ringing,
    /// Offer and answer have passed in a reliable provisional response.
    EarlyMedia,
    Talking,
}

/// What one end does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Hangup,
    Answer,
    Reject,
    EarlyMedia,
    Reinvite,
    Update,
    Refer,
}

fn act(endpoint: &mut Endpoint, now: Instant, leg: LegId, act: Act) {
    match act {
        Act::Hangup => endpoint.hangup(now, leg, None),
        Act::Answer => endpoint.answer(now, leg, SDP, &[]),
        Act::Reject => endpoint.reject(now, leg, 486, "", &[]),
        Act::EarlyMedia => drop(endpoint.provisional(now, leg, 183, "", Some(SDP), &[])),
        Act::Reinvite => endpoint.reinvite(now, leg, SDP),
        Act::Update => endpoint.update(now, leg, SDP),
        Act::Refer => {
            let to = ReferTo {
                uri: "sip:c@10.0.0.9".into(),
                ..ReferTo::default()
            };
            drop(endpoint.refer(now, leg, to));
        }
    }
}

/// What an application does by itself.
fn react(endpoint: &mut Endpoint, now: Instant, event: &Event) {
    match event {
        Event::Reinvite { leg, .. } => endpoint.answer_reinvite(now, *leg, SDP),
        Event::Refer { leg, id, .. } => {
            endpoint.accept_refer(now, *leg, *id);
            endpoint.notify_refer(now, *leg, *id, 200, "OK");
        }
        _ => {}
    }
}

const SCENES: [(Start, &[Act], &[Act]); 14] = [
    (Start::Talking, &[Act::Reinvite], &[Act::Reinvite]),
    (Start::Talking, &[Act::Update], &[Act::Reinvite]),
    (Start::Talking, &[Act::Reinvite], &[Act::Update]),
    (Start::Talking, &[Act::Update], &[Act::Update]),
    (Start::Talking, &[Act::Hangup], &[Act::Reinvite]),
    (Start::Talking, &[Act::Reinvite], &[Act::Hangup]),
    (Start::Talking, &[Act::Hangup], &[Act::Hangup]),
    (Start::Talking, &[Act::Refer], &[Act::Hangup]),
    (
        Start::Talking,
        &[Act::Update, Act::Hangup],
        &[Act::Reinvite],
    ),
    (Start::Ringing, &[Act::Hangup], &[Act::Answer]),
    (
        Start::Ringing,
        &[Act::Hangup],
        &[Act::EarlyMedia, Act::Answer],
    ),
    (Start::Ringing, &[Act::Hangup], &[Act::Reject]),
    (Start::EarlyMedia, &[Act::Update], &[Act::Answer]),
    (Start::EarlyMedia, &[Act::Update], &[Act::Update]),
];

/// Two endpoints and what is on its way between them.
struct Crossing {
    now: Instant,
    ends: [Endpoint; 2],
    legs: [LegId; 2],
    flying: Vec<(usize, Flow, Bytes)>,
    /// The choices of this run: which one, of how many.
    choices: Vec<(usize, usize)>,
    made: usize,
    lasts: HashMap<(usize, LegId), usize>,
    outcomes: usize,
}

const ADDRESSES: [&str; 2] = ["10.0.0.1:5060", "10.0.0.2:5060"];

impl Crossing {
    fn new(start: Start, choices: Vec<(usize, usize)>) -> Self {
        let mut ends = [Endpoint::new(config(1)), Endpoint::new(config(2))];
        let now = Instant::now();
        let address = |end: usize| -> SocketAddr { ADDRESSES[end].parse().unwrap() };
        let flow = Flow {
            transport: Transport::Udp,
            local: address(0),
            remote: address(1),
            connection: 0,
        };
        let to = "sip:b@10.0.0.2";
        let invite = Invite {
            sdp: Some(SDP.to_vec()),
            reliable: Some(Reliability::Supported),
            ..Invite::new(flow, to, "sip:a@10.0.0.1", to)
        };
        let caller = ends[0].invite(now, invite).unwrap();
        let mut crossing = Self {
            now,
            ends,
            legs: [caller, caller],
            flying: Vec::new(),
            choices: Vec::new(),
            made: 0,
            lasts: HashMap::new(),
            outcomes: 0,
        };
        crossing.run();
        match start {
            Start::Ringing => {}
            Start::EarlyMedia => crossing.act(1, Act::EarlyMedia),
            Start::Talking => crossing.act(1, Act::Answer),
        }
        crossing.run();
        crossing.choices = choices;
        crossing.made = 0;
        crossing
    }

    fn act(&mut self, end: usize, what: Act) {
        let leg = self.legs[end];
        act(&mut self.ends[end], self.now, leg, what);
        self.settle();
    }

    /// Takes what the endpoints have to say.
    fn settle(&mut self) {
        for end in 0..2 {
            while let Some(event) = self.ends[end].poll_event() {
                self.told(end, &event);
            }
            while let Some(out) = self.ends[end].poll_transmit() {
                let flow = Flow {
                    local: out.flow.remote,
                    remote: out.flow.local,
                    ..out.flow
                };
                self.flying.push((1 - end, flow, out.bytes));
            }
        }
    }

    fn told(&mut self, end: usize, event: &Event) {
        if let Event::Invite { leg, .. } = event {
            self.legs[end] = *leg;
        }
        if is_last(event) {
            *self.lasts.entry((end, self.legs[end])).or_default() += 1;
        }
        if matches!(
            event,
            Event::ReinviteAnswered { .. } | Event::ReinviteRejected { .. }
        ) {
            self.outcomes += 1;
        }
        react(&mut self.ends[end], self.now, event);
    }

    /// Delivers all that flies, in the order of the choices, then first come first served.
    fn run(&mut self) {
        self.settle();
        while !self.flying.is_empty() {
            let of = self.flying.len();
            let at = match self.choices.get(self.made) {
                Some((chosen, _)) => *chosen,
                None => {
                    self.choices.push((0, of));
                    0
                }
            };
            self.made += 1;
            let (to, flow, bytes) = self.flying.remove(at);
            self.now += Duration::from_millis(1);
            self.ends[to].receive(self.now, flow, &bytes);
            self.settle();
        }
    }

    /// Lets time pass; what is sent meanwhile arrives at once.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let timeouts = self.ends.iter().filter_map(Endpoint::next_timeout);
            let Some(next) = timeouts.min().filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            for end in &mut self.ends {
                end.handle_timeout(self.now);
            }
            self.settle();
            while !self.flying.is_empty() {
                let (to, flow, bytes) = self.flying.remove(0);
                self.ends[to].receive(self.now, flow, &bytes);
                self.settle();
            }
        }
        self.now = end;
    }
}

/// One run by these choices; the choices that there were.
fn play(scene: &(Start, &[Act], &[Act]), choices: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    let (start, first, second) = scene;
    let mut crossing = Crossing::new(*start, choices);
    for what in *first {
        crossing.act(0, *what);
    }
    for what in *second {
        crossing.act(1, *what);
    }
    crossing.run();
    let choices = crossing.choices[..crossing.made].to_vec();
    crossing.pass(Duration::from_secs(20));
    let offers = [Act::Reinvite, Act::Update];
    let only_offers = first.iter().chain(*second).all(|act| offers.contains(act));
    if only_offers {
        assert!(
            crossing.lasts.is_empty(),
            "{scene:?} {choices:?}: the call lives on"
        );
        assert_eq!(
            crossing.outcomes, 2,
            "{scene:?} {choices:?}: each offer has its end"
        );
    }
    for end in 0..2 {
        crossing.act(end, Act::Hangup);
    }
    crossing.pass(Duration::from_secs(400));
    for (end, endpoint) in crossing.ends.iter().enumerate() {
        assert_eq!(
            endpoint.counts(),
            Counts::default(),
            "{scene:?} {choices:?}: end {end}"
        );
    }
    assert_eq!(
        crossing.lasts.len(),
        2,
        "{scene:?} {choices:?}: both legs ended"
    );
    assert!(
        crossing.lasts.values().all(|times| *times == 1),
        "{scene:?} {choices:?}"
    );
    choices
}

/// The next run in the tree of choices.
fn next(mut choices: Vec<(usize, usize)>) -> Option<Vec<(usize, usize)>> {
    while let Some((chosen, of)) = choices.pop() {
        if chosen + 1 < of {
            choices.push((chosen + 1, of));
            return Some(choices);
        }
    }
    None
}

#[test]
fn every_order_of_arrival() {
    for scene in &SCENES {
        let mut runs = 0;
        let mut choices = Some(Vec::new());
        while let Some(some) = choices {
            let made = play(scene, some);
            runs += 1;
            assert!(runs < 20_000, "{scene:?}: more orders than can be tried");
            choices = next(made);
        }
        assert!(runs > 1, "{scene:?}: nothing crossed");
    }
}

#[test]
fn every_scene_over_a_bad_network() {
    for (number, (start, first, second)) in SCENES.iter().enumerate() {
        for seed in 1..=60_u64 {
            let mut net = Network::new(Transport::Udp);
            let (caller, callee) = match start {
                Start::Talking => net.talk(),
                _ => net.ring(Some(SDP)),
            };
            if *start == Start::EarlyMedia {
                act(&mut net.ends[1].endpoint, net.now, callee, Act::EarlyMedia);
                net.run_for(50);
                net.take(0);
            }
            net.random =
                Random((seed + 1000 * number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
            net.loss = [0, 10, 30][seed as usize % 3];
            net.duplicates = [40, 20, 0][seed as usize / 3 % 3];
            net.delay = [20, 400, 2000][seed as usize / 9 % 3];
            let mut lasts = [0, 0];
            for (end, leg, acts) in [(0, caller, first), (1, callee, second)] {
                for what in *acts {
                    act(&mut net.ends[end].endpoint, net.now, leg, *what);
                }
            }
            for round in 0..3 {
                let limit = net.now + Duration::from_secs(50);
                while net.step(limit) {
                    follow(&mut net, &mut lasts);
                }
                if round == 0 {
                    net.ends[0].endpoint.hangup(net.now, caller, None);
                    net.ends[1].endpoint.hangup(net.now, callee, None);
                }
                follow(&mut net, &mut lasts);
            }
            assert_eq!(lasts, [1, 1], "{start:?} {first:?} {second:?} seed {seed}");
            net.drain();
        }
    }
}

fn follow(net: &mut Network, lasts: &mut [usize; 2]) {
    for (end, last) in lasts.iter_mut().enumerate() {
        for event in net.take(end) {
            *last += usize::from(is_last(&event));
            react(&mut net.ends[end].endpoint, net.now, &event);
        }
    }
}
