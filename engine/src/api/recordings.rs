//! `GET /recordings/{id}?expires=…&signature=…`: a recording for whoever has its signed address; see `docs/recordings.md`.
//!
//! Serves files of the index only, whole or a part, and never says whether a recording exists to one whose signature is wrong.
use crate::store::{AddressRefused, RecordingRow, RecordingSigner, Store};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use std::collections::HashMap;
use std::io::SeekFrom;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

/// Octets read at once.
const PIECE: usize = 64 * 1024;

/// What the page needs.
#[derive(Debug, Clone)]
pub struct Recordings {
    /// The index.
    pub store: Store,
    /// Whose signatures count.
    pub signer: RecordingSigner,
}

/// The page.
pub(super) fn router(recordings: Recordings) -> Router {
    Router::new()
        .route("/recordings/{id}", get(recording))
        .with_state(recordings)
        .method_not_allowed_fallback(super::v1::no_method)
}

async fn recording(
    State(from): State<Recordings>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let expires = query.get("expires").and_then(|text| text.parse().ok());
    let signature = query.get("signature").map_or("", String::as_str);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    let verified = from
        .signer
        .verify(&id, expires.unwrap_or(0), signature, now);
    match verified {
        Err(AddressRefused::Signature) => {
            tracing::info!(rule = "recording-signature", "GET /recordings refused");
            return (StatusCode::FORBIDDEN, "this address was not signed here\n").into_response();
        }
        Err(AddressRefused::Expired) => {
            return (StatusCode::GONE, "the time of this address is over\n").into_response();
        }
        Ok(()) => {}
    }
    match from.store.recording(&id).await {
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the store does not answer\n",
        )
            .into_response(),
        Ok(None) => gone(),
        Ok(Some(row)) if row.state == "recording" => {
            (StatusCode::CONFLICT, "it is still being recorded\n").into_response()
        }
        Ok(Some(row)) => file(&row, wanted(&headers)).await,
    }
}

fn gone() -> Response {
    (
        StatusCode::NOT_FOUND,
        "there is no such recording any more\n",
    )
        .into_response()
}

/// What of the file is asked for. With `If-Range` all of it: there is nothing it could be compared with (RFC 9110 section 13.1.5).
pub(super) fn wanted(headers: &HeaderMap) -> Option<&str> {
    if headers.contains_key(header::IF_RANGE) {
        return None;
    }
    headers.get(header::RANGE)?.to_str().ok()
}

async fn file(row: &RecordingRow, range: Option<&str>) -> Response {
    send_file(&row.path, media_type(row), range)
        .await
        .unwrap_or_else(gone)
}

pub(super) fn media_type(row: &RecordingRow) -> &'static str {
    match row.format.as_str() {
        "wav" => "audio/wav",
        "opus" | "ogg" => "audio/ogg",
        _ => "application/octet-stream",
    }
}

/// A file, piece by piece, or the part that `range` asks for; `None`: it is not there.
pub(super) async fn send_file(
    path: &std::path::Path,
    kind: &'static str,
    range: Option<&str>,
) -> Option<Response> {
    let mut file = tokio::fs::File::open(path).await.ok()?;
    let length = match file.metadata().await {
        Ok(about) if about.is_file() => about.len(),
        _ => return None,
    };
    let asked = range.and_then(|range| super::byte_range::part(range, length));
    let Ok(sent) = asked.clone().unwrap_or(Ok(0..length)) else {
        let all = [(header::CONTENT_RANGE, format!("bytes */{length}"))];
        return Some((StatusCode::RANGE_NOT_SATISFIABLE, all).into_response());
    };
    if file.seek(SeekFrom::Start(sent.start)).await.is_err() {
        return None;
    }
    let pieces = stream::try_unfold(
        (file, sent.end - sent.start),
        |(mut file, left)| async move {
            let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
            let read = file.read(&mut piece).await?;
            piece.truncate(read);
            let next = (file, left - read as u64);
            Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(piece), next)))
        },
    );
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, (sent.end - sent.start).into());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "private, no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let said = format!(
        "bytes {}-{}/{length}",
        sent.start,
        sent.end.saturating_sub(1)
    );
    if let (Some(_), Ok(said)) = (asked, HeaderValue::try_from(said)) {
        headers.insert(header::CONTENT_RANGE, said);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{RecordingBegun, RecordingDone, RecordingQuery};
    use axum::body::to_bytes;

    #[tokio::test]
    async fn whoever_has_the_signed_address_hears_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let audio = vec![5; PIECE + 10];
        std::fs::write(&path, &audio).unwrap();
        let store = Store::in_memory().unwrap();
        let signer = store.recording_signer().await.unwrap();
        store.post_recording_begun(RecordingBegun {
            path: path.clone(),
            call: None,
            conference: None,
            format: "wav".to_owned(),
            at: SystemTime::now(),
            keep_until: None,
        });
        store.flush().await;
        let rows = store.recordings(RecordingQuery::default()).await.unwrap();
        let id = rows[0].id.clone();
        let from = Recordings {
            store: store.clone(),
            signer: signer.clone(),
        };
        let range = std::cell::Cell::new(None);
        let ask = async |id: &str, expires: u64, signature: String| {
            let query = [("expires", expires.to_string()), ("signature", signature)];
            let query = query.map(|(name, value)| (name.to_owned(), value)).into();
            let mut headers = HeaderMap::new();
            if let Some(range) = range.get() {
                headers.insert(header::RANGE, HeaderValue::from_static(range));
            }
            let (path, query) = (Path(id.to_owned()), Query(query));
            let response = recording(State(from.clone()), path, query, headers).await;
            let status = response.status().as_u16();
            let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            (status, body.to_vec())
        };
        let later = u64::MAX;
        assert_eq!(ask(&id, later, signer.sign(&id, later)).await.0, 409);
        let done = RecordingDone {
            ms: 1,
            lost_ms: 0,
            failed: false,
        };
        store.post_recording_done(&path, done);
        store.flush().await;
        let good = signer.sign(&id, later);
        assert_eq!(ask(&id, later, good.clone()).await, (200, audio.clone()));
        range.set(Some("bytes=65530-65539"));
        assert_eq!(ask(&id, later, good.clone()).await, (206, vec![5; 10]));
        range.set(Some("bytes=99999999-"));
        assert_eq!(ask(&id, later, good.clone()).await.0, 416);
        range.set(Some("bytes=0-1,5-6"));
        assert_eq!(ask(&id, later, good).await, (200, audio));
        range.set(None);
        assert_eq!(ask(&id, later - 1, signer.sign(&id, later)).await.0, 403);
        assert_eq!(ask(&id, 5, signer.sign(&id, 5)).await.0, 410);
        assert_eq!(ask("r-0", later, signer.sign("r-0", later)).await.0, 404);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(ask(&id, later, signer.sign(&id, later)).await.0, 404);
    }
}
