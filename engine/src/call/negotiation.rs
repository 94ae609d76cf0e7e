//! The offer/answer state of a leg (RFC 3264): our half, an offer that waits for its answer, and what was agreed.
//!
//! Sans-IO: descriptions in, descriptions out. It never touches a socket or a channel.
use trunkline_sip::SrtpPolicy;
use trunkline_sip::offer_answer::{self, Encoding, LocalMedia, Negotiated};
use trunkline_sip::sdp::Sdp;

/// Why an offer of the far end is refused: the SIP status and the text for log and Warning header.
pub(super) type OfferRefused = (u16, String);

/// See the module's text.
#[derive(Debug)]
pub(super) struct Negotiation {
    local: LocalMedia,
    /// Our offer that still waits for its answer (late offer, or our own INVITE).
    pending: Option<Sdp>,
    agreed: Option<Negotiated>,
    /// What was agreed came in a provisional response.
    early: bool,
}

impl Negotiation {
    pub(super) fn new(local: LocalMedia) -> Self {
        Negotiation {
            local,
            pending: None,
            agreed: None,
            early: false,
        }
    }

    /// What both sides agreed on last.
    pub(super) fn agreed(&self) -> Option<&Negotiated> {
        self.agreed.as_ref()
    }

    /// Puts a codec first in what we answer and offer from now on, if it is one of ours.
    pub(super) fn prefer(&mut self, codec: Encoding) {
        // Stable: the rest keeps its order.
        self.local.codecs.sort_by_key(|ours| *ours != codec);
    }

    /// An offer of ours, remembered until its answer comes.
    pub(super) fn offer(&mut self) -> Vec<u8> {
        let offer = offer_answer::offer(&self.local);
        let bytes = offer.to_bytes();
        self.pending = Some(offer);
        bytes
    }

    /// Takes the far end's offer and returns our answer.
    pub(super) fn answer(&mut self, offer: &[u8]) -> Result<Vec<u8>, OfferRefused> {
        let offer = Sdp::parse(offer).map_err(|error| (400, format!("SDP refused: {error}")))?;
        let (answer, agreed) = offer_answer::answer(&offer, &self.local)
            .map_err(|refusal| (488, refusal.to_string()))?;
        self.agreed = Some(agreed);
        Ok(answer.to_bytes())
    }

    /// The description that answers a re-INVITE: our answer to its offer, or an offer of ours where it has none.
    /// When it is refused, nothing has changed, our version neither (RFC 3264 §8: it grows by one per description).
    pub(super) fn change(&mut self, offer: &[u8]) -> Result<Vec<u8>, OfferRefused> {
        self.local.session_version += 1;
        if offer.is_empty() {
            return Ok(self.offer());
        }
        let answer = self.answer(offer);
        if answer.is_err() {
            self.local.session_version -= 1;
        }
        answer
    }

    /// Takes the answer to our offer. Returns whether something was agreed; `Err` says why the answer cannot be used.
    pub(super) fn take_answer(&mut self, answer: &[u8]) -> Result<bool, String> {
        let Some(offer) = self.pending.take() else {
            return Ok(false);
        };
        // Not by the book, but seen: the answer was in a provisional response, and the final one has none.
        if std::mem::take(&mut self.early) && answer.is_empty() {
            return Ok(true);
        }
        self.agreed = Some(accept(&offer, answer, self.local.srtp.policy)?);
        Ok(true)
    }

    /// Takes an answer in a provisional response; the final one counts still. Returns whether it can be used.
    pub(super) fn take_early_answer(&mut self, answer: &[u8]) -> bool {
        let (Some(offer), false) = (&self.pending, answer.is_empty()) else {
            return false;
        };
        match accept(offer, answer, self.local.srtp.policy) {
            Ok(agreed) => {
                self.agreed = Some(agreed);
                self.early = true;
                true
            }
            Err(_) => false,
        }
    }
}

