//! Carriers and how they stand.
use super::super::V1;
use super::super::book::{Book, Route};
use super::super::page::{Page, Paging};
use super::super::problem::Problem;
use super::super::scope::Scope;
use super::super::take::{Asked, Named};
use crate::trunk::{TargetStatus, TrunkStatus};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// A carrier.
#[derive(Debug, Serialize, ToSchema)]
struct Trunk {
    /// Its name in the configuration.
    name: String,
    /// Whether a call out would be tried now, limits aside.
    usable: bool,
    /// Whether it is one that we register with.
    registers: bool,
    /// For how many more seconds the registration is good; null: there is none.
    registered_for_s: Option<u64>,
    /// Where we are registered, or why not.
    registration: Option<String>,
    /// Every address that it has.
    targets: Vec<Target>,
    /// Calls in progress, both ways.
    calls: u64,
    /// As many as there may be; null: any number.
    max_calls: Option<u64>,
    /// Calls out that it took.
    dialled: u64,
    /// Attempts that failed and were followed by another.
    failovers: u64,
    /// Calls refused, by rule.
    refused: BTreeMap<&'static str, u64>,
}

/// An address of a carrier.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrunkTarget)]
struct Target {
    /// As configured.
    uri: String,
    /// What its name stands for now.
    address: String,
    /// `up`, `down` or `unknown`.
    state: &'static str,
    /// For how many more seconds it gets no calls.
    cooling_s: Option<u64>,
}

pub(super) fn routes(book: Book) -> Book {
    book.add(
        Route::get("/trunks", "list_trunks")
            .says("server", "Carriers and how they stand")
            .scope(Scope::StatusRead)
            .query::<Paging>()
            .lists::<Trunk>("Carriers, by name"),
        list,
    )
    .add(
        Route::get("/trunks/{name}", "read_trunk")
            .says("server", "A carrier and how it stands")
            .scope(Scope::StatusRead)
            .answers::<Trunk>(200, "The carrier"),
        read,
    )
}

async fn list(
    State(v1): State<Arc<V1>>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<Trunk>>, Problem> {
    let mut trunks: Vec<Trunk> = v1
        .parts
        .trunks
        .status()
        .into_iter()
        .map(Trunk::from)
        .collect();
    trunks.sort_by(|a, b| a.name.cmp(&b.name));
    paging.of(trunks, |trunk| trunk.name.clone()).map(Json)
}

async fn read(
    State(v1): State<Arc<V1>>,
    Named(name): Named<String>,
) -> Result<Json<Trunk>, Problem> {
    let found = v1
        .parts
        .trunks
        .status()
        .into_iter()
        .find(|trunk| trunk.name == name);
    found
        .map(|trunk| Json(trunk.into()))
        .ok_or_else(|| Problem::not_found("trunk", &name))
}

impl From<TrunkStatus> for Trunk {
    fn from(of: TrunkStatus) -> Trunk {
        Trunk {
            usable: of.usable(),
            registers: of.registration.is_some(),
            registered_for_s: of
                .registration
                .as_ref()
                .and_then(|of| of.valid_for)
                .map(|left| left.as_secs()),
            registration: of.registration.map(|of| of.detail),
            targets: of.targets.into_iter().map(Target::from).collect(),
            calls: of.calls as u64,
            max_calls: of.max_calls.map(|most| most as u64),
            dialled: of.dialled,
            failovers: of.failovers,
            refused: of.refused.into_iter().collect(),
            name: of.name,
        }
    }
}

impl From<TargetStatus> for Target {
    fn from(of: TargetStatus) -> Target {
        Target {
            uri: of.uri,
            address: of.hop,
            state: of.state.as_str(),
            cooling_s: of.cooling.map(|left| left.as_secs()),
        }
    }
}
