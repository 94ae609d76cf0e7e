//! Owns what a client answers to a challenge (RFC 3261 §22.2, §22.3, RFC 8760 §2.4).
//!
//! A challenge of another realm is refused, so that whoever can make us a 401 does not get a hash of our password. How
//! often a request is tried again is the caller's to limit.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::algorithm::{Algorithm, Secret};
use super::fields::{Fields, quoted};
use super::{Exchange, MAX_FIELDS, MAX_NONCE};
use crate::header::HeaderId;
use crate::message::Frame;

/// Nonces whose count is kept; the oldest goes.
const MAX_NONCES: usize = 64;

/// Whose challenges are answered.
#[derive(Debug)]
pub enum Realm {
    /// This realm only.
    Exactly(String),
    /// The realm of the first challenge that is answered, and no other from then on.
    FirstSeen(OnceLock<String>),
}

impl Realm {
    /// The realm is learnt from the first challenge.
    pub fn first_seen() -> Self {
        Realm::FirstSeen(OnceLock::new())
    }

    fn is(&self, realm: &[u8]) -> bool {
        match self {
            Realm::Exactly(known) => known.as_bytes() == realm,
            Realm::FirstSeen(known) => {
                let Ok(realm) = std::str::from_utf8(realm) else {
                    return false;
                };
                known.get().is_none_or(|known| known == realm)
            }
        }
    }

    /// Holds on to the realm that is answered now; `false` when another was faster.
    fn pin(&self, realm: &str) -> bool {
        match self {
            Realm::Exactly(_) => true,
            Realm::FirstSeen(known) => known.get_or_init(|| realm.to_owned()) == realm,
        }
    }
}

/// Why a challenge gets no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChallengeRefused {
    /// The response holds no Digest challenge.
    None,
    /// It is for another realm than ours; the realm, cut at 64 characters.
    Realm(String),
    /// No algorithm of it is known; the first one's name.
    Algorithm(String),
    /// It demands a quality of protection other than `auth`.
    Qop,
    /// It cannot be read; the rule.
    Malformed(&'static str),
    /// It comes from another host than the request went to.
    Elsewhere,
}

impl fmt::Display for ChallengeRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("the response holds no Digest challenge"),
            Self::Elsewhere => {
                f.write_str("the challenge comes from another host than the request went to")
            }
            Self::Realm(realm) => {
                write!(f, "the challenge is for realm {realm:?}, which is not ours")
            }
            Self::Algorithm(name) => write!(
                f,
                "the challenge asks for algorithm {name:?}; known are MD5 and SHA-256"
            ),
            Self::Qop => f.write_str("the challenge demands qop auth-int; only auth is known"),
            Self::Malformed(rule) => write!(f, "the challenge cannot be read: {rule}"),
        }
    }
}

impl std::error::Error for ChallengeRefused {}

/// A user name and password for one realm. The password is never printed.
pub struct Credentials {
    username: String,
    password: String,
    realm: Realm,
    /// How often each nonce was used, oldest first.
    counts: Mutex<VecDeque<(Box<[u8]>, u32)>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

/// A challenge that can be answered.
struct Challenge<'a> {
    fields: Fields<'a>,
    algorithm: Algorithm,
    realm: String,
    nonce: Vec<u8>,
    /// Whether `qop` offers `auth`; without the parameter the answer is that of RFC 2069.
    qop: bool,
}

impl Credentials {
    /// Credentials for `realm`.
    pub fn new(username: impl Into<String>, password: impl Into<String>, realm: Realm) -> Self {
        Self {
            username: username.into(),
            password: password.into(),
            realm,
            counts: Mutex::default(),
        }
    }

    /// The user name.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// Answers a 401 or 407: the header to add to the request that is sent again, `Authorization` or
    /// `Proxy-Authorization`. `uri` is the Request-URI as it will be written, `cnonce` a value nobody can guess, fit
    /// for a quoted string. Of several challenges the strongest algorithm is answered.
    pub fn answer(
        &self,
        response: &Frame<'_>,
        method: &str,
        uri: &str,
        cnonce: &str,
    ) -> Result<(HeaderId, String), ChallengeRefused> {
        let (asks, answers) = match response.status() {
            Some(407) => (HeaderId::ProxyAuthenticate, HeaderId::ProxyAuthorization),
            _ => (HeaderId::WwwAuthenticate, HeaderId::Authorization),
        };
        let challenge = self.strongest(response, asks)?;
        if !self.realm.pin(&challenge.realm) {
            return Err(ChallengeRefused::Realm(brief(challenge.realm.as_bytes())));
        }
        let nc = format!("{:08x}", self.count(&challenge.nonce));
        let exchange = Exchange {
            algorithm: challenge.algorithm,
            method: method.as_bytes(),
            uri: uri.as_bytes(),
            nonce: &challenge.nonce,
            auth: challenge.qop.then_some((nc.as_bytes(), cnonce.as_bytes())),
        };
        let secret = Secret::new(&self.username, &challenge.realm, &self.password);
        let value = exchange.response(secret.ha1(challenge.algorithm));
        self.header(&challenge, uri, value.as_str(), &nc, cnonce)
            .map(|value| (answers, value))
            .ok_or(ChallengeRefused::Malformed(
                "a value holds control characters",
            ))
    }

