//! Who waits in a queue, and which agents serve it: seen and changed.
use super::super::V1;
use super::super::book::{Book, Route};
use super::super::page::{Page, Paging};
use super::super::problem::{Kind, Problem};
use super::super::scope::Scope;
use super::super::take::{Asked, Body, MaybeBody, Named};
use crate::call::control::{Order, Parting, Transfer};
use crate::call::{Enqueue, Verb, VerbsProgram};
use crate::queue::{CallerView, MemberView, Unknown};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Highest penalty.
const MOST_PENALTY: u32 = 1000;

/// A caller of a queue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueueCaller)]
struct Caller {
    /// The call's id; of somebody who is to be called back, the one it had.
    call: String,
    /// Its number.
    number: String,
    /// Its place among those who wait, from 1; null: it talks.
    position: Option<u64>,
    /// Who has more comes before those who have less.
    priority: i32,
    /// How long it has waited, or did, in seconds.
    waited_s: u64,
    /// `waiting`, `ringing`, `callback` or `talking`.
    stage: &'static str,
    /// The agent it talks with, or who rings.
    agents: Vec<String>,
}

/// Where a caller is to be put; one of these.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CallerMove {
    /// A place among those who wait, from 1; one beyond the end is the last.
    #[schema(minimum = 1, maximum = 100_000)]
    position: Option<usize>,
    /// Another queue. What drove the call before does not go on; when that wait is over, the call ends.
    #[schema(min_length = 1, max_length = 128)]
    queue: Option<String>,
}

/// An agent who serves a queue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueueMember)]
struct Member {
    /// The agent's id.
    agent: String,
    /// Those with less are rung first.
    penalty: u32,
    /// As of the agent.
    state: &'static str,
    /// Calls of this queue that it took.
    calls: u64,
}

/// How an agent serves a queue.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MemberAsked {
    /// Those with less are rung first.
    #[serde(default)]
    #[schema(maximum = 1000)]
    penalty: u32,
}

pub(super) fn routes(book: Book) -> Book {
    let tag = "queues";
    let caller = "/queues/{name}/callers/{call}";
    let member = "/queues/{name}/members/{agent}";
    book.add(
        Route::get("/queues/{name}/callers", "list_queue_callers")
            .says(tag, "Who waits, in order, then who talks")
            .scope(Scope::QueuesRead)
            .query::<Paging>()
            .lists::<Caller>("Callers"),
        callers,
    )
    .add(
        Route::patch(caller, "move_queue_caller")
            .says(tag, "Puts a caller to another place, or into another queue")
            .scope(Scope::QueuesWrite)
            .body::<CallerMove>()
            .refuses(&[409, 503])
            .answers_nothing(204, "It is there"),
        move_caller,
    )
    .add(
        Route::delete(caller, "remove_queue_caller")
            .says(tag, "Sends a caller away; what drives its call goes on")
            .scope(Scope::QueuesWrite)
            .answers_nothing(204, "It waits no more"),
        remove_caller,
    )
    .add(
        Route::get("/queues/{name}/members", "list_queue_members")
            .says(tag, "Agents who serve a queue")
            .scope(Scope::QueuesRead)
            .query::<Paging>()
            .lists::<Member>("Members, by agent"),
        members,
    )
    .add(
        Route::put(member, "add_queue_member")
            .says(tag, "Lets an agent serve a queue, or changes its penalty")
            .more("Kept until it is changed again, over reload and restart.")
            .scope(Scope::QueuesWrite)
            .maybe_body::<MemberAsked>()
            .answers::<Member>(200, "The member"),
        add_member,
    )
    .add(
        Route::delete(member, "remove_queue_member")
            .says(tag, "Takes an agent out of a queue")
            .more("A call that it has or that rings goes on.")
            .scope(Scope::QueuesWrite)
            .answers_nothing(204, "It serves the queue no more"),
        remove_member,
    )
}

impl From<CallerView> for Caller {
    fn from(of: CallerView) -> Caller {
        Caller {
            call: of.call,
            number: of.number,
            position: of.position.map(|position| position as u64),
            priority: of.priority,
            waited_s: of.waited.as_secs(),
            stage: of.stage,
            agents: of.agents,
        }
    }
}

impl From<MemberView> for Member {
    fn from(of: MemberView) -> Member {
        Member {
            agent: of.agent,
            penalty: of.penalty,
            state: of.state.name(),
            calls: of.calls,
        }
    }
}

fn no_queue(name: &str) -> Problem {
    Problem::not_found("queue", name)
}

