//! Decides when a connection is idle, when its message takes too long, when it is pinged and when it is dead.
//!
//! Pure: time is an argument, nothing is read or written here.
use std::time::{Duration, Instant};

/// How long one message may take to arrive once it has begun: a peer that sends an octet a second is let go.
const MESSAGE_TIME: Duration = Duration::from_secs(32);
/// How long the answer to a ping may take (RFC 5626 §4.4.1).
const PONG_TIME: Duration = Duration::from_secs(10);

/// Whether and how a peer is pinged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pings {
    /// Not at all: the peer does, if it wants to.
    None,
    /// CR LF CR LF on a connection we opened (RFC 5626 §4.4.1: every 95 to 120 s where the peer names no time). A peer that never
    /// answered one may not know them.
    LineEnds,
    /// WebSocket pings, which every peer answers (RFC 6455 §5.5.2); often enough for the proxies in between.
    WebSocket,
}

impl Pings {
    fn every(self) -> Option<Duration> {
        match self {
            Pings::None => None,
            Pings::LineEnds => Some(Duration::from_secs(95)),
            Pings::WebSocket => Some(Duration::from_secs(30)),
        }
    }
}

/// What the clock asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing yet.
    Nothing,
    /// Send a ping.
    Ping,
    /// Nothing came or went for long: close, unless a call is on the connection.
    Idle,
    /// Close, by this rule.
    Dead(&'static str),
}

/// The clocks of one connection.
#[derive(Debug)]
pub(super) struct KeepAlive {
    idle: Duration,
    ping_every: Option<Duration>,
    last_sign: Instant,
    partial_since: Option<Instant>,
    next_ping: Option<Instant>,
    /// A ping waits for its answer.
    asked: Option<Instant>,
    /// The peer has answered a ping before, so it will again. One that never did may not know them.
    answers: bool,
}

impl KeepAlive {
    pub(super) fn new(now: Instant, idle: Duration, pings: Pings) -> KeepAlive {
        KeepAlive {
            idle,
            ping_every: pings.every(),
            last_sign: now,
            partial_since: None,
            next_ping: pings.every().map(|every| now + every),
            asked: None,
            answers: pings == Pings::WebSocket,
        }
    }

    /// Octets came; afterwards `partial` says whether a message has begun and is not complete, `message` whether one was completed.
    pub(super) fn received(&mut self, now: Instant, partial: bool, message: bool) {
        self.last_sign = now;
        self.partial_since = partial.then(|| self.partial_since.unwrap_or(now));
        if self.asked.take().is_some() && !message && !partial {
            self.answers = true;
        }
    }

    /// A WebSocket pong came. It is no traffic: a peer that only answers pings is idle.
    pub(super) fn answered(&mut self) {
        self.asked = None;
    }

    /// A message went out.
    pub(super) fn sent(&mut self, now: Instant) {
        self.last_sign = now;
    }

    /// When to ask [`KeepAlive::due`].
    pub(super) fn next(&self) -> Instant {
        let idle = self.last_sign + self.idle;
        let message = self.partial_since.map(|since| since + MESSAGE_TIME);
        let ping = match self.asked {
            Some(asked) => Some(asked + PONG_TIME),
            None => self.next_ping,
        };
        [message, ping]
            .into_iter()
            .flatten()
            .fold(idle, Instant::min)
    }

    /// What is to be done at `now`.
    pub(super) fn due(&mut self, now: Instant) -> Due {
        if self
            .partial_since
            .is_some_and(|since| now >= since + MESSAGE_TIME)
        {
            return Due::Dead("message-time");
        }
        if let Some(asked) = self.asked
            && now >= asked + PONG_TIME
        {
            self.asked = None;
            if self.answers {
                return Due::Dead("keep-alive-unanswered");
            }
        }
        if now >= self.last_sign + self.idle {
            // Asked again after the same time, should a call keep it open.
            self.last_sign = now;
            return Due::Idle;
        }
        if self.next_ping.is_some_and(|at| now >= at) {
            self.next_ping = self.ping_every.map(|every| now + every);
            self.asked = Some(now);
            return Due::Ping;
        }
        Due::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const IDLE: Duration = Duration::from_secs(600);

    #[test]
    fn an_octet_a_second_does_not_hold_a_connection() {
        let start = Instant::now();
        let mut clock = KeepAlive::new(start, IDLE, Pings::None);
        let mut now = start;
        for _ in 0..40 {
            now += SECOND;
            if now >= clock.next() {
                break;
            }
            clock.received(now, true, false);
        }
        assert_eq!(clock.due(now), Due::Dead("message-time"));
        assert_eq!(now, start + SECOND + MESSAGE_TIME);
    }

    #[test]
    fn idle_is_asked_again_when_a_call_keeps_it_open() {
        let start = Instant::now();
        let mut clock = KeepAlive::new(start, IDLE, Pings::None);
        assert_eq!(clock.next(), start + IDLE);
        clock.sent(start + SECOND);
        assert_eq!(clock.due(start + IDLE), Due::Nothing);
        assert_eq!(clock.due(start + IDLE + SECOND), Due::Idle);
        assert_eq!(clock.next(), start + IDLE + SECOND + IDLE);
    }

    #[test]
    fn a_peer_that_answered_pings_and_stops_is_dead() {
        let start = Instant::now();
        let mut clock = KeepAlive::new(start, 10 * IDLE, Pings::LineEnds);
        let first = clock.next();
        assert_eq!(first, start + Duration::from_secs(95));
        assert_eq!(clock.due(first), Due::Ping);
        clock.received(first + SECOND, false, false);
        let second = clock.next();
        assert_eq!(clock.due(second), Due::Ping);
        assert_eq!(clock.next(), second + PONG_TIME);
        assert_eq!(
            clock.due(second + PONG_TIME),
            Due::Dead("keep-alive-unanswered")
        );
    }

    #[test]
    fn a_peer_that_never_answers_pings_may_not_know_them() {
        let start = Instant::now();
        let mut clock = KeepAlive::new(start, 10 * IDLE, Pings::LineEnds);
        for _ in 0..3 {
            let ping = clock.next();
            assert_eq!(clock.due(ping), Due::Ping);
            // A message is no answer to a ping, only a sign of life.
            clock.received(ping + SECOND, false, true);
            let ping = clock.next();
            assert_eq!(clock.due(ping), Due::Ping);
            assert_eq!(clock.due(ping + PONG_TIME), Due::Nothing);
        }
    }

    #[test]
    fn a_websocket_that_only_answers_pings_is_idle() {
        let start = Instant::now();
        let mut clock = KeepAlive::new(start, 100 * SECOND, Pings::WebSocket);
        for round in 1..=3 {
            let ping = clock.next();
            assert_eq!(ping, start + round * 30 * SECOND);
            assert_eq!(clock.due(ping), Due::Ping);
            clock.answered();
        }
        assert_eq!(clock.due(clock.next()), Due::Idle);
    }

    #[test]
    fn a_websocket_that_answers_no_ping_is_dead() {
        let start = Instant::now();
        let mut clock = KeepAlive::new(start, IDLE, Pings::WebSocket);
        let ping = clock.next();
        assert_eq!(clock.due(ping), Due::Ping);
        assert_eq!(
            clock.due(ping + PONG_TIME),
            Due::Dead("keep-alive-unanswered")
        );
    }

    #[test]
    fn accepted_connections_are_not_pinged() {
        let start = Instant::now();
        let clock = KeepAlive::new(start, IDLE, Pings::None);
        assert_eq!(clock.next(), start + IDLE);
    }
}
