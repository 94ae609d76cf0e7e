//! How long an answer may be used (RFC 9111 section 4.2), as far as `Cache-Control` says it. Pure.

use std::time::Duration;

/// Without a word from the server.
const UNSAID: Duration = Duration::from_secs(60);
/// Longest, whatever the server says.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The time for which an answer with this `Cache-Control` need not be asked for again.
pub(super) fn fresh_for(cache_control: Option<&str>) -> Duration {
    let Some(text) = cache_control else {
        return UNSAID;
    };
    let mut life = UNSAID;
    for directive in text.split(',') {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let name = name.trim().to_ascii_lowercase();
        match name.as_str() {
            "no-store" | "no-cache" => return Duration::ZERO,
            "max-age" => {
                let seconds = value.trim().trim_matches('"').parse();
                life = seconds
                    .map_or(Duration::ZERO, Duration::from_secs)
                    .min(LONGEST);
            }
            _ => {}
        }
    }
    life
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_says_how_long() {
        for (text, seconds) in [
            (None, 60),
            (Some("public"), 60),
            (Some("max-age=5"), 5),
            (Some("public, MAX-AGE=\"300\""), 300),
            (Some("max-age=300, no-cache"), 0),
            (Some("no-store"), 0),
            (Some("max-age=99999999999"), 86_400),
            (Some("max-age=-1"), 0),
            (Some("max-age"), 0),
        ] {
            assert_eq!(fresh_for(text), Duration::from_secs(seconds), "{text:?}");
        }
    }
}
