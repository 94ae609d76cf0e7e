//! Requests with a method, headers and a body, to services that the configuration names. The same reach, other limits for each.
use super::{FetchError, Fetcher, check, host_of, parse, refused_or_broken, text};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use std::time::Duration;

/// One request.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// POST, else GET.
    pub post: bool,
    /// Where.
    pub url: &'a str,
    /// Names and values.
    pub headers: &'a [(String, String)],
    /// What is sent.
    pub body: Vec<u8>,
    /// Longest time for all of it.
    pub timeout: Duration,
    /// Largest answer, in octets.
    pub max_octets: usize,
}

/// What came, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Its `Content-Type` without parameters, in small letters.
    pub media_type: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Fetcher {
    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// See [`FetchError`]; a status is none.
    pub async fn request(&self, request: &Request<'_>) -> Result<Answer, FetchError> {
        let (host, mut response) = self.send(request).await?;
        let media_type = text(response.headers(), CONTENT_TYPE).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        let (status, media_type) = (response.status().as_u16(), media_type.to_ascii_lowercase());
        let body = body(&mut response, &host, request.max_octets).await?;
        Ok(Answer {
            status,
            media_type,
            body,
        })
    }

    /// Sends a request; returns the host and the answer, its body not yet read.
    pub(super) async fn send(
        &self,
        request: &Request<'_>,
    ) -> Result<(String, reqwest::Response), FetchError> {
        let parsed = parse(request.url)?;
        check(&parsed, &self.reach)?;
        let host = host_of(&parsed);
        let mut building = match request.post {
            true => self.client.post(parsed),
            false => self.client.get(parsed),
        };
        for (name, value) in request.headers {
            let (Ok(name), Ok(mut value)) =
                (HeaderName::try_from(name), HeaderValue::try_from(value))
            else {
                let reason = format!("the header {} cannot be sent", name.escape_debug());
                return Err(FetchError::Network { host, reason });
            };
            value.set_sensitive(true);
            building = building.header(name, value);
        }
        if request.post {
            building = building.body(request.body.clone());
        }
        match building.timeout(request.timeout).send().await {
            Ok(response) => Ok((host, response)),
            Err(error) => Err(refused_or_broken(&host, error)),
        }
    }
}

/// The body of an answer, which may have so many octets.
pub(super) async fn body(
    response: &mut reqwest::Response,
    host: &str,
    limit: usize,
) -> Result<Vec<u8>, FetchError> {
    let failed = |error: reqwest::Error| refused_or_broken(host, error);
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        if body.len() + piece.len() > limit {
            let host = host.to_owned();
            return Err(FetchError::TooLong { host, limit });
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}
