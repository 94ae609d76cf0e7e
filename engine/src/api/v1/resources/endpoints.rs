//! Phones: who may register, and who is registered.
use super::super::V1;
use super::super::book::{Book, Route};
use super::super::page::{Page, Paging};
use super::super::problem::Problem;
use super::super::scope::Scope;
use super::super::take::{Asked, Named};
use crate::config;
use crate::registrar::PhoneStatus;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A user with a phone. Its password is never shown.
#[derive(Debug, Serialize, ToSchema)]
struct Endpoint {
    /// The user.
    user: String,
    /// A second name, usually of digits.
    extension: Option<String>,
    /// Display name.
    name: Option<String>,
    /// Whether calls are refused.
    dnd: bool,
    /// Calls at the same time; null: any number.
    max_calls: Option<u64>,
    /// Phones registered now.
    registrations: Vec<Registration>,
}

/// A phone that is registered.
#[derive(Debug, Serialize, ToSchema)]
struct Registration {
    /// The user.
    user: String,
    /// The contact as registered.
    contact: String,
    /// What carries its messages: `udp`, `tcp`, `tls`, `ws` or `wss`.
    transport: String,
    /// Where they come from.
    remote: String,
    /// What it calls itself.
    user_agent: Option<String>,
    /// For how many more seconds it is registered.
    valid_for_s: u64,
}

pub(super) fn routes(book: Book) -> Book {
    book.add(
        Route::get("/endpoints", "list_endpoints")
            .says("server", "Users with phones")
            .scope(Scope::StatusRead)
            .query::<Paging>()
            .lists::<Endpoint>("Users, by name"),
        list,
    )
    .add(
        Route::get("/endpoints/{user}", "read_endpoint")
            .says("server", "A user and the phones registered")
            .more("The user or the extension.")
            .scope(Scope::StatusRead)
            .answers::<Endpoint>(200, "The user"),
        read,
    )
    .add(
        Route::get("/registrations", "list_registrations")
            .says("server", "Phones that are registered")
            .scope(Scope::StatusRead)
            .query::<Paging>()
            .lists::<Registration>("Phones, by user and contact"),
        registrations,
    )
}

async fn list(
    State(v1): State<Arc<V1>>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<Endpoint>>, Problem> {
    let (config, phones) = (v1.parts.config.load(), v1.parts.phones.status());
    let mut all: Vec<_> = config.endpoints.iter().collect();
    all.sort_by(|a, b| a.user.cmp(&b.user));
    let page = paging.of(all, |endpoint| endpoint.user.clone())?;
    Ok(Json(Page {
        items: page
            .items
            .into_iter()
            .map(|endpoint| shown(endpoint, &phones))
            .collect(),
        next: page.next,
    }))
}

async fn read(
    State(v1): State<Arc<V1>>,
    Named(name): Named<String>,
) -> Result<Json<Endpoint>, Problem> {
    let config = v1.parts.config.load();
    let found = config.endpoint_called(&name);
    found
        .map(|endpoint| Json(shown(endpoint, &v1.parts.phones.status())))
        .ok_or_else(|| Problem::not_found("endpoint", &name))
}

async fn registrations(
    State(v1): State<Arc<V1>>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<Registration>>, Problem> {
    let mut phones: Vec<Registration> = v1.parts.phones.status().iter().map(registration).collect();
    let key = |phone: &Registration| format!("{}\n{}\n{}", phone.user, phone.contact, phone.remote);
    phones.sort_by_key(key);
    paging.of(phones, key).map(Json)
}

fn shown(endpoint: &config::Endpoint, phones: &[PhoneStatus]) -> Endpoint {
    let own = phones.iter().filter(|phone| phone.user == endpoint.user);
    Endpoint {
        user: endpoint.user.clone(),
        extension: endpoint.extension.clone(),
        name: endpoint.name.clone(),
        dnd: endpoint.dnd,
        max_calls: endpoint.max_calls.map(|most| most as u64),
        registrations: own.map(registration).collect(),
    }
}

fn registration(phone: &PhoneStatus) -> Registration {
    Registration {
        user: phone.user.clone(),
        contact: phone.contact.clone(),
        transport: phone.transport.via_token().to_ascii_lowercase(),
        remote: phone.remote.to_string(),
        user_agent: phone.user_agent.clone(),
        valid_for_s: phone.valid_for.as_secs(),
    }
}
