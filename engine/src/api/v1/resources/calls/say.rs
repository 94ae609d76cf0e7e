//! The order to say a text.
use super::super::super::V1;
use super::super::super::book::{Book, Route};
use super::super::super::problem::Problem;
use super::super::super::scope::Scope;
use super::super::super::take::{Body, Named};
use super::orders::{Party, repeat};
use super::{Carried, order};
use crate::call::control::{Order, PlayOrder, When};
use crate::call::{Audio, Manner};
use crate::speech::{MAX_TEXT, Speech};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Longest name of a voice or language.
const MOST_NAME: usize = 64;

/// What is said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SayAsked {
    /// The text.
    #[schema(min_length = 1, max_length = 10_000)]
    text: String,
    /// It is SSML.
    #[serde(default)]
    ssml: bool,
    /// The voice; absent: the language's.
    #[schema(max_length = 64)]
    voice: Option<String>,
    /// Its language, such as `en-GB`; absent: that of the configuration.
    #[schema(max_length = 64)]
    language: Option<String>,
    /// How often, usually once; 0: until something stops it.
    #[schema(maximum = 1000)]
    times: Option<u32>,
    /// To whom.
    #[serde(default)]
    party: Party,
    /// After what plays now, instead of at once.
    #[serde(default)]
    after: bool,
}

pub(super) fn routes(book: Book) -> Book {
    book.add(
        Route::post("/calls/{id}/say", "say_to_call")
            .says("calls", "Says a text")
            .more("Refused with 422 where nothing speaks ([speech]).")
            .scope(Scope::CallsWrite)
            .body::<SayAsked>()
            .answers::<Carried>(200, "It has begun"),
        say,
    )
}

/// A text to be spoken, in the usual voice.
pub(super) fn said(v1: &V1, path: &str, text: String) -> Result<Audio, Problem> {
    speech(v1, path, Speech::plain(text))
}

fn speech(v1: &V1, path: &str, speech: Speech) -> Result<Audio, Problem> {
    if speech.text.trim().is_empty() || speech.text.chars().count() > MAX_TEXT {
        return Err(Problem::invalid(
            path,
            format!("has 1 to {MAX_TEXT} characters"),
        ));
    }
    if v1.parts.calls.speech.is_none() {
        return Err(Problem::invalid(path, "nothing speaks here, see [speech]"));
    }
    Ok(Audio::Speech(Box::new(speech)))
}

async fn say(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    Body(asked): Body<SayAsked>,
) -> Result<Json<Carried>, Problem> {
    for (path, name) in [("voice", &asked.voice), ("language", &asked.language)] {
        if name
            .as_ref()
            .is_some_and(|name| name.chars().count() > MOST_NAME)
        {
            let text = format!("has at most {MOST_NAME} characters");
            return Err(Problem::invalid(path, text));
        }
    }
    let said = Speech {
        ssml: asked.ssml,
        ..Speech::plain(asked.text)
    };
    let said = said.in_voice(asked.language.as_deref(), asked.voice.as_deref());
    let play = PlayOrder {
        audio: vec![speech(&v1, "text", said)?],
        repeat: repeat(asked.times)?,
        manner: Manner::default(),
        side: asked.party.into(),
        when: if asked.after { When::After } else { When::Now },
    };
    order(&v1, id, Order::Play(play)).await
}
