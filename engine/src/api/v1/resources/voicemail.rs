//! Voicemail boxes and their messages.
use super::super::V1;
use super::super::book::{Book, Route};
use super::super::page::{Page, Paging, cursor};
use super::super::problem::{Kind, Problem};
use super::super::scope::Scope;
use super::super::take::{Asked, Body, Named};
use super::cdrs::store_failed;
use crate::api::recordings::{send_file, wanted};
use crate::config::VoicemailBox;
use crate::store::{VoicemailQuery, VoicemailRow, VoicemailState, stamp, time_of};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// A voicemail box.
#[derive(Debug, Serialize, ToSchema)]
struct Mailbox {
    /// Its name.
    name: String,
    /// The number that is keyed in.
    number: Option<String>,
    /// Users of the phones that are its own.
    endpoints: Vec<String>,
    /// Messages that nobody has heard.
    new: u64,
    /// Messages that were heard.
    saved: u64,
    /// Messages it holds at most.
    max_messages: u64,
}

/// Whether a message was heard.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Heard {
    /// Nobody has heard it.
    New,
    /// It was heard.
    Saved,
}

/// A message.
#[derive(Debug, Serialize, ToSchema)]
struct VoiceMessage {
    /// Its id.
    id: String,
    /// The box.
    mailbox: String,
    /// The call that left it.
    call: String,
    /// The caller's number; empty: it is not known.
    from: String,
    /// The caller's name.
    name: Option<String>,
    state: Heard,
    /// When it was left (RFC 3339).
    at: String,
    /// Its length in ms.
    ms: i64,
    /// The size of its file.
    octets: i64,
    /// What was said in it, as far as it was understood; null: it was not written down.
    transcript: Option<String>,
    /// When it is deleted (RFC 3339); null: not by its age.
    keep_until: Option<String>,
}

/// Which messages.
#[derive(Debug, Default, Deserialize, IntoParams)]
struct Wanted {
    /// Those in this state.
    #[param(inline)]
    state: Option<Heard>,
    /// Most messages of the answer.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// What `next` of the page before said.
    #[param(max_length = 1024)]
    cursor: Option<String>,
}

/// What is to be changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MessageChange {
    /// Whether it counts as heard.
    state: Heard,
}

fn wav() -> Value {
    json!({ "audio/wav": { "schema": { "type": "string", "format": "binary" } } })
}

pub(super) fn routes(book: Book) -> Book {
    let tag = "voicemail";
    book.add(
        Route::get("/voicemail", "list_mailboxes")
            .says(tag, "Voicemail boxes and how many messages they have")
            .scope(Scope::VoicemailRead)
            .query::<Paging>()
            .refuses(&[503])
            .lists::<Mailbox>("Boxes, by name"),
        list,
    )
    .add(
        Route::get("/voicemail/{mailbox}", "read_mailbox")
            .says(tag, "A voicemail box, by name or number")
            .scope(Scope::VoicemailRead)
            .refuses(&[503])
            .answers::<Mailbox>(200, "The box"),
        read,
    )
    .add(
        Route::get("/voicemail/{mailbox}/messages", "list_messages")
            .says(tag, "The messages of a box, the newest first")
            .scope(Scope::VoicemailRead)
            .query::<Wanted>()
            .refuses(&[503])
            .lists::<VoiceMessage>("Messages"),
        messages,
    )
    .add(
        Route::get("/voicemail/{mailbox}/messages/{id}", "read_message")
            .says(tag, "A message")
            .scope(Scope::VoicemailRead)
            .refuses(&[503])
            .answers::<VoiceMessage>(200, "The message"),
        message,
    )
    .add(
        Route::get("/voicemail/{mailbox}/messages/{id}/audio", "hear_message")
            .says(tag, "What was said, as a WAV file")
            .more("It does not count as heard by this.")
            .scope(Scope::VoicemailRead)
            .refuses(&[503])
            .answers_of(200, "The file", wav())
            .answers_of(206, "The part that `Range` asks for", wav())
            .answers_nothing(416, "The `Range` lies behind its end"),
        audio,
    )
    .add(
        Route::patch("/voicemail/{mailbox}/messages/{id}", "change_message")
            .says(tag, "A message counts as heard, or as new again")
            .scope(Scope::VoicemailWrite)
            .body::<MessageChange>()
            .refuses(&[503])
            .answers::<VoiceMessage>(200, "The message"),
        change,
    )
    .add(
        Route::delete("/voicemail/{mailbox}/messages/{id}", "delete_message")
            .says(tag, "Deletes a message and its file")
            .scope(Scope::VoicemailWrite)
            .refuses(&[503])
            .answers_nothing(204, "It is gone"),
        delete,
    )
}

