//! Flows: reading them, and replacing them whole: checked, staged, swapped; running calls keep what they began with.
use super::super::V1;
use super::super::book::{Book, Route};
use super::super::page::{Page, Paging};
use super::super::problem::{Fault, Kind, Problem};
use super::super::scope::Scope;
use super::super::take::{Asked, Named};
use super::schedules::ScheduleFound;
use crate::call::Program;
use crate::config::Problems;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Media types of flows that are sent.
const MEDIA_TYPES: [&str; 5] = [
    "application/json",
    "application/yaml",
    "application/x-yaml",
    "text/yaml",
    "text/plain",
];

/// Mistakes that are told at most.
const MOST_FAULTS: usize = 200;

/// The flows in force: who has them is not the API's affair.
pub trait FlowShelf: Send + Sync {
    /// All of them, by id.
    fn list(&self) -> Vec<FlowFound>;

    /// The text of a flow in one of its versions.
    fn text(&self, id: &str, version: &str) -> Option<Arc<str>>;

    /// A flow as the program of a call.
    fn program(&self, id: &str) -> Option<Box<dyn Program>>;

    /// The schedules of a flow, as they are now.
    fn schedules(&self, id: &str) -> Option<Vec<ScheduleFound>>;

    /// Sets a schedule by hand; `None`: its hours count again.
    ///
    /// # Errors
    /// There is no such flow or schedule, or no room.
    fn set_schedule(
        &self,
        id: &str,
        schedule: &str,
        by_hand: Option<bool>,
    ) -> Result<ScheduleFound, Problem>;

    /// Checks `text` and puts it in force in the place of `id`. Blocks: files are read and written.
    ///
    /// # Errors
    /// A problem that says why everything is as before.
    fn replace(
        &self,
        id: &str,
        text: &[u8],
        expected: Option<&str>,
        dry_run: bool,
    ) -> Result<FlowFound, Problem>;
}

/// A flow in force.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Flow)]
pub struct FlowFound {
    /// Its name in this API: that of its file.
    pub id: String,
    /// What it calls itself.
    pub name: String,
    /// Its file, or `builtin:` and a name.
    pub source: String,
    /// Which version is in force; also its `ETag`.
    pub version: String,
    /// Menus in it.
    pub menus: u64,
    /// Nodes in it.
    pub nodes: u64,
    /// Whether it can be replaced.
    pub writable: bool,
    /// What is odd but allowed.
    pub warnings: Vec<String>,
    /// Versions that were in force, latest first, the one in force among them.
    pub versions: Vec<FlowVersion>,
}

/// A version of a flow that is or was in force.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FlowVersion {
    /// Names it: a digest of its text.
    pub version: String,
    /// Since when (RFC 3339).
    pub since: String,
    /// Where it came from: `file` or `api`.
    pub by: String,
    /// Octets of text.
    pub octets: u64,
}

#[derive(Debug, Deserialize, IntoParams)]
struct Replacing {
    /// Only check it.
    dry_run: Option<bool>,
}

pub(in super::super) fn routes(book: Book) -> Book {
    let tag = "flows";
    let text = json!({
        "application/json": { "schema": {} },
        "application/yaml": { "schema": { "type": "string" } },
    });
    let sent = json!({
        "application/json": { "schema": { "type": "object" } },
        "text/plain": { "schema": { "type": "string" } },
    });
    book.add(
        Route::get("/flows", "list_flows")
            .says(tag, "Flows in force")
            .scope(Scope::FlowsRead)
            .query::<Paging>()
            .lists::<FlowFound>("Flows, by id"),
        list,
    )
    .add(
        Route::get("/flows/{id}", "read_flow")
            .says(tag, "A flow in force and its versions")
            .scope(Scope::FlowsRead)
            .answers::<FlowFound>(200, "The flow; ETag is its version"),
        read,
    )
    .add(
        Route::get("/flows/{id}/versions/{version}", "read_flow_text")
            .says(tag, "The text of a flow in one of its versions")
            .scope(Scope::FlowsRead)
            .answers_of(200, "The text as it was sent or read", text),
        read_text,
    )
    .add(
        Route::put("/flows/{id}", "replace_flow")
            .says(tag, "Replaces a flow: checked, staged, swapped")
            .more("The body is the whole flow, JSON or YAML as the file's name says. With a mistake nothing changes, and each is told with its place. Calls in progress keep the flow they began with.")
            .scope(Scope::FlowsWrite)
            .query::<Replacing>()
            .header("If-Match", "The version that is to be replaced; otherwise 412.")
            .body_of(sent, true)
            .refuses(&[409, 412])
            .answers::<FlowFound>(200, "The flow that is in force now"),
        replace,
    )
}

