//! Conferences in progress, and what is asked of those in them.
use super::super::V1;
use super::super::book::{Book, Route};
use super::super::page::{Page, Paging};
use super::super::problem::Problem;
use super::super::scope::Scope;
use super::super::take::{Asked, Body, Named};
use crate::call::conference::{Attendee, Wish};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// How far levels may be changed, dB.
const GAIN: std::ops::RangeInclusive<f32> = -24.0..=24.0;

/// A conference.
#[derive(Debug, Serialize, ToSchema)]
struct Conference {
    /// Its name.
    name: String,
    /// Who is in it.
    members: Vec<Member>,
}

/// A call in a conference.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConferenceMember)]
struct Member {
    /// The call's id.
    call: String,
    /// Nobody hears it.
    mute: bool,
    /// It hears nobody.
    deaf: bool,
    /// It is elsewhere for a while.
    hold: bool,
    /// How much louder the others hear it, dB.
    gain_in_db: f32,
    /// How much louder it hears the others, dB.
    gain_out_db: f32,
}

/// What is asked of a member; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConferenceMemberChange)]
struct Change {
    /// Nobody is to hear it.
    mute: Option<bool>,
    /// It is to hear nobody.
    deaf: Option<bool>,
    /// It is to be elsewhere for a while.
    hold: Option<bool>,
    /// How much louder the others are to hear it, dB.
    #[schema(minimum = -24, maximum = 24)]
    gain_in_db: Option<f32>,
    /// How much louder it is to hear the others, dB.
    #[schema(minimum = -24, maximum = 24)]
    gain_out_db: Option<f32>,
}

pub(super) fn routes(book: Book) -> Book {
    let tag = "conferences";
    book.add(
        Route::get("/conferences", "list_conferences")
            .says(tag, "Conferences in progress")
            .scope(Scope::ConferencesRead)
            .query::<Paging>()
            .lists::<Conference>("Conferences, by name"),
        list,
    )
    .add(
        Route::get("/conferences/{name}", "read_conference")
            .says(tag, "A conference and who is in it")
            .scope(Scope::ConferencesRead)
            .answers::<Conference>(200, "The conference"),
        read,
    )
    .add(
        Route::delete("/conferences/{name}", "end_conference")
            .says(tag, "Ends a conference for all")
            .scope(Scope::ConferencesWrite)
            .answers_nothing(204, "It ends"),
        end,
    )
    .add(
        Route::patch(
            "/conferences/{name}/members/{call}",
            "change_conference_member",
        )
        .says(tag, "Mutes, deafens, holds a member, or changes its level")
        .scope(Scope::ConferencesWrite)
        .body::<Change>()
        .answers::<Member>(200, "The member as it is to be"),
        change,
    )
    .add(
        Route::delete(
            "/conferences/{name}/members/{call}",
            "remove_conference_member",
        )
        .says(
            tag,
            "Puts a member out of the conference; its call goes on with what comes next",
        )
        .scope(Scope::ConferencesWrite)
        .answers_nothing(204, "It is told to leave"),
        remove,
    )
}

fn all(v1: &V1) -> Vec<Conference> {
    let list = v1.parts.calls.conferences.list().into_iter();
    list.map(|(name, members)| Conference {
        name,
        members: members.iter().map(member).collect(),
    })
    .collect()
}

fn member(of: &Attendee) -> Member {
    let edge = of.wish.edge;
    Member {
        call: of.call.clone(),
        mute: edge.mute,
        deaf: edge.deaf,
        hold: edge.hold,
        gain_in_db: edge.gain_in_db,
        gain_out_db: edge.gain_out_db,
    }
}

async fn list(
    State(v1): State<Arc<V1>>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<Conference>>, Problem> {
    paging.of(all(&v1), |of| of.name.clone()).map(Json)
}

async fn read(
    State(v1): State<Arc<V1>>,
    Named(name): Named<String>,
) -> Result<Json<Conference>, Problem> {
    let found = all(&v1).into_iter().find(|of| of.name == name);
    found
        .map(Json)
        .ok_or_else(|| Problem::not_found("conference", &name))
}

async fn end(State(v1): State<Arc<V1>>, Named(name): Named<String>) -> Result<StatusCode, Problem> {
    match v1.parts.calls.conferences.end(&name) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("conference", &name)),
    }
}

fn wish(v1: &V1, name: &str, call: &str) -> Result<Wish, Problem> {
    let list = v1.parts.calls.conferences.list();
    let (_, members) = list
        .iter()
        .find(|(of, _)| of == name)
        .ok_or_else(|| Problem::not_found("conference", name))?;
    let found = members.iter().find(|member| member.call == call);
    found
        .map(|member| member.wish)
        .ok_or_else(|| Problem::not_found("member", call))
}

fn gain(path: &str, asked: Option<f32>, now: f32) -> Result<f32, Problem> {
    match asked {
        None => Ok(now),
        Some(gain) if GAIN.contains(&gain) => Ok(gain),
        Some(_) => Err(Problem::invalid(path, "is -24 to 24 dB")),
    }
}

async fn change(
    State(v1): State<Arc<V1>>,
    Named((name, call)): Named<(String, String)>,
    Body(asked): Body<Change>,
) -> Result<Json<Member>, Problem> {
    let mut wish = wish(&v1, &name, &call)?;
    let edge = &mut wish.edge;
    edge.gain_in_db = gain("gain_in_db", asked.gain_in_db, edge.gain_in_db)?;
    edge.gain_out_db = gain("gain_out_db", asked.gain_out_db, edge.gain_out_db)?;
    edge.mute = asked.mute.unwrap_or(edge.mute);
    edge.deaf = asked.deaf.unwrap_or(edge.deaf);
    edge.hold = asked.hold.unwrap_or(edge.hold);
    tell(&v1, &name, &call, wish)?;
    Ok(Json(member(&Attendee { call, wish })))
}

async fn remove(
    State(v1): State<Arc<V1>>,
    Named((name, call)): Named<(String, String)>,
) -> Result<StatusCode, Problem> {
    let wish = Wish {
        out: true,
        ..wish(&v1, &name, &call)?
    };
    tell(&v1, &name, &call, wish)?;
    Ok(StatusCode::NO_CONTENT)
}

fn tell(v1: &V1, name: &str, call: &str, wish: Wish) -> Result<(), Problem> {
    match v1.parts.calls.conferences.ask(name, call, wish) {
        true => Ok(()),
        false => Err(Problem::not_found("member", call)),
    }
}
