//! Any service with OpenAI's `POST /v1/audio/transcriptions` (<https://platform.openai.com/docs/api-reference/audio/createTranscription>).
use super::super::backend::{bearer, refused};
use super::super::voices::base;
use super::spoken::RATE_HZ;
use super::{Backend, Common, Understanding, Wanted, Words};
use crate::config::Secret;
use crate::fetch::{Fetcher, Request};
use crate::media::wav_file;
use crate::speech::SpeechError;
use data_encoding::HEXLOWER;
use serde_json::Value;

/// Largest answer, in octets.
const MAX_OCTETS: usize = 1 << 20;

/// See the module's text.
#[derive(Debug)]
pub(super) struct OpenAi {
    pub(super) common: Common,
    pub(super) fetcher: Fetcher,
    pub(super) url: String,
    pub(super) key: Option<Secret>,
    pub(super) model: String,
}

impl OpenAi {
    async fn ask(&self, wanted: &Wanted, language: &str) -> Result<Words, SpeechError> {
        let failed = |reason: String| SpeechError::Failed(reason);
        let samples = wanted.spoken.all().await;
        let mut form = Form::new()?;
        form.field("model", &self.model);
        form.field("language", &base(language).to_ascii_lowercase());
        form.field("response_format", "json");
        if !wanted.hints.is_empty() {
            form.field("prompt", &wanted.hints.join(", "));
        }
        form.file(
            "file",
            "speech.wav",
            "audio/wav",
            &wav_file(RATE_HZ, &samples),
        );
        let (media_type, body) = form.finish();
        let mut headers = vec![("content-type".to_owned(), media_type)];
        headers.extend(bearer(self.key.as_ref()));
        let request = Request {
            post: true,
            url: &format!("{}/audio/transcriptions", self.url),
            headers: &headers,
            body,
            timeout: self.common.config.timeout,
            max_octets: MAX_OCTETS,
        };
        let asking = async {
            // Never closed.
            let _turn = self.common.turns.acquire().await;
            let answer = self.fetcher.request(&request).await;
            answer.map_err(|error| failed(error.to_string()))
        };
        let answer = self.common.within(asking).await?;
        if answer.status != 200 {
            return Err(refused(answer.status, &answer.body));
        }
        let answer: Value = serde_json::from_slice(&answer.body)
            .map_err(|error| failed(format!("the answer is no JSON: {error}")))?;
        let text = answer.get("text").and_then(Value::as_str);
        let text = text.ok_or_else(|| failed("the answer has no \"text\"".to_owned()))?;
        Ok(Words {
            text: text.to_owned(),
            confidence: None,
        })
    }
}

impl Backend for OpenAi {
    fn name(&self) -> &str {
        &self.common.config.name
    }

    fn understands(&self, language: &str) -> bool {
        self.common.understands(language)
    }

    fn understand<'a>(&'a self, wanted: &'a Wanted, language: &'a str) -> Understanding<'a> {
        Box::pin(self.ask(wanted, language))
    }
}

/// A `multipart/form-data` body (RFC 7578). Its boundary is 128 random bits, so it stands in no value.
struct Form {
    boundary: String,
    body: Vec<u8>,
}

