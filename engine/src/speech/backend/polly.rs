//! Amazon Polly: SynthesizeSpeech (<https://docs.aws.amazon.com/polly/latest/dg/API_SynthesizeSpeech.html>), signed by `sigv4`. Prosody goes to it
//! as SSML of our own making, so that nothing of a caller's is read as tags.
use super::super::placeholders::{Written, write};
use super::super::sigv4::{self, Scope, Signed};
use super::super::voices;
use super::{Backend, Common, MAX_OCTETS, Sound, Speaking, sound};
use crate::config::SpeechKind;
use crate::fetch::{Fetcher, Request};
use crate::speech::{SpeechError, Utterance};

const PATH: &str = "/v1/speech";

/// See the module's text.
#[derive(Debug)]
pub(super) struct Polly {
    common: Common,
    fetcher: Fetcher,
    /// UTC as `20150830T123600Z`.
    clock: fn() -> String,
}

impl Polly {
    pub(super) fn new(common: Common, fetcher: Fetcher) -> Polly {
        Polly {
            common,
            fetcher,
            clock: now,
        }
    }

    fn voice(&self, said: &Utterance) -> Option<String> {
        if let Some(voice) = self.common.configured_voice(said) {
            return Some(voice.to_owned());
        }
        let known = voices::known(&said.voice);
        let named = known.and_then(|known| known.polly);
        // A part in another language is spoken by a voice of that.
        let fits = known
            .and_then(|known| known.language)
            .is_some_and(|of| voices::base(of) == voices::base(&said.language));
        if let Some(named) = named.filter(|_| fits) {
            return Some(named.to_owned());
        }
        let gender = said.gender;
        let by_language = || voices::polly_for(&said.language, gender).map(str::to_owned);
        self.common
            .voice(said)
            .map(str::to_owned)
            .or_else(by_language)
    }

    async fn make(&self, said: &Utterance) -> Result<Sound, SpeechError> {
        let SpeechKind::Polly {
            region,
            access_key,
            secret,
            engine,
            url,
        } = &self.common.config.kind
        else {
            return Err(SpeechError::Failed("is not Polly".to_owned()));
        };
        let Some(voice) = self.voice(said) else {
            return Err(SpeechError::Refused(format!(
                "no voice for {}",
                said.language
            )));
        };
        let plain = said.rate_percent == 100 && said.pitch_percent == 0;
        let body = serde_json::json!({
            "Engine": engine,
            "OutputFormat": "pcm",
            "SampleRate": "16000",
            "Text": if plain { said.text.clone() } else { with_prosody(said, engine) },
            "TextType": if plain { "text" } else { "ssml" },
            "VoiceId": voice,
        });
        let body = body.to_string().into_bytes();
        let base = match url {
            Some(url) => url.clone(),
            None => format!("https://polly.{region}.amazonaws.com"),
        };
        let host = base.split_once("://").map_or("", |(_, host)| host);
        let time = (self.clock)();
        let signed = Signed {
            method: "POST",
            path: PATH,
            query: "",
            headers: &[
                ("content-type", "application/json"),
                ("host", host),
                ("x-amz-date", &time),
            ],
            body: &body,
        };
        let scope = Scope {
            access_key,
            region,
            service: "polly",
            time: &time,
        };
        let authorization = sigv4::authorization(&scope, secret.expose(), &signed);
        let headers = [
            ("content-type", "application/json"),
            ("x-amz-date", time.as_str()),
            ("authorization", authorization.as_str()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let request = Request {
            post: true,
            url: &format!("{base}{PATH}"),
            headers: &headers,
            body,
            timeout: self.common.config.timeout,
            max_octets: MAX_OCTETS,
        };
        let answer = self.fetcher.request(&request).await;
        let answer = answer.map_err(|error| SpeechError::Failed(error.to_string()))?;
        sound(answer, "sln16")
    }
}

impl Backend for Polly {
    fn name(&self) -> &str {
        &self.common.config.name
    }

    fn kind(&self) -> &'static str {
        self.common.config.kind.name()
    }

    fn speaks(&self, language: &str) -> bool {
        self.common.speaks(language)
    }

    fn tells(&self, said: &Utterance) -> String {
        let engine = match &self.common.config.kind {
            SpeechKind::Polly { engine, .. } => engine,
            _ => "",
        };
        format!("polly {engine} {}", self.voice(said).unwrap_or_default())
    }

    fn speak<'a>(&'a self, said: &'a Utterance) -> Speaking<'a> {
        Box::pin(self.make(said))
    }
}

/// Only the standard engine takes another pitch.
fn with_prosody(said: &Utterance, engine: &str) -> String {
    let pitch = match engine {
        "standard" if said.pitch_percent != 0 => format!(" pitch=\"{:+}%\"", said.pitch_percent),
        _ => String::new(),
    };
    let rate = said.rate_percent.clamp(20, 200);
    let text = write(&said.text, Written::Xml);
    format!("<speak><prosody rate=\"{rate}%\"{pitch}>{text}</prosody></speak>")
}

fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::super::fake::{self, Asked, backend, said};
    use super::*;
    use crate::config::Secret;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn polly(url: &str, secret: &str) -> Polly {
        let config = backend(SpeechKind::Polly {
            region: "eu-central-1".to_owned(),
            access_key: "AKIDEXAMPLE".to_owned(),
            secret: Secret::new(secret),
            engine: "standard".to_owned(),
            url: Some(url.to_owned()),
        });
        Polly {
            clock: || "20260102T030405Z".to_owned(),
            ..Polly::new(Common { config }, fake::fetcher())
        }
    }

