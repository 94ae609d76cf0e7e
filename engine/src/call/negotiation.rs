//! The offer/answer state of a leg (RFC 3264): our half, an offer that waits for its answer, and what was agreed.
//!
//! Sans-IO: descriptions in, descriptions out. It never touches a socket or a channel.
//!
//! What was encrypted once stays encrypted: later descriptions of the leg require it. Our key of a suite is used for one stretch of
//! that suite only, because a key that comes back would begin its counters anew (RFC 3711 section 9.1).
use super::Refusal;
use super::secrets;
use std::net::SocketAddr;
use trunkline_sip::SrtpPolicy;
use trunkline_sip::ice::{IceCredentials, OfferedIce};
use trunkline_sip::offer_answer::{self, Direction, Encoding, LocalMedia, Negotiated};
use trunkline_sip::sdp::Sdp;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Negotiation {
    local: LocalMedia,
    /// Our offer that still waits for its answer (late offer, or our own INVITE).
    pending: Option<Sdp>,
    agreed: Option<Negotiated>,
    /// Our last description, offer or answer: what a refresh of the session timer offers once more.
    described: Option<Sdp>,
    /// What was agreed came in a provisional response.
    early: bool,
    /// The credentials of the peer that our present ICE credentials answer.
    checked_by: Option<IceCredentials>,
}

impl Negotiation {
    pub(super) fn new(local: LocalMedia) -> Self {
        Negotiation {
            local,
            pending: None,
            agreed: None,
            described: None,
            early: false,
            checked_by: None,
        }
    }

    /// What both sides agreed on last.
    pub(super) fn agreed(&self) -> Option<&Negotiated> {
        self.agreed.as_ref()
    }

    /// Where our descriptions say that we want our audio.
    pub(super) fn ours(&self) -> SocketAddr {
        SocketAddr::new(self.local.address, self.local.port)
    }

    /// Our ICE credentials, where the peer makes checks.
    pub(super) fn ice(&self) -> Option<&IceCredentials> {
        let agreed = self.agreed.as_ref()?;
        matches!(agreed.ice, OfferedIce::Checks(_)).then_some(self.local.ice.as_ref())?
    }

    /// Takes note of what was agreed. Its encryption is required from now on unless it is `early`: another fork may answer yet.
    fn agree(&mut self, agreed: Negotiated, early: bool) {
        let before = self.agreed.as_ref().and_then(|of| of.srtp.as_ref());
        let retired = before
            .map(|before| before.send.suite())
            .filter(|suite| agreed.srtp.as_ref().map(|now| now.send.suite()) != Some(*suite));
        let srtp = &mut self.local.srtp;
        if let Some(suite) = retired {
            srtp.keys.retain(|key| key.suite() != suite);
            srtp.keys.extend(secrets::srtp_key(suite));
        }
        if !early {
            srtp.profile = Some(agreed.profile);
            if let Some(now) = &agreed.srtp {
                srtp.policy = SrtpPolicy::Required;
                // Stable: the rest keeps its order.
                srtp.keys.sort_by_key(|key| key.suite() != now.send.suite());
            }
        }
        self.agreed = Some(agreed);
    }

    /// Other credentials of the peer are an ICE restart, answered with others of ours (RFC 8839 section 4.4.1.1.1).
    fn follow_ice(&mut self, offer: &Sdp) {
        let theirs = offer
            .media
            .iter()
            .find_map(|media| IceCredentials::of(offer, media));
        if theirs.is_some() && theirs != self.checked_by {
            self.local.ice = secrets::ice_credentials();
            self.checked_by = theirs;
        }
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
        self.described = Some(offer.clone());
        self.pending = Some(offer);
        bytes
    }

    /// An offer of ours within the call, of this direction; later descriptions keep it.
    pub(super) fn offer_again(&mut self, direction: Direction) -> Vec<u8> {
        self.local.direction = direction;
        self.local.session_version += 1;
        self.offer()
    }

    /// Whether an offer of ours waits for its answer.
    pub(super) fn is_offering(&self) -> bool {
        self.pending.is_some()
    }

    /// Our offer was refused.
    pub(super) fn withdraw(&mut self) {
        self.pending = None;
    }

    /// Takes the answer to our last description, which the endpoint offered once more to refresh the session timer. Returns whether it
    /// changed anything.
    ///
    /// # Errors
    /// It cannot be used; what was agreed before stays.
    pub(super) fn take_refresh(&mut self, answer: &[u8]) -> Result<bool, String> {
        let Some(described) = &self.described else {
            return Ok(false);
        };
        let agreed = accept(described, answer, self.local.srtp.policy)?;
        let changed = self.agreed.as_ref() != Some(&agreed);
        if changed {
            self.agree(agreed, false);
        }
        Ok(changed)
    }

