//! Conferences: rooms with a name, shared by calls. Made by whoever joins first, gone with whoever leaves last.
//!
//! It owns who is there, whether the conference has begun, and what is asked of an attendee from outside. Mixing is the media engine's.
//! Limits: names of 128 characters; each conference has as many attendees as its first one allows.
use crate::media::{
    Edge, JoinError, MediaAudio, MemberId, Room, RoomConfig, RoomEvent, RoomEvents,
};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::watch;

use super::Calls;
use super::events::{EventKind, Events};
use super::leg::Leg;
use super::minutes::Minutes;
use super::verb::Conference;

/// Longer names are refused.
const MAX_NAME: usize = 128;

/// All conferences, by name.
#[derive(Debug, Default)]
pub struct Conferences(Mutex<HashMap<String, Weak<Running>>>);

/// What is asked of one attendee from outside the call.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Wish {
    /// What lies between the attendee and the others.
    pub edge: Edge,
    /// It is to leave.
    pub out: bool,
}

/// An attendee, as lists show it.
#[derive(Debug, Clone, PartialEq)]
pub struct Attendee {
    /// The call's id.
    pub call: String,
    /// What is asked of it.
    pub wish: Wish,
}

/// How a conference stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Standing {
    /// Who is there.
    pub(super) attendees: usize,
    /// The most who were.
    pub(super) most: usize,
    /// Somebody came with whom it begins.
    pub(super) begun: bool,
    /// Somebody left with whom it ends, or it was ended from outside.
    pub(super) over: bool,
    /// What each attendee says is recorded.
    pub(super) tracks: bool,
}

impl Standing {
    /// One is left of several.
    pub(super) fn is_alone(&self) -> bool {
        self.most > 1 && self.attendees == 1
    }
}

/// A conference that goes on.
#[derive(Debug)]
struct Running {
    name: String,
    room: Room,
    standing: watch::Sender<Standing>,
    attendees: Mutex<BTreeMap<String, watch::Sender<Wish>>>,
    recorded: AtomicU32,
    tracks: AtomicU32,
    next_play: AtomicU32,
    minutes: Arc<Minutes>,
    seats: Arc<Seats>,
}

/// Which call each member of the room is.
type Seats = Mutex<HashMap<MemberId, String>>;

/// A call's place in a conference; dropping it leaves.
#[derive(Debug)]
pub(super) struct Attendance {
    running: Arc<Running>,
    call: String,
    tones: bool,
    ends: bool,
    seat: Option<MemberId>,
    pub(super) standing: watch::Receiver<Standing>,
    pub(super) wish: watch::Receiver<Wish>,
}

impl Conferences {
    fn table(&self) -> MutexGuard<'_, HashMap<String, Weak<Running>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self, name: &str) -> Option<Arc<Running>> {
        self.table().get(name).and_then(Weak::upgrade)
    }

    /// Names of those that go on, with the calls in them.
    pub fn list(&self) -> Vec<(String, Vec<Attendee>)> {
        let running: Vec<_> = self.table().values().filter_map(Weak::upgrade).collect();
        let mut list: Vec<_> = running
            .iter()
            .map(|running| (running.name.clone(), running.list()))
            .collect();
        list.sort_by(|a, b| a.0.cmp(&b.0));
        list
    }

    /// Asks something of an attendee. Returns whether it is there.
    pub fn ask(&self, name: &str, call: &str, wish: Wish) -> bool {
        let running = self.running(name);
        running.is_some_and(|running| {
            let attendees = running.attendees();
            let found = attendees.get(call);
            found.map(|asked| asked.send_replace(wish)).is_some()
        })
    }

    /// Changes what is asked of an attendee. Returns whether it is there.
    pub(super) fn change_wish(
        &self,
        name: &str,
        call: &str,
        change: impl FnOnce(&mut Wish),
    ) -> bool {
        let running = self.running(name);
        running.is_some_and(|running| {
            let attendees = running.attendees();
            let found = attendees.get(call);
            found.map(|asked| asked.send_modify(change)).is_some()
        })
    }

    /// Plays audio to all attendees, mixed with what they say; up to four at a time.
    ///
    /// # Errors
    /// There is no such conference, or the media engine takes no commands.
    pub fn play(
        &self,
        name: &str,
        id: u32,
        audio: Vec<MediaAudio>,
        repeat: Option<u32>,
    ) -> Result<(), String> {
        let running = self.running(name).ok_or("there is no such conference")?;
        let played = running.room.play(None, id, audio, repeat);
        played.map_err(|error| error.to_string())
    }

    /// Ends a conference for all. Returns whether it went on.
    pub fn end(&self, name: &str) -> bool {
        let running = self.running(name);
        running
            .map(|running| running.change(|standing| standing.over = true))
            .is_some()
    }

    /// Takes a place for a call; nothing is heard before its channel [enters](Attendance::enter).
    pub(super) fn join(
        &self,
        calls: &Calls,
        verb: &Conference,
        call: &str,
    ) -> Result<Attendance, String> {
        let name = &verb.room;
        if name.is_empty() || name.chars().count() > MAX_NAME {
            return Err(format!(
                "a conference's name has 1 to {MAX_NAME} characters"
            ));
        }
        let mut table = self.table();
        let found = table.get(name).and_then(Weak::upgrade);
        // One that is over is left to those who are leaving it.
        let running = match found.filter(|running| !running.standing.borrow().over) {
            Some(running) => running,
            None => {
                table.retain(|_, running| running.strong_count() > 0);
                let running = Arc::new(Running::open(calls, verb)?);
                table.insert(name.clone(), Arc::downgrade(&running));
                running
            }
        };
        running.attend(verb, call)
    }
}

