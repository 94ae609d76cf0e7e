//! What a channel does every 20 ms: listen, choose what to say, send it. Nothing here allocates, locks, logs or formats.

use std::net::UdpSocket;
use std::time::Instant;

use super::channel::{ChannelState, Moment, Sockets, Stream, Surroundings};
use super::codec::{FRAME_SAMPLES, SAMPLES_PER_MS};
use super::digits::DigitFrame;
use super::event::MediaEvent;
use super::stats::MediaStats;
use crate::net::rtp_socket;
use crate::rtp::packet::{self, HEADER_LEN, Header};

/// The sending side of a channel.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) ssrc: u32,
    /// Timestamp at the shard's millisecond 0: one clock for audio and events.
    epoch: u32,
    sequence: u16,
    /// The next audio packet begins a talkspurt.
    pub(crate) marker: bool,
    pub(crate) packets: u64,
    pub(crate) octets: u64,
    pub(crate) first_at: Option<Instant>,
}

impl Outgoing {
    pub(crate) fn new(ssrc: u32, epoch: u32, sequence: u16) -> Outgoing {
        Outgoing {
            ssrc,
            epoch,
            sequence,
            marker: true,
            packets: 0,
            octets: 0,
            first_at: None,
        }
    }

    /// The audio clock at a moment.
    pub(crate) fn timestamp(&self, tick_ms: u64) -> u32 {
        self.epoch
            .wrapping_add((tick_ms as u32).wrapping_mul(SAMPLES_PER_MS))
    }

    /// Sends one packet.
    fn send(
        &mut self,
        stats: &MediaStats,
        now: Instant,
        sockets: &Sockets,
        stream: &Stream,
        header: Header,
        payload: &[u8],
    ) {
        let mut datagram = [0; HEADER_LEN + FRAME_SAMPLES];
        let Some(length) = packet::build(&header, payload, &mut datagram) else {
            return;
        };
        self.sequence = self.sequence.wrapping_add(1);
        if sockets.send_rtp(stream, &datagram[..length]) {
            self.packets += 1;
            self.octets += payload.len() as u64;
            self.first_at.get_or_insert(now);
            stats.packets_out.add(1);
            stats.octets_out.add(payload.len() as u64);
        } else {
            stats.send_errors.add(1);
        }
    }
}

impl Sockets {
    pub(crate) fn local_ip(&self) -> std::net::IpAddr {
        if self.is_v6 {
            std::net::Ipv6Addr::UNSPECIFIED.into()
        } else {
            std::net::Ipv4Addr::UNSPECIFIED.into()
        }
    }

    /// Sends on the RTP socket to the stream's peer. A full buffer or an unreachable peer loses the packet.
    pub(crate) fn send_rtp(&self, stream: &Stream, datagram: &[u8]) -> bool {
        if self.connected {
            // An earlier ICMP error is reported once instead of sending: the second try sends.
            return self
                .rtp
                .send(datagram)
                .or_else(|_| self.rtp.send(datagram))
                .is_ok();
        }
        self.send_to(&self.rtp, stream.latch.destination(), datagram)
    }

    pub(crate) fn send_to(
        &self,
        socket: &UdpSocket,
        to: std::net::SocketAddr,
        datagram: &[u8],
    ) -> bool {
        // 0.0.0.0 and port 0 are what peers signal to get nothing (RFC 3264 section 8.4).
        if to.ip().is_unspecified() || to.port() == 0 {
            return false;
        }
        socket
            .send_to(datagram, rtp_socket::reachable_from(self.local_ip(), to))
            .is_ok()
    }
}

impl ChannelState {
    /// One frame of 20 ms.
    pub(crate) fn step(&mut self, around: &Surroundings, moment: Moment) {
        self.watch(around, moment.now);
        let Some(stream) = &self.stream else { return };
        let (encoding, may_send) = (stream.params.encoding, stream.params.send);
        let mut heard = [0; FRAME_SAMPLES];
        let sounding = self.is_listened_to() && self.listen(encoding, &mut heard);
        let mut frame = [encoding.silence(); FRAME_SAMPLES];
        match self.next_digit_frame(moment) {
            Some(DigitFrame::Event {
                timestamp,
                marker,
                payload,
            }) => {
                if may_send {
                    self.send_event(around, moment, timestamp, marker, payload.to_bytes());
                }
                self.rtcp_turn(around, moment);
                return;
            }
            Some(DigitFrame::Tone) => encoding.encode(&self.outgoing_tone, &mut frame),
            Some(_) => {}
            None if self.player.is_some() => self.play(&mut frame),
            None if self.echo && sounding => frame = heard,
            None => {}
        }
        if may_send {
            self.send_audio(around, moment, &frame);
        } else {
            self.outgoing.marker = true;
        }
        self.rtcp_turn(around, moment);
    }

    /// The next frame of digits being sent, if any.
    fn next_digit_frame(&mut self, moment: Moment) -> Option<DigitFrame> {
        let digits = self.digits.as_mut()?;
        let events = self
            .stream
            .as_ref()
            .is_some_and(|stream| stream.params.telephone_event_send.is_some());
        let timestamp = self.outgoing.timestamp(moment.tick_ms);
        match digits.frame(timestamp, events, &mut self.outgoing_tone) {
            DigitFrame::Done => {
                let id = digits.id();
                self.digits = None;
                self.tell(MediaEvent::DigitsSent { id });
                None
            }
            frame => Some(frame),
        }
    }

    fn play(&mut self, frame: &mut [u8; FRAME_SAMPLES]) {
        let (Some(player), Some(stream)) = (&mut self.player, &self.stream) else {
            return;
        };
        player.fill(stream.params.encoding, frame);
        if player.is_done() {
            let id = player.id();
            self.player = None;
            self.tell(MediaEvent::PlayDone { id });
        }
    }

    fn send_audio(&mut self, around: &Surroundings, moment: Moment, frame: &[u8; FRAME_SAMPLES]) {
        let Some(stream) = &self.stream else { return };
        let header = Header {
            marker: std::mem::take(&mut self.outgoing.marker),
            payload_type: stream.params.payload_send,
            sequence: self.outgoing.sequence,
            timestamp: self.outgoing.timestamp(moment.tick_ms),
            ssrc: self.outgoing.ssrc,
        };
        self.outgoing.send(
            &around.stats,
            moment.now,
            &self.sockets,
            stream,
            header,
            frame,
        );
    }

    fn send_event(
        &mut self,
        around: &Surroundings,
        moment: Moment,
        timestamp: u32,
        marker: bool,
        payload: [u8; 4],
    ) {
        let Some(stream) = &self.stream else { return };
        let Some(payload_type) = stream.params.telephone_event_send else {
            return;
        };
        let header = Header {
            marker,
            payload_type,
            sequence: self.outgoing.sequence,
            timestamp,
            ssrc: self.outgoing.ssrc,
        };
        self.outgoing.send(
            &around.stats,
            moment.now,
            &self.sockets,
            stream,
            header,
            &payload,
        );
    }
}
