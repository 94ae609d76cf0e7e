//! Every refusal of the control API: RFC 9457 problem details, from one list of kinds.
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// The media type of problem details (RFC 9457 section 6.1).
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// Kinds of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request cannot be read.
    Malformed,
    /// The query or a header is not as documented.
    BadParameter,
    /// No token, or none that is known.
    Unauthenticated,
    /// A token whose time is over.
    TokenExpired,
    /// A token that may not do this.
    ScopeMissing,
    /// What no token may do: our rules are against it.
    Forbidden,
    /// The `Host` is none of ours.
    HostNotAllowed,
    /// There is no such path.
    NoSuchRoute,
    /// There is no such thing.
    NotFound,
    /// The path has no such method.
    MethodNotAllowed,
    /// The body did not come in time.
    BodyTimeout,
    /// The state of the thing does not allow it.
    Conflict,
    /// A request with this idempotency key is being answered.
    KeyInFlight,
    /// What changes is not what `If-Match` says.
    PreconditionFailed,
    /// The body is too large.
    TooLarge,
    /// The body has another media type.
    UnsupportedMediaType,
    /// The body is not what is expected there.
    Invalid,
    /// The idempotency key was used with another body.
    KeyReused,
    /// Too many requests.
    TooManyRequests,
    /// A mistake of ours.
    Internal,
    /// Not now.
    Unavailable,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 21] = [
        Self::Malformed,
        Self::BadParameter,
        Self::Unauthenticated,
        Self::TokenExpired,
        Self::ScopeMissing,
        Self::Forbidden,
        Self::HostNotAllowed,
        Self::NoSuchRoute,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::BodyTimeout,
        Self::Conflict,
        Self::KeyInFlight,
        Self::PreconditionFailed,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::Invalid,
        Self::KeyReused,
        Self::TooManyRequests,
        Self::Internal,
        Self::Unavailable,
    ];

    /// Its name, the end of `type`.
    pub fn name(self) -> &'static str {
        self.facts().0
    }

    /// The status it comes with.
    pub fn status(self) -> u16 {
        self.facts().1
    }

    /// What it is called.
    pub fn title(self) -> &'static str {
        self.facts().2
    }

    fn facts(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::Malformed => ("malformed", 400, "The request cannot be read"),
            Self::BadParameter => ("bad-parameter", 400, "A parameter is not as documented"),
            Self::Unauthenticated => ("unauthenticated", 401, "A token is needed"),
            Self::TokenExpired => ("token-expired", 401, "The token's time is over"),
            Self::ScopeMissing => ("scope-missing", 403, "The token may not do this"),
            Self::Forbidden => ("forbidden", 403, "Our rules are against it"),
            Self::HostNotAllowed => ("host-not-allowed", 421, "This host name is not ours"),
            Self::NoSuchRoute => ("no-such-route", 404, "There is no such path"),
            Self::NotFound => ("not-found", 404, "There is no such thing"),
            Self::MethodNotAllowed => ("method-not-allowed", 405, "The path has no such method"),
            Self::BodyTimeout => ("body-timeout", 408, "The body did not come in time"),
            Self::Conflict => ("conflict", 409, "Its state does not allow that"),
            Self::KeyInFlight => (
                "key-in-flight",
                409,
                "A request with this key is being answered",
            ),
            Self::PreconditionFailed => ("precondition-failed", 412, "It has changed since"),
            Self::TooLarge => ("too-large", 413, "The body is too large"),
            Self::UnsupportedMediaType => (
                "unsupported-media-type",
                415,
                "The body has another media type",
            ),
            Self::Invalid => ("invalid", 422, "The body is not what is expected"),
            Self::KeyReused => ("key-reused", 422, "The key was used with another body"),
            Self::TooManyRequests => ("too-many-requests", 429, "Too many requests"),
            Self::Internal => ("internal", 500, "A mistake of the server"),
            Self::Unavailable => ("unavailable", 503, "Not now"),
        }
    }
}

/// One mistake in what was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// Path of keys, `participants[0].number`; empty: the body as a whole.
    pub path: String,
    /// What is wrong with it, and what would be right.
    pub message: String,
    /// Line, from 1.
    pub line: Option<u32>,
    /// Column, from 1.
    pub column: Option<u32>,
    /// The file, where there is one.
    pub file: Option<String>,
}

/// What went wrong (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Problem)]
struct Details {
    /// Which kind: a fragment of the API's page.
    #[serde(rename = "type")]
    #[schema(rename = "type")]
    kind: String,
    /// What that kind is called.
    title: String,
    /// The status of the answer.
    status: u16,
    /// What went wrong this time.
    detail: String,
    /// Each mistake, where it can be told.
    errors: Vec<Fault>,
}

/// A refusal on its way to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which kind.
    pub kind: Kind,
    /// What went wrong this time.
    pub detail: String,
    /// Each mistake.
    pub errors: Vec<Fault>,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
}

/// Where kinds are explained.
pub(super) const TYPES: &str = "/api/v1#problem-";

impl Problem {
    /// A problem of that kind.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Problem {
        Problem {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// There is no `what` of that name.
    pub fn not_found(what: &str, name: &str) -> Problem {
        let name: String = name.chars().take(128).collect();
        Problem::new(Kind::NotFound, format!("there is no {what} {name:?}"))
    }

    /// One value of the body is refused.
    pub fn invalid(path: &str, message: impl Into<String>) -> Problem {
        let message = message.into();
        let fault = Fault {
            path: path.to_owned(),
            message: message.clone(),
            line: None,
            column: None,
            file: None,
        };
        Problem {
            errors: vec![fault],
            ..Problem::new(Kind::Invalid, format!("{path}: {message}"))
        }
    }

    /// The schema's name and text, and those it needs.
    pub(super) fn schemas(
        into: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>,
    ) {
        use utoipa::PartialSchema;
        into.push(("Problem".to_owned(), Details::schema()));
        <Details as ToSchema>::schemas(into);
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.kind.status();
        let details = Details {
            kind: format!("{TYPES}{}", self.kind.name()),
            title: self.kind.title().to_owned(),
            status,
            detail: self.detail,
            errors: self.errors,
        };
        let body = serde_json::to_vec(&details).unwrap_or_default();
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        let headers = response.headers_mut();
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"trunkline\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response.extensions_mut().insert(self.kind);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_kinds_are_their_own_and_statuses_are_errors() {
        let names: std::collections::BTreeSet<_> =
            Kind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        assert!(
            Kind::ALL
                .iter()
                .all(|kind| (400..600).contains(&kind.status()))
        );
    }

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        let problem = Problem {
            retry_after: Some(Duration::from_millis(1200)),
            ..Problem::new(Kind::TooManyRequests, "slowly")
        };
        let response = problem.into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(response.headers()["content-type"], MEDIA_TYPE);
    }
}