    fn strongest<'a>(
        &self,
        response: &Frame<'a>,
        asks: HeaderId,
    ) -> Result<Challenge<'a>, ChallengeRefused> {
        let mut best: Option<Challenge<'a>> = None;
        let mut refused = ChallengeRefused::None;
        let fields = response.headers().filter(|header| header.id == asks);
        for header in fields.take(MAX_FIELDS) {
            match self.challenge(header.value) {
                None => {}
                Some(Err(why)) => refused = why,
                Some(Ok(found)) => match &best {
                    Some(best) if best.algorithm >= found.algorithm => {}
                    _ => best = Some(found),
                },
            }
        }
        best.ok_or(refused)
    }

    /// One challenge; `None` when it is of another scheme.
    fn challenge<'a>(&self, value: &'a [u8]) -> Option<Result<Challenge<'a>, ChallengeRefused>> {
        let fields = match Fields::parse(value)? {
            Ok(fields) => fields,
            Err(rule) => return Some(Err(ChallengeRefused::Malformed(rule))),
        };
        Some(self.judged(fields))
    }

    fn judged<'a>(&self, fields: Fields<'a>) -> Result<Challenge<'a>, ChallengeRefused> {
        let missing = |rule| move || ChallengeRefused::Malformed(rule);
        let realm = fields
            .value("realm")
            .ok_or_else(missing("realm is missing"))?;
        if !self.realm.is(&realm) {
            return Err(ChallengeRefused::Realm(brief(&realm)));
        }
        let nonce = fields
            .value("nonce")
            .ok_or_else(missing("nonce is missing"))?;
        if nonce.len() > MAX_NONCE {
            return Err(ChallengeRefused::Malformed(
                "nonce is longer than 512 octets",
            ));
        }
        let name = fields.value("algorithm");
        let algorithm = Algorithm::from_token(name.as_deref())
            .ok_or_else(|| ChallengeRefused::Algorithm(brief(&name.unwrap_or_default())))?;
        let qop = fields.value("qop");
        let auth = qop.as_ref().map(|list| {
            list.split(|octet| *octet == b',')
                .any(|token| crate::lex::trim(token).eq_ignore_ascii_case(b"auth"))
        });
        if auth == Some(false) {
            return Err(ChallengeRefused::Qop);
        }
        let realm = String::from_utf8(realm.into_owned())
            .map_err(|_| ChallengeRefused::Malformed("realm is not UTF-8"))?;
        Ok(Challenge {
            algorithm,
            realm,
            nonce: nonce.into_owned(),
            qop: auth.is_some(),
            fields,
        })
    }

    /// How often the nonce was used, this time included (RFC 7616 §3.4, `nc`).
    fn count(&self, nonce: &[u8]) -> u32 {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, count)) = counts.iter_mut().find(|(known, _)| known.as_ref() == nonce) {
            *count = count.saturating_add(1);
            return *count;
        }
        if counts.len() == MAX_NONCES {
            counts.pop_front();
        }
        counts.push_back((nonce.into(), 1));
        1
    }

    /// The header value; `None` when a part of it is not fit for the wire.
    fn header(
        &self,
        challenge: &Challenge<'_>,
        uri: &str,
        response: &str,
        nc: &str,
        cnonce: &str,
    ) -> Option<String> {
        let quoted = |text: &[u8]| String::from_utf8(quoted(text)?).ok();
        let mut value = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\", algorithm={}",
            quoted(self.username.as_bytes())?,
            quoted(challenge.realm.as_bytes())?,
            quoted(&challenge.nonce)?,
            quoted(uri.as_bytes())?,
            challenge.algorithm.token(),
        );
        if let Some(opaque) = challenge.fields.value("opaque") {
            value.push_str(&format!(", opaque={}", quoted(&opaque)?));
        }
        if challenge.qop {
            value.push_str(&format!(
                ", qop=auth, nc={nc}, cnonce={}",
                quoted(cnonce.as_bytes())?
            ));
        }
        Some(value)
    }
}

/// Whether a 401 or 407 says that the nonce was too old, not that the password is wrong (RFC 7616 §3.3, `stale`).
pub(crate) fn is_stale(response: &Frame<'_>) -> bool {
    let asks = |id| matches!(id, HeaderId::WwwAuthenticate | HeaderId::ProxyAuthenticate);
    let mut challenges = response.headers().filter(|header| asks(header.id));
    challenges.by_ref().take(MAX_FIELDS).any(|header| {
        let fields = Fields::parse(header.value).and_then(Result::ok);
        let stale = fields.and_then(|fields| fields.value("stale"));
        stale.is_some_and(|stale| stale.eq_ignore_ascii_case(b"true"))
    })
}

/// A value of the peer for a log line.
fn brief(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().take(64).collect()
}
