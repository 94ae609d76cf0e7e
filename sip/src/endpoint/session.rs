//! Owns the session timer of one leg (RFC 4028): what is asked for, what was agreed, and who refreshes. It sends
//! nothing and arms nothing; see `refresh`.

use super::config::SessionTimer;
use crate::header::HeaderId;
use crate::lex::{decimal, split_once, trim};
use crate::message::Frame;
use crate::params::Params;
use std::time::Duration;

/// The smallest interval there is, in seconds (RFC 4028 §4).
const FLOOR_S: u32 = 90;
/// The longest interval we keep, in seconds: a day. Longer ones count as this.
const CEILING_S: u32 = 86_400;

/// Headers to add to a message.
pub(super) type Headers = Vec<(&'static str, String)>;

/// What both sides agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    pub(super) interval_s: u32,
    /// We refresh.
    pub(super) ours: bool,
}

impl Agreed {
    /// When to refresh, if that is ours: at half of the interval (§10).
    pub(super) fn refresh(&self) -> Option<Duration> {
        let half = Duration::from_secs(u64::from(self.interval_s) / 2);
        self.ours.then_some(half)
    }

    /// When it is over: the refresher waits for the whole interval, the other one ends before it (§10).
    pub(super) fn expiry(&self) -> Duration {
        let early = if self.ours {
            0
        } else {
            (self.interval_s / 3).min(32)
        };
        Duration::from_secs(u64::from(self.interval_s - early))
    }
}

/// Session-Expires as a message has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Expires {
    seconds: u32,
    /// `refresher=uac`.
    uac: Option<bool>,
}

fn expires(frame: &Frame<'_>) -> Option<Expires> {
    let (seconds, params) = split_once(frame.header(HeaderId::SessionExpires)?, b';');
    let refresher = Params(params.unwrap_or_default()).value("refresher");
    let uac = refresher.and_then(|who| match who.to_ascii_lowercase().as_slice() {
        b"uac" => Some(true),
        b"uas" => Some(false),
        _ => None,
    });
    Some(Expires {
        seconds: decimal(trim(seconds))?,
        uac,
    })
}

fn min_se(frame: &Frame<'_>) -> Option<u32> {
    decimal(trim(split_once(frame.header(HeaderId::MinSe)?, b';').0))
}

/// The session timer of one leg.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    wanted: Option<SessionTimer>,
    pub(super) agreed: Option<Agreed>,
}

impl Session {
    pub(super) fn new(wanted: Option<SessionTimer>) -> Self {
        let wanted = wanted.map(|wanted| {
            let min_se_s = wanted.min_se_s.clamp(FLOOR_S, CEILING_S);
            SessionTimer {
                expires_s: wanted.expires_s.clamp(min_se_s, CEILING_S),
                min_se_s,
            }
        });
        Self {
            wanted,
            agreed: None,
        }
    }

    fn floor(&self) -> u32 {
        self.wanted.map_or(FLOOR_S, |wanted| wanted.min_se_s)
    }

    /// The Min-SE value of a 422, when the interval of a request is too small for us and its sender understands so
    /// (§9).
    pub(super) fn too_small(&self, request: &Frame<'_>) -> Option<u32> {
        let asked = expires(request)?.seconds;
        (asked < self.floor() && understands(request)).then_some(self.floor())
    }

    /// What our INVITE, re-INVITE or UPDATE says (§7.1, §7.4).
    pub(super) fn request_headers(&self) -> Headers {
        let value = match (self.agreed, self.wanted) {
            (Some(agreed), _) => {
                let who = if agreed.ours { "uac" } else { "uas" };
                format!("{};refresher={who}", agreed.interval_s)
            }
            (None, Some(wanted)) => wanted.expires_s.to_string(),
            (None, None) => return Vec::new(),
        };
        vec![
            ("Session-Expires", value),
            ("Min-SE", self.floor().to_string()),
        ]
    }

    /// A 422 to it: the larger interval to try, once (§7.3).
    pub(super) fn raise(&mut self, response: &Frame<'_>) -> Option<Headers> {
        let least = min_se(response)?.min(CEILING_S);
        let wanted = self.wanted.as_mut()?;
        if least <= wanted.min_se_s {
            return None;
        }
        wanted.min_se_s = least;
        wanted.expires_s = wanted.expires_s.max(least);
        if let Some(agreed) = &mut self.agreed {
            agreed.interval_s = agreed.interval_s.max(least);
        }
        Some(self.request_headers())
    }

    /// The 2xx to a request of ours: without Session-Expires nothing expires (§7.2).
    pub(super) fn answered(&mut self, response: &Frame<'_>) {
        self.agreed = expires(response).map(|expires| Agreed {
            interval_s: expires.seconds.clamp(FLOOR_S, CEILING_S),
            ours: expires.uac.unwrap_or(true),
        });
    }

