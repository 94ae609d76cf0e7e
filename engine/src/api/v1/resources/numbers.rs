//! Which number leads where.
use super::super::V1;
use super::super::book::{Book, Route};
use super::super::page::{Page, Paging};
use super::super::problem::Problem;
use super::super::scope::Scope;
use super::super::take::Asked;
use crate::config::{self, NumberDestination};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A `[[number]]` of the configuration.
#[derive(Debug, Serialize, ToSchema)]
struct Number {
    /// The called numbers meant: one, a range, a pattern.
    to: String,
    /// Who may call it.
    from: Vec<String>,
    kind: NumberKind,
    /// Its name: a flow's source, a user, a ring group, a trunk, a queue, a service of agents, a voicemail box (`own`: the phone's), a webhook's address.
    destination: String,
    /// The line of the configuration that says so.
    line: u32,
}

/// What a number leads to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum NumberKind {
    Flow,
    Endpoint,
    RingGroup,
    Trunk,
    Queue,
    Agent,
    Voicemail,
    VoicemailAccess,
    Webhook,
}

pub(super) fn routes(book: Book) -> Book {
    book.add(
        Route::get("/numbers", "list_numbers")
            .says("server", "Which number leads where")
            .scope(Scope::StatusRead)
            .query::<Paging>()
            .lists::<Number>("Numbers, in the order of the file"),
        list,
    )
}

async fn list(
    State(v1): State<Arc<V1>>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<Number>>, Problem> {
    let config = v1.parts.config.load();
    // Their lines rise.
    let page = paging.of(&config.numbers, |number| {
        format!("{:010}{:010}", number.at.line, number.at.column)
    })?;
    Ok(Json(Page {
        items: page.items.into_iter().map(shown).collect(),
        next: page.next,
    }))
}

fn shown(number: &config::Number) -> Number {
    let (kind, destination) = match &number.destination {
        NumberDestination::Flow(source) => (NumberKind::Flow, source.to_string()),
        NumberDestination::Endpoint(user) => (NumberKind::Endpoint, user.clone()),
        NumberDestination::RingGroup(name) => (NumberKind::RingGroup, name.clone()),
        NumberDestination::Trunk(name) => (NumberKind::Trunk, name.clone()),
        NumberDestination::Queue(name) => (NumberKind::Queue, name.clone()),
        NumberDestination::Agent(service) => (NumberKind::Agent, service.name().to_owned()),
        NumberDestination::Voicemail(name) => (NumberKind::Voicemail, name.clone()),
        NumberDestination::VoicemailAccess(name) => {
            let name = name.as_deref().unwrap_or("own");
            (NumberKind::VoicemailAccess, name.to_owned())
        }
        NumberDestination::Webhook(hook) => (NumberKind::Webhook, hook.url.clone()),
    };
    Number {
        to: number.to.to_string(),
        from: number.from.iter().map(ToString::to_string).collect(),
        kind,
        destination,
        line: number.at.line,
    }
}
