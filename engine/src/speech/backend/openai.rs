//! Any service with OpenAI's `POST /v1/audio/speech` (<https://platform.openai.com/docs/api-reference/audio/createSpeech>).
use super::{Backend, Common, MAX_OCTETS, Sound, Speaking, sound};
use crate::config::{Secret, SpeechKind};
use crate::fetch::{Fetcher, Request};
use crate::speech::{SpeechError, Utterance};

/// The voice that every such service has.
const USUAL_VOICE: &str = "alloy";

/// See the module's text.
#[derive(Debug)]
pub(super) struct OpenAi {
    common: Common,
    fetcher: Fetcher,
}

impl OpenAi {
    pub(super) fn new(common: Common, fetcher: Fetcher) -> OpenAi {
        OpenAi { common, fetcher }
    }

    async fn make(&self, said: &Utterance) -> Result<Sound, SpeechError> {
        let SpeechKind::OpenAi { url, key, model } = &self.common.config.kind else {
            return Err(SpeechError::Failed("is no such service".to_owned()));
        };
        let body = serde_json::json!({
            "model": model,
            "input": said.text,
            "voice": self.common.voice(said).unwrap_or(USUAL_VOICE),
            "response_format": "wav",
            "speed": f64::from(said.rate_percent.clamp(25, 400)) / 100.0,
        });
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        headers.extend(bearer(key.as_ref()));
        let request = Request {
            post: true,
            url: &format!("{url}/audio/speech"),
            headers: &headers,
            body: body.to_string().into_bytes(),
            timeout: self.common.config.timeout,
            max_octets: MAX_OCTETS,
        };
        let answer = self.fetcher.request(&request).await;
        let answer = answer.map_err(|error| SpeechError::Failed(error.to_string()))?;
        sound(answer, "wav")
    }
}

/// The header of an API key.
pub(in super::super) fn bearer(key: Option<&Secret>) -> Option<(String, String)> {
    let key = key.filter(|key| !key.is_empty())?;
    Some((
        "authorization".to_owned(),
        format!("Bearer {}", key.expose()),
    ))
}

impl Backend for OpenAi {
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
        let (url, model) = match &self.common.config.kind {
            SpeechKind::OpenAi { url, model, .. } => (url.as_str(), model.as_str()),
            _ => ("", ""),
        };
        format!(
            "openai {url} {model} {}",
            self.common.voice(said).unwrap_or(USUAL_VOICE)
        )
    }

    fn speak<'a>(&'a self, said: &'a Utterance) -> Speaking<'a> {
        Box::pin(self.make(said))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{self, backend, said};
    use super::*;

    #[tokio::test]
    async fn the_request_is_as_the_reference_has_it() {
        let (url, asked) = fake::server(|asked| match asked.header("authorization") {
            Some("Bearer sk-test") => (200, "audio/wav", b"RIFF".to_vec()),
            _ => (401, "application/json", b"{}".to_vec()),
        })
        .await;
        let made = |key: &str| {
            let config = backend(SpeechKind::OpenAi {
                url: format!("{url}/v1"),
                key: Some(Secret::new(key)),
                model: "tts-1".to_owned(),
            });
            OpenAi::new(Common { config }, fake::fetcher())
        };
        let fast = Utterance {
            rate_percent: 150,
            voice: "nova".to_owned(),
            ..said("Hello \"you\"")
        };
        let sound = made("sk-test").speak(&fast).await.unwrap();
        assert_eq!(
            (sound.extension.as_str(), &sound.content[..]),
            ("wav", &b"RIFF"[..])
        );
        assert!(matches!(
            made("wrong").speak(&fast).await,
            Err(SpeechError::Failed(_))
        ));
        let asked = asked.lock().unwrap();
        assert_eq!(
            (asked[0].method.as_str(), asked[0].path.as_str()),
            ("POST", "/v1/audio/speech")
        );
        let body: serde_json::Value = serde_json::from_slice(&asked[0].body).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "model": "tts-1", "input": "Hello \"you\"", "voice": "nova", "response_format": "wav", "speed": 1.5,
            })
        );
    }
}
