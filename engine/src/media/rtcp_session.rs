//! RTCP of one channel (RFC 3550 section 6): a report about every 5 s, a BYE at the end, and what the peer reports.
//!
//! The round trip is measured against the moments at which our own reports left: a clock that is set during a call changes nothing. Extended
//! reports are sent only to who sends some.
//!
//! A peer's BYE ends nothing: it can be forged by anybody who knows the ports, and SIP says when a call is over.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::channel::{ChannelState, Moment, Surroundings};
use crate::rtp::rtcp::{self, Blocks, MAX_BUILT, Report, RtcpPacket, SenderInfo};
use crate::rtp::srtp::MAX_TRAILER;
use crate::rtp::stun;
use crate::rtp::xr::{Delay, XrBlock, XrBlocks};

/// Seconds from 1900 (NTP) to 1970 (Unix).
const NTP_OFFSET: u64 = 2_208_988_800;
/// Letters of the CNAME.
const CNAME_LEN: usize = 16;
/// Our newest reports, one of which the peer answers.
const ASKED: usize = 4;
/// A longer round trip is none.
const LONGEST_TRIP: Duration = Duration::from_secs(20);

/// The RTCP state of a channel.
#[derive(Debug)]
pub(crate) struct RtcpSession {
    random: u32,
    /// Says nothing of host or person (RFC 7022).
    cname: [u8; CNAME_LEN],
    next_at: Option<Instant>,
    /// Packets sent when the last report went out.
    reported_packets: u64,
    /// Middle 32 bits of the NTP time of the peer's last SR, and when it came.
    last_sr: Option<(u32, Instant)>,
    /// The times in our newest reports, and when they left.
    asked: [Option<(u32, Instant)>; ASKED],
    /// Source and time of the peer's last reference time, and when it came.
    reference: Option<(u32, u32, Instant)>,
    /// The peer sends extended reports.
    speaks_extended: bool,
}

impl RtcpSession {
    /// `seed` and `name` are random.
    pub(crate) fn new(seed: u32, name: &[u8]) -> RtcpSession {
        let mut cname = [b'a'; CNAME_LEN];
        for (letter, random) in cname.iter_mut().zip(name) {
            *letter = b"abcdefghijklmnopqrstuvwxyz234567"[usize::from(random & 31)];
        }
        RtcpSession {
            random: seed | 1,
            cname,
            next_at: None,
            reported_packets: 0,
            last_sr: None,
            asked: [None; ASKED],
            reference: None,
            speaks_extended: false,
        }
    }

    /// Notes that a report with this time leaves.
    fn ask(&mut self, time: u64, now: Instant) {
        self.asked.rotate_right(1);
        self.asked[0] = Some(((time >> 16) as u32, now));
    }

    /// The time from a report of ours to its answer less what the peer took (RFC 3550 section 6.4.1). `None` if it answers none of ours.
    fn round_trip(&self, answers: u32, took: u32, now: Instant) -> Option<Duration> {
        let mut asked = self.asked.iter().flatten();
        let (_, at) = asked.find(|(time, _)| *time == answers)?;
        let all = now.saturating_duration_since(*at);
        // The peer's clock may run slower than ours by a trifle.
        let trip = all.saturating_sub(since(took));
        (trip <= LONGEST_TRIP && since(took) <= all + Duration::from_millis(10)).then_some(trip)
    }

    /// Any number (xorshift, Marsaglia 2003).
    fn random(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random
    }
}

impl ChannelState {
    /// Sends a report when it is due.
    pub(crate) fn rtcp_turn(&mut self, around: &Surroundings, moment: Moment) {
        self.quality_turn(around, moment);
        match self.rtcp.next_at {
            Some(at) if moment.now < at => return,
            Some(_) => self.send_report(around, moment, false),
            None => {}
        }
        let first = self.rtcp.next_at.is_none();
        let random = self.rtcp.random();
        self.rtcp.next_at = Some(moment.now + rtcp::interval(random, first));
    }