impl Running {
    fn open(calls: &Calls, verb: &Conference) -> Result<Running, String> {
        let config = RoomConfig {
            max_members: verb.max_members,
            speakers: verb.speakers,
            levels_ms: verb.levels_ms,
            ..RoomConfig::default()
        };
        let opened = calls.media.room(config);
        let (room, heard) = opened.map_err(|error| error.to_string())?;
        let seats = Arc::<Seats>::default();
        if verb.speakers || verb.levels_ms > 0 {
            let of = verb.room.clone();
            tokio::spawn(tell(heard, of, seats.clone(), calls.events.clone()));
        }
        tracing::info!(conference = verb.room, "conference opened");
        Ok(Running {
            name: verb.room.clone(),
            room,
            standing: watch::Sender::default(),
            attendees: Mutex::default(),
            recorded: AtomicU32::new(0),
            tracks: AtomicU32::new(0),
            next_play: AtomicU32::new(0),
            minutes: Minutes::begin(&verb.room, calls.records.clone(), calls.events.clone()),
            seats,
        })
    }

    fn attendees(&self) -> MutexGuard<'_, BTreeMap<String, watch::Sender<Wish>>> {
        self.attendees
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self) -> Vec<Attendee> {
        let attendee = |(call, wish): (&String, &watch::Sender<Wish>)| Attendee {
            call: call.clone(),
            wish: *wish.borrow(),
        };
        self.attendees().iter().map(attendee).collect()
    }

    /// Wakes the attendees only if there is something to do for them: of hundreds, each would be woken by whoever comes and goes.
    fn change(&self, change: impl FnOnce(&mut Standing)) {
        self.standing.send_if_modified(|standing| {
            let matters = |of: &Standing| (of.begun, of.over, of.tracks, of.is_alone());
            let before = matters(standing);
            change(standing);
            matters(standing) != before
        });
    }

    fn attend(self: Arc<Self>, verb: &Conference, call: &str) -> Result<Attendance, String> {
        let mut attendees = self.attendees();
        if attendees.contains_key(call) {
            return Err("the call is in this conference already".to_owned());
        }
        if attendees.len() >= self.room.limit() {
            let full = JoinError::Full {
                limit: self.room.limit(),
            };
            return Err(full.to_string());
        }
        let wish = watch::Sender::new(Wish {
            edge: Edge {
                mute: verb.mute,
                ..Edge::default()
            },
            out: false,
        });
        let asked = wish.subscribe();
        attendees.insert(call.to_owned(), wish);
        drop(attendees);
        self.minutes.came(call);
        self.change(|standing| {
            standing.attendees += 1;
            standing.most = standing.most.max(standing.attendees);
            standing.begun |= verb.starts;
        });
        let mut standing = self.standing.subscribe();
        standing.mark_changed();
        Ok(Attendance {
            standing,
            wish: asked,
            call: call.to_owned(),
            tones: verb.tones,
            ends: verb.ends,
            seat: None,
            running: self,
        })
    }

    fn tone(&self, rising: bool) {
        let tone = |hz| MediaAudio::Tone {
            hz: [hz, 0.0],
            dbm0: -22.0,
            ms: 120,
        };
        let (low, high) = (tone(480.0), tone(640.0));
        let audio = if rising {
            vec![low, high]
        } else {
            vec![high, low]
        };
        let id = self.next_play.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.room.play(None, id, audio, Some(1)) {
            tracing::warn!(conference = self.name, %error, "tone not played");
        }
    }
}

