//! How datagrams get from sockets to channels: who is watched is read when something comes, who is not reads in its own step.
//!
//! With many channels, being told of each packet costs more than taking it: a watched socket is looked at twice by the kernel and its channel is
//! fetched into the cache twice in each frame. A channel whose peer is settled and that forwards no audio packet for packet has no use for
//! its packets before its next frame, so it goes off the poller and takes them at the beginning of its step, with the kernel's time of arrival.
//! Few channels, and those that relay audio as it comes, are watched: their packets go on at once.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::bridge::Passed;
use super::channel::{ChannelState, Moment, Surroundings};
use super::shard::{Shard, present};
use crate::net::poller::Poller;
use crate::net::rtp_socket;
use crate::net::stamped::{self, Taken};

/// Octets of a datagram that are read; longer ones are dropped.
pub(super) const LONGEST_DATAGRAM: usize = 2048;
/// Channels from which on packets wait for their channel's step; fewer leave a core time enough to look at once.
const MANY: usize = 100;
/// Channels below which all are watched again.
const FEW: usize = MANY / 2;
/// Datagrams a channel takes in one step; what is left waits for the next.
const MOST: u8 = 16;
/// Every so many frames a channel looks whether more waits than usual.
const LOOK_EVERY: u8 = 8;
/// An arrival this long ago is a clock that was set.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How a channel's RTP socket is read.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    /// By the channel's own step; the poller does not watch it.
    in_step: bool,
    /// Datagrams the last step found.
    usual: u8,
    /// Steps to the next look for more.
    look_in: u8,
    /// The last step found fewer than usual: the next takes all there is.
    catching_up: bool,
}

impl Intake {
    /// How many datagrams to ask for in this step.
    fn ask(&mut self) -> u8 {
        self.look_in = self.look_in.checked_sub(1).unwrap_or(LOOK_EVERY - 1);
        match self.catching_up || self.look_in == 0 {
            true => MOST,
            false => self.usual.max(1),
        }
    }

    /// What came of it.
    fn found(&mut self, asked: u8, found: u8) {
        self.catching_up = found < asked.min(self.usual.max(1));
        self.usual = found;
    }
}

impl ChannelState {
    /// The settled peer of a channel whose packets can wait for its step: they come from there only, which the kernel sees to, and their
    /// audio goes on in frames if it does.
    fn can_wait(&self) -> Option<SocketAddr> {
        let relays = self.bridge.is_some() && !self.passes_frames();
        if !self.sockets.connected || relays {
            return None;
        }
        self.stream.as_ref()?.latch.peer()
    }
}

impl Shard {
    /// Watches the sockets of a channel that came.
    pub(super) fn watch(&self, channel: &mut ChannelState) {
        let token = token(channel);
        channel.intake = Intake::default();
        let watched = self
            .poller
            .add(&channel.sockets.rtp, token)
            .and_then(|()| self.poller.add(&channel.sockets.rtcp, token | 1));
        if let Err(error) = watched {
            // Possible only when the system is out of memory for watches; the call sees no audio and says so.
            tracing::error!(port = channel.port, %error, "an RTP socket cannot be watched");
        }
    }

    /// Forgets the sockets of a channel that goes. Closing them does that as well, but a fork of the process could keep them open.
    pub(super) fn forget_sockets(&self, channel: &ChannelState) {
        if !channel.intake.in_step {
            let _ = self.poller.remove(&channel.sockets.rtp);
        }
        let _ = self.poller.remove(&channel.sockets.rtcp);
    }

    /// Takes one datagram of each ready socket; what is left is reported again.
    pub(super) fn receive(&mut self, now: Instant) {
        let (slab, around, buffer) = (&mut self.slab, &self.around, &mut self.buffer);
        let moment = Moment {
            now,
            tick_ms: self.wheel.ms_at(now),
        };
        self.poller.ready_with_next(|token, next| {
            fetch_ahead(slab, next);
            let Some(Some(channel)) = slab.get_mut((token >> 1) as usize) else {
                return;
            };
            let is_rtcp = token & 1 == 1;
            let socket = if is_rtcp {
                &channel.sockets.rtcp
            } else {
                &channel.sockets.rtp
            };
            // An error is an ICMP message about what we sent, or nothing to read after all.
            let (length, source) = match socket.recv_from(&mut buffer[..]) {
                Ok(received) => received,
                Err(error) if is_rtcp => return drop(error),
                Err(error) => return channel.sockets.errors.note(&error),
            };
            if length == buffer.len() {
                around.stats.dropped.oversize.add(1);
                return;
            }
            let (datagram, source) = (&mut buffer[..length], rtp_socket::plain(source));
            let passed = channel.sound(around, |channel| {
                if is_rtcp {
                    channel.receive_rtcp(around, moment, datagram, source);
                    return None;
                }
                channel.receive_rtp(around, moment, datagram, source)
            });
            hand_on(slab, around, moment, passed.flatten());
        });
    }