    /// Takes the far end's offer and returns our answer.
    pub(super) fn answer(&mut self, offer: &[u8]) -> Result<Vec<u8>, Refusal> {
        let offer = Sdp::parse(offer)
            .map_err(|error| Refusal::new(400, "offer-refused", format!("SDP refused: {error}")))?;
        self.follow_ice(&offer);
        let (answer, agreed) = offer_answer::answer(&offer, &self.local)
            .map_err(|refusal| Refusal::new(488, refusal.rule, refusal.to_string()))?;
        self.agree(agreed, false);
        let bytes = answer.to_bytes();
        self.described = Some(answer);
        Ok(bytes)
    }

    /// The description that answers a re-INVITE: our answer to its offer, or an offer of ours where it has none.
    /// When it is refused, nothing has changed, our version neither (RFC 3264 §8: it grows by one per description).
    pub(super) fn change(&mut self, offer: &[u8]) -> Result<Vec<u8>, Refusal> {
        self.local.session_version += 1;
        if offer.is_empty() {
            return Ok(self.offer());
        }
        let answer = self.answer(offer);
        match answer {
            // An offer of ours that met theirs (RFC 3261 section 14.1) and was to go out again is out of date.
            Ok(_) => self.withdraw(),
            Err(_) => self.local.session_version -= 1,
        }
        answer
    }

    /// Takes the answer to our offer. Returns whether something was agreed; `Err` says why the answer cannot be used.
    pub(super) fn take_answer(&mut self, answer: &[u8]) -> Result<bool, String> {
        let Some(offer) = self.pending.take() else {
            return Ok(false);
        };
        // Not by the book, but seen: the answer was in a provisional response, and the final one has none.
        if std::mem::take(&mut self.early)
            && answer.is_empty()
            && let Some(agreed) = self.agreed.take()
        {
            self.agree(agreed, false);
            return Ok(true);
        }
        let agreed = accept(&offer, answer, self.local.srtp.policy)?;
        self.agree(agreed, false);
        Ok(true)
    }

