//! The handle of a room.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::super::codec::opus::OpusSettings;
use super::super::codec::{Encoding, FRAME_MS};
use super::super::command::MediaAudio;
use super::super::engine::{Engine, lock};
use super::super::event::MediaEvent;
use super::super::handle::{Busy, Channel, Media};
use super::super::player::Player;
use super::super::recorder::{self, RecordingSpec, WriterOrder};
use super::super::retire::ChannelId;
use super::super::shard::ShardOrder;
use super::super::voice::Voice;
use super::lines::{LINES, Line};
use super::member::{Edge, Member};
use super::mix::RoomState;
use super::rooms::{RoomId, RoomOrder, RoomShared};
use super::{MemberId, RoomConfig, RoomEvents};

/// Events that can wait to be read.
const EVENTS: usize = 256;

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoomError {
    /// As many rooms as there can be channels.
    #[error("all {limit} rooms are in use")]
    AtCapacity {
        /// The limit.
        limit: usize,
    },
    /// The shard takes no more commands.
    #[error(transparent)]
    Busy(#[from] Busy),
}

/// Why a channel is not let into a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The room has as many members as its configuration allows.
    #[error("the room is full: {limit} members")]
    Full {
        /// The limit.
        limit: usize,
    },
    /// They belong to different media engines.
    #[error("the channel belongs to another media engine than the room")]
    Elsewhere,
    /// The shard takes no more commands.
    #[error(transparent)]
    Busy(#[from] Busy),
}

/// A codec of members, with its settings.
#[derive(Debug)]
struct Coding {
    encoding: Encoding,
    opus: OpusSettings,
    /// Who had it first.
    first: ChannelId,
    /// The room has an encoder that those who have it share.
    shared: bool,
}

/// A room. Dropping it closes it: its members go on alone.
#[derive(Debug)]
pub struct Room {
    id: RoomId,
    limit: usize,
    shared: Arc<RoomShared>,
    next_member: AtomicU32,
    /// Codecs that members were found to have.
    codings: Mutex<Vec<Coding>>,
    /// The shard it is on; its members come there.
    shard: usize,
    engine: Arc<Engine>,
}

impl Media {
    /// Opens a room.
    ///
    /// # Errors
    /// When there are as many rooms as channels can be open, or the shard takes no commands.
    pub fn room(&self, config: RoomConfig) -> Result<(Room, RoomEvents), RoomError> {
        let engine = self.engine.clone();
        let limit = engine.config.max_channels;
        let place = engine.rooms.take().ok_or(RoomError::AtCapacity { limit })?;
        let (id, shared) = (place.id, Arc::<RoomShared>::default());
        let (events, receiver) = mpsc::channel(EVENTS);
        let config = RoomConfig {
            max_members: config.max_members.clamp(1, limit),
            ..config
        };
        let state = RoomState::new(place, config, shared.clone(), events);
        let shard = engine.least_loaded();
        engine.order(shard, ShardOrder::Room(RoomOrder::Open(Box::new(state))))?;
        let room = Room {
            id,
            limit: config.max_members,
            shared,
            next_member: AtomicU32::new(0),
            codings: Mutex::default(),
            shard,
            engine,
        };
        Ok((room, receiver))
    }
}

impl Room {
    /// Lets a channel in, which goes to the room's shard. It leaves the room it is in; a bridge it has ends. It leaves when it closes.
    ///
    /// # Errors
    /// When the room is full, the channel is of another engine, or the shard takes no commands.
    pub fn join(&self, channel: &Channel, edge: Edge) -> Result<MemberId, JoinError> {
        if !Arc::ptr_eq(&self.engine, &channel.engine) {
            return Err(JoinError::Elsewhere);
        }
        let enter = |members: u32| (members < self.limit as u32).then_some(members + 1);
        self.shared
            .members
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, enter)
            .map_err(|_| JoinError::Full { limit: self.limit })?;
        let id = MemberId(self.next_member.fetch_add(1, Ordering::Relaxed));
        let member = Box::new(Member::new(id, channel.id, edge));
        // Held until the order is sent: what is sent to the channel later comes later.
        let mut home = lock(&channel.home);
        self.engine
            .relocate(channel.id, &mut home, self.shard)
            .and_then(|()| self.order(RoomOrder::Join(self.id, member)))
            .inspect_err(|_| _ = self.shared.members.fetch_sub(1, Ordering::AcqRel))?;
        drop(home);
        self.share_codec_of(channel);
        Ok(id)
    }

    /// Changes what lies between a member and the room. Nothing happens if the channel is no member.
    ///
    /// # Errors
    /// [`Busy`] when the shard takes no commands.
    pub fn edge(&self, channel: &Channel, edge: Edge) -> Result<(), Busy> {
        self.share_codec_of(channel);
        self.order(RoomOrder::Edge(self.id, channel.id, edge))
    }

    /// Takes a channel out; it goes on alone.
    ///
    /// # Errors
    /// [`Busy`] when the shard takes no commands.
    pub fn leave(&self, channel: &Channel) -> Result<(), Busy> {
        self.order(RoomOrder::Leave(self.id, channel.id))
    }

    /// How many members it may have.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Members, and those who are about to be.
    pub fn members(&self) -> usize {
        self.shared.members.load(Ordering::Acquire) as usize
    }

    /// Plays audio, mixed with what is said, to all members or to one. Ends with [`RoomEvent::PlayDone`](super::RoomEvent::PlayDone). To
    /// all, up to four play at the same time, a fifth ends the oldest; to one, one. [`Command::Play`](crate::media::Command::Play) on the
    /// channel plays to a member instead of the room.
    ///
    /// # Errors
    /// [`Busy`] when the shard takes no commands.
    pub fn play(
        &self,
        to: Option<&Channel>,
        id: u32,
        audio: Vec<MediaAudio>,
        repeat: Option<u32>,
    ) -> Result<(), Busy> {
        let player = Box::new(Player::new(id, audio, repeat));
        let to = to.map(|channel| channel.id);
        self.order(RoomOrder::Play(self.id, to, player))
    }

    /// Stops what plays to all under that id, without an event.
    ///
    /// # Errors
    /// [`Busy`] when the shard takes no commands.
    pub fn stop_play(&self, id: u32) -> Result<(), Busy> {
        self.order(RoomOrder::StopPlay(self.id, id))
    }

    /// Records what a member hears who says nothing: the mix of all, with announcements, to a WAV file (16-bit PCM, mono). Ends with the one
    /// [`MediaEvent::RecordDone`] of the events returned, also when the room closes; `max_ms` and `silence_ms` of 0 are no limits. A recording
    /// that runs is stopped first. What one member says is recorded by [`Command::Record`](crate::media::Command::Record) on its channel.
    ///
    /// # Errors
    /// [`Busy`] when the shard takes no commands.
    pub fn record(
        &self,
        id: u32,
        path: PathBuf,
        max_ms: u32,
        silence_ms: u32,
    ) -> Result<mpsc::UnboundedReceiver<MediaEvent>, Busy> {
        let spec = RecordingSpec {
            max_ms,
            silence_ms,
            ..RecordingSpec::new(id, path)
        };
        self.begin_recording(spec, |recording| RoomOrder::Record(self.id, recording))
    }

    /// Records what a member says, as the others hear it, beside the mix: the files of all members, which end when they leave, are as long
    /// as if each began with the first of them, in the same 20 ms; together they are the mix without its announcements. Ends with the one
    /// [`MediaEvent::RecordDone`] of the events returned. Nothing is recorded if the channel is no member.
    ///
    /// # Errors
    /// [`Busy`] when the shard takes no commands.
    pub fn record_track(
        &self,
        channel: &Channel,
        id: u32,
        path: PathBuf,
    ) -> Result<mpsc::UnboundedReceiver<MediaEvent>, Busy> {
        let of = channel.id;
        self.begin_recording(RecordingSpec::new(id, path), |track| {
            RoomOrder::Track(self.id, of, track)
        })
    }

    fn begin_recording(
        &self,
        spec: RecordingSpec,
        order: impl FnOnce(Box<recorder::Recording>) -> RoomOrder,
    ) -> Result<mpsc::UnboundedReceiver<MediaEvent>, Busy> {
        let (events, receiver) = mpsc::unbounded_channel();
        let stats = self.engine.recordings.clone();
        let (recording, writer_half) = recorder::recording(spec, events, stats);
        self.order(order(Box::new(recording)))?;
        self.engine
            .writer
            .send(WriterOrder::Begin(Box::new(writer_half)))
            .map_err(|_| Busy)?;
        Ok(receiver)
    }

    /// Stops the recording of that id.
    ///
    /// # Errors
    /// [`Busy`] when the shard takes no commands.
    pub fn stop_record(&self, id: u32) -> Result<(), Busy> {
        self.order(RoomOrder::StopRecord(self.id, id))
    }

    /// Gives the room an encoder for all who only listen in the channel's codec, if it is the second that has it: memory that one alone
    /// would not need. Without it each has its own.
    fn share_codec_of(&self, channel: &Channel) {
        let Some((encoding, opus)) = *lock(&channel.coding) else {
            return;
        };
        let mut codings = lock(&self.codings);
        let places_left = codings.len() < LINES;
        let mut known = codings.iter_mut();
        let found = known.find(|coding| coding.encoding == encoding && coding.opus == opus);
        match found {
            Some(coding) if coding.shared || coding.first == channel.id => {}
            Some(coding) => {
                // A codec library that cannot make one more has said so to whoever made the channel's.
                if let Ok(voice) = Voice::equipped(encoding, opus, FRAME_MS as u8) {
                    let line = Box::new(Line::new(voice));
                    coding.shared = self.order(RoomOrder::Line(self.id, line)).is_ok();
                }
            }
            None if places_left => codings.push(Coding {
                encoding,
                opus,
                first: channel.id,
                shared: false,
            }),
            None => {}
        }
    }

    fn order(&self, order: RoomOrder) -> Result<(), Busy> {
        self.engine.order(self.shard, ShardOrder::Room(order))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // Seen by the shard within a second if it takes no orders now.
        self.shared.closed.store(true, Ordering::Relaxed);
        let _ = self.order(RoomOrder::Close(self.id));
    }
}