    /// Signs the request again, as Amazon does, from what came over the wire.
    fn check(asked: &Asked) -> (u16, &'static str, Vec<u8>) {
        let header = |name: &str| asked.header(name).unwrap_or_default();
        let signed = Signed {
            method: &asked.method,
            path: &asked.path,
            query: "",
            headers: &[
                ("content-type", header("content-type")),
                ("host", header("host")),
                ("x-amz-date", header("x-amz-date")),
            ],
            body: &asked.body,
        };
        let scope = Scope {
            access_key: "AKIDEXAMPLE",
            region: "eu-central-1",
            service: "polly",
            time: "20260102T030405Z",
        };
        if sigv4::authorization(&scope, SECRET, &signed) != header("authorization") {
            return (
                403,
                "application/json",
                b"{\"message\": \"InvalidSignature\"}".to_vec(),
            );
        }
        (200, "audio/pcm", vec![1, 0, 2, 0])
    }

    #[tokio::test]
    async fn requests_are_signed_and_say_what_is_wanted() {
        let (url, asked) = fake::server(check).await;
        let plain = Utterance {
            voice: "Polly.Joanna".to_owned(),
            ..said("Hello <b> & é")
        };
        let sound = polly(&url, SECRET).speak(&plain).await.unwrap();
        assert_eq!(
            sound,
            Sound {
                extension: "sln16".to_owned(),
                content: vec![1, 0, 2, 0]
            }
        );
        let slow = Utterance {
            rate_percent: 80,
            pitch_percent: -5,
            language: "es-ES".to_owned(),
            ..plain
        };
        polly(&url, SECRET).speak(&slow).await.unwrap();
        let bodies: Vec<serde_json::Value> = asked
            .lock()
            .unwrap()
            .iter()
            .map(|asked| serde_json::from_slice(&asked.body).unwrap())
            .collect();
        assert_eq!(
            bodies[0],
            serde_json::json!({
                "Engine": "standard", "OutputFormat": "pcm", "SampleRate": "16000", "Text": "Hello <b> & é", "TextType": "text", "VoiceId": "Joanna",
            })
        );
        assert_eq!(
            bodies[1]["Text"],
            "<speak><prosody rate=\"80%\" pitch=\"-5%\">Hello &lt;b&gt; &amp; é</prosody></speak>"
        );
        assert_eq!(bodies[1]["VoiceId"], "Conchita");
    }

    #[tokio::test]
    async fn a_wrong_key_is_a_failure_that_shows_no_secret() {
        let (url, _) = fake::server(check).await;
        let error = polly(&url, "another key")
            .speak(&said("x"))
            .await
            .unwrap_err();
        assert!(
            matches!(&error, SpeechError::Failed(reason) if reason.contains("403")),
            "{error}"
        );
        assert!(!format!("{error:?} {:?}", polly(&url, "another key")).contains("another key"));
    }
}
