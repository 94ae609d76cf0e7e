//! RTCP of one channel (RFC 3550 section 6): a report about every 5 s, a BYE at the end, and what the peer reports.
//!
//! A peer's BYE ends nothing: it can be forged by anybody who knows the ports, and SIP says when a call is over.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::channel::{ChannelState, Moment, Surroundings};
use crate::rtp::rtcp::{self, MAX_BUILT, Report, RtcpPacket, SenderInfo};
use crate::rtp::srtp::MAX_TRAILER;
use crate::rtp::stun;

/// Seconds from 1900 (NTP) to 1970 (Unix).
const NTP_OFFSET: u64 = 2_208_988_800;
/// Letters of the CNAME.
const CNAME_LEN: usize = 16;

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
        }
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
        match self.rtcp.next_at {
            Some(at) if moment.now < at => return,
            Some(_) => self.send_report(around, moment, false),
            None => {}
        }
        let first = self.rtcp.next_at.is_none();
        let random = self.rtcp.random();
        self.rtcp.next_at = Some(moment.now + rtcp::interval(random, first));
    }

    /// Says goodbye, if anything was ever said.
    pub(crate) fn send_bye(&mut self, around: &Surroundings, moment: Moment) {
        if self.outgoing.packets > 0 || self.incoming.reception.is_some() {
            self.send_report(around, moment, true);
        }
    }

    fn send_report(&mut self, around: &Surroundings, moment: Moment, bye: bool) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        let sender = (self.outgoing.packets > self.rtcp.reported_packets).then(|| SenderInfo {
            ntp: ntp(SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()),
            rtp_timestamp: self.outgoing.timestamp(moment.tick_ms),
            packets: self.outgoing.packets as u32,
            octets: self.outgoing.octets as u32,
        });
        self.rtcp.reported_packets = self.outgoing.packets;
        let (last_sr, delay) = match self.rtcp.last_sr {
            Some((middle, at)) => (
                middle,
                (moment.now.saturating_duration_since(at).as_micros() * 65_536 / 1_000_000) as u32,
            ),
            None => (0, 0),
        };
        let block = self
            .incoming
            .reception
            .as_mut()
            .map(|reception| reception.report(last_sr, delay));
        let report = Report {
            ssrc: self.outgoing.ssrc,
            sender,
            block,
            cname: &self.rtcp.cname,
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
        let datagram = &datagram[..length];
        let mut last_sr = None;
        let (ours, sent) = (self.outgoing.ssrc, self.outgoing.packets);
        let path = &mut self.path.facts;
        let peer = self
            .incoming
            .reception
            .as_ref()
            .map(|reception| reception.ssrc);
        let read = rtcp::parse(datagram, |packet| {
            let RtcpPacket::Report {
                ssrc,
                sender,
                blocks,
            } = packet
            else {
                return;
            };
            path.reports = path.reports.saturating_add(1);
            path.sent_at_report = sent;
            if let Some(block) = blocks.iter().find(|block| block.ssrc == ours) {
                path.reports_on_us = path.reports_on_us.saturating_add(1);
                path.reported_lost = u32::try_from(block.cumulative_lost).unwrap_or(0);
            }
            if let Some(sender) = sender
                && Some(ssrc) == peer
            {
                last_sr = Some(((sender.ntp >> 16) as u32, moment.now));
            }
        });
        match read {
            Ok(()) => self.rtcp.last_sr = last_sr.or(self.rtcp.last_sr),
            Err(_) => around.stats.dropped.rtcp.add(1),
        }
    }
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
    fn ntp_counts_from_1900() {
        assert_eq!(ntp(Duration::ZERO), 2_208_988_800 << 32);
        assert_eq!(ntp(Duration::from_millis(500)) as u32, 1 << 31);
    }
}
