//! The verb that asks a web service.
use super::super::fetched::{Fetch, Fetched, MAX_ANSWER};
use super::super::verb::Outcome;
use super::{Executor, VerbResult};
use crate::config::Secret;
use crate::fetch::{Fetcher, Request, SIGNATURE, signature};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

impl Executor<'_> {
    pub(super) async fn fetch(&mut self, fetch: Fetch) -> VerbResult {
        let fetcher = self.call.calls.web_audio.as_ref();
        let fetcher = fetcher.map(|web| web.fetcher().clone());
        let fetching = ask_until_answered(fetcher, fetch);
        let fetched = self.wait_for(fetching).await?;
        tracing::info!(
            status = fetched.status,
            octets = fetched.body.len(),
            error = fetched.error,
            "fetched"
        );
        Ok(Outcome::Fetched(fetched))
    }
}

async fn ask_until_answered(fetcher: Option<Fetcher>, fetch: Fetch) -> Fetched {
    let Some(fetcher) = fetcher else {
        return nothing("nothing can be fetched here".to_owned());
    };
    let mut tries = fetch.retries.min(5) + 1;
    loop {
        tries -= 1;
        let headers = headers(&fetch);
        let request = Request {
            post: fetch.body.is_some(),
            url: &fetch.url,
            headers: &headers,
            body: fetch.body.clone().unwrap_or_default().into_bytes(),
            timeout: Duration::from_millis(fetch.timeout_ms.max(1).into()),
            max_octets: MAX_ANSWER,
        };
        let fetched = match fetcher.request(&request).await {
            Ok(answer) => Fetched {
                status: answer.status,
                body: String::from_utf8_lossy(&answer.body).into_owned(),
                error: String::new(),
            },
            Err(error) => nothing(error.to_string()),
        };
        if tries == 0 || matches!(fetched.status, 1..500) {
            return fetched;
        }
        tracing::info!(
            status = fetched.status,
            error = fetched.error,
            rule = "fetch-again",
            "no good answer: trying again"
        );
        tokio::time::sleep(PAUSE).await;
    }
}

fn nothing(error: String) -> Fetched {
    Fetched {
        status: 0,
        body: String::new(),
        error,
    }
}

fn headers(fetch: &Fetch) -> Vec<(String, String)> {
    let mut headers: Vec<_> = fetch
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.expose().to_owned()))
        .collect();
    if fetch.body.is_some() {
        headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
    }
    if let Some(secret) = &fetch.secret {
        headers.push((SIGNATURE.to_owned(), signed(secret, fetch)));
    }
    headers
}

fn signed(secret: &Secret, fetch: &Fetch) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let body = fetch.body.as_deref().unwrap_or_default();
    signature(
        secret.expose().as_bytes(),
        since.unwrap_or_default().as_secs(),
        body,
    )
}