/// Tells who speaks, and how loud, until the room is closed. Those who come and go are known without it.
async fn tell(mut heard: RoomEvents, conference: String, seats: Arc<Seats>, events: Arc<Events>) {
    while let Some(event) = heard.recv().await {
        let (kind, member, data) = match event {
            RoomEvent::Speaking { member, on } => {
                let data = json!({"conference": conference, "speaking": on});
                (EventKind::ConferenceSpeaking, member, data)
            }
            RoomEvent::Level { member, dbm0 } => {
                let tenths = f64::from(dbm0 * 10.0).round() / 10.0;
                let data = json!({"conference": conference, "dbm0": tenths});
                (EventKind::ConferenceLevel, member, data)
            }
            RoomEvent::Joined(_) | RoomEvent::Left(_) | RoomEvent::PlayDone { .. } => continue,
        };
        let call = lock(&seats).get(&member).cloned();
        if let Some(call) = call {
            events.tell(kind, Some(&call), || data);
        }
    }
}

fn lock(seats: &Seats) -> MutexGuard<'_, HashMap<MemberId, String>> {
    seats.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Attendance {
    /// The room.
    pub(super) fn room(&self) -> &Room {
        &self.running.room
    }

    /// Lets its leg in.
    pub(super) fn seat(&mut self, leg: &mut Leg, edge: Edge) -> Result<(), String> {
        let member = leg.take_seat(&self.running.room, edge)?;
        let mut seats = lock(&self.running.seats);
        if let Some(before) = self.seat.replace(member) {
            seats.remove(&before);
        }
        seats.insert(member, self.call.clone());
        Ok(())
    }

    /// Says to the others that somebody has come.
    pub(super) fn greet(&self) {
        if self.tones && self.standing.borrow().begun {
            self.running.tone(true);
        }
    }

    /// Records the mix to a file in `folder`, unless that is done already. Returns the file.
    pub(super) fn record(&self, folder: &Path) -> Result<(), String> {
        let running = &self.running;
        if running.recorded.fetch_add(1, Ordering::Relaxed) > 0 {
            return Ok(());
        }
        let path = folder.join(format!("{}-conference.wav", self.call));
        let (name, file) = (running.name.clone(), path.display().to_string());
        let recorded = running.room.record(0, path, 0, 0);
        let events = recorded.map_err(|error| error.to_string())?;
        tracing::info!(conference = name, file, "recording the conference");
        running.minutes.await_file(events, &file, None);
        Ok(())
    }

    /// From now on what each attendee says is recorded.
    pub(super) fn want_tracks(&self) {
        self.running.change(|standing| standing.tracks = true);
    }

    /// Records what this attendee says to a file in `folder`.
    pub(super) fn record_track(&self, leg: &Leg, folder: &Path) -> Result<(), String> {
        let running = &self.running;
        let number = running.tracks.fetch_add(1, Ordering::Relaxed) + 1;
        let path = folder.join(format!("{}-conference-track{number}.wav", self.call));
        let (name, file) = (running.name.clone(), path.display().to_string());
        let events = leg.record_in_room(&running.room, number, path)?;
        tracing::info!(conference = name, file, "recording an attendee");
        running
            .minutes
            .await_file(events, &file, Some(self.call.clone()));
        Ok(())
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        let running = &self.running;
        running.attendees().remove(&self.call);
        if let Some(seat) = self.seat {
            lock(&running.seats).remove(&seat);
        }
        let left = {
            running.change(|standing| {
                standing.attendees -= 1;
                standing.over |= self.ends;
            });
            *running.standing.borrow()
        };
        if self.tones && left.begun && left.attendees > 0 && !left.over {
            running.tone(false);
        }
        if left.attendees == 0 {
            running.minutes.end(left.most);
            tracing::info!(
                conference = running.name,
                most = left.most,
                "conference closed"
            );
        }
    }
}
