//! The media of all legs: a few sockets, the 20 ms wheel that sends with 1 ms phases, and the meters of what comes back.
//!
//! Streams are told apart by the far end's RTP address, so that a server with a port for each call needs few sockets here. Times are ns of
//! [`wall_ns`](crate::net::batch::wall_ns), which the kernel stamps arrivals with.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use socket2::SockAddr;

use super::histogram::Histogram;
use super::meter::{Counts, Meter};
use super::session::Remote;
use super::sound::{FRAME, Sound, is_steady_tone};
use super::speaker::{Edge, Keys, Speaker};
use crate::net::batch::{Inbox, Outbox, bind_stamped};
use crate::net::poller::Poller;
use crate::rtp::packet::{self, HEADER_LEN};

/// Slots of the wheel, one for each ms of a frame.
const SLOTS: usize = 20;
/// Calls in a row that share a socket, so that what leaves together is many packets.
const RUN: usize = SLOTS;
/// Beyond so many sockets each call in turn takes the next one.
const FEW_SOCKETS: usize = 64;
/// Datagrams in one system call, and octets of each.
const BATCH: usize = 256;
const DATAGRAM: usize = 512;
/// The wheel being this late means that the machine stood still, and for how long after it arrivals are excused.
const STANDSTILL: u64 = 4_000_000;
const AFTERMATH: u64 = 100_000_000;
const MS: u64 = 1_000_000;

/// Which side of the server a leg is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Caller,
    Callee,
}

/// What the legs do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// Callers below this number talk, the others are silent.
    pub(super) talkers: u32,
    /// How keys are pressed, and the frames between two of them.
    pub(super) keys: Option<(Keys, u32)>,
    /// Silence after which a stream counts as stopped.
    pub(super) stopped_after_ns: u64,
}

#[derive(Debug)]
struct Leg {
    on: bool,
    counted: bool,
    to: SockAddr,
    events: Option<u8>,
    presses: bool,
    speaker: Speaker,
    meter: Meter,
    /// When the last key ended, while its answer has not been heard.
    unanswered_key_ns: Option<u64>,
}

/// What was counted of all legs together while the window was open.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    /// Legs that were up when counting began.
    pub(super) streams: u64,
    pub(super) counts: Counts,
    /// Streams that lacked more than one frame in a thousand.
    pub(super) bad_streams: u64,
    /// Streams of which nothing came.
    pub(super) silent_streams: u64,
    pub(super) lateness: Histogram,
    pub(super) reaction: Histogram,
    pub(super) keys: u64,
    /// How late this tool sent.
    pub(super) own_lateness: Histogram,
    pub(super) sent: u64,
    pub(super) send_errors: u64,
    pub(super) standstills: u64,
    pub(super) standstill_ns: u64,
}

/// All legs.
#[derive(Debug)]
pub(super) struct Plant {
    sound: Sound,
    manner: Manner,
    sockets: Vec<UdpSocket>,
    addresses: Vec<SocketAddr>,
    /// Sockets of each side.
    each: usize,
    legs: Vec<Leg>,
    /// Legs of each slot by socket.
    slots: [Vec<Vec<u32>>; SLOTS],
    by_peer: HashMap<(u32, SocketAddr), u32>,
    poller: Poller,
    outbox: Outbox,
    inbox: Inbox,
    start_ns: u64,
    next_tick: u64,
    open: bool,
    excused: (u64, u64),
    pub(super) tally: Tally,
    /// Packets from addresses that no leg has, over the whole run.
    pub(super) strangers: u64,
    drops: Vec<u32>,
}