impl From<VoicemailRow> for VoiceMessage {
    fn from(of: VoicemailRow) -> VoiceMessage {
        VoiceMessage {
            id: of.id,
            mailbox: of.mailbox,
            call: of.call,
            from: of.caller,
            name: of.caller_name,
            state: match of.state {
                VoicemailState::Saved => Heard::Saved,
                VoicemailState::New | VoicemailState::Recording => Heard::New,
            },
            at: stamp(time_of(of.at_ms)),
            ms: of.ms,
            octets: of.octets,
            transcript: of.transcript,
            keep_until: of.keep_until_ms.map(|ms| stamp(time_of(ms))),
        }
    }
}

async fn shown(v1: &V1, of: &VoicemailBox) -> Result<Mailbox, Problem> {
    let count = v1.parts.calls.voicemail.count(&of.name).await;
    let count = count.map_err(store_failed)?;
    Ok(Mailbox {
        name: of.name.clone(),
        number: of.number.clone(),
        endpoints: of.endpoints.clone(),
        new: count.new,
        saved: count.saved,
        max_messages: of.max_messages as u64,
    })
}

async fn list(
    State(v1): State<Arc<V1>>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<Mailbox>>, Problem> {
    let mut all = v1.parts.calls.voicemail.all().to_vec();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let page = paging.of(all, |of| of.name.clone())?;
    let mut items = Vec::new();
    for of in page.items {
        items.push(shown(&v1, &of).await?);
    }
    let next = page.next;
    Ok(Json(Page { items, next }))
}

fn mailbox(v1: &V1, name: &str) -> Result<Arc<VoicemailBox>, Problem> {
    let found = v1.parts.calls.voicemail.find(name);
    found.ok_or_else(|| Problem::not_found("voicemail box", name))
}

async fn read(
    State(v1): State<Arc<V1>>,
    Named(name): Named<String>,
) -> Result<Json<Mailbox>, Problem> {
    let of = mailbox(&v1, &name)?;
    Ok(Json(shown(&v1, &of).await?))
}

async fn messages(
    State(v1): State<Arc<V1>>,
    Named(name): Named<String>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<Page<VoiceMessage>>, Problem> {
    let of = mailbox(&v1, &name)?;
    let paging = Paging {
        limit: wanted.limit,
        cursor: wanted.cursor,
    };
    let (limit, after) = (paging.limit()?, paging.after()?);
    let before = after.map(|number| number.parse::<i64>()).transpose();
    let query = VoicemailQuery {
        mailbox: Some(of.name.clone()),
        state: wanted.state.map(|state| match state {
            Heard::New => VoicemailState::New,
            Heard::Saved => VoicemailState::Saved,
        }),
        before: before
            .map_err(|_| Problem::new(Kind::BadParameter, "the cursor is none of ours"))?,
        limit: limit + 1,
    };
    let found = v1.parts.store.voicemails(query).await;
    let mut found = found.map_err(store_failed)?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next = last.map(|last| cursor(&last.number.to_string()));
    let items = found.into_iter().map(VoiceMessage::from).collect();
    Ok(Json(Page { items, next }))
}

/// A message of that box.
async fn found(v1: &V1, (name, id): &(String, String)) -> Result<VoicemailRow, Problem> {
    let of = mailbox(v1, name)?;
    let row = v1.parts.store.voicemail(id).await.map_err(store_failed)?;
    let row = row.filter(|row| row.mailbox == of.name && row.state != VoicemailState::Recording);
    row.ok_or_else(|| Problem::not_found("message", id))
}

async fn message(
    State(v1): State<Arc<V1>>,
    Named(which): Named<(String, String)>,
) -> Result<Json<VoiceMessage>, Problem> {
    Ok(Json(found(&v1, &which).await?.into()))
}

async fn audio(
    State(v1): State<Arc<V1>>,
    Named(which): Named<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let row = found(&v1, &which).await?;
    let file = send_file(&row.path, "audio/wav", wanted(&headers)).await;
    file.ok_or_else(|| Problem::not_found("file of the message", &row.id))
}

async fn change(
    State(v1): State<Arc<V1>>,
    Named(which): Named<(String, String)>,
    Body(change): Body<MessageChange>,
) -> Result<Json<VoiceMessage>, Problem> {
    let row = found(&v1, &which).await?;
    let saved = matches!(change.state, Heard::Saved);
    let row = v1.parts.calls.voicemail.mark(row, saved).await;
    Ok(Json(row.map_err(store_failed)?.into()))
}

async fn delete(
    State(v1): State<Arc<V1>>,
    Named(which): Named<(String, String)>,
) -> Result<StatusCode, Problem> {
    let row = found(&v1, &which).await?;
    let deleted = v1.parts.calls.voicemail.delete(row).await;
    deleted.map_err(store_failed)?;
    Ok(StatusCode::NO_CONTENT)
}
