//! The messages of a stream, as `docs/streams.md` has them. Text in, meaning out; no socket here.
//!
//! Limits: a name of a mark has up to [`MAX_NAME`] octets; the size of a message is limited by who reads it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// The longest name of a mark, in octets.
pub const MAX_NAME: usize = 128;

/// How audio travels to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// In JSON, as base64.
    #[default]
    Json,
    /// In binary messages: a header of 8 octets, then the samples.
    Binary,
}

/// What a service is told about the call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallFacts {
    /// The call's id.
    pub id: String,
    /// `inbound` or `outbound`.
    pub direction: &'static str,
    /// Who calls.
    pub from: String,
    /// Who is called.
    pub to: String,
}

/// What a service is told of the far end's audio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Heard {
    /// It began to speak.
    SpeechBegin,
    /// It stopped.
    SpeechEnd {
        /// Since it began, in ms.
        duration_ms: u32,
    },
    /// A single steady tone has ended.
    Beep {
        /// Its frequency in Hz.
        hz: f32,
        /// Its length in ms.
        duration_ms: u32,
    },
}

/// A message of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromService {
    /// Samples to be played behind what waits.
    Media(Vec<i16>),
    /// To be told when the playback is here.
    Mark(String),
    /// Drop what waits.
    Clear,
    /// Send no audio until [`FromService::Resume`].
    Pause,
    /// Send audio again.
    Resume,
    /// End the stream.
    Stop,
}

/// Why a message of the service was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not a JSON object.
    #[error("not a JSON object")]
    NotJson,
    /// No `event`, or none of ours.
    #[error("\"event\" must be media, mark, clear, pause, resume or stop")]
    Event,
    /// No payload in base64.
    #[error("\"payload\" must be base64")]
    Payload,
    /// The samples are not whole.
    #[error("audio must be 16-bit samples: an even number of octets")]
    Odd,
    /// No name, or one that is empty or too long.
    #[error("\"name\" must be a string of 1 to 128 octets")]
    Name,
}

/// Reads a text message of the service.
///
/// # Errors
/// When it is not understood; nothing of it counts then.
pub fn parse(message: &str) -> Result<FromService, Malformed> {
    let Ok(Value::Object(message)) = serde_json::from_str(message) else {
        return Err(Malformed::NotJson);
    };
    let text = |key| message.get(key).and_then(Value::as_str);
    match text("event").unwrap_or_default() {
        "media" => {
            let payload = text("payload").ok_or(Malformed::Payload)?;
            let octets = STANDARD.decode(payload).map_err(|_| Malformed::Payload)?;
            samples(&octets).map(FromService::Media)
        }
        "mark" => match text("name") {
            Some(name) if (1..=MAX_NAME).contains(&name.len()) => {
                Ok(FromService::Mark(name.to_owned()))
            }
            _ => Err(Malformed::Name),
        },
        "clear" => Ok(FromService::Clear),
        "pause" => Ok(FromService::Pause),
        "resume" => Ok(FromService::Resume),
        "stop" => Ok(FromService::Stop),
        _ => Err(Malformed::Event),
    }
}

/// Samples of a binary message of the service: 16 bits each, little-endian.
///
/// # Errors
/// When the octets are odd in number.
pub fn samples(octets: &[u8]) -> Result<Vec<i16>, Malformed> {
    let (pairs, []) = octets.as_chunks::<2>() else {
        return Err(Malformed::Odd);
    };
    Ok(pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect())
}

fn octets(samples: &[i16]) -> impl Iterator<Item = u8> + '_ {
    samples.iter().flat_map(|sample| sample.to_le_bytes())
}

/// The first message of each connection; `connection` counts from 1.
pub fn start(spec: &super::StreamSpec, connection: u32) -> String {
    let tracks = [("in", spec.received), ("out", spec.sent)];
    let tracks: Vec<&str> = tracks
        .iter()
        .filter(|(_, on)| *on)
        .map(|(name, _)| *name)
        .collect();
    let parameters = spec.parameters.iter();
    let parameters: Map<String, Value> = parameters
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    json!({
        "event": "start",
        "version": 1,
        "connection": connection,
        "call": {
            "id": spec.call.id,
            "direction": spec.call.direction,
            "from": spec.call.from,
            "to": spec.call.to,
        },
        "media": {
            "encoding": "l16",
            "rate": spec.rate_hz,
            "tracks": tracks,
            "framing": match spec.framing {
                Framing::Json => "json",
                Framing::Binary => "binary",
            },
            "playback": spec.playback,
        },
        "parameters": parameters,
    })
    .to_string()
}

