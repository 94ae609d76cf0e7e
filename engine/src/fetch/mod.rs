//! Fetches what a program names by URL: over HTTP and HTTPS, within limits of size, time and reach.
//!
//! Never reaches an address that is not public unless it is allowed, neither by name nor by redirect nor by a name whose address changes: what is
//! checked is the address that is connected to. Keeps nothing; who keeps what was fetched asks again with what it knows of it.

pub mod backoff;
mod freshness;
mod notify;
mod reach;
mod request;
mod signature;

pub use signature::{SIGNATURE, signature};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{
    CACHE_CONTROL, ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::{StatusCode, Url, dns, redirect};

use crate::config::{self, Network};
use freshness::fresh_for;
use reach::Reach;
use request::body;
pub use request::{Answer, Request};

/// Hops that are followed.
const MOST_REDIRECTS: usize = 5;
/// Longest URL.
const LONGEST_URL: usize = 4096;

/// What may be fetched.
#[derive(Debug, Clone)]
pub struct FetchLimits {
    /// Networks that may be reached although they are not public.
    pub allow: Vec<Network>,
    /// Largest body in octets.
    pub max_octets: usize,
    /// Longest time for all of it.
    pub timeout: Duration,
}

impl From<&config::Fetch> for FetchLimits {
    fn from(config: &config::Fetch) -> FetchLimits {
        FetchLimits {
            allow: config.allow.clone(),
            max_octets: config.max_octets,
            timeout: config.timeout,
        }
    }
}

/// Why something was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No URL that is served.
    #[error("{url:?} is no http or https URL: {reason}")]
    Url {
        /// What was asked for, cut.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The address is not public and not allowed.
    #[error(
        "{host} is at {address}, which is not public; [fetch] allow in the configuration can admit its network"
    )]
    Forbidden {
        /// The host of the URL.
        host: String,
        /// Its address.
        address: std::net::IpAddr,
    },
    /// The server said something else than 200.
    #[error("{host} answered {status}")]
    Status {
        /// The host of the URL.
        host: String,
        /// What it answered.
        status: StatusCode,
    },
    /// The body is longer than allowed.
    #[error("the answer of {host} is longer than {limit} octets")]
    TooLong {
        /// The host of the URL.
        host: String,
        /// The limit.
        limit: usize,
    },
    /// No connection, no answer in time, a broken answer.
    #[error("{host}: {reason}")]
    Network {
        /// The host of the URL.
        host: String,
        /// What went wrong, without query or credentials of the URL.
        reason: String,
    },
}

/// What an earlier answer said of itself; sent back to learn whether it is still good (RFC 9110 section 13).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    /// Its `ETag`.
    pub etag: Option<String>,
    /// Its `Last-Modified`.
    pub last_modified: Option<String>,
}

/// What came.
#[derive(Debug)]
pub struct Fetched {
    /// The body; `None`: what is known is still good (304).
    pub body: Option<Vec<u8>>,
    /// For the next time.
    pub validators: Validators,
    /// How long it may be used without asking again.
    pub fresh_for: Duration,
    /// The path's extension after redirects, if it has one; or what the media type says.
    pub extension: String,
}

/// Fetches. Clones share connections.
#[derive(Debug, Clone)]
pub struct Fetcher {
    client: reqwest::Client,
    reach: Arc<Reach>,
    max_octets: usize,
}

impl Fetcher {
    /// # Errors
    /// When the system's root certificates cannot be used.
    pub fn new(limits: &FetchLimits) -> Result<Fetcher, reqwest::Error> {
        Self::build(limits, true)
    }

    /// One that follows no redirect: it is the answer then.
    ///
    /// # Errors
    /// As [`Fetcher::new`].
    pub fn without_redirects(limits: &FetchLimits) -> Result<Fetcher, reqwest::Error> {
        Self::build(limits, false)
    }

    fn build(limits: &FetchLimits, follows: bool) -> Result<Fetcher, reqwest::Error> {
        // Another part of the process may have been first.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let reach = Arc::new(Reach::new(limits.allow.clone()));
        let hops = reach.clone();
        let policy = redirect::Policy::custom(move |attempt| {
            if !follows {
                return attempt.stop();
            }
            if attempt.previous().len() > MOST_REDIRECTS {
                return attempt.error(format!("more than {MOST_REDIRECTS} redirects"));
            }
            match check(attempt.url(), &hops) {
                Ok(()) => attempt.follow(),
                Err(error) => attempt.error(error),
            }
        });
        let client = reqwest::Client::builder()
            .user_agent(concat!("Trunkline/", env!("CARGO_PKG_VERSION")))
            .timeout(limits.timeout)
            .redirect(policy)
            .no_proxy()
            .dns_resolver(Arc::new(PublicNames(reach.clone())))
            .pool_max_idle_per_host(4)
            .build()?;
        Ok(Fetcher {
            client,
            reach,
            max_octets: limits.max_octets,
        })
    }

