//! Recordings out of the store's index, their signed addresses, and their deletion.
use super::super::V1;
use super::super::book::{Book, Route};
use super::super::guard::Whose;
use super::super::page::{Page, Paging, cursor};
use super::super::problem::{Kind, Problem};
use super::super::scope::Scope;
use super::super::take::{Asked, MaybeBody, Named};
use super::cdrs::store_failed;
use crate::api::recordings::{media_type, send_file, wanted};
use crate::archive;
use crate::store::{RecordingQuery, RecordingRow, stamp, time_of};
use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use utoipa::{IntoParams, ToSchema};

/// How long an address is good, usually, in seconds.
const USUAL_S: u64 = 3600;
/// How long at most: a week.
const MOST_S: u64 = 7 * 24 * 3600;

/// Which recordings.
#[derive(Debug, Default, Deserialize, IntoParams)]
struct Wanted {
    /// Those of this call.
    #[param(max_length = 256)]
    call: Option<String>,
    /// Most recordings of the answer.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// What `next` of the page before said.
    #[param(max_length = 1024)]
    cursor: Option<String>,
}

/// A recording; docs/recordings.md has more.
#[derive(Debug, Serialize, ToSchema)]
struct Recording {
    /// Its id.
    id: String,
    /// The call it is of.
    call: Option<String>,
    /// The conference it is of.
    conference: Option<String>,
    /// `recording`, `complete`, `interrupted` or `failed`.
    state: String,
    /// `wav` or `opus`.
    format: String,
    /// When it was begun (RFC 3339).
    began: String,
    /// Its length in ms.
    ms: Option<i64>,
    /// Audio that is missing in it, in ms.
    lost_ms: Option<i64>,
    /// Its size.
    octets: Option<i64>,
    /// When it is deleted (RFC 3339); null: not by its age.
    keep_until: Option<String>,
}

/// How long an address is to be good.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddressAsked {
    /// Seconds from now, usually 3600.
    #[schema(minimum = 1, maximum = 604_800)]
    valid_s: Option<u64>,
}

/// A signed address.
#[derive(Debug, Serialize, ToSchema)]
struct RecordingAddress {
    /// Path and query, where the API and `/health` are served. Whoever has it hears the recording, without a token.
    address: String,
    /// Until when (RFC 3339).
    expires: String,
}

pub(super) fn routes(book: Book) -> Book {
    book.add(
        Route::get("/recordings", "list_recordings")
            .says("records", "Recordings, the newest first")
            .scope(Scope::RecordingsRead)
            .query::<Wanted>()
            .refuses(&[503])
            .lists::<Recording>("Recordings"),
        list,
    )
    .add(
        Route::get("/recordings/{id}", "read_recording")
            .says("records", "A recording")
            .scope(Scope::RecordingsRead)
            .refuses(&[503])
            .answers::<Recording>(200, "The recording"),
        read,
    )
    .add(
        Route::get("/recordings/{id}/audio", "hear_recording")
            .says("records", "The file of a recording that is over")
            .scope(Scope::RecordingsRead)
            .refuses(&[409, 503])
            .answers_of(200, "The file", audio_content())
            .answers_of(206, "The part that `Range` asks for", audio_content())
            .answers_nothing(416, "The `Range` lies behind its end"),
        audio,
    )
    .add(
        Route::delete("/recordings/{id}", "delete_recording")
            .says("records", "Deletes a recording and its file")
            .scope(Scope::RecordingsWrite)
            .refuses(&[409, 503])
            .answers_nothing(204, "It is gone"),
        delete,
    )
    .add(
        Route::post("/recordings/{id}/address", "sign_recording")
            .says(
                "records",
                "A signed address under which a recording can be heard for a while",
            )
            .scope(Scope::RecordingsRead)
            .maybe_body::<AddressAsked>()
            .answers::<RecordingAddress>(200, "The address"),
        sign,
    )
}

impl From<RecordingRow> for Recording {
    fn from(of: RecordingRow) -> Recording {
        Recording {
            id: of.id,
            call: of.call,
            conference: of.conference,
            state: of.state,
            format: of.format,
            began: stamp(time_of(of.began_ms)),
            ms: of.ms,
            lost_ms: of.lost_ms,
            octets: of.octets,
            keep_until: of.keep_until_ms.map(|ms| stamp(time_of(ms))),
        }
    }
}

async fn list(
    State(v1): State<Arc<V1>>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<Page<Recording>>, Problem> {
    let paging = Paging {
        limit: wanted.limit,
        cursor: wanted.cursor,
    };
    let (limit, after) = (paging.limit()?, paging.after()?);
    let before = after.map(|number| number.parse::<i64>()).transpose();
    let query = RecordingQuery {
        call: wanted.call,
        before: before
            .map_err(|_| Problem::new(Kind::BadParameter, "the cursor is none of ours"))?,
        limit: limit + 1,
    };
    let found = v1.parts.store.recordings(query).await;
    let mut found = found.map_err(store_failed)?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next = last.map(|last| cursor(&last.number.to_string()));
    let items = found.into_iter().map(Recording::from).collect();
    Ok(Json(Page { items, next }))
}

async fn found(v1: &V1, id: &str) -> Result<RecordingRow, Problem> {
    let found = v1.parts.store.recording(id).await.map_err(store_failed)?;
    found.ok_or_else(|| Problem::not_found("recording", id))
}

async fn read(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
) -> Result<Json<Recording>, Problem> {
    Ok(Json(found(&v1, &id).await?.into()))
}

fn audio_content() -> Value {
    let file = json!({ "schema": { "type": "string", "format": "binary" } });
    json!({ "audio/wav": file, "audio/ogg": file })
}

/// The recording of that id, which is over.
async fn complete(v1: &V1, id: &str) -> Result<RecordingRow, Problem> {
    let row = found(v1, id).await?;
    match row.state == "recording" {
        true => Err(Problem::new(Kind::Conflict, "it is still being recorded")),
        false => Ok(row),
    }
}

async fn audio(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let row = complete(&v1, &id).await?;
    let file = send_file(&row.path, media_type(&row), wanted(&headers)).await;
    file.ok_or_else(|| Problem::not_found("file of the recording", &row.id))
}

async fn delete(
    State(v1): State<Arc<V1>>,
    Extension(Whose(token)): Extension<Whose>,
    Named(id): Named<String>,
) -> Result<StatusCode, Problem> {
    let row = complete(&v1, &id).await?;
    let why = format!("token {} has asked for it", token.id);
    let gone = archive::delete(&v1.parts.store, &row, &why).await;
    match gone.map_err(store_failed)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::new(
            Kind::Unavailable,
            "its file cannot be deleted; the log says why",
        )),
    }
}

async fn sign(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    MaybeBody(asked): MaybeBody<AddressAsked>,
) -> Result<Json<RecordingAddress>, Problem> {
    let valid_s = match asked.valid_s.unwrap_or(USUAL_S) {
        seconds @ 1..=MOST_S => seconds,
        _ => {
            let text = format!("is 1 to {MOST_S} seconds");
            return Err(Problem::invalid("valid_s", text));
        }
    };
    let row = found(&v1, &id).await?;
    let signer = v1.parts.store.recording_signer().await;
    let signer = signer.map_err(store_failed)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let expires = now.unwrap_or_default().as_secs() + valid_s;
    let at = UNIX_EPOCH + std::time::Duration::from_secs(expires);
    Ok(Json(RecordingAddress {
        address: signer.address(&row.id, expires),
        expires: stamp(at),
    }))
}