    /// What a channel does about its packets when its step begins.
    pub(super) fn take_in_step(&mut self, index: usize, moment: Moment) {
        let many = self.wheel.len();
        let Some(channel) = &mut self.slab[index] else {
            return;
        };
        let few = match channel.intake.in_step {
            true => FEW,
            false => MANY,
        };
        let peer = (many >= few).then(|| channel.can_wait()).flatten();
        match peer {
            Some(peer) if channel.intake.in_step => self.take_waiting(index, peer, moment),
            Some(_) => end_watching(&self.poller, channel),
            None if channel.intake.in_step => begin_watching(&self.poller, channel),
            None => {}
        }
    }

    /// Takes what has come for a channel since its last step: as many as usual, and all there is from time to time and after a gap.
    fn take_waiting(&mut self, index: usize, peer: SocketAddr, moment: Moment) {
        let (slab, around, buffer) = (&mut self.slab, &self.around, &mut self.buffer);
        let asked = slab[index].as_mut().map_or(0, |of| of.intake.ask());
        let mut found = 0;
        while found < asked
            && let Some(channel) = &mut slab[index]
        {
            let taken = match stamped::take(&channel.sockets.rtp, &mut buffer[..]) {
                Ok(Some(taken)) => taken,
                Ok(None) => break,
                Err(error) => {
                    // An ICMP message about what we sent; it is told once.
                    channel.sockets.errors.note(&error);
                    found += 1;
                    continue;
                }
            };
            found += 1;
            if taken.length >= buffer.len() {
                around.stats.dropped.oversize.add(1);
                continue;
            }
            let datagram = &mut buffer[..taken.length];
            let arrived = arrival(&taken, self.wall_ns, moment);
            let passed = channel.sound(around, |channel| {
                channel.receive_rtp(around, arrived, datagram, peer)
            });
            hand_on(slab, around, moment, passed.flatten());
        }
        if let Some(channel) = &mut slab[index] {
            channel.intake.found(asked, found);
        }
    }
}

/// Gives a packet that goes over a bridge to the far side.
fn hand_on(
    slab: &mut [Option<Box<ChannelState>>],
    around: &Surroundings,
    moment: Moment,
    passed: Option<Passed<'_>>,
) {
    if let Some(passed) = passed
        && let Some(far) = present(slab, passed.to)
    {
        far.sound(around, |far| far.pass_packet(around, moment, &passed));
    }
}

/// Begins to fetch the channel of the third token after the present one into the cache, and what the next one and its far side will touch.
fn fetch_ahead(slab: &[Option<Box<ChannelState>>], [next, third]: [Option<u64>; 2]) {
    let channel = |token: u64| slab.get((token >> 1) as usize)?.as_deref();
    if let Some(third) = third.and_then(channel) {
        third.fetch_ahead();
    }
    if let Some(next) = next.and_then(channel) {
        next.fetch_further();
        let far = next.bridge.as_ref().map(|bridge| bridge.peer.index);
        if let Some(far) = far.and_then(|far| slab.get(far as usize)?.as_deref()) {
            far.fetch_ahead();
        }
    }
}

fn token(channel: &ChannelState) -> u64 {
    u64::from(channel.id.index) << 1
}

/// The moment a datagram arrived. `wall_ns` is the wall time of `moment`.
fn arrival(taken: &Taken, wall_ns: u64, moment: Moment) -> Moment {
    let ago = taken.at_ns.map_or(0, |at_ns| wall_ns.saturating_sub(at_ns));
    let ago = Duration::from_nanos(ago);
    let at = moment.now.checked_sub(ago);
    Moment {
        now: at.filter(|_| ago < LONGEST_WAIT).unwrap_or(moment.now),
        ..moment
    }
}

/// From now on the channel reads in its step. What waits now may have come before the socket was connected, from anybody: it stays watched
/// until it is seen empty.
fn end_watching(poller: &Poller, channel: &mut ChannelState) {
    let empty = rtp_socket::is_empty(&channel.sockets.rtp);
    if empty && poller.remove(&channel.sockets.rtp).is_ok() {
        stamped::stamp(&channel.sockets.rtp);
        channel.intake = Intake {
            in_step: true,
            usual: 1,
            look_in: (channel.id.index % u32::from(LOOK_EVERY)) as u8,
            catching_up: true,
        };
    }
}