/// Audio as JSON. `track` is `in` (what the far end says) or `out` (what it is sent).
pub fn media(track: &str, at_ms: u64, samples: &[i16]) -> String {
    let octets: Vec<u8> = octets(samples).collect();
    let payload = STANDARD.encode(octets);
    // No character of these needs escaping.
    format!(r#"{{"event":"media","track":"{track}","at_ms":{at_ms},"payload":"{payload}"}}"#)
}

/// Audio as a binary message: octet 0 is the track (0 in, 1 out), 1 to 3 are zero, 4 to 7 the time in ms (big-endian), then the samples.
pub fn binary_media(track: u8, at_ms: u64, samples: &[i16]) -> Vec<u8> {
    let mut out = vec![track, 0, 0, 0];
    out.extend((at_ms as u32).to_be_bytes());
    out.extend(octets(samples));
    out
}

/// A key of the far end.
pub fn dtmf(digit: char, duration_ms: Option<u32>) -> String {
    json!({"event": "dtmf", "digit": digit.to_string(), "duration_ms": duration_ms}).to_string()
}

/// Something heard that was asked for: the far end began or stopped speaking, or a beep has ended.
pub fn heard(heard: Heard) -> String {
    let message = match heard {
        Heard::SpeechBegin => json!({"event": "speech", "state": "begin"}),
        Heard::SpeechEnd { duration_ms } => {
            json!({"event": "speech", "state": "end", "duration_ms": duration_ms})
        }
        Heard::Beep { hz, duration_ms } => {
            json!({"event": "beep", "hz": hz.round(), "duration_ms": duration_ms})
        }
    };
    message.to_string()
}

/// The playback has reached a mark.
pub fn mark(name: &str) -> String {
    json!({"event": "mark", "name": name}).to_string()
}

/// What waited was dropped, with these marks.
pub fn cleared(marks: &[String]) -> String {
    json!({"event": "cleared", "marks": marks}).to_string()
}

/// So many frames were lost so far because the service did not take them.
pub fn lost(frames: u64) -> String {
    json!({"event": "lost", "frames": frames}).to_string()
}

/// A message was not understood.
pub fn error(reason: &str) -> String {
    json!({"event": "error", "reason": reason}).to_string()
}

/// The last message.
pub fn stop(reason: &str) -> String {
    json!({"event": "stop", "reason": reason}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_may_say() {
        use FromService::*;
        for (text, expected) in [
            (
                r#"{"event":"media","payload":"AQD//w=="}"#,
                Ok(Media(vec![1, -1])),
            ),
            (r#"{"event":"media","payload":""}"#, Ok(Media(vec![]))),
            (r#"{"event":"media","payload":"AQ=="}"#, Err(Malformed::Odd)),
            (
                r#"{"event":"media","payload":"?"}"#,
                Err(Malformed::Payload),
            ),
            (r#"{"event":"media"}"#, Err(Malformed::Payload)),
            (r#"{"name":"a\nb","event":"mark"}"#, Ok(Mark("a\nb".into()))),
            (r#"{"event":"mark","name":""}"#, Err(Malformed::Name)),
            (r#"{"event":"mark","name":7}"#, Err(Malformed::Name)),
            (r#"{"event":"clear","more":[1]}"#, Ok(Clear)),
            (r#"{"event":"pause"}"#, Ok(Pause)),
            (r#"{"event":"resume"}"#, Ok(Resume)),
            (r#"{"event":"stop"}"#, Ok(Stop)),
            (r#"{"event":"start"}"#, Err(Malformed::Event)),
            ("[]", Err(Malformed::NotJson)),
            ("", Err(Malformed::NotJson)),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        let long = json!({"event": "mark", "name": "x".repeat(MAX_NAME + 1)});
        assert_eq!(parse(&long.to_string()), Err(Malformed::Name));
        assert_eq!(parse(&"[".repeat(100_000)), Err(Malformed::NotJson));
    }

    #[test]
    fn audio_is_read_back_sample_for_sample() {
        let all: Vec<i16> = (i16::MIN..=i16::MAX).step_by(77).collect();
        assert_eq!(
            parse(&media("in", 20, &all)),
            Ok(FromService::Media(all.clone()))
        );
        let binary = binary_media(1, 70_000, &all);
        assert_eq!(binary[..8], [1, 0, 0, 0, 0, 1, 0x11, 0x70]);
        assert_eq!(samples(&binary[8..]), Ok(all));
    }
}
