//! What every request passes before its route: is the host ours, whose token is it, may it do this, how often did it ask, how large is
//! the body, was it sent before. Refusals are counted and logged by rule; tokens and bodies never are.
//!
//! Limits: bodies of [`MAX_BODY`] octets, [`BODY_TIME`] for one; idempotency keys of [`MAX_KEY`] characters; answers of [`MAX_KEPT`] octets kept.
use super::idempotency::{Answer, Seen};
use super::problem::{Kind, Problem};
use super::scope::Scope;
use super::tokens::{self, Token};
use super::{Peer, V1};
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Largest body.
pub(super) const MAX_BODY: usize = 1 << 20;
/// Longest time for a body.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Longest idempotency key.
const MAX_KEY: usize = 255;
/// Largest answer that is kept for a key.
const MAX_KEPT: usize = 256 << 10;
/// The header of idempotency keys.
pub(super) const KEY: &str = "idempotency-key";
/// The header that names a request.
const REQUEST_ID: &str = "x-request-id";

/// What a route asks of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// There need not be one.
    Nothing,
    /// Any.
    Token,
    /// One with this scope.
    Scope(Scope),
}

/// A route's gate.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) v1: Arc<V1>,
    pub(super) needs: Needs,
}

/// The token of a request, for routes that ask for it.
#[derive(Debug, Clone)]
pub(super) struct Whose(pub(super) Arc<Token>);

