//! A call as the API shows it.
use crate::call::control::{LegSnapshot, Snapshot};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;
use utoipa::ToSchema;

/// A call in progress, as it was a moment ago.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Call {
    /// Its id, as in every log line, event and record.
    id: String,
    /// `inbound` or `outbound`.
    direction: &'static str,
    /// Who called.
    from: String,
    /// Who was called.
    to: String,
    /// `begun`, `ringing` or `answered`.
    state: &'static str,
    /// When it began (RFC 3339).
    began: String,
    /// When it was answered.
    answered: Option<String>,
    /// What routed it.
    rule: Option<String>,
    /// What drives it.
    program: String,
    /// Its legs.
    legs: Vec<Leg>,
    /// Whom its own party talks with.
    bridged_with: Option<String>,
    /// The conference it is in.
    conference: Option<String>,
    /// The number of the recording in the background.
    recording: Option<u32>,
    /// Whether that pauses.
    recording_paused: bool,
    /// Whether its audio is streamed to a service.
    streaming: bool,
    /// The call that it was added to as a participant.
    added_to: Option<String>,
    /// Tags.
    tags: BTreeSet<String>,
    /// Metadata.
    metadata: BTreeMap<String, String>,
}

/// A leg of a call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CallLeg)]
struct Leg {
    /// Its number, as in log lines and records.
    leg: u64,
    /// Who is there: `caller +4930…`, `endpoint ann`, `trunk carrier`.
    party: String,
    /// `inbound` or `outbound`.
    direction: &'static str,
    /// Whether it is answered.
    answered: bool,
    /// Whether it was put on hold from outside.
    held: bool,
    /// Whether it was muted from outside.
    muted: bool,
}

fn stamp(at: SystemTime) -> String {
    Timestamp::try_from(at).map_or_else(|_| String::new(), |at| format!("{at:.3}"))
}

impl From<Snapshot> for Call {
    fn from(of: Snapshot) -> Call {
        Call {
            id: of.id,
            direction: of.direction.word(),
            from: of.from,
            to: of.to,
            state: of.state.word(),
            began: stamp(of.began),
            answered: of.answered.map(stamp),
            rule: of.rule,
            program: of.program,
            legs: of.legs.into_iter().map(Leg::from).collect(),
            bridged_with: of.bridged_with,
            conference: of.conference,
            recording: of.recording,
            recording_paused: of.recording_paused,
            streaming: of.streaming,
            added_to: of.added_to,
            tags: of.tags,
            metadata: of.metadata,
        }
    }
}

impl From<LegSnapshot> for Leg {
    fn from(of: LegSnapshot) -> Leg {
        Leg {
            leg: of.leg,
            party: of.party,
            direction: of.direction.word(),
            answered: of.answered,
            held: of.held,
            muted: of.muted,
        }
    }
}