    /// The addresses of a host, a name or an address, that may be reached: for what is not fetched but connected to. A name may have
    /// others a moment later.
    ///
    /// # Errors
    /// [`FetchError::Forbidden`], or the name has no address.
    pub async fn admitted(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, FetchError> {
        self.reach.addresses(host, port).await
    }

    /// Fetches `url` unless it is as `known` says.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn fetch(&self, url: &str, known: &Validators) -> Result<Fetched, FetchError> {
        let parsed = parse(url)?;
        check(&parsed, &self.reach)?;
        let host = host_of(&parsed);
        let failed = |error: reqwest::Error| refused_or_broken(&host, error);
        let mut request = self.client.get(parsed);
        if let Some(etag) = &known.etag {
            request = request.header(IF_NONE_MATCH, etag);
        } else if let Some(date) = &known.last_modified {
            request = request.header(IF_MODIFIED_SINCE, date);
        }
        let mut response = request.send().await.map_err(failed)?;
        let headers = response.headers();
        let validators = Validators {
            etag: text(headers, ETAG),
            last_modified: text(headers, LAST_MODIFIED),
        };
        let fresh_for = fresh_for(text(headers, CACHE_CONTROL).as_deref());
        let extension = extension(response.url(), headers);
        let is_known = *known != Validators::default();
        let body = match response.status() {
            StatusCode::NOT_MODIFIED if is_known => None,
            StatusCode::OK => Some(body(&mut response, &host, self.max_octets).await?),
            status => return Err(FetchError::Status { host, status }),
        };
        Ok(Fetched {
            body,
            validators,
            fresh_for,
            extension,
        })
    }
}

impl Reach {
    /// The addresses of a name or address, without those that are not to be reached.
    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, FetchError> {
        let found = tokio::net::lookup_host((host, port)).await;
        let found = found.map_err(|error| FetchError::Network {
            host: host.to_owned(),
            reason: error.to_string(),
        })?;
        let (admitted, refused): (Vec<_>, Vec<_>) = found.partition(|at| self.admits(at.ip()));
        match refused.first() {
            Some(at) if admitted.is_empty() => Err(FetchError::Forbidden {
                host: host.to_owned(),
                address: at.ip(),
            }),
            _ => Ok(admitted),
        }
    }
}

/// Whether a prompt's key is the URL of one.
pub fn is_url(key: &str) -> bool {
    let begins = |scheme: &str| {
        key.get(..scheme.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
    };
    begins("http://") || begins("https://")
}

fn parse(url: &str) -> Result<Url, FetchError> {
    let refused = |reason: String| FetchError::Url {
        // What follows the path may be a secret.
        url: url
            .split(['?', '#'])
            .next()
            .unwrap_or_default()
            .chars()
            .take(200)
            .collect(),
        reason,
    };
    if url.len() > LONGEST_URL {
        return Err(refused(format!("longer than {LONGEST_URL} octets")));
    }
    let parsed = Url::parse(url).map_err(|error| refused(error.to_string()))?;
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
        return Err(refused("another scheme".into()));
    }
    Ok(parsed)
}

/// Refuses what is no http or https URL, or names an address that is not to be reached. Names are checked when they are resolved.
fn check(url: &Url, reach: &Reach) -> Result<(), FetchError> {
    let parsed = parse(url.as_str())?;
    let literal = host_of(&parsed);
    let address = literal
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse();
    match address {
        Ok(address) if !reach.admits(address) => Err(FetchError::Forbidden {
            host: literal.clone(),
            address,
        }),
        _ => Ok(()),
    }
}

fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// A refusal of ours somewhere in the causes, or the innermost cause.
fn refused_or_broken(host: &str, error: reqwest::Error) -> FetchError {
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(of) = cause {
        match of.downcast_ref() {
            Some(FetchError::Forbidden { host, address }) => {
                return FetchError::Forbidden {
                    host: host.clone(),
                    address: *address,
                };
            }
            Some(FetchError::Network { reason: ours, .. }) => reason.clone_from(ours),
            _ => reason = of.to_string(),
        }
        cause = of.source();
    }
    if error.is_timeout() {
        reason = "no complete answer in time".into();
    }
    FetchError::Network {
        host: host.to_owned(),
        reason,
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.to_owned())
}

fn extension(url: &Url, headers: &HeaderMap) -> String {
    let file = url.path().rsplit('/').next().unwrap_or_default();
    if let Some((_, extension)) = file.rsplit_once('.')
        && (1..=6).contains(&extension.len())
    {
        return extension.to_ascii_lowercase();
    }
    let kind = text(headers, reqwest::header::CONTENT_TYPE).unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim() {
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/flac" | "audio/x-flac" => "flac",
        "audio/ogg" | "application/ogg" | "audio/opus" => "ogg",
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "wav",
        _ => "",
    }
    .to_owned()
}

/// Resolves names by the system and leaves out addresses that are not to be reached.
#[derive(Debug)]
struct PublicNames(Arc<Reach>);

impl dns::Resolve for PublicNames {
    fn resolve(&self, name: dns::Name) -> dns::Resolving {
        let reach = self.0.clone();
        Box::pin(async move {
            let admitted = reach.addresses(name.as_str(), 0).await?;
            let admitted: dns::Addrs = Box::new(admitted.into_iter());
            Ok(admitted)
        })
    }
}

#[cfg(test)]
mod tests;