    /// The answer to the peer's reference time.
    fn delay(&self, now: Instant) -> Option<Delay> {
        let (ssrc, last_rr, at) = self.rtcp.reference?;
        Some(Delay {
            ssrc,
            last_rr,
            delay: units(now.saturating_duration_since(at)),
        })
    }

    /// Says goodbye, if anything was ever said.
    pub(crate) fn send_bye(&mut self, around: &Surroundings, moment: Moment) {
        self.judge_stretch(around);
        if self.outgoing.packets > 0 || self.incoming.reception.is_some() {
            self.send_report(around, moment, true);
        }
    }

    fn send_report(&mut self, around: &Surroundings, moment: Moment, bye: bool) {
        let delay = self.delay(moment.now);
        let Some(stream) = &mut self.stream else {
            return;
        };
        let unix = SystemTime::now().duration_since(UNIX_EPOCH);
        let time = ntp(unix.unwrap_or_default());
        let sender = (self.outgoing.packets > self.rtcp.reported_packets).then(|| SenderInfo {
            ntp: time,
            rtp_timestamp: self.outgoing.timestamp(moment.tick_ms),
            packets: self.outgoing.packets as u32,
            octets: self.outgoing.octets as u32,
        });
        self.rtcp.reported_packets = self.outgoing.packets;
        let reference = (sender.is_none() && self.rtcp.speaks_extended).then_some(time);
        if sender.is_some() || reference.is_some() {
            self.rtcp.ask(time, moment.now);
        }
        let (last_sr, since_last_sr) = match self.rtcp.last_sr {
            Some((middle, at)) => (middle, units(moment.now.saturating_duration_since(at))),
            None => (0, 0),
        };
        let block = self
            .incoming
            .reception
            .as_mut()
            .map(|reception| reception.report(last_sr, since_last_sr));
        let report = Report {
            ssrc: self.outgoing.ssrc,
            sender,
            block,
            cname: &self.rtcp.cname,
            reference,
            delay,
            bye,
        };
        let mut plain = [0; MAX_BUILT];
        let length = rtcp::build(&report, &mut plain);
        let mut datagram = [0; MAX_BUILT + MAX_TRAILER];
        datagram[..length].copy_from_slice(&plain[..length]);
        let Some(length) = stream.seal_rtcp(&mut datagram, length) else {
            around.stats.send_errors.add(1);
            return;
        };
        let sent = if stream.params.rtcp_mux {
            self.sockets.send_rtp(stream, &datagram[..length])
        } else {
            self.sockets.send_to(
                &self.sockets.rtcp,
                stream.rtcp_destination(),
                &datagram[..length],
            )
        };
        if !sent {
            around.stats.send_errors.add(1);
        }
    }

    /// Takes a datagram of RTCP. Only the peer's host is believed.
    pub(crate) fn receive_rtcp(
        &mut self,
        around: &Surroundings,
        moment: Moment,
        datagram: &mut [u8],
        source: SocketAddr,
    ) {
        let Some(stream) = &mut self.stream else {
            around.stats.dropped.unexpected.add(1);
            return;
        };
        if stun::is_stun(datagram) {
            self.receive_stun(around, datagram, source, true);
            return;
        }
        if source.ip() != stream.latch.destination().ip() {
            around.stats.dropped.stranger.add(1);
            return;
        }
        let Some(length) = stream.open_rtcp(&around.stats.dropped, datagram) else {
            return;
        };
        let read = rtcp::parse(&datagram[..length], |packet| match packet {
            RtcpPacket::Report {
                ssrc,
                sender,
                blocks,
            } => self.take_report(around, moment.now, ssrc, sender, blocks),
            RtcpPacket::Extended { ssrc, blocks } => {
                self.take_extended(around, moment.now, ssrc, blocks);
            }
            _ => {}
        });
        match read {
            Ok(()) => self.incoming.life.sign(moment.now),
            Err(_) => around.stats.dropped.rtcp.add(1),
        }
    }

