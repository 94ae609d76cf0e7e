//! INFO of the far end: keys, and the question whether we are there.
use super::{Input, Leg};
use crate::call::info_dtmf;
use crate::call::verb::DigitSource;
use crate::net::sip::Command;
use std::time::Instant;
use trunkline_sip::{HeaderId, Message};

impl Leg {
    pub(super) fn info(&mut self, id: trunkline_sip::InfoId, request: &Message) -> Option<Input> {
        let frame = request.frame();
        let content_type = frame.header(HeaderId::ContentType).unwrap_or_default();
        match info_dtmf::parse(content_type, frame.body()) {
            Ok(info) => {
                self.sip.send(Command::RespondInfo(self.id, id, 200));
                let heard = self.hears(DigitSource::Info);
                heard
                    .then(|| {
                        self.arbiter
                            .info(Instant::now(), info.digit, info.duration_ms)
                    })
                    .flatten()
                    .map(Input::Key)
            }
            // RFC 2976 §2.2: without a body it only asks whether we are still there.
            Err(_) if frame.body().is_empty() => {
                self.sip.send(Command::RespondInfo(self.id, id, 200));
                None
            }
            Err(info_dtmf::InfoError::OtherType) => {
                self.sip.send(Command::RespondInfo(self.id, id, 415));
                None
            }
            Err(error) => {
                tracing::info!(%error, rule = "info-dtmf", "INFO refused with 400");
                self.sip.send(Command::RespondInfo(self.id, id, 400));
                None
            }
        }
    }
}