fn accept(offer: &Sdp, answer: &[u8], policy: SrtpPolicy) -> Result<Negotiated, String> {
    if answer.is_empty() {
        return Err("there is no SDP answer".to_owned());
    }
    let answer = Sdp::parse(answer).map_err(|error| error.to_string())?;
    offer_answer::accept(offer, &answer, policy).map_err(|refusal| refusal.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_sip::offer_answer::{Direction, Encoding, LocalSrtp};

    fn ours() -> Negotiation {
        Negotiation::new(LocalMedia {
            address: [192, 0, 2, 1].into(),
            port: 10_000,
            session_id: 7,
            session_version: 7,
            codecs: vec![Encoding::Pcmu, Encoding::Pcma],
            telephone_event: true,
            ptime_ms: 20,
            direction: Direction::SendRecv,
            srtp: LocalSrtp::default(),
            ice: None,
        })
    }

    fn theirs(format: u8, address: &str, direction: &str) -> Vec<u8> {
        format!("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio 4000 RTP/AVP {format}\r\na={direction}\r\n").into_bytes()
    }

    fn version(sdp: &[u8]) -> String {
        let text = String::from_utf8_lossy(sdp).into_owned();
        let origin = text.lines().find(|line| line.starts_with("o=")).unwrap();
        origin.split(' ').nth(2).unwrap().to_owned()
    }

    #[test]
    fn a_change_is_answered_with_the_right_direction() {
        let cases = [
            ("192.0.2.9", "sendrecv", Direction::SendRecv),
            ("192.0.2.9", "sendonly", Direction::RecvOnly),
            ("192.0.2.9", "recvonly", Direction::SendOnly),
            ("192.0.2.9", "inactive", Direction::Inactive),
        ];
        for (address, direction, expected) in cases {
            let mut leg = ours();
            leg.answer(&theirs(0, "192.0.2.9", "sendrecv")).unwrap();
            leg.change(&theirs(0, address, direction)).unwrap();
            let agreed = leg.agreed().unwrap().direction;
            assert_eq!(agreed, expected, "{address} {direction}");
        }
    }

    #[test]
    fn a_refused_change_changes_nothing() {
        let mut leg = ours();
        let first = leg.answer(&theirs(8, "192.0.2.9", "sendrecv")).unwrap();
        for (offer, status) in [
            (theirs(18, "192.0.2.9", "sendrecv"), 488),
            (b"nonsense".to_vec(), 400),
        ] {
            assert_eq!(
                leg.change(&offer).map_err(|(status, _)| status),
                Err(status)
            );
            assert_eq!(leg.agreed().unwrap().encoding, Encoding::Pcma);
        }
        let second = leg.change(&theirs(0, "192.0.2.9", "sendrecv")).unwrap();
        assert_eq!(
            (version(&first), version(&second)),
            ("7".into(), "8".into())
        );
    }

    #[test]
    fn answers_count_once_and_early_ones_until_the_final() {
        let answer = theirs(8, "192.0.2.9", "sendrecv");
        let none: &[u8] = b"";
        // (early answer, final answer, what follows)
        let cases: [(&[u8], &[u8], bool); 5] = [
            (none, &answer, true),
            (none, none, false),
            (&answer, none, true),
            (&answer, &answer, true),
            (none, b"v=0\r\n", false),
        ];
        for (number, (early, last, good)) in cases.into_iter().enumerate() {
            let mut leg = ours();
            leg.offer();
            assert_eq!(leg.take_early_answer(early), !early.is_empty());
            assert_eq!(leg.take_answer(last).is_ok(), good, "case {number}");
            assert_eq!(leg.take_answer(last), Ok(false), "nothing waits any more");
        }
    }

    #[test]
    fn a_late_offer_of_a_change_needs_its_own_answer() {
        let mut leg = ours();
        leg.offer();
        leg.take_early_answer(&theirs(8, "192.0.2.9", "sendrecv"));
        assert_eq!(leg.take_answer(b""), Ok(true));
        leg.change(b"").unwrap();
        assert!(leg.take_answer(b"").is_err());
    }
}