impl Plant {
    /// Binds `each` sockets at `caller`, and as many at `callee` if there is one.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn new(
        sound: Sound,
        manner: Manner,
        each: usize,
        caller: IpAddr,
        callee: Option<IpAddr>,
        start_ns: u64,
    ) -> io::Result<Plant> {
        let poller = Poller::new()?;
        let buffer = if each > FEW_SOCKETS {
            1 << 20
        } else {
            16 << 20
        };
        let (mut sockets, mut addresses) = (Vec::new(), Vec::new());
        for ip in std::iter::once(caller).chain(callee) {
            for _ in 0..each {
                let socket = bind_stamped(SocketAddr::new(ip, 0), buffer)?;
                poller.add(&socket, sockets.len() as u64)?;
                addresses.push(socket.local_addr()?);
                sockets.push(socket);
            }
        }
        Ok(Plant {
            sound,
            manner,
            each,
            slots: std::array::from_fn(|_| vec![Vec::new(); sockets.len()]),
            drops: vec![0; sockets.len()],
            sockets,
            addresses,
            legs: Vec::new(),
            by_peer: HashMap::new(),
            poller,
            outbox: Outbox::new(1024, HEADER_LEN + FRAME),
            inbox: Inbox::new(BATCH, DATAGRAM),
            start_ns,
            next_tick: 0,
            open: false,
            excused: (0, 0),
            tally: Tally::default(),
            strangers: 0,
        })
    }

    /// Where call number `call` of a side wants its audio.
    pub(super) fn address(&self, side: Side, call: u32) -> SocketAddr {
        self.addresses[self.socket(side, call)]
    }

    fn socket(&self, side: Side, call: u32) -> usize {
        let turn = if self.each > FEW_SOCKETS {
            call as usize
        } else {
            call as usize / RUN
        };
        turn % self.each + if side == Side::Callee { self.each } else { 0 }
    }

    /// A call is up: its audio begins. Returns the leg.
    pub(super) fn begin(&mut self, side: Side, call: u32, remote: Remote) -> u32 {
        let leg = self.legs.len() as u32;
        let socket = self.socket(side, call);
        let every = self.manner.keys.map_or(0, |(_, every)| every);
        let talks = call < self.manner.talkers;
        self.legs.push(Leg {
            on: true,
            counted: false,
            to: remote.audio.into(),
            events: remote.events,
            presses: side == Side::Caller,
            speaker: Speaker::new(leg, self.sound.law.payload_type(), talks, every),
            meter: Meter::new(self.manner.stopped_after_ns),
            unanswered_key_ns: None,
        });
        self.slots[leg as usize % SLOTS][socket].push(leg);
        self.by_peer.insert((socket as u32, remote.audio), leg);
        leg
    }

    /// The far end of a leg has moved.
    pub(super) fn redirect(&mut self, side: Side, call: u32, leg: u32, remote: Remote) {
        let socket = self.socket(side, call) as u32;
        self.by_peer.insert((socket, remote.audio), leg);
        if let Some(leg) = self.legs.get_mut(leg as usize) {
            leg.to = remote.audio.into();
            leg.events = remote.events;
        }
    }

    /// A call is over: its audio ends.
    pub(super) fn end(&mut self, leg: u32) {
        if let Some(leg) = self.legs.get_mut(leg as usize) {
            leg.on = false;
        }
    }

    /// Counting begins for all legs that are up.
    pub(super) fn open(&mut self, now: u64) {
        self.tally = Tally::default();
        self.open = true;
        for leg in self.legs.iter_mut().filter(|leg| leg.on) {
            leg.counted = true;
            leg.meter.open(now);
            self.tally.streams += 1;
        }
    }

    /// Counting ends; the tally is complete.
    pub(super) fn close(&mut self, now: u64) {
        self.open = false;
        for leg in self.legs.iter_mut().filter(|leg| leg.counted) {
            let counts = leg.meter.close(now);
            let tally = &mut self.tally;
            tally.counts = tally.counts.plus(&counts);
            tally.bad_streams += u64::from(counts.missed() * 1000 > counts.received.max(1000));
            tally.silent_streams += u64::from(counts.received == 0);
        }
    }

    /// Datagrams that did not fit into our own buffers, over the whole run.
    pub(super) fn dropped(&self) -> u64 {
        self.drops.iter().map(|drops| u64::from(*drops)).sum()
    }

    /// When the wheel turns next.
    pub(super) fn next_due(&self) -> u64 {
        self.start_ns + self.next_tick * MS
    }

    /// Sends what is due.
    pub(super) fn turn(&mut self, clock: impl Fn() -> u64) {
        let now = clock();
        let late = now.saturating_sub(self.next_due());
        if late > STANDSTILL {
            self.excused = (now - late, now + AFTERMATH);
            self.tally.standstills += 1;
            self.tally.standstill_ns += late;
        }
        while self.next_due() <= now {
            self.send_slot(self.next_tick as usize % SLOTS, self.next_due(), clock());
            self.next_tick += 1;
        }
    }

    fn send_slot(&mut self, slot: usize, due: u64, now: u64) {
        let mut count = 0;
        for socket in 0..self.sockets.len() {
            for place in 0..self.slots[slot][socket].len() {
                let leg = self.slots[slot][socket][place];
                count += u64::from(self.speak(leg, socket, now));
            }
            self.flush(socket);
        }
        if self.open && count > 0 {
            self.tally
                .own_lateness
                .add_many(now.saturating_sub(due), count);
            self.tally.sent += count;
        }
    }

    fn flush(&mut self, socket: usize) {
        self.tally.send_errors += self.outbox.flush(&self.sockets[socket]) as u64;
    }

    fn speak(&mut self, leg: u32, socket: usize, now: u64) -> bool {
        if self.outbox.is_full() {
            self.flush(socket);
        }
        let leg = &mut self.legs[leg as usize];
        if !leg.on {
            return false;
        }
        let keys = self.manner.keys.filter(|_| leg.presses && self.open);
        let keys = keys.and_then(|(how, every)| match how {
            Keys::Events => leg.events.map(|events| (how, events, every)),
            Keys::Tones => Some((how, 0, every)),
        });
        let mut edge = Edge::None;
        let Leg { speaker, to, .. } = leg;
        let pushed = self.outbox.push(to, |buffer| {
            let (length, happened) = speaker.write(&self.sound, keys, buffer);
            edge = happened;
            length
        });
        if edge == Edge::KeyEnded {
            leg.unanswered_key_ns = Some(now);
            self.tally.keys += u64::from(self.open);
        }
        pushed.is_some()
    }

    /// Takes what has come, until nothing more is there or the wheel is due.
    pub(super) fn take(&mut self, clock: impl Fn() -> u64) {
        let mut ready = Vec::new();
        loop {
            ready.clear();
            self.poller.ready(|token| ready.push(token as usize));
            let mut more = false;
            for socket in &ready {
                let got = self.inbox.receive(&self.sockets[*socket]);
                more |= got == self.inbox.capacity();
                for index in 0..got {
                    self.take_one(*socket, index);
                }
            }
            if !more || clock() >= self.next_due() {
                return;
            }
        }
    }

    fn take_one(&mut self, socket: usize, index: usize) {
        let Some(datagram) = self.inbox.datagram(index) else {
            return;
        };
        self.drops[socket] = self.drops[socket].max(datagram.dropped);
        if packet::is_rtcp(datagram.octets) {
            return;
        }
        let leg = self.by_peer.get(&(socket as u32, datagram.from));
        let Some(leg) = leg.and_then(|leg| self.legs.get_mut(*leg as usize)) else {
            self.strangers += 1;
            return;
        };
        let Ok(packet) = packet::parse(datagram.octets) else {
            return;
        };
        if !leg.on {
            return;
        }
        let at = datagram.at_ns;
        let audio = packet.header.payload_type == self.sound.law.payload_type();
        let excused = at + STANDSTILL > self.excused.0 && at < self.excused.1;
        if let Some(late) = leg.meter.take(&packet, at, audio, excused) {
            self.tally.lateness.add(late);
        }
        if let Some(ended) = leg.unanswered_key_ns
            && audio
            && is_steady_tone(self.sound.law, packet.payload)
        {
            leg.unanswered_key_ns = None;
            if self.open {
                self.tally.reaction.add(at.saturating_sub(ended));
            }
        }
    }
}
