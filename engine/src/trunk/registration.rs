//! When to register again: what the answer to a REGISTER means, until when it holds, and how long to wait after a failure
//! (RFC 3261 §10.2, RFC 5626 §4.5). Time and random numbers are arguments.
//!
//! It never sends. Limits: [`MAX_SERVICE_ROUTE`] routes.
use std::time::{Duration, Instant};
use trunkline_sip::digest::ChallengeRefused;
use trunkline_sip::{Frame, HeaderId, Message, NameAddr};

/// Most routes taken from a Service-Route.
const MAX_SERVICE_ROUTE: usize = 8;
/// A binding is refreshed this often at the least.
const REFRESH_MOST: Duration = Duration::from_secs(3600);
/// The first wait after a failure, doubled with each further one, half of it by lot (RFC 5626 §4.5).
const RETRY: Duration = Duration::from_secs(10);
/// The first wait after a refusal that time does not heal, such as a wrong password: carriers ban those who insist.
const RETRY_REFUSED: Duration = Duration::from_secs(120);
/// The longest wait between tries.
const RETRY_MOST: Duration = Duration::from_secs(1800);
/// The longest expiry asked for because a registrar demands it (423).
const EXPIRES_MOST: u32 = 86_400;

/// An answer to a REGISTER, or its absence.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    /// `None`: 408 means silence, 503 a transport error.
    pub(super) response: Option<&'a Message>,
    /// Why its challenge was not answered.
    pub(super) refused: Option<&'a ChallengeRefused>,
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Registered.
    Held {
        until: Instant,
        refresh_at: Instant,
        service_route: Vec<String>,
    },
    /// Ask the same registrar again at once, for longer.
    AskLonger,
    /// This address does not serve us now; another one may.
    Elsewhere(String),
    /// The registrar does not want us.
    Refused(String),
}

/// The timetable of one registration.
#[derive(Debug)]
pub(super) struct Timetable {
    /// The expiry asked for, s.
    expires: u32,
    /// Whether 423 was obeyed since the last success.
    asked_longer: bool,
    failures: u32,
    /// What the last refusal asked for.
    retry_after: Duration,
}

impl Timetable {
    /// A registration for `expires`, which is 1 s at least.
    pub(super) fn new(expires: Duration) -> Self {
        let expires = u32::try_from(expires.as_secs()).unwrap_or(EXPIRES_MOST);
        Timetable {
            expires: expires.clamp(1, EXPIRES_MOST),
            asked_longer: false,
            failures: 0,
            retry_after: Duration::ZERO,
        }
    }

    /// What to write into Expires.
    pub(super) fn expires(&self) -> u32 {
        self.expires
    }

    /// Learns from an answer. `user`: the user part of our Contact; `lot`: a random number.
    pub(super) fn learn(
        &mut self,
        now: Instant,
        answer: &Answer<'_>,
        user: &str,
        lot: u32,
    ) -> Meaning {
        let frame = answer.response.map(Message::frame);
        let retry_after = frame.as_ref().and_then(|frame| frame.retry_after());
        let retry_after = retry_after.map_or(Duration::ZERO, |after| {
            Duration::from_secs(u64::from(after.seconds)).min(RETRY_MOST)
        });
        self.retry_after = self.retry_after.max(retry_after);
        match (answer.status, &frame) {
            (200..300, Some(frame)) => self.granted(now, frame, user, lot),
            (423, Some(frame)) => self.too_brief(frame),
            (408, None) => Meaning::Elsewhere("no answer".to_owned()),
            (_, None) => Meaning::Elsewhere("it cannot be reached".to_owned()),
            // What ails a server says nothing about our account: another one may be well, and this one soon.
            (status @ (408 | 500..=599), Some(frame)) => {
                Meaning::Elsewhere(explained(status, frame, answer.refused))
            }
            (status, Some(frame)) => Meaning::Refused(explained(status, frame, answer.refused)),
        }
    }

    /// How long to wait after all addresses failed. `refused`: the registrar said no, rather than nothing.
    pub(super) fn wait(&mut self, refused: bool, lot: u32) -> Duration {
        let first = if refused { RETRY_REFUSED } else { RETRY };
        let whole = first.saturating_mul(1 << self.failures.min(10));
        let whole = whole.min(RETRY_MOST);
        self.failures = self.failures.saturating_add(1);
        let wait = whole / 2 + share(whole / 2, lot);
        wait.max(std::mem::take(&mut self.retry_after))
    }

