//! What handlers take from a request: bodies, queries and names in the path, each checked, each refusal a problem that says where.
use super::problem::{Fault, Kind, Problem};
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

/// A JSON body, or `T`'s default where there is none.
pub(super) struct MaybeBody<T>(pub(super) T);

/// Names in the path.
pub(super) struct Named<T>(pub(super) T);

/// The query.
pub(super) struct Asked<T>(pub(super) T);

/// Whether the body says that it is JSON.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let media = value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media = media
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}

/// The octets of the body; how many there may be was seen to before.
async fn octets<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    let read = Bytes::from_request(request, state).await;
    read.map_err(|rejected| Problem::new(Kind::Malformed, rejected.body_text()))
}

fn not_json() -> Problem {
    Problem::new(
        Kind::UnsupportedMediaType,
        "the body is JSON: send Content-Type: application/json",
    )
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(not_json());
        }
        read(&octets(request, state).await?).map(Body)
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for MaybeBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let json = is_json(request.headers());
        let octets = octets(request, state).await?;
        match (octets.is_empty(), json) {
            (true, _) => Ok(MaybeBody(T::default())),
            (false, false) => Err(not_json()),
            (false, true) => read(&octets).map(MaybeBody),
        }
    }
}

/// Reads a value; the problem says at which path, line and column it is not one.
pub(super) fn read<T: DeserializeOwned>(octets: &[u8]) -> Result<T, Problem> {
    let mut text = serde_json::Deserializer::from_slice(octets);
    let result = serde_path_to_error::deserialize(&mut text);
    let value = result.map_err(|error| {
        let path = match error.path().to_string() {
            path if path == "." => String::new(),
            path => path.chars().take(200).collect(),
        };
        refused(path, error.inner())
    })?;
    text.end().map_err(|error| refused(String::new(), &error))?;
    Ok(value)
}

fn refused(path: String, error: &serde_json::Error) -> Problem {
    let kind = match error.is_data() {
        true => Kind::Invalid,
        false => Kind::Malformed,
    };
    let place = |number: usize| u32::try_from(number).ok().filter(|number| *number > 0);
    let text = error.to_string();
    let message = text
        .rsplit_once(" at line ")
        .map_or(&*text, |(message, _)| message);
    let message: String = message.chars().take(500).collect();
    let detail = match path.is_empty() {
        true => message.clone(),
        false => format!("{path}: {message}"),
    };
    Problem {
        errors: vec![Fault {
            path,
            message,
            line: place(error.line()),
            column: place(error.column()),
            file: None,
        }],
        ..Problem::new(kind, detail)
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let taken = Path::<T>::from_request_parts(parts, state).await;
        taken
            .map(|Path(names)| Named(names))
            .map_err(|rejected| Problem::new(Kind::BadParameter, rejected.body_text()))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let taken = Query::<T>::from_request_parts(parts, state).await;
        taken
            .map(|Query(asked)| Asked(asked))
            .map_err(|rejected| Problem::new(Kind::BadParameter, rejected.body_text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        #[allow(dead_code)]
        lines: Vec<Line>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        #[allow(dead_code)]
        count: u8,
    }

    #[test]
    fn a_mistake_is_told_with_its_path_line_and_column() {
        let text = b"{\"lines\": [{\"count\": 1},\n {\"count\": 256}]}";
        let problem = read::<Order>(text).expect_err("too much");
        assert_eq!(problem.kind, Kind::Invalid);
        assert_eq!(problem.errors[0].path, "lines[1].count");
        assert_eq!(
            (problem.errors[0].line, problem.errors[0].column),
            (Some(2), Some(14))
        );
        assert!(problem.detail.contains("256"), "{}", problem.detail);
        let problem = read::<Order>(b"{\"lines\": [], \"x\": 1}").expect_err("unknown");
        assert_eq!(
            (problem.kind, &*problem.errors[0].path),
            (Kind::Invalid, "x")
        );
    }

    #[test]
    fn hostile_bodies_are_refused_and_nothing_else() {
        let deep = "[".repeat(100_000);
        let long = format!("{{\"{}\": 1}}", "k".repeat(1_000_000));
        for text in [
            "",
            "{",
            "null",
            "[]",
            "{\"lines\": []} x",
            "\u{0}",
            "\"\\ud800\"",
            &deep,
            &long,
            "1e999",
        ] {
            let problem = read::<Order>(text.as_bytes()).expect_err("no order");
            assert!(matches!(problem.kind, Kind::Malformed | Kind::Invalid));
            assert!(problem.detail.chars().count() <= 1000);
        }
        assert!(read::<Order>(b"{\"lines\": \"\xff\"}").is_err());
    }
}
