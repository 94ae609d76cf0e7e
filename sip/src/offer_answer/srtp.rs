//! Which audio is encrypted: the profile of the `m=` line, the policy of our side, and the keys of both.
//!
//! **No silent downgrade.** RTP/SAVP without a key that can be used is refused, never answered in the clear; an answer may neither
//! leave RTP/SAVP nor forget its key. RTP/AVP with `a=crypto` is what peers send that would like encryption and do not insist: we offer it
//! where SRTP is optional, because a peer that knows nothing of it answers plain RTP, and we take it wherever SRTP is allowed at all.

use std::fmt;

use super::{Refusal, srtp_refusal};
use crate::sdes::{Crypto, SrtpKey, SrtpPolicy};
use crate::sdp::{Attribute, MediaDescription};

/// An RTP profile of an `m=` line (RFC 3551, RFC 4585, RFC 3711, RFC 5124).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// `RTP/AVP`.
    Avp,
    /// `RTP/AVPF`.
    Avpf,
    /// `RTP/SAVP`.
    Savp,
    /// `RTP/SAVPF`.
    Savpf,
}

impl Profile {
    const ALL: [Profile; 4] = [Profile::Avp, Profile::Avpf, Profile::Savp, Profile::Savpf];

    /// As in an `m=` line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avp => "RTP/AVP",
            Self::Avpf => "RTP/AVPF",
            Self::Savp => "RTP/SAVP",
            Self::Savpf => "RTP/SAVPF",
        }
    }

    /// Whether it allows nothing but SRTP.
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Savp | Self::Savpf)
    }

    /// The profile of an `m=` line; DTLS (`UDP/TLS/RTP/SAVP`) is none of them.
    pub(super) fn of(protocol: &str) -> Option<Self> {
        let is = |profile: &Self| protocol.eq_ignore_ascii_case(profile.name());
        Self::ALL.into_iter().find(is)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Our side of the encryption of a leg.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalSrtp {
    /// Whether it may, or must, be encrypted.
    pub policy: SrtpPolicy,
    /// Our key for each suite we speak, those we offer in order of preference; constant for a leg, so that a later description does not
    /// begin new streams.
    pub keys: Vec<SrtpKey>,
    /// The profile of our offers; `None`: RTP/SAVP where SRTP is required, else RTP/AVP. Once something is agreed, later offers keep its
    /// profile.
    pub profile: Option<Profile>,
}

/// Most keys of an offer of ours.
const OFFERED_KEYS: usize = 3;

impl LocalSrtp {
    pub(super) fn offered_profile(&self) -> Profile {
        let by_policy = match self.policy {
            SrtpPolicy::Required => Profile::Savp,
            SrtpPolicy::Never | SrtpPolicy::Optional => Profile::Avp,
        };
        self.profile.unwrap_or(by_policy)
    }

    /// The `a=crypto` lines of our offer.
    pub(super) fn offer(&self, media: &mut MediaDescription) {
        if self.policy == SrtpPolicy::Never {
            return;
        }
        for (tag, key) in (1..).zip(self.keys.iter().take(OFFERED_KEYS)) {
            push(media, &Crypto::new(tag, key.clone()));
        }
    }
}

/// The keys both sides agreed on, for one suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegotiatedSrtp {
    /// What we protect with.
    pub send: SrtpKey,
    /// What the peer protects with.
    pub receive: SrtpKey,
    /// The attribute of an answer of ours.
    answer: Crypto,
}

impl NegotiatedSrtp {
    pub(super) fn answer(&self, media: &mut MediaDescription) {
        push(media, &self.answer);
    }
}

fn push(media: &mut MediaDescription, crypto: &Crypto) {
    media
        .attributes
        .push(Attribute::with("crypto", crypto.to_value()));
}

/// The `a=crypto` values of a media description, in order.
fn cryptos(media: &MediaDescription) -> impl Iterator<Item = &str> {
    media
        .attributes
        .iter()
        .filter(|attribute| attribute.name.eq_ignore_ascii_case("crypto"))
        .map(|attribute| attribute.value.as_deref().unwrap_or_default())
}

/// What becomes of an offered media description: encrypted with the first of its keys that we can use, or plain, or refused.
pub(super) fn of_offer(
    theirs: &MediaDescription,
    profile: Profile,
    local: &LocalSrtp,
) -> Result<Option<NegotiatedSrtp>, Refusal> {
    if local.policy == SrtpPolicy::Never {
        let text = "RTP/SAVP is switched off here (srtp = never)";
        return if profile.is_secure() {
            Err(srtp_refusal("srtp-not-allowed", text))
        } else {
            Ok(None)
        };
    }
    let usable = cryptos(theirs).find_map(|value| {
        let crypto = Crypto::parse(value).ok()?;
        let suite = crypto.key.suite();
        let ours = local.keys.iter().find(|key| key.suite() == suite)?.clone();
        let answer = crypto.answered_with(ours.clone())?;
        Some(NegotiatedSrtp {
            send: ours,
            receive: crypto.key,
            answer,
        })
    });
    match usable {
        Some(srtp) => Ok(Some(srtp)),
        None if profile.is_secure() => Err(srtp_refusal(
            "srtp-key-unusable",
            "RTP/SAVP without a=crypto we can use",
        )),
        None if local.policy == SrtpPolicy::Required => Err(srtp_refusal(
            "srtp-required",
            "Only SRTP is spoken here (srtp = required)",
        )),
        None => Ok(None),
    }
}

/// The keys of the answer to our offer (RFC 4568 section 5.1.3): exactly one of ours was chosen, or none where SRTP is optional.
pub(super) fn of_answer(
    ours: &MediaDescription,
    theirs: &MediaDescription,
    profile: Profile,
    policy: SrtpPolicy,
) -> Result<Option<NegotiatedSrtp>, Refusal> {
    let mut answered = cryptos(theirs);
    let Some(answer) = answered.next() else {
        return match profile.is_secure() || policy == SrtpPolicy::Required {
            true => Err(srtp_refusal(
                "srtp-required",
                "The answer has no a=crypto, and SRTP was required",
            )),
            false => Ok(None),
        };
    };
    let unusable = srtp_refusal(
        "srtp-key-unusable",
        "The answer's a=crypto is none of those we offered",
    );
    let answer = Crypto::parse(answer).map_err(|_| unusable)?;
    let send = cryptos(ours)
        .filter_map(|value| Crypto::parse(value).ok())
        .find(|offered| offered.tag == answer.tag && offered.key.suite() == answer.key.suite())
        .ok_or(unusable)?
        .key;
    if send == answer.key {
        return Err(srtp_refusal(
            "srtp-key-unusable",
            "The answer repeats our key",
        ));
    }
    if answered.next().is_some() {
        return Err(srtp_refusal(
            "srtp-key-unusable",
            "The answer has more than one a=crypto",
        ));
    }
    Ok(Some(NegotiatedSrtp {
        send,
        receive: answer.key.clone(),
        answer,
    }))
}