impl Form {
    fn new() -> Result<Form, SpeechError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| SpeechError::Failed(error.to_string()))?;
        Ok(Form {
            boundary: format!("trunkline-{}", HEXLOWER.encode(&random)),
            body: Vec::new(),
        })
    }

    fn part(&mut self, disposition: &str, content: &[u8]) {
        let head = format!(
            "--{}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n",
            self.boundary
        );
        self.body.extend(head.into_bytes());
        self.body.extend(content);
        self.body.extend(b"\r\n");
    }

    fn field(&mut self, name: &str, value: &str) {
        self.part(&format!("name=\"{name}\""), value.as_bytes());
    }

    fn file(&mut self, name: &str, file: &str, media_type: &str, content: &[u8]) {
        let disposition =
            format!("name=\"{name}\"; filename=\"{file}\"\r\nContent-Type: {media_type}");
        self.part(&disposition, content);
    }

    /// Its media type and its octets.
    fn finish(mut self) -> (String, Vec<u8>) {
        self.body
            .extend(format!("--{}--\r\n", self.boundary).into_bytes());
        let media_type = format!("multipart/form-data; boundary={}", self.boundary);
        (media_type, self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::backend::fake;
    use super::super::Spoken;
    use super::super::tests::common;
    use super::*;
    use std::time::Duration;

    fn service(url: &str, key: &str) -> OpenAi {
        OpenAi {
            common: common(Duration::from_secs(30)),
            fetcher: fake::fetcher(),
            url: format!("{url}/v1"),
            key: Some(Secret::new(key)),
            model: "whisper-1".to_owned(),
        }
    }

    #[tokio::test]
    async fn the_request_is_as_the_reference_has_it() {
        let (url, asked) = fake::server(|asked| match asked.header("authorization") {
            Some("Bearer sk-test") => (
                200,
                "application/json",
                br#"{"text": " Sales, please. "}"#.to_vec(),
            ),
            Some("Bearer sk-odd") => (200, "application/json", br#"{"words": 1}"#.to_vec()),
            Some("Bearer sk-bad") => (400, "application/json", b"{}".to_vec()),
            _ => (
                401,
                "application/json",
                br#"{"error": "wrong key"}"#.to_vec(),
            ),
        })
        .await;
        let hints = ["sales".to_owned(), "to support".to_owned()];
        let wanted = Wanted {
            hints: hints.to_vec().into(),
            ..Wanted::of(Spoken::whole(vec![258; 800]), None)
        };
        let words = service(&url, "sk-test")
            .ask(&wanted, "en-US")
            .await
            .unwrap();
        assert_eq!(words.text, " Sales, please. ");
        let sent = asked.lock().unwrap()[0].clone();
        assert_eq!(
            (sent.method.as_str(), sent.path.as_str()),
            ("POST", "/v1/audio/transcriptions")
        );
        let media_type = sent.header("content-type").unwrap().to_owned();
        let boundary = media_type
            .strip_prefix("multipart/form-data; boundary=")
            .unwrap();
        let mut expected = Vec::new();
        for (head, content) in [
            ("name=\"model\"", b"whisper-1".to_vec()),
            ("name=\"language\"", b"en".to_vec()),
            ("name=\"response_format\"", b"json".to_vec()),
            ("name=\"prompt\"", b"sales, to support".to_vec()),
            (
                "name=\"file\"; filename=\"speech.wav\"\r\nContent-Type: audio/wav",
                wav_file(RATE_HZ, &[258; 800]),
            ),
        ] {
            let head = format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n");
            expected.extend([head.as_bytes(), &content, b"\r\n"].concat());
        }
        expected.extend(format!("--{boundary}--\r\n").into_bytes());
        assert_eq!(sent.body, expected);
        for (key, says, refuses) in [
            ("sk-odd", "no \"text\"", false),
            ("sk-bad", "answered 400", true),
            ("sk-wrong", "answered 401", false),
        ] {
            let error = service(&url, key).ask(&wanted, "en").await.unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
            assert_eq!(matches!(error, SpeechError::Refused(_)), refuses, "{error}");
            assert!(!error.to_string().contains("sk-"), "{error}");
        }
    }

    #[tokio::test]
    async fn private_networks_are_not_reached_unless_they_are_allowed() {
        let limits = crate::fetch::FetchLimits {
            allow: Vec::new(),
            max_octets: 1000,
            timeout: Duration::from_secs(5),
        };
        let closed = OpenAi {
            fetcher: Fetcher::new(&limits).unwrap(),
            ..service("http://127.0.0.1:9", "sk-test")
        };
        let wanted = Wanted::of(Spoken::whole(vec![0; 10]), None);
        let error = closed.ask(&wanted, "en").await.unwrap_err().to_string();
        assert!(error.contains("not public"), "{error}");
    }
}
