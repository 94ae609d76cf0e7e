//! Any service that answers a request with a sound file: its URL, headers and body are templates of the configuration.
use super::super::placeholders::{Written, fill};
use super::super::voices::base;
use super::{Backend, Common, MAX_OCTETS, Sound, Speaking, gender_name, sound};
use crate::config::SpeechKind;
use crate::fetch::{Fetcher, Request};
use crate::speech::{SpeechError, Utterance};

/// See the module's text.
#[derive(Debug)]
pub(super) struct Http {
    common: Common,
    fetcher: Fetcher,
}

impl Http {
    pub(super) fn new(common: Common, fetcher: Fetcher) -> Http {
        Http { common, fetcher }
    }

    async fn make(&self, said: &Utterance) -> Result<Sound, SpeechError> {
        let SpeechKind::Http {
            url,
            post,
            headers,
            body,
            key,
        } = &self.common.config.kind
        else {
            return Err(SpeechError::Failed("is no such service".to_owned()));
        };
        let key = key.as_ref().map(|key| key.expose()).unwrap_or_default();
        let speed = format!("{:.2}", f64::from(said.rate_percent) / 100.0);
        let values = [
            ("text", said.text.as_str()),
            ("voice", self.common.voice(said).unwrap_or_default()),
            ("language", &said.language),
            ("lang", base(&said.language)),
            ("gender", gender_name(said.gender)),
            ("speed", &speed),
            ("rate", &said.rate_percent.to_string()),
            ("pitch", &said.pitch_percent.to_string()),
            ("key", key),
        ];
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.clone(), fill(value, &values, Written::Plain)))
            .collect();
        let media_type = headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("content-type"))
            .map_or("", |(_, value)| value.as_str());
        let written = body_form(media_type);
        let body = body.as_deref().map(|body| fill(body, &values, written));
        let request = Request {
            post: *post,
            url: &fill(url, &values, Written::Url),
            headers: &headers,
            body: body.unwrap_or_default().into_bytes(),
            timeout: self.common.config.timeout,
            max_octets: MAX_OCTETS,
        };
        let answer = self.fetcher.request(&request).await;
        let answer = answer.map_err(|error| SpeechError::Failed(error.to_string()))?;
        sound(answer, "wav")
    }
}

/// How values stand in a body of that media type.
fn body_form(media_type: &str) -> Written {
    match media_type.split(';').next().unwrap_or_default().trim() {
        "application/x-www-form-urlencoded" => Written::Url,
        "application/ssml+xml" | "application/xml" | "text/xml" => Written::Xml,
        "text/plain" => Written::Plain,
        _ => Written::Json,
    }
}

impl Backend for Http {
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
        let (url, body) = match &self.common.config.kind {
            SpeechKind::Http { url, body, .. } => (url.as_str(), body.as_deref()),
            _ => ("", None),
        };
        let voice = self.common.voice(said).unwrap_or_default();
        format!("http {url} {} {voice}", body.unwrap_or_default())
    }

    fn speak<'a>(&'a self, said: &'a Utterance) -> Speaking<'a> {
        Box::pin(self.make(said))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{self, backend, said};
    use super::*;
    use crate::config::Secret;

    #[tokio::test]
    async fn templates_are_filled_as_their_place_wants_it() {
        let (url, asked) = fake::server(|_| (200, "audio/mpeg", b"ID3".to_vec())).await;
        let made = |post, headers: &[(&str, &str)], body: Option<&str>| {
            let own = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
            let mut config = backend(SpeechKind::Http {
                url: format!("{url}/speak?v={{voice}}&t={{text}}"),
                post,
                headers: headers.iter().map(own).collect(),
                body: body.map(str::to_owned),
                key: Some(Secret::new("k 1")),
            });
            config.voice = Some("anna".to_owned());
            Http::new(Common { config }, fake::fetcher())
        };
        let text = said("a \"b\" & c");
        let sound = made(false, &[("X-Key", "{key}")], None)
            .speak(&text)
            .await
            .unwrap();
        assert_eq!(sound.extension, "mp3");
        let json = [("Content-Type", "application/json; charset=utf-8")];
        made(true, &json, Some("{\"t\": \"{text}\", \"l\": \"{lang}\"}"))
            .speak(&text)
            .await
            .unwrap();
        let form = [("content-type", "application/x-www-form-urlencoded")];
        made(true, &form, Some("t={text}"))
            .speak(&text)
            .await
            .unwrap();
        let asked = asked.lock().unwrap();
        assert_eq!(asked[0].method, "GET");
        assert_eq!(asked[0].path, "/speak?v=anna&t=a%20%22b%22%20%26%20c");
        assert_eq!(asked[0].header("x-key"), Some("k 1"));
        assert_eq!(
            asked[1].body,
            b"{\"t\": \"a \\\"b\\\" & c\", \"l\": \"en\"}"
        );
        assert_eq!(asked[2].body, b"t=a%20%22b%22%20%26%20c");
    }
}