fn begin_watching(poller: &Poller, channel: &mut ChannelState) {
    // If it fails the channel goes on reading in its step, and tries again with the next.
    if poller.add(&channel.sockets.rtp, token(channel)).is_ok() {
        channel.intake = Intake::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Carriage, Channel, Command, Encoding, Media, MediaConfig, StreamParams};
    use crate::rtp::packet::{self, Header};
    use std::net::UdpSocket;

    /// So many datagrams come before each step. Returns the longest queue a step left, and how often the kernel was asked in all.
    fn steps(arrivals: impl IntoIterator<Item = u32>) -> (u32, u32) {
        let mut intake = Intake {
            in_step: true,
            ..Intake::default()
        };
        let (mut waiting, mut longest, mut asked) = (0, 0, 0);
        for came in arrivals {
            waiting += came;
            let most = intake.ask();
            let found = waiting.min(most.into());
            asked += found + u32::from(found < most.into());
            intake.found(most, found as u8);
            waiting -= found;
            longest = longest.max(waiting);
        }
        (longest, asked)
    }

    #[test]
    fn a_steady_stream_is_asked_for_hardly_more_than_it_sends() {
        let (longest, asked) = steps([1; 800]);
        assert_eq!((longest, asked), (0, 800 + 100));
        // Packets of 10 ms: what waited at first is caught up with.
        let (longest, asked) = steps([2; 800]);
        assert!(longest <= u32::from(LOOK_EVERY), "{longest}");
        assert!(asked < 2 * 800 + 120, "{asked}");
        // Nothing comes, or a packet in every second or third frame.
        for every in [2, 3, 1000] {
            let came = |step: u32| u32::from(step.is_multiple_of(every));
            let (longest, asked) = steps((0..800).map(came));
            assert_eq!(longest, 0, "every {every}");
            assert!(asked <= 800 * 2, "every {every}: {asked}");
        }
    }

    #[test]
    fn what_was_late_is_taken_at_once_and_what_is_early_soon() {
        let mut came = vec![1; 100];
        (came[50], came[51], came[52]) = (0, 0, 3);
        assert_eq!(steps(came.iter().copied()).0, 0, "a gap, then all at once");
        (came[50], came[51], came[52]) = (2, 0, 1);
        assert!(steps(came.iter().copied()).0 <= 1, "one early");
        (came[50], came[51], came[52]) = (40, 1, 1);
        let late = steps(came.iter().copied().take(70)).0;
        assert!(late <= 39, "{late}");
        // Whatever it was, nothing stays.
        let mut intake = Intake::default();
        let mut waiting = 40;
        for _ in 0..4 * LOOK_EVERY {
            waiting += 1;
            let asked = intake.ask();
            let found = waiting.min(u32::from(asked));
            intake.found(asked, found as u8);
            waiting -= found;
        }
        assert_eq!(waiting, 0);
    }

    struct Caller {
        channel: Channel,
        socket: UdpSocket,
        encoding: Encoding,
        sent: u16,
    }

    impl Caller {
        fn new(media: &Media, encoding: Encoding) -> Caller {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let (channel, _) = media.open().unwrap();
            let to = ("127.0.0.1", channel.rtp_port());
            socket.connect(to).unwrap();
            socket.set_nonblocking(true).unwrap();
            let params = StreamParams {
                telephone_event_send: Some(EVENTS),
                telephone_event_recv: Some(EVENTS),
                ..StreamParams::plain(encoding, AUDIO, socket.local_addr().unwrap())
            };
            channel.send(Command::Stream(Box::new(params))).unwrap();
            Caller {
                channel,
                socket,
                encoding,
                sent: 0,
            }
        }

        fn send(&mut self) {
            let octets = 20 * self.encoding.octets_per_ms().unwrap();
            self.send_as(AUDIO, &vec![0x11; octets]);
        }

        fn send_as(&mut self, payload_type: u8, payload: &[u8]) {
            let header = Header {
                marker: false,
                payload_type,
                sequence: self.sent,
                timestamp: u32::from(self.sent) * self.encoding.clock().samples_in_ms(20),
                ssrc: 7,
            };
            let mut datagram = [0; 700];
            let length = packet::build(&header, payload, &mut datagram).unwrap();
            self.socket.send(&datagram[..length]).unwrap();
            self.sent += 1;
        }

        /// The payload of the next telephone event that came.
        fn event(&self) -> Option<Vec<u8>> {
            let mut datagram = [0; 700];
            while let Ok(length) = self.socket.recv(&mut datagram) {
                let packet = packet::parse(&datagram[..length]).unwrap();
                if packet.header.payload_type == EVENTS {
                    return Some(packet.payload.to_vec());
                }
            }
            None
        }
    }

    const AUDIO: u8 = 96;
    const EVENTS: u8 = 101;

    fn in_step(shard: &Shard) -> usize {
        let channels = shard.slab.iter().flatten();
        channels.filter(|channel| channel.intake.in_step).count()
    }

    /// A shard with place for as many channels as read in their step.
    fn for_many(ports: std::ops::RangeInclusive<u16>) -> (Media, Shard) {
        Media::assemble(MediaConfig {
            bind: [127, 0, 0, 1].into(),
            ports,
            max_channels: MANY,
            dscp: None,
            ..MediaConfig::default()
        })
        .unwrap()
    }

    /// What is decoded on its way over a bridge waits for the step; events go on from there.
    #[test]
    fn what_is_transcoded_waits_and_its_events_go_on() {
        let (media, mut shard) = for_many(29_500..=29_899);
        let mut callers = Vec::new();
        for index in 0..MANY {
            let encoding = [Encoding::Pcmu, Encoding::L16Wide][index % 2];
            callers.push(Caller::new(&media, encoding));
            shard.pass();
        }
        let carriage = Carriage {
            events: true,
            ..Carriage::default()
        };
        for pair in callers.chunks(2) {
            let (a, b) = (&pair[0].channel, &pair[1].channel);
            media.bridge(a, b, carriage, carriage).unwrap();
            shard.pass();
        }
        while in_step(&shard) < MANY {
            callers.iter_mut().for_each(Caller::send);
            let sent = shard.around.stats.packets_out.value() + MANY as u64;
            while shard.around.stats.packets_out.value() < sent {
                shard.pass();
            }
        }
        let event = [5, 10, 0, 160];
        for of in [0, 1] {
            callers[of].send_as(EVENTS, &event);
            let came = loop {
                shard.pass();
                if let Some(came) = callers[1 - of].event() {
                    break came;
                }
            };
            assert_eq!(came[..2], event[..2]);
        }
        assert_eq!(in_step(&shard), MANY);
        let stats = &shard.around.stats;
        assert_eq!((stats.relayed.value(), stats.duplicate.value()), (2, 0));
    }

    /// Through all its changes a channel gets every packet, and who relays audio or is among few is watched.
    #[test]
    fn many_read_in_their_step_and_few_are_watched() {
        let (media, mut shard) = for_many(29_000..=29_499);
        let mut callers = Vec::new();
        for _ in 0..MANY {
            callers.push(Caller::new(&media, Encoding::Pcmu));
            shard.pass();
        }
        let packets = |shard: &Shard| shard.around.stats.packets_in.value();
        let mut sent = 0;
        let mut round = |shard: &mut Shard, callers: &mut [Caller], each: usize| {
            for caller in callers {
                (0..each).for_each(|_| caller.send());
                sent += each as u64;
            }
            while packets(shard) < sent {
                shard.pass();
            }
        };
        round(&mut shard, &mut callers, 1);
        while in_step(&shard) < MANY {
            shard.pass();
        }
        for each in [1, 1, 5, 0, 1, 20, 2, 2, 1] {
            round(&mut shard, &mut callers, each);
        }
        assert_eq!(in_step(&shard), MANY);
        let stats = &shard.around.stats;
        assert_eq!(stats.duplicate.value() + stats.dropped.stranger.value(), 0);
        // Another description that says the same: watched until the peer is heard again.
        let again = StreamParams::plain(
            Encoding::Pcmu,
            AUDIO,
            callers[9].socket.local_addr().unwrap(),
        );
        let again = Command::Stream(Box::new(again));
        callers[9].channel.send(again).unwrap();
        while in_step(&shard) == MANY {
            shard.pass();
        }
        round(&mut shard, &mut callers, 1);
        while in_step(&shard) < MANY {
            shard.pass();
        }
        let (a, b) = (&callers[0].channel, &callers[1].channel);
        media
            .bridge(a, b, Carriage::default(), Carriage::default())
            .unwrap();
        while in_step(&shard) > MANY - 2 {
            shard.pass();
        }
        round(&mut shard, &mut callers, 3);
        callers.truncate(FEW - 1);
        while in_step(&shard) > 0 {
            shard.pass();
        }
        round(&mut shard, &mut callers, 2);
        assert_eq!(shard.around.stats.dropped.stranger.value(), 0);
    }
}
