//! Calls: legs, sessions, verbs, the executor and the DTMF arbiter.
//!
//! A [`Program`] decides, the executor does: outcome in, verb out. Nothing here knows a dialect.
mod program;
mod verb;

pub use program::{CallInfo, Direction, Program, Step};
pub use verb::{
    Audio, DigitSource, Echo, Failure, Gather, GatherEnd, Gathered, Hangup, HangupCause, KeyPress,
    Outcome, Play, Record, RecordEnd, Recorded, RecordingId, Reject, Repeat, SendDigits, ToneSpec,
    Verb, Wait,
};
