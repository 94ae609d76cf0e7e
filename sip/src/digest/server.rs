//! Owns the server's side: challenges, and the verdict on what comes back (RFC 3261 §22.1, §22.4).
//!
//! A stranger costs one hash chain and no memory: nonces are signed, and only nonces of authenticated users are
//! remembered. A user nobody knows costs the same and gets the same answer as a wrong password.

use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

use super::algorithm::{Algorithm, Secret};
use super::fields::{Fields, quoted};
use super::nonce::{Fresh, Nonces};
use super::{Exchange, MAX_FIELDS, MAX_NONCE, MAX_USER};
use crate::header::HeaderId;
use crate::message::Frame;
use crate::uri::{Host, Uri};

/// What a request's Authorization is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The user it is from.
    Authenticated(String),
    /// No Digest credentials for our realm.
    NoCredentials,
    /// The nonce is too old, or not one of ours (any more): challenge with `stale`.
    Stale,
    /// User and password do not fit. The name is what was claimed and may be anything; `known` is for the log only and
    /// must not change the answer.
    Wrong {
        /// The user name that was claimed.
        user: String,
        /// Whether there is such a user.
        known: bool,
    },
    /// Right, but this count of the nonce was used before: challenge with `stale`.
    Replayed,
    /// It cannot be read or asks for what we do not serve; the rule, for a 400.
    Malformed(&'static str),
}

/// The server side of digest authentication for one realm.
pub struct DigestServer {
    realm: String,
    algorithms: Vec<Algorithm>,
    pub(super) nonces: Nonces,
    /// Stands in for users nobody knows.
    nobody: Secret,
}

/// Credentials that can be checked.
struct Claim {
    algorithm: Algorithm,
    user: Vec<u8>,
    uri: Vec<u8>,
    nonce: Vec<u8>,
    cnonce: Vec<u8>,
    nc: Vec<u8>,
    count: u32,
    response: Vec<u8>,
}

impl DigestServer {
    /// `secret` signs nonces: 32 random octets. `algorithms` are offered in this order; none means SHA-256, then MD5.
    /// A nonce is good for `nonce_life` after it was made. Control characters in the realm become spaces.
    pub fn new(
        secret: [u8; 32],
        realm: impl Into<String>,
        algorithms: &[Algorithm],
        nonce_life: Duration,
    ) -> Self {
        let mut all = algorithms.to_vec();
        if all.is_empty() {
            all = vec![Algorithm::Sha256, Algorithm::Md5];
        }
        let fit = |sign: char| if sign.is_control() { ' ' } else { sign };
        let realm: String = realm.into().chars().map(fit).collect();
        let nobody = Secret::new("", &realm, &String::from_utf8_lossy(&secret));
        Self {
            realm,
            algorithms: all,
            nonces: Nonces::new(secret, nonce_life),
            nobody,
        }
    }

    /// The realm of the challenges and of every [`Secret`].
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The header fields of a 401: one challenge per algorithm (RFC 8760 §2.3), all with one new nonce.
    pub fn challenge(&mut self, now: Instant, stale: bool) -> Vec<(&'static str, String)> {
        let nonce = self.nonces.make(now);
        let realm = quoted(self.realm.as_bytes()).unwrap_or_else(|| b"\"\"".to_vec());
        let realm = String::from_utf8_lossy(&realm).into_owned();
        let stale = if stale { ", stale=true" } else { "" };
        let field = |algorithm: &Algorithm| {
            let name = algorithm.token();
            let value = format!(
                "Digest realm={realm}, nonce=\"{nonce}\", algorithm={name}, qop=\"auth\"{stale}"
            );
            ("WWW-Authenticate", value)
        };
        self.algorithms.iter().map(field).collect()
    }

    /// Judges the Authorization of a request. `lookup` gives the secret of a user in this realm.
    pub fn verify(
        &mut self,
        now: Instant,
        request: &Frame<'_>,
        lookup: impl Fn(&[u8]) -> Option<Secret>,
    ) -> Verdict {
        let claim = match self.claim(request) {
            Ok(Some(claim)) => claim,
            Ok(None) => return Verdict::NoCredentials,
            Err(rule) => return Verdict::Malformed(rule),
        };
        let Some(nonce) = self.nonces.recognise(now, &claim.nonce) else {
            return Verdict::Stale;
        };
        let method = request
            .method()
            .map(|method| method.as_bytes())
            .unwrap_or_default();
        self.judge(now, &claim, nonce, method, lookup(&claim.user))
    }