    fn take_report(
        &mut self,
        around: &Surroundings,
        now: Instant,
        ssrc: u32,
        sender: Option<SenderInfo>,
        blocks: Blocks<'_>,
    ) {
        let stats = &around.stats;
        let path = &mut self.path.facts;
        path.reports = path.reports.saturating_add(1);
        path.sent_at_report = self.outgoing.packets;
        let ours = self.outgoing.ssrc;
        if let Some(block) = blocks.iter().find(|block| block.ssrc == ours) {
            path.reports_on_us = path.reports_on_us.saturating_add(1);
            path.reported_lost = u32::try_from(block.cumulative_lost).unwrap_or(0);
            let (answers, took) = (block.last_sr, block.delay_since_last_sr);
            self.take_round_trip(around, now, answers, took);
            let clock = self.outgoing.clock_rate().hz();
            self.quality.take_report(&block, clock, &stats.mos_sent);
            if let Some(stream) = &mut self.stream {
                stream.voice.expect_loss(block.fraction_lost);
            }
        }
        let reception = self.incoming.reception.as_ref();
        if let Some(sender) = sender
            && reception.is_some_and(|reception| reception.ssrc == ssrc)
        {
            self.rtcp.last_sr = Some(((sender.ntp >> 16) as u32, now));
        }
    }

    fn take_extended(
        &mut self,
        around: &Surroundings,
        now: Instant,
        ssrc: u32,
        blocks: XrBlocks<'_>,
    ) {
        self.rtcp.speaks_extended = true;
        let ours = self.outgoing.ssrc;
        for block in blocks.iter() {
            match block {
                XrBlock::ReferenceTime(time) => {
                    self.rtcp.reference = Some((ssrc, (time >> 16) as u32, now));
                }
                XrBlock::Delays(delays) => {
                    let ours = delays.iter().find(|delay| delay.ssrc == ours);
                    if let Some(Delay { last_rr, delay, .. }) = ours {
                        self.take_round_trip(around, now, last_rr, delay);
                    }
                }
                XrBlock::Voip(metrics) if metrics.ssrc == ours => self.quality.take_voip(metrics),
                XrBlock::Voip(_) | XrBlock::Summary(_) | XrBlock::Other(_) => {}
            }
        }
    }

    fn take_round_trip(&mut self, around: &Surroundings, now: Instant, answers: u32, took: u32) {
        if let Some(trip) = self.rtcp.round_trip(answers, took, now) {
            let us = self.quality.take_round_trip(trip);
            around.stats.round_trips.record(us);
        }
    }
}

/// A time in 1/65536 s.
fn units(time: Duration) -> u32 {
    (time.as_micros() * 65_536 / 1_000_000) as u32
}

/// So many 1/65536 s.
fn since(units: u32) -> Duration {
    Duration::from_micros(u64::from(units) * 1_000_000 / 65_536)
}

/// NTP time of a time since 1970, as 32.32 bits.
fn ntp(unix: Duration) -> u64 {
    ((unix.as_secs() + NTP_OFFSET) << 32)
        | (u64::from(unix.subsec_nanos()) * (1 << 32) / 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_is_that_of_a_report_of_ours() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut session = RtcpSession::new(1, b"name");
        for n in 0..6u64 {
            session.ask(n << 16, at(n * 5000));
        }
        let half = 65_536 / 2;
        let trip = |answers, took, ms| {
            let trip = session.round_trip(answers, took, at(ms));
            trip.map(|trip| trip.as_millis())
        };
        assert_eq!(trip(5, half, 25_560), Some(60));
        assert_eq!(trip(4, half, 25_560), Some(5060));
        assert_eq!(trip(5, half, 25_495), Some(0), "its clock is slow");
        assert_eq!(trip(5, half, 25_400), None, "took longer than there was");
        assert_eq!(trip(0, half, 25_560), None, "none came yet");
        assert_eq!(trip(1, half, 25_560), None, "forgotten");
        assert_eq!(trip(5, 0, 60_000), None, "too long ago");
        assert_eq!(trip(5, u32::MAX, 60_000), None);
    }

    #[test]
    fn ntp_counts_from_1900() {
        assert_eq!(ntp(Duration::ZERO), 2_208_988_800 << 32);
        assert_eq!(ntp(Duration::from_millis(500)) as u32, 1 << 31);
    }
}
