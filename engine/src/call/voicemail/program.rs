//! The program behind a number that leads to a voicemail box: answers, and lets callers leave a message or hear theirs.
use super::super::program::{CallInfo, Program, Step};
use super::super::verb::{Hangup, HangupCause, Outcome, Verb};
use super::{Voicemail, VoicemailEnd};

/// See the module's text.
pub struct VoicemailProgram {
    wanted: Voicemail,
}

impl VoicemailProgram {
    /// Does that for whoever calls.
    pub fn new(wanted: Voicemail) -> VoicemailProgram {
        VoicemailProgram { wanted }
    }
}

impl Program for VoicemailProgram {
    fn name(&self) -> &str {
        "voicemail"
    }

    fn next(&mut self, _: &CallInfo, outcome: Outcome) -> Step {
        let hangup = |cause| Verb::Hangup(Hangup { cause });
        let (verb, at) = match outcome {
            Outcome::Begin => (Verb::Answer, "answer"),
            Outcome::Done => (Verb::Voicemail(Box::new(self.wanted.clone())), "voicemail"),
            Outcome::Voicemailed(done) => match done.end {
                VoicemailEnd::Unknown | VoicemailEnd::Full | VoicemailEnd::Failed => {
                    (hangup(HangupCause::Congestion), "not taken")
                }
                _ => (hangup(HangupCause::Normal), "over"),
            },
            _ => (hangup(HangupCause::Congestion), "failed"),
        };
        let at = at.to_owned();
        Step { verb, at }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Voicemailed;
    use super::*;
    use crate::call::Direction;

    #[test]
    fn it_answers_and_ends_as_the_visit_did() {
        let call = CallInfo {
            id: "c-1".to_owned(),
            direction: Direction::Inbound,
            from: "100".to_owned(),
            to: "200".to_owned(),
        };
        let wanted = Voicemail::leave("sales");
        let mut program = VoicemailProgram::new(wanted.clone());
        assert_eq!(program.next(&call, Outcome::Begin).verb, Verb::Answer);
        let visit = program.next(&call, Outcome::Done).verb;
        assert_eq!(visit, Verb::Voicemail(Box::new(wanted)));
        for (end, cause) in [
            (VoicemailEnd::Left, HangupCause::Normal),
            (VoicemailEnd::Full, HangupCause::Congestion),
        ] {
            let message = None;
            let done = Outcome::Voicemailed(Voicemailed { end, message });
            let verb = program.next(&call, done).verb;
            assert_eq!(verb, Verb::Hangup(Hangup { cause }));
        }
    }
}