async fn list(
    State(v1): State<Arc<V1>>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<FlowFound>>, Problem> {
    paging
        .of(v1.parts.flows.list(), |flow| flow.id.clone())
        .map(Json)
}

async fn read(State(v1): State<Arc<V1>>, Named(id): Named<String>) -> Result<Response, Problem> {
    let found = v1.parts.flows.list().into_iter().find(|flow| flow.id == id);
    found
        .map(tagged)
        .ok_or_else(|| Problem::not_found("flow", &id))
}

fn tagged(flow: FlowFound) -> Response {
    let tag: [(HeaderName, String); 1] = [(header::ETAG, format!("\"{}\"", flow.version))];
    (tag, Json(flow)).into_response()
}

async fn read_text(
    State(v1): State<Arc<V1>>,
    Named((id, version)): Named<(String, String)>,
) -> Result<Response, Problem> {
    let text = v1.parts.flows.text(&id, &version);
    let text = text.ok_or_else(|| Problem::not_found("version of a flow", &version))?;
    let json = text.trim_start().starts_with('{');
    let media = if json {
        "application/json"
    } else {
        "application/yaml"
    };
    Ok(([(header::CONTENT_TYPE, media)], text.to_string()).into_response())
}

async fn replace(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    Asked(asked): Asked<Replacing>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    media_type(&headers)?;
    let expected = expected(&headers)?;
    let flows = v1.parts.flows.clone();
    let dry_run = asked.dry_run.unwrap_or(false);
    let work = tokio::task::spawn_blocking(move || {
        flows.replace(&id, &body, expected.as_deref(), dry_run)
    });
    let replaced = work
        .await
        .map_err(|_| Problem::new(Kind::Internal, "the flow was not read to its end"))?;
    replaced.map(tagged)
}

fn media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media = value
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    let media = media.trim().to_ascii_lowercase();
    match MEDIA_TYPES.contains(&&*media) {
        true => Ok(()),
        false => Err(Problem::new(
            Kind::UnsupportedMediaType,
            format!("a flow is sent as one of {}", MEDIA_TYPES.join(", ")),
        )),
    }
}

/// The version `If-Match` names; `*` is any.
fn expected(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let tag = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    tag.map(|tag| Some(tag.to_owned())).ok_or_else(|| {
        Problem::new(
            Kind::BadParameter,
            "If-Match is one version in quotes, or *",
        )
    })
}

/// Mistakes of a document as a problem.
impl From<Problems> for Problem {
    fn from(problems: Problems) -> Problem {
        let count = problems.list.len();
        let file = problems.file;
        let fault = |problem: crate::config::Problem| Fault {
            path: problem.path,
            message: problem.message,
            line: Some(problem.at.line),
            column: Some(problem.at.column),
            file: Some(file.clone()),
        };
        let errors: Vec<Fault> = problems
            .list
            .into_iter()
            .take(MOST_FAULTS)
            .map(fault)
            .collect();
        let first = errors.first().map_or(String::new(), |first| {
            format!(
                ", first {}:{} {}",
                first.line.unwrap_or(1),
                first.column.unwrap_or(1),
                first.message
            )
        });
        Problem {
            errors,
            ..Problem::new(Kind::Invalid, format!("{count} mistakes{first}"))
        }
    }
}