    /// A request of the peer that will get a 2xx: what that says (§9, table 2).
    pub(super) fn asked(&mut self, request: &Frame<'_>) -> Headers {
        let (understands, asked) = (understands(request), expires(request));
        let least = min_se(request).unwrap_or(FLOOR_S).max(self.floor());
        let own = self.wanted.map(|wanted| wanted.expires_s.max(least));
        let interval_s = match (asked, own) {
            (Some(asked), own) => asked.seconds.min(own.unwrap_or(u32::MAX)),
            (None, Some(own)) => own,
            (None, None) => {
                self.agreed = None;
                return Vec::new();
            }
        };
        let uac = match asked {
            _ if !understands => false,
            Some(asked) => asked.uac.unwrap_or(true),
            None => false,
        };
        let interval_s = interval_s.clamp(FLOOR_S, CEILING_S);
        self.agreed = Some(Agreed {
            interval_s,
            ours: !uac,
        });
        let who = if uac { "uac" } else { "uas" };
        let mut headers = vec![("Session-Expires", format!("{interval_s};refresher={who}"))];
        if uac {
            headers.push(("Require", "timer".to_owned()));
        }
        headers
    }
}

fn understands(request: &Frame<'_>) -> bool {
    request.lists(HeaderId::Supported, "timer") || request.lists(HeaderId::Require, "timer")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMER: SessionTimer = SessionTimer {
        expires_s: 1800,
        min_se_s: 120,
    };

    fn with<T>(lines: &str, read: impl FnOnce(&Frame<'_>) -> T) -> T {
        let text = format!("INVITE sip:a@b SIP/2.0\r\n{lines}\r\n\r\n");
        read(&Frame::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn what_a_server_agrees_to() {
        let both = "Supported: timer\r\n";
        let table = [
            // wanted, request, Session-Expires of the 2xx, refreshed by us
            (None, "", None, false),
            (
                None,
                "Session-Expires: 600",
                Some("600;refresher=uas"),
                true,
            ),
            (Some(TIMER), "", Some("1800;refresher=uas"), true),
            (Some(TIMER), both, Some("1800;refresher=uas"), true),
            (
                None,
                "Supported: timer\r\nSession-Expires: 600",
                Some("600;refresher=uac"),
                false,
            ),
            (
                None,
                "Supported: timer\r\nx: 600;refresher=uas",
                Some("600;refresher=uas"),
                true,
            ),
            (
                None,
                "x: 600;refresher=uac",
                Some("600;refresher=uas"),
                true,
            ),
            (
                Some(TIMER),
                "k: timer\r\nx: 3600",
                Some("1800;refresher=uac"),
                false,
            ),
            (
                Some(TIMER),
                "k: timer\r\nx: 3600\r\nMin-SE: 2000",
                Some("2000;refresher=uac"),
                false,
            ),
            (None, "x: 10", Some("90;refresher=uas"), true),
            (None, "x: 4000000000", Some("86400;refresher=uas"), true),
        ];
        for (wanted, lines, value, ours) in table {
            let mut session = Session::new(wanted);
            let headers = with(lines, |frame| session.asked(frame));
            let found = headers.first().map(|(_, value)| value.as_str());
            assert_eq!(found, value, "{lines}");
            assert_eq!(
                session.agreed.is_some_and(|agreed| agreed.ours),
                ours,
                "{lines}"
            );
            let required = headers.contains(&("Require", "timer".to_owned()));
            assert_eq!(required, value.is_some_and(|value| value.ends_with("uac")));
        }
    }

    #[test]
    fn what_is_too_small() {
        for (lines, least) in [
            ("k: timer\r\nx: 119", Some(120)),
            ("k: timer\r\nx: 120", None),
            ("x: 119", None),
            ("k: timer", None),
            ("k: timer\r\nx: abc", None),
        ] {
            let session = Session::new(Some(TIMER));
            assert_eq!(
                with(lines, |frame| session.too_small(frame)),
                least,
                "{lines}"
            );
        }
    }

    #[test]
    fn a_larger_interval_is_tried_once() {
        let mut session = Session::new(Some(TIMER));
        let raised = with("Min-SE: 3600", |frame| session.raise(frame)).unwrap();
        assert_eq!(raised[0].1, "3600");
        assert_eq!(raised[1].1, "3600");
        assert!(with("Min-SE: 3600", |frame| session.raise(frame)).is_none());
        assert!(with("", |frame| session.raise(frame)).is_none());
        assert!(with("Min-SE: 99", |frame| Session::new(None).raise(frame)).is_none());
    }

    #[test]
    fn roles_turn_with_the_direction_of_the_request() {
        let mut session = Session::new(Some(TIMER));
        with("x: 1000;refresher=uas", |frame| session.answered(frame));
        let agreed = session.agreed.unwrap();
        assert_eq!((agreed.ours, agreed.refresh()), (false, None));
        assert_eq!(agreed.expiry(), Duration::from_secs(968));
        assert_eq!(session.request_headers()[0].1, "1000;refresher=uas");
        with("k: timer\r\nx: 1000;refresher=uas", |frame| {
            session.asked(frame)
        });
        let agreed = session.agreed.unwrap();
        assert_eq!(agreed.refresh(), Some(Duration::from_secs(500)));
        assert_eq!(agreed.expiry(), Duration::from_secs(1000));
        assert_eq!(session.request_headers()[0].1, "1000;refresher=uac");
        with("", |frame| session.answered(frame));
        assert_eq!(session.agreed, None);
    }
}