    /// Takes an answer in a provisional response; the final one counts still. Returns whether it can be used.
    pub(super) fn take_early_answer(&mut self, answer: &[u8]) -> bool {
        let (Some(offer), false) = (&self.pending, answer.is_empty()) else {
            return false;
        };
        match accept(offer, answer, self.local.srtp.policy) {
            Ok(agreed) => {
                self.agree(agreed, true);
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
    use trunkline_sip::offer_answer::LocalSrtp;

    fn ours() -> Negotiation {
        with_policy(SrtpPolicy::Never)
    }

    fn with_policy(policy: SrtpPolicy) -> Negotiation {
        Negotiation::new(LocalMedia {
            address: [192, 0, 2, 1].into(),
            port: 10_000,
            session_id: 7,
            session_version: 7,
            codecs: vec![Encoding::Pcmu, Encoding::Pcma],
            telephone_event: true,
            comfort_noise: false,
            ptime_ms: 20,
            direction: Direction::SendRecv,
            srtp: LocalSrtp {
                policy,
                keys: secrets::srtp_keys(),
                profile: None,
            },
            ice: None,
        })
    }

    fn theirs(format: u8, address: &str, direction: &str) -> Vec<u8> {
        format!("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio 4000 RTP/AVP {format}\r\na={direction}\r\n").into_bytes()
    }

    const K1: &str = "AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    const K2: &str = "AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVa";
    const K3: &str = "AES_CM_128_HMAC_SHA1_32 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVb";

    /// Their description with these keys.
    fn secure(profile: &str, keys: &[&str]) -> Vec<u8> {
        let plain = String::from_utf8(theirs(0, "192.0.2.9", "sendrecv")).unwrap();
        let lines: String = (1..)
            .zip(keys)
            .map(|(tag, key)| format!("a=crypto:{tag} {key}\r\n"))
            .collect();
        (plain.replace("RTP/AVP", profile) + &lines).into_bytes()
    }

    fn keys(leg: &Negotiation) -> (trunkline_sip::SrtpKey, trunkline_sip::SrtpKey) {
        let srtp = leg.agreed().unwrap().srtp.clone().unwrap();
        (srtp.send, srtp.receive)
    }

    #[test]
    fn our_key_stays_over_changes_and_what_is_encrypted_stays_so() {
        for policy in [SrtpPolicy::Optional, SrtpPolicy::Required] {
            let mut leg = with_policy(policy);
            leg.answer(&secure("RTP/AVP", &[K1])).unwrap();
            let (send, first) = keys(&leg);
            leg.change(&secure("RTP/AVP", &[K1])).unwrap();
            assert_eq!(keys(&leg), (send.clone(), first.clone()));
            leg.change(&secure("RTP/AVP", &[K2])).unwrap();
            assert_eq!(keys(&leg).0, send);
            assert_ne!(keys(&leg).1, first);
            for plain in [secure("RTP/AVP", &[]), secure("RTP/SAVP", &[])] {
                assert_eq!(
                    leg.change(&plain).map_err(|refused| refused.status),
                    Err(488)
                );
                assert_eq!(keys(&leg).0, send, "nothing has changed");
            }
            // An offer of ours keeps the profile and the key, and needs a key in its answer.
            let offer = String::from_utf8(leg.change(b"").unwrap()).unwrap();
            assert!(
                offer.contains("RTP/AVP 0") && offer.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80")
            );
            assert!(leg.take_answer(&secure("RTP/AVP", &[])).is_err());
            assert_eq!(keys(&leg).0, send);
        }
    }

    #[test]
    fn a_suite_that_was_left_comes_back_with_another_key() {
        let mut leg = with_policy(SrtpPolicy::Required);
        leg.answer(&secure("RTP/SAVP", &[K1])).unwrap();
        let first = keys(&leg).0;
        leg.change(&secure("RTP/SAVP", &[K3])).unwrap();
        assert_ne!(keys(&leg).0.suite(), first.suite());
        leg.change(&secure("RTP/SAVP", &[K1])).unwrap();
        assert_eq!(keys(&leg).0.suite(), first.suite());
        assert_ne!(keys(&leg).0, first);
    }

    #[test]
    fn the_answer_that_counts_decides_whether_an_optional_leg_is_encrypted() {
        for (early, last, encrypted) in [
            (secure("RTP/AVP", &[K1]), secure("RTP/AVP", &[]), false),
            (secure("RTP/AVP", &[]), secure("RTP/AVP", &[K1]), true),
            (secure("RTP/AVP", &[K1]), Vec::new(), true),
        ] {
            let mut leg = with_policy(SrtpPolicy::Optional);
            leg.offer();
            assert!(leg.take_early_answer(&early));
            assert_eq!(leg.take_answer(&last), Ok(true));
            assert_eq!(leg.agreed().unwrap().srtp.is_some(), encrypted);
            let plain = leg.change(&secure("RTP/AVP", &[]));
            assert_eq!(plain.is_err(), encrypted);
        }
    }

    #[test]
    fn ice_credentials_last_until_the_peer_restarts() {
        let offer = |ufrag: &str| {
            let plain = String::from_utf8(theirs(0, "192.0.2.9", "sendrecv")).unwrap();
            format!("{plain}a=ice-ufrag:{ufrag}\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\na=candidate:1 1 UDP 1 192.0.2.9 4000 typ host\r\n")
                .into_bytes()
        };
        let mut leg = ours();
        leg.answer(&offer("8hhY")).unwrap();
        let first = leg.ice().cloned().unwrap();
        leg.change(&offer("8hhY")).unwrap();
        assert_eq!(leg.ice(), Some(&first));
        let answer = leg.change(&offer("9uuU")).unwrap();
        let second = leg.ice().cloned().unwrap();
        assert_ne!(second, first);
        assert!(String::from_utf8(answer).unwrap().contains(&second.pwd));
        leg.change(&theirs(0, "192.0.2.9", "sendrecv")).unwrap();
        assert_eq!(leg.ice(), None);
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
                leg.change(&offer).map_err(|refused| refused.status),
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

    #[test]
    fn the_answer_to_a_refresh_may_move_the_media() {
        let moved = |address: &str| {
            let text = String::from_utf8(theirs(0, "192.0.2.9", "sendrecv")).unwrap();
            text.replace("c=IN IP4 192.0.2.9", &format!("c=IN IP4 {address}"))
                .into_bytes()
        };
        // We answered, or we offered: the last description counts in both.
        let mut answering = ours();
        answering.answer(&moved("192.0.2.9")).unwrap();
        let mut offering = ours();
        offering.offer();
        offering.take_answer(&moved("192.0.2.9")).unwrap();
        for mut leg in [answering, offering] {
            assert_eq!(leg.take_refresh(&moved("192.0.2.9")), Ok(false));
            assert_eq!(leg.take_refresh(&moved("192.0.2.77")), Ok(true));
            let remote = leg.agreed().unwrap().remote_rtp;
            assert_eq!(remote, "192.0.2.77:4000".parse().unwrap());
            assert!(
                leg.take_refresh(&theirs(18, "192.0.2.5", "sendrecv"))
                    .is_err()
            );
            assert_eq!(leg.agreed().unwrap().remote_rtp, remote);
        }
        assert_eq!(ours().take_refresh(&moved("192.0.2.9")), Ok(false));
    }
}
