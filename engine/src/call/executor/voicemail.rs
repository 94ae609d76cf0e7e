//! The verb of voicemail: does what the machine of a visit asks, and keeps the message that is being recorded until it is filed.
use super::super::context::CallContext;
use super::super::verb::{Audio, Manner, Outcome, Play, Record, Repeat};
use super::super::voicemail::{
    Ask, Leave, Listen, Told, Visit, Voicemail, VoicemailPurpose, Voicemailed,
};
use super::{End, Executor, Recordings, VerbResult, failed};
use crate::config::PinRefused;
use crate::media::{RecordingFormat, Tracks};
use crate::store::VoicemailRow;
use crate::voicemail::{Caller, Filed};
use jiff::tz::TimeZone;
use std::time::{Duration, Instant};
use trunkline_sip::Origin;

impl Executor<'_> {
    pub(super) async fn voicemail(&mut self, wanted: &Voicemail) -> VerbResult {
        let mut visit = self.visit(wanted).await;
        let (mut told, mut message) = (Told::Begin, None);
        let end = loop {
            told = match visit.next(told) {
                Ask::Over(end) => break end,
                Ask::File { silence_ms } => {
                    let filed = self.file_message(silence_ms).await;
                    if let Filed::Left(row) = &filed {
                        message = Some(row.id.clone());
                    }
                    Told::Filed(filed)
                }
                ask => self.do_ask(ask).await?,
            };
        };
        if let Some(take) = self.recordings.take.take() {
            self.call.calls.voicemail.discard(take).await;
        }
        tracing::info!(mailbox = wanted.mailbox, end = end.name(), "voicemail");
        Ok(Outcome::Voicemailed(Voicemailed { end, message }))
    }

    /// The machine of a visit. For one that leaves a message, that is begun.
    async fn visit(&mut self, wanted: &Voicemail) -> Box<dyn Visit> {
        // The call was sent elsewhere while it was left: filed when nobody writes to it any more.
        self.recordings.left.extend(self.recordings.take.take());
        let boxes = self.call.calls.voicemail.clone();
        let user = match &self.call.caller.origin {
            Origin::User(user) => Some(user.as_ref()),
            _ => None,
        };
        if wanted.purpose == VoicemailPurpose::Listen {
            let of_phone = user.and_then(|user| boxes.of_phone(user));
            let mailbox = match &wanted.mailbox {
                Some(name) => boxes.find(name),
                None => of_phone,
            };
            let own = |user: &str, ours: &Vec<String>| ours.iter().any(|each| each == user);
            let is_own = mailbox
                .as_ref()
                .zip(user)
                .is_some_and(|(mailbox, user)| own(user, &mailbox.endpoints));
            let zone = TimeZone::system();
            return Box::new(Listen::new(mailbox, is_own, wanted, zone));
        }
        let identity = &self.call.caller.identity;
        let caller = Caller {
            call: self.call.info.id.clone(),
            number: match identity.private {
                true => String::new(),
                false => self.info.from.clone(),
            },
            name: identity.name.clone().filter(|_| !identity.private),
        };
        let name = wanted.mailbox.as_deref().unwrap_or_default();
        let taken = boxes.begin(name, caller).await;
        let mailbox = taken.as_ref().map(|take| take.mailbox.clone());
        let mailbox = mailbox.map_err(|why| *why);
        self.recordings.take = taken.ok();
        Box::new(Leave::new(mailbox, wanted))
    }

    async fn do_ask(&mut self, ask: Ask) -> Result<Told, End> {
        let boxes = self.call.calls.voicemail.clone();
        Ok(match ask {
            Ask::Play { audio, stop_keys } => {
                let play = Play {
                    audio,
                    repeat: Repeat::Times(1),
                    stop_keys,
                    manner: Manner::default(),
                };
                Told::Outcome(self.play(play).await?)
            }
            Ask::Gather(gather) => Told::Outcome(self.gather(gather).await?),
            Ask::Hear(row, mut gather, behind) => {
                gather.prompts.push(self.lent(&row));
                gather.prompts.extend(behind);
                Told::Outcome(self.gather(gather).await?)
            }
            Ask::Record {
                max_ms,
                silence_ms,
                stop_keys,
            } => {
                let record = Record {
                    beep: true,
                    max_ms,
                    silence_ms,
                    stop_keys: stop_keys.to_owned(),
                    keep: false,
                    tracks: Tracks::Received,
                    format: RecordingFormat::Wav,
                };
                Told::Outcome(match self.recordings.take.as_ref() {
                    Some(take) => {
                        let path = take.path.clone();
                        self.record_to(record, Some(path)).await?
                    }
                    None => failed("voicemail", "there is no message to record"),
                })
            }
            Ask::Find(number) => Told::Box(boxes.find(&number)),
            Ask::Pin(mailbox, pin) => {
                let checked = boxes.check_pin(Instant::now(), &mailbox, &pin);
                Told::Pin(checked.map_err(|why| why == PinRefused::Wrong))
            }
            Ask::Messages(mailbox) => Told::Messages(boxes.messages(&mailbox.name).await.ok()),
            // What the store does not take it has told.
            Ask::Mark(row) => {
                let _ = boxes.mark(*row, true).await;
                Told::Done
            }
            Ask::Delete(row) => {
                let _ = boxes.delete(*row).await;
                Told::Done
            }
            Ask::File { .. } | Ask::Over(_) => Told::Done,
        })
    }

    /// A stored message as a recording of this call.
    fn lent(&mut self, row: &VoicemailRow) -> Audio {
        let id = self.fresh_id();
        self.recordings.lend(id, row.path.clone())
    }

    async fn file_message(&mut self, silence_ms: u32) -> Filed {
        let Some(take) = self.recordings.take.take() else {
            return Filed::Failed;
        };
        // It is no recording any more.
        self.call.calls.records.recording_gone(&take.path);
        let silence = Duration::from_millis(silence_ms.into());
        self.call.calls.voicemail.file(take, silence).await
    }
}

/// The caller has hung up: what was said until then is the message. To be called when the channel is closed.
pub(in super::super) async fn file_unfinished(call: &CallContext, recordings: &Recordings) {
    for take in recordings.left.iter().chain(&recordings.take) {
        call.calls.records.recording_gone(&take.path);
        call.calls
            .voicemail
            .file(take.clone(), Duration::ZERO)
            .await;
    }
}
