//! INFO of the far end: keys, what is for the far end of a bridge, and the question whether we are there.
use super::{Input, Leg};
use crate::call::info_dtmf;
use crate::call::verb::DigitSource;
use crate::net::sip::Command;
use std::time::Instant;
use trunkline_sip::{HeaderId, InfoId, Message};

/// What passes between the legs of a bridge: it says nothing of where either is. Picture refresh (RFC 5168), and the talk and hold buttons
/// of desk phones.
const PASSED: [&str; 2] = ["application/media_control+xml", "application/broadsoft"];
/// Longest body that is passed on, octets.
const MAX_PASSED: usize = 2048;

impl Leg {
    pub(super) fn info(&mut self, id: InfoId, request: &Message) -> Option<Input> {
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
            Err(info_dtmf::InfoError::OtherType) => self.other_info(id, content_type, frame.body()),
            Err(error) => {
                tracing::info!(%error, rule = "info-dtmf", "INFO refused with 400");
                self.sip.send(Command::RespondInfo(self.id, id, 400));
                None
            }
        }
    }

    /// An INFO that is no key: for the far end of the bridge, if it is of a kind that passes.
    fn other_info(&mut self, id: InfoId, content_type: &[u8], body: &[u8]) -> Option<Input> {
        let kind = content_type.split(|octet| *octet == b';').next();
        let kind = kind.unwrap_or_default().trim_ascii();
        let kind = PASSED
            .iter()
            .find(|passed| passed.as_bytes().eq_ignore_ascii_case(kind))
            .filter(|_| self.transferable && body.len() <= MAX_PASSED);
        let Some(kind) = kind else {
            tracing::info!(rule = "info-type", "INFO refused with 415");
            self.settings.call.calls.counters.refused("info-type");
            self.sip.send(Command::RespondInfo(self.id, id, 415));
            return None;
        };
        self.sip.send(Command::RespondInfo(self.id, id, 200));
        Some(Input::Info {
            kind,
            body: body.to_vec(),
        })
    }
}
