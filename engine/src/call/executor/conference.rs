//! The verb that lets a call into a conference, until it leaves, is sent away, or the conference ends.
use super::super::cdr::ConferenceStay;
use super::super::conference::{Attendance, Standing, Wish};
use super::super::events::EventKind;
use super::super::leg::Input;
use super::super::verb::{Conference, ConferenceEnd, Conferenced, Outcome};
use super::{Executor, VerbResult, deadline_in, failed};
use crate::media::Edge;
use serde_json::json;
use std::time::Instant;

/// What happens next.
enum Next {
    Input(Option<Input>),
    Changed,
}

impl Executor<'_> {
    pub(super) async fn conference(&mut self, verb: Conference) -> VerbResult {
        let calls = self.call.calls.clone();
        let joined = calls.conferences.join(&calls, &verb, &self.call.info.id);
        let mut attendance = match joined {
            Ok(attendance) => attendance,
            Err(reason) => return Ok(failed("conference", reason)),
        };
        if let Err(reason) = attendance.seat(self.leg, WAITING) {
            return Ok(failed("conference", reason));
        }
        let began = Instant::now();
        tracing::info!(conference = verb.room, "joined a conference");
        let attendees = attendance.standing.borrow().attendees;
        self.call
            .facts(|facts| facts.conference = Some(verb.room.clone()));
        self.call.tell(
            EventKind::ConferenceJoined,
            || json!({"conference": verb.room, "attendees": attendees}),
        );
        if verb.record {
            let folder = &self.call.in_force.settings.recordings_dir;
            if let Err(reason) = attendance.record(folder) {
                tracing::warn!(
                    conference = verb.room,
                    reason,
                    "the conference is not recorded"
                );
            }
        }
        if verb.record_tracks {
            attendance.want_tracks();
        }
        attendance.greet();
        let ended = self.attend(&mut attendance, &verb).await;
        self.leg.leave_room(attendance.room());
        self.leg.music(false);
        self.call.facts(|facts| facts.conference = None);
        let lasted = began.elapsed();
        let seconds = lasted.as_secs() as u32;
        let stay = ConferenceStay {
            room: verb.room.clone(),
            lasted,
            end: match &ended {
                Ok(end) => Some(*end),
                // It goes on elsewhere.
                Err(_) => self.diverted.then_some(ConferenceEnd::Removed),
            },
        };
        self.call.tell(
            EventKind::ConferenceLeft,
            || json!({"conference": stay.room, "seconds": seconds, "end": stay.left()}),
        );
        self.call.left_conference(stay);
        tracing::info!(conference = verb.room, seconds, end = ?ended.as_ref().ok(), "left a conference");
        ended.map(|end| Outcome::Conferenced(Conferenced { end, seconds }))
    }

    /// Stays until something ends it.
    async fn attend(
        &mut self,
        attendance: &mut Attendance,
        verb: &Conference,
    ) -> Result<ConferenceEnd, super::End> {
        let deadline = deadline_in(verb.max_ms);
        let mut in_force = WAITING;
        let mut tracked = false;
        loop {
            let (standing, wish) = (
                *attendance.standing.borrow_and_update(),
                *attendance.wish.borrow_and_update(),
            );
            if let Some(end) = over(standing, wish, verb) {
                return Ok(end);
            }
            self.settle(attendance, standing, wish, &mut in_force);
            if standing.tracks && !tracked {
                tracked = true;
                self.record_track(attendance, verb);
            }
            let next = tokio::select! {
                biased;
                input = self.input_until(deadline) => Next::Input(input?),
                _ = attendance.standing.changed() => Next::Changed,
                _ = attendance.wish.changed() => Next::Changed,
            };
            match next {
                Next::Changed => {}
                Next::Input(None) => return Ok(ConferenceEnd::TimeLimit),
                Next::Input(Some(Input::Key(key))) => {
                    self.leg.say_key(&key, false);
                    if verb.stop_keys.contains(key.digit) {
                        return Ok(ConferenceEnd::Key(key));
                    }
                }
                Next::Input(Some(Input::Replaced)) => {
                    if let Err(reason) = attendance.seat(self.leg, in_force) {
                        tracing::error!(reason, "the new leg is not in the conference");
                    }
                    tracked = false;
                }
                Next::Input(Some(_)) => {}
            }
        }
    }

    fn record_track(&self, attendance: &Attendance, verb: &Conference) {
        let folder = &self.call.in_force.settings.recordings_dir;
        if let Err(reason) = attendance.record_track(self.leg, folder) {
            let conference = &verb.room;
            tracing::warn!(conference, reason, "an attendee is not recorded");
        }
    }

    /// Brings about what should be now: music while the conference has not begun, then the others.
    fn settle(
        &mut self,
        attendance: &Attendance,
        standing: Standing,
        wish: Wish,
        in_force: &mut Edge,
    ) {
        let mut edge = if standing.begun { wish.edge } else { WAITING };
        // What a far end on hold sends is music, and nobody's to hear.
        edge.mute |= self.leg.is_held() || self.leg.is_muted();
        edge.hold |= self.leg.is_put_on_hold();
        self.leg.music(!standing.begun || edge.hold);
        if edge != *in_force {
            if let Err(reason) = self.leg.change_edge(attendance.room(), edge) {
                tracing::warn!(reason, "the conference's edge stays as it was");
                return;
            }
            *in_force = edge;
        }
    }
}

/// Whoever waits hears nobody and is not heard.
const WAITING: Edge = Edge {
    gain_in_db: 0.0,
    gain_out_db: 0.0,
    mute: false,
    deaf: false,
    hold: true,
    whisper_to: None,
};

fn over(standing: Standing, wish: Wish, verb: &Conference) -> Option<ConferenceEnd> {
    match () {
        () if wish.out => Some(ConferenceEnd::Removed),
        () if standing.over => Some(ConferenceEnd::Over),
        () if !verb.stay_alone && standing.is_alone() => Some(ConferenceEnd::Alone),
        () => None,
    }
}