async fn callers(
    State(v1): State<Arc<V1>>,
    Named(name): Named<String>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<Caller>>, Problem> {
    let found = v1.parts.calls.queues.list_callers(&name);
    let mut found = found.ok_or_else(|| no_queue(&name))?;
    let key = |view: &CallerView| {
        let position = view.position.unwrap_or(usize::MAX);
        format!("{position:020}{:020}", view.id.number())
    };
    found.sort_by_cached_key(key);
    let page = paging.of(found, key)?;
    Ok(Json(Page {
        items: page.items.into_iter().map(Caller::from).collect(),
        next: page.next,
    }))
}

/// The call of somebody who waits there.
fn waiting(v1: &V1, queue: &str, call: &str) -> Result<(), Problem> {
    let all = v1.parts.calls.queues.list_callers(queue);
    let all = all.ok_or_else(|| no_queue(queue))?;
    match all.iter().find(|caller| caller.call == call) {
        None => Err(Problem::not_found("caller", call)),
        Some(caller) if caller.position.is_none() => {
            Err(Problem::new(Kind::Conflict, "it talks with an agent"))
        }
        Some(_) => Ok(()),
    }
}

async fn move_caller(
    State(v1): State<Arc<V1>>,
    Named((name, call)): Named<(String, String)>,
    Body(asked): Body<CallerMove>,
) -> Result<StatusCode, Problem> {
    let queues = &v1.parts.calls.queues;
    match (asked.position, asked.queue) {
        (Some(position @ 1..=100_000), None) => {
            waiting(&v1, &name, &call)?;
            match queues.move_caller(&name, &call, position) {
                true => Ok(StatusCode::NO_CONTENT),
                false => Err(Problem::not_found("caller", &call)),
            }
        }
        (Some(_), None) => Err(Problem::invalid("position", "is 1 to 100000")),
        (None, Some(queue)) => {
            waiting(&v1, &name, &call)?;
            if queues.settings(&queue).is_none() {
                return Err(Problem::invalid("queue", "is the name of no queue"));
            }
            let wait = vec![Verb::Enqueue(Box::new(Enqueue::queue(queue.clone())))];
            let parting = Parting::program(Box::new(VerbsProgram::new("queue", wait)), queue);
            let transfer = Transfer {
                own: Some(parting),
                peer: None,
            };
            let done = v1.parts.calls.order(&call, Order::Transfer(transfer));
            done.await?;
            Ok(StatusCode::NO_CONTENT)
        }
        _ => Err(Problem::invalid(
            "position",
            "is given, or queue, and not both",
        )),
    }
}

async fn remove_caller(
    State(v1): State<Arc<V1>>,
    Named((name, call)): Named<(String, String)>,
) -> Result<StatusCode, Problem> {
    waiting(&v1, &name, &call)?;
    match v1.parts.calls.queues.remove_caller(&name, &call) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("caller", &call)),
    }
}

async fn members(
    State(v1): State<Arc<V1>>,
    Named(name): Named<String>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<Member>>, Problem> {
    let found = v1.parts.calls.queues.queue(&name);
    let mut all = found.ok_or_else(|| no_queue(&name))?.members;
    all.sort_by(|a, b| a.agent.cmp(&b.agent));
    let all = all.into_iter().map(Member::from);
    paging.of(all, |of| of.agent.clone()).map(Json)
}

async fn add_member(
    State(v1): State<Arc<V1>>,
    Named((name, agent)): Named<(String, String)>,
    MaybeBody(asked): MaybeBody<MemberAsked>,
) -> Result<Json<Member>, Problem> {
    if asked.penalty > MOST_PENALTY {
        return Err(Problem::invalid("penalty", "is at most 1000"));
    }
    let queues = &v1.parts.calls.queues;
    let done = queues.add_member(&name, &agent, asked.penalty);
    done.map_err(|why| unknown(why, &name, &agent))?;
    let found = queues
        .queue(&name)
        .into_iter()
        .flat_map(|queue| queue.members);
    let found = found.into_iter().find(|member| member.agent == agent);
    found
        .map(|member| Json(member.into()))
        .ok_or_else(|| no_queue(&name))
}

async fn remove_member(
    State(v1): State<Arc<V1>>,
    Named((name, agent)): Named<(String, String)>,
) -> Result<StatusCode, Problem> {
    let done = v1.parts.calls.queues.remove_member(&name, &agent);
    done.map_err(|why| unknown(why, &name, &agent))?;
    Ok(StatusCode::NO_CONTENT)
}

fn unknown(why: Unknown, queue: &str, agent: &str) -> Problem {
    match why {
        Unknown::Queue => no_queue(queue),
        _ => Problem::not_found("agent", agent),
    }
}