    fn granted(&mut self, now: Instant, frame: &Frame<'_>, user: &str, lot: u32) -> Meaning {
        let asked = self.expires;
        let granted = granted(frame, user).unwrap_or(asked);
        if granted == 0 {
            return Meaning::Refused("200, but the binding is not among those it lists".to_owned());
        }
        (self.failures, self.asked_longer) = (0, false);
        self.retry_after = Duration::ZERO;
        let whole = Duration::from_secs(u64::from(granted));
        // Between 80 and 90 %: early enough for a second try, and not all trunks at the same moment.
        let refresh = (whole * 4 / 5 + share(whole / 10, lot)).min(REFRESH_MOST);
        Meaning::Held {
            until: now + whole,
            refresh_at: now + refresh,
            service_route: service_route(frame),
        }
    }

    fn too_brief(&mut self, frame: &Frame<'_>) -> Meaning {
        let least = frame.header(HeaderId::MinExpires).and_then(seconds);
        match least {
            Some(least)
                if !self.asked_longer && (self.expires + 1..=EXPIRES_MOST).contains(&least) =>
            {
                (self.expires, self.asked_longer) = (least, true);
                Meaning::AskLonger
            }
            least => Meaning::Refused(format!(
                "423 Interval Too Brief: {} s asked for, Min-Expires is {}; change register_expires_s",
                self.expires,
                least.map_or("absent".to_owned(), |least| least.to_string())
            )),
        }
    }
}

/// A random share of a duration.
fn share(whole: Duration, lot: u32) -> Duration {
    whole.mul_f64(f64::from(lot) / (f64::from(u32::MAX) + 1.0))
}

/// What a refusal means to the person who must act.
fn explained(status: u16, frame: &Frame<'_>, refused: Option<&ChallengeRefused>) -> String {
    let reason = match frame.start() {
        trunkline_sip::StartLine::Response { reason, .. } => reason,
        trunkline_sip::StartLine::Request { .. } => b"",
    };
    let reason: String = String::from_utf8_lossy(reason)
        .chars()
        .filter(|char| !char.is_control())
        .take(64)
        .collect();
    let hint = match (status, refused) {
        (_, Some(refused)) => format!(": {refused}"),
        (401 | 407, None) => ": username or password is wrong".to_owned(),
        (403, None) => {
            ": the registrar forbids it; check username, password and from_domain".to_owned()
        }
        (404, None) => {
            ": the registrar does not know this user; check username and from_domain".to_owned()
        }
        (300..=399, None) => ": redirects are not followed; change registrar".to_owned(),
        _ => String::new(),
    };
    format!("{status} {reason}{hint}")
}

/// The expiry granted to our binding, s: the shortest where several are listed with our user part. `None`: it says nothing.
fn granted(frame: &Frame<'_>, user: &str) -> Option<u32> {
    let contacts = frame.values(HeaderId::Contact).filter_map(|value| {
        let contact = NameAddr::parse(value).ok()?;
        let ours = contact.uri.user == Some(user.as_bytes());
        ours.then(|| contact.params.value("expires").and_then(seconds))
    });
    let ours = contacts.flatten().filter(|expires| *expires > 0).min();
    ours.or_else(|| frame.header(HeaderId::Expires).and_then(seconds))
}

fn seconds(value: &[u8]) -> Option<u32> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

/// The routes of requests to the registrar's domain (RFC 3608 §6.1), in order. Those that are no good are left out.
fn service_route(frame: &Frame<'_>) -> Vec<String> {
    let values = frame.values(HeaderId::ServiceRoute);
    let routes = values.filter_map(|value| {
        let text = std::str::from_utf8(value).ok()?.trim();
        let route = NameAddr::parse(value).ok()?;
        let good = route.uri.params.has("lr") && !text.contains(char::is_control);
        good.then(|| text.to_owned())
    });
    routes.take(MAX_SERVICE_ROUTE).collect()
}

#[cfg(test)]
#[path = "registration_tests.rs"]
mod tests;