/// The outermost: names the request, refuses foreign hosts, counts, and logs refusals.
pub(super) async fn outer(State(v1): State<Arc<V1>>, mut request: Request, next: Next) -> Response {
    let number = v1.requests.fetch_add(1, Ordering::Relaxed) + 1;
    let id = format!("r-{:06x}-{number}", v1.boot & 0xff_ffff);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let source = source(request.extensions());
    let response = match host_is_ours(request.headers(), &v1.settings.allowed_hosts) {
        Ok(()) => {
            request.extensions_mut().insert(v1.clone());
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    finish(&v1, response, &id, &method, &path, source)
}

fn finish(
    v1: &V1,
    mut response: Response,
    id: &str,
    method: &Method,
    path: &str,
    source: Option<std::net::SocketAddr>,
) -> Response {
    if let Some(kind) = response.extensions().get::<Kind>() {
        v1.count_refused(kind.name());
        let status = response.status().as_u16();
        let path: String = path.chars().take(200).collect();
        let source = source.map(tracing::field::display);
        tracing::info!(request = id, %method, path, source, status, rule = kind.name(), "API request refused");
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    let secured = [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ];
    for (name, value) in secured {
        let _ = headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

fn source(extensions: &axum::http::Extensions) -> Option<std::net::SocketAddr> {
    let peer = extensions.get::<ConnectInfo<Peer>>();
    peer.map(|ConnectInfo(Peer(address))| *address)
}

/// A page from elsewhere that has its name point here (DNS rebinding) sends its own name: addresses and names that are ours are served.
pub(in crate::api) fn host_is_ours(headers: &HeaderMap, allowed: &[String]) -> Result<(), Problem> {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let name = host.map(host_name).unwrap_or_default();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let ours = bare.parse::<std::net::IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || allowed.iter().any(|of| of.eq_ignore_ascii_case(name));
    match ours {
        true => Ok(()),
        false => Err(Problem::new(
            Kind::HostNotAllowed,
            "the Host header names neither an address nor localhost nor a name of [api] allowed_hosts",
        )),
    }
}

/// Without the port.
fn host_name(host: &str) -> &str {
    match host.rfind(':') {
        Some(colon) if !host.ends_with(']') => &host[..colon],
        _ => host,
    }
}

/// A route's: token, scope, rate, body, idempotency key.
pub(super) async fn inner(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let token = match admit(&gate, &parts) {
        Ok(token) => token,
        Err(problem) => return problem.into_response(),
    };
    // Read whole, so that a hostile body costs its limit and no more, and is never left half read.
    let body = match limited(&parts, body).await {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    let who = token
        .as_ref()
        .map_or(String::new(), |token| token.id.clone());
    if let Some(token) = token {
        parts.extensions.insert(Whose(token));
    }
    if parts.method != Method::POST || !parts.headers.contains_key(KEY) {
        return next.run(Request::from_parts(parts, Body::from(body))).await;
    }
    once(&gate.v1, &who, parts, body, next).await
}

fn admit(gate: &Gate, parts: &Parts) -> Result<Option<Arc<Token>>, Problem> {
    let now = Instant::now();
    if gate.needs == Needs::Nothing {
        return Ok(None);
    }
    let header = parts.headers.get(header::AUTHORIZATION);
    let header = header.map(|value| value.to_str().unwrap_or_default());
    let tokens = gate.v1.tokens.load();
    let token = match tokens::authenticate(&tokens, header, Timestamp::now()) {
        Ok(token) => token,
        Err(problem) => {
            let from = source(&parts.extensions).map(|from| from.ip().to_string());
            let key = format!("from {}", from.unwrap_or_default());
            gate.v1.take_rate(&key, now)?;
            return Err(problem);
        }
    };
    gate.v1.take_rate(&token.id, now)?;
    match gate.needs {
        Needs::Scope(scope) if !scope.is_in(&token.scopes) => Err(Problem::new(
            Kind::ScopeMissing,
            format!("the token lacks the scope {scope}"),
        )),
        _ => Ok(Some(Arc::new(token.clone()))),
    }
}

async fn limited(parts: &Parts, body: Body) -> Result<Bytes, Problem> {
    let too_large = || {
        let detail = format!("the body is larger than {MAX_BODY} octets");
        Problem::new(Kind::TooLarge, detail)
    };
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(too_large());
    }
    let declared = parts.headers.contains_key(header::CONTENT_LENGTH);
    match tokio::time::timeout(BODY_TIME, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(octets)) => Ok(octets),
        // With a length it was cut off by the client, and nobody hears this.
        Ok(Err(_)) if declared => Err(Problem::new(Kind::Malformed, "the body is not whole")),
        Ok(Err(_)) => Err(too_large()),
        Err(_) => Err(Problem::new(
            Kind::BodyTimeout,
            format!("the body was not there after {} s", BODY_TIME.as_secs()),
        )),
    }
}

/// Runs a POST with a key, or gives the answer it had.
async fn once(v1: &Arc<V1>, who: &str, parts: Parts, body: Bytes, next: Next) -> Response {
    let Some(key) = key(&parts.headers) else {
        let detail = format!("{KEY} is one value of 1 to {MAX_KEY} printable ASCII characters");
        return Problem::new(Kind::BadParameter, detail).into_response();
    };
    let key = format!("{who} {key}");
    let mut digest = Sha256::new();
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    digest.update(target.as_bytes());
    digest.update([0]);
    digest.update(&body);
    match v1
        .keys()
        .begin(&key, digest.finalize().into(), Instant::now())
    {
        Seen::New => {}
        Seen::Before(answer) => return replay(answer),
        Seen::InFlight => {
            let detail = "a request with this key is being answered: ask again when it is";
            return Problem::new(Kind::KeyInFlight, detail).into_response();
        }
        Seen::Other => {
            let detail = "this key was used with another path or body: each request has its own";
            return Problem::new(Kind::KeyReused, detail).into_response();
        }
        Seen::Full => {
            let detail = "too many requests with keys are being answered";
            return Problem::new(Kind::Unavailable, detail).into_response();
        }
    }
    // Done to its end even if the client goes away: whoever asks again learns what came of it.
    let (v1, held) = (v1.clone(), key.clone());
    let work = tokio::spawn(async move {
        let _given_up = GivenUp {
            v1: &v1,
            key: &held,
        };
        let response = next.run(Request::from_parts(parts, Body::from(body))).await;
        keep(&v1, &held, response).await
    });
    match work.await {
        Ok(response) => response,
        Err(_) => Problem::new(Kind::Internal, "the request was not answered").into_response(),
    }
}

/// Lets a key be tried again if nothing was kept under it.
struct GivenUp<'a> {
    v1: &'a V1,
    key: &'a str,
}

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        self.v1.keys().forget(self.key);
    }
}

fn key(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(KEY).iter();
    let value = values.next()?.to_str().ok()?;
    let good =
        (1..=MAX_KEY).contains(&value.len()) && value.bytes().all(|b| (0x20..0x7f).contains(&b));
    (good && values.next().is_none()).then_some(value)
}

/// Keeps what was done, and what will never be done; what may go well the next time is not kept.
async fn keep(v1: &V1, key: &str, response: Response) -> Response {
    let status = response.status();
    if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(octets) = to_bytes(body, MAX_KEPT).await else {
        return Problem::new(Kind::Internal, "the answer is too large to be kept").into_response();
    };
    let text = |name| {
        let value: Option<&HeaderValue> = parts.headers.get(name);
        Some(value?.to_str().ok()?.to_owned())
    };
    let answer = Answer {
        status: status.as_u16(),
        content_type: text(header::CONTENT_TYPE).unwrap_or_default(),
        location: text(header::LOCATION),
        body: octets.to_vec(),
    };
    v1.keys().done(key, answer);
    Response::from_parts(parts, Body::from(octets))
}

fn replay(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    let kept = [
        (
            header::CONTENT_TYPE,
            Some(answer.content_type).filter(|of| !of.is_empty()),
        ),
        (header::LOCATION, answer.location),
    ];
    for (name, value) in kept {
        if let Some(Ok(value)) = value.map(|value| HeaderValue::from_str(&value)) {
            headers.insert(name, value);
        }
    }
    headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_hosts_are_refused() {
        let allowed = ["pbx.example".to_owned()];
        let ours = |host: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(host) = host {
                headers.insert(header::HOST, HeaderValue::from_str(host).expect("a header"));
            }
            host_is_ours(&headers, &allowed).is_ok()
        };
        for host in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:8080",
            "LOCALHOST:1",
            "pbx.example:8443",
            "10.1.2.3",
        ] {
            assert!(ours(Some(host)), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "pbx.example.",
            ":80",
        ] {
            assert!(!ours(Some(host)), "{host}");
        }
        assert!(!ours(None));
    }
}