    fn judge(
        &mut self,
        now: Instant,
        claim: &Claim,
        nonce: Fresh,
        method: &[u8],
        secret: Option<Secret>,
    ) -> Verdict {
        let known = secret.is_some();
        let exchange = Exchange {
            algorithm: claim.algorithm,
            method,
            uri: &claim.uri,
            nonce: &claim.nonce,
            auth: Some((&claim.nc, &claim.cnonce)),
        };
        let secret = secret.as_ref().unwrap_or(&self.nobody);
        let expected = exchange.response(secret.ha1(claim.algorithm));
        let fits = bool::from(expected.as_bytes().ct_eq(&claim.response));
        let user = String::from_utf8_lossy(&claim.user).into_owned();
        if !(fits & known) {
            return Verdict::Wrong { user, known };
        }
        // Only now: a stranger must not be able to fill the table.
        match self.nonces.take(now, nonce, claim.count) {
            true => Verdict::Authenticated(user),
            false => Verdict::Replayed,
        }
    }

    /// The credentials for our realm, if there are any.
    fn claim(&self, request: &Frame<'_>) -> Result<Option<Claim>, &'static str> {
        let fields = request
            .headers()
            .filter(|header| header.id == HeaderId::Authorization);
        for header in fields.take(MAX_FIELDS) {
            let Some(fields) = Fields::parse(header.value) else {
                continue;
            };
            let fields = fields?;
            if fields.value("realm").as_deref() == Some(self.realm.as_bytes()) {
                return self.read(request, &fields).map(Some);
            }
        }
        Ok(None)
    }

    fn read(&self, request: &Frame<'_>, fields: &Fields<'_>) -> Result<Claim, &'static str> {
        let needed = |name, rule| fields.value(name).ok_or(rule);
        let user = needed("username", "username is missing")?;
        let nonce = needed("nonce", "nonce is missing")?;
        if user.len() > MAX_USER || nonce.len() > MAX_NONCE {
            return Err("username or nonce is too long");
        }
        let algorithm = Algorithm::from_token(fields.value("algorithm").as_deref())
            .filter(|algorithm| self.algorithms.contains(algorithm))
            .ok_or("algorithm was not offered")?;
        let qop = needed("qop", "qop is missing; auth is demanded")?;
        if !qop.eq_ignore_ascii_case(b"auth") {
            return Err("qop is not auth");
        }
        let nc = needed("nc", "nc is missing")?;
        let count = std::str::from_utf8(&nc).ok().filter(|nc| nc.len() == 8);
        let count = count
            .filter(|nc| nc.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|nc| u32::from_str_radix(nc, 16).ok())
            .ok_or("nc is not eight hexadecimal digits")?;
        let cnonce = needed("cnonce", "cnonce is missing")?;
        let uri = needed("uri", "uri is missing")?;
        if !is_target(request, &uri) {
            return Err("uri is not the Request-URI");
        }
        let response = needed("response", "response is missing")?;
        Ok(Claim {
            algorithm,
            user: user.into_owned(),
            uri: uri.into_owned(),
            nonce: nonce.into_owned(),
            cnonce: cnonce.into_owned(),
            nc: nc.into_owned(),
            count,
            response: response.to_ascii_lowercase(),
        })
    }
}

impl std::fmt::Debug for DigestServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DigestServer")
            .field("realm", &self.realm)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

/// Whether the signed URI names what is asked for (RFC 7616 §3.4.6): the same user at the same host. Port and
/// parameters may differ, since phones leave them out of one or the other.
fn is_target(request: &Frame<'_>, uri: &[u8]) -> bool {
    let target = request.request_uri().unwrap_or_default();
    if target == uri {
        return true;
    }
    let (Ok(target), Ok(signed)) = (Uri::parse(target), Uri::parse(uri)) else {
        return false;
    };
    let host = match (target.host, signed.host) {
        (Host::Name(one), Host::Name(other)) => one.eq_ignore_ascii_case(other),
        (one, other) => one == other,
    };
    host && target.user_decoded() == signed.user_decoded()
}
