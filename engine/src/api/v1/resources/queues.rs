//! Queues and agents: how they stand, and what agents do.
use super::super::V1;
use super::super::book::{Book, Route};
use super::super::guard::Whose;
use super::super::page::{Page, Paging};
use super::super::problem::{Kind, Problem};
use super::super::scope::Scope;
use super::super::take::{Asked, Body, MaybeBody, Named};
use super::calls::orders::Target;
use super::figures::{AgentFigures, QueueFigures};
use crate::call::control::Order;
use crate::call::{AgentProgram, Originate};
use crate::config::AgentService;
use crate::queue::{AgentState, AgentView, QueueView};
use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A queue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Queue)]
struct QueueShown {
    /// Its name.
    name: String,
    /// Who rings.
    strategy: &'static str,
    /// Callers who wait.
    waiting: u64,
    /// Callers who are to be called back.
    callbacks: u64,
    /// Callers who talk with an agent.
    talking: u64,
    /// How long the first of them waits, in seconds.
    longest_wait_s: Option<u64>,
    /// How long a new one would wait, in seconds.
    estimated_hold_s: Option<u64>,
    /// Its agents.
    agents: Vec<String>,
    /// An answer within this counts as good service, in seconds.
    service_level_s: u64,
    /// Since midnight.
    today: QueueFigures,
    /// In the last sixty minutes.
    hour: QueueFigures,
}

/// An agent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Agent)]
struct AgentShown {
    /// Its id.
    id: String,
    /// Display name.
    name: Option<String>,
    /// Where it is reached.
    reach: String,
    /// `logged-out`, `free`, `paused`, `ringing`, `talking`, `wrap-up`, `busy` or `unavailable`.
    state: &'static str,
    /// Whether it is logged in.
    logged_in: bool,
    /// Why it pauses; null: it does not.
    paused: Option<String>,
    /// The call it has.
    call: Option<String>,
    /// Its queues.
    queues: Vec<String>,
    /// Since midnight.
    today: AgentFigures,
    /// In the last sixty minutes.
    hour: AgentFigures,
}

/// Why an agent pauses.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PauseAsked {
    /// A word such as `lunch`.
    #[serde(default)]
    #[schema(max_length = 64)]
    reason: String,
}

/// Who supervises, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SuperviseAsked {
    /// The supervisor.
    to: Target,
    /// How it begins.
    #[serde(default)]
    mode: Mode,
}

/// How a supervisor is to be heard.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SupervisionChange {
    /// From now on.
    mode: Mode,
}

/// What a supervisor does.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SupervisionMode)]
enum Mode {
    /// Hears both.
    #[default]
    Listen,
    /// Is heard by the agent.
    Whisper,
    /// Is heard by both.
    Barge,
}

/// A call to a supervisor.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Supervision)]
struct Supervising {
    /// Its id; hanging it up ends the supervision.
    call: String,
    /// The agent's call.
    agent_call: Option<String>,
}

pub(super) fn routes(book: Book) -> Book {
    let read = |path, id, says| {
        Route::get(path, id)
            .says("queues", says)
            .scope(Scope::QueuesRead)
    };
    let does = |path, id, says| {
        let route = Route::post(path, id).says("queues", says);
        route
            .scope(Scope::QueuesWrite)
            .answers::<AgentShown>(200, "The agent")
    };
    book.add(
        read("/queues", "list_queues", "Queues and how they stand")
            .query::<Paging>()
            .lists::<QueueShown>("Queues, by name"),
        list,
    )
    .add(
        read("/queues/{name}", "read_queue", "A queue and how it stands")
            .answers::<QueueShown>(200, "The queue"),
        queue,
    )
    .add(
        read("/agents", "list_agents", "Agents and what they do")
            .query::<Paging>()
            .lists::<AgentShown>("Agents, by id"),
        agents,
    )
    .add(
        read("/agents/{id}", "read_agent", "An agent and what it does")
            .answers::<AgentShown>(200, "The agent"),
        agent,
    )
    .add(
        Route::post("/agents/{id}/supervise", "supervise_agent")
            .says("queues", "Calls a supervisor, who joins the call that an agent has")
            .more("The supervisor presses 1 to listen, 2 to whisper, 3 to barge in, any other key to leave. A number as `to` needs calls:write, too.")
            .scope(Scope::QueuesWrite)
            .body::<SuperviseAsked>()
            .answers::<Supervising>(200, "The supervisor's phone rings"),
        supervise,
    )
    .add(
        Route::patch("/agents/{id}/supervise/{call}", "change_supervision")
            .says("queues", "Lets a supervisor listen, whisper or barge in from now on")
            .more("`call` is the call to the supervisor.")
            .scope(Scope::QueuesWrite)
            .body::<SupervisionChange>()
            .refuses(&[409, 429, 503])
            .answers::<Supervising>(200, "It is so"),
        change_supervision,
    )
    .add(
        does("/agents/{id}/login", "log_in_agent", "Logs an agent in"),
        login,
    )
    .add(
        does("/agents/{id}/logout", "log_out_agent", "Logs an agent out"),
        logout,
    )
    .add(
        does(
            "/agents/{id}/pause",
            "pause_agent",
            "An agent gets no calls for a while",
        )
        .maybe_body::<PauseAsked>(),
        pause,
    )
    .add(
        does(
            "/agents/{id}/unpause",
            "unpause_agent",
            "An agent gets calls again",
        ),
        unpause,
    )
}

async fn list(
    State(v1): State<Arc<V1>>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<QueueShown>>, Problem> {
    let mut all: Vec<QueueShown> = v1
        .parts
        .calls
        .queues
        .list_queues()
        .into_iter()
        .map(QueueShown::from)
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    paging.of(all, |of| of.name.clone()).map(Json)
}

async fn queue(
    State(v1): State<Arc<V1>>,
    Named(name): Named<String>,
) -> Result<Json<QueueShown>, Problem> {
    let found = v1.parts.calls.queues.queue(&name);
    found
        .map(|of| Json(of.into()))
        .ok_or_else(|| Problem::not_found("queue", &name))
}

async fn agents(
    State(v1): State<Arc<V1>>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<AgentShown>>, Problem> {
    let mut all: Vec<AgentShown> = v1
        .parts
        .calls
        .queues
        .list_agents()
        .into_iter()
        .map(AgentShown::from)
        .collect();
    all.sort_by(|a, b| a.id.cmp(&b.id));
    paging.of(all, |of| of.id.clone()).map(Json)
}

async fn agent(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
) -> Result<Json<AgentShown>, Problem> {
    shown(&v1, &id)
}

fn shown(v1: &V1, id: &str) -> Result<Json<AgentShown>, Problem> {
    let found = v1.parts.calls.queues.agent(id);
    found
        .map(|of| Json(of.into()))
        .ok_or_else(|| Problem::not_found("agent", id))
}

async fn login(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
) -> Result<Json<AgentShown>, Problem> {
    let done = v1.parts.calls.queues.login(&id);
    done.map_err(|_| Problem::not_found("agent", &id))?;
    shown(&v1, &id)
}

async fn logout(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
) -> Result<Json<AgentShown>, Problem> {
    let done = v1.parts.calls.queues.logout(&id);
    done.map_err(|_| Problem::not_found("agent", &id))?;
    shown(&v1, &id)
}

async fn pause(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    MaybeBody(asked): MaybeBody<PauseAsked>,
) -> Result<Json<AgentShown>, Problem> {
    if asked.reason.chars().count() > 64 {
        return Err(Problem::invalid("reason", "has at most 64 characters"));
    }
    let done = v1.parts.calls.queues.pause(&id, &asked.reason);
    done.map_err(|_| Problem::not_found("agent", &id))?;
    shown(&v1, &id)
}

async fn unpause(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
) -> Result<Json<AgentShown>, Problem> {
    let done = v1.parts.calls.queues.unpause(&id);
    done.map_err(|_| Problem::not_found("agent", &id))?;
    shown(&v1, &id)
}

async fn supervise(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    Extension(Whose(token)): Extension<Whose>,
    Body(asked): Body<SuperviseAsked>,
) -> Result<Json<Supervising>, Problem> {
    if asked.to.is_number() && !Scope::CallsWrite.is_in(&token.scopes) {
        let detail = format!(
            "to call a number the token needs the scope {}",
            Scope::CallsWrite
        );
        return Err(Problem::new(Kind::ScopeMissing, detail));
    }
    let calls = &v1.parts.calls;
    let agent = calls.queues.agent(&id);
    let agent = agent.ok_or_else(|| Problem::not_found("agent", &id))?;
    if agent.state != AgentState::Talking {
        return Err(Problem::new(Kind::Conflict, "the agent has no call now"));
    }
    let to = asked.to.read(&v1, "to")?;
    let program = Box::new(AgentProgram::of(asked.mode.into(), &id));
    let placed = calls.originate(Originate::to(to, program)).await?;
    Ok(Json(Supervising {
        call: placed.id,
        agent_call: agent.call,
    }))
}

async fn change_supervision(
    State(v1): State<Arc<V1>>,
    Named((id, call)): Named<(String, String)>,
    Body(asked): Body<SupervisionChange>,
) -> Result<Json<Supervising>, Problem> {
    let agent_call = shown(&v1, &id)?.0.call;
    let order = Order::Supervise(id, asked.mode.into());
    v1.parts.calls.order(&call, order).await?;
    Ok(Json(Supervising { call, agent_call }))
}

impl From<Mode> for AgentService {
    fn from(mode: Mode) -> AgentService {
        match mode {
            Mode::Listen => AgentService::Listen,
            Mode::Whisper => AgentService::Whisper,
            Mode::Barge => AgentService::Barge,
        }
    }
}

impl From<QueueView> for QueueShown {
    fn from(of: QueueView) -> QueueShown {
        QueueShown {
            name: of.name,
            strategy: of.strategy,
            waiting: of.waiting as u64,
            callbacks: of.callbacks as u64,
            talking: of.talking as u64,
            longest_wait_s: of.longest_wait.map(|wait| wait.as_secs()),
            estimated_hold_s: of.estimated_hold.map(|wait| wait.as_secs()),
            agents: of.members.into_iter().map(|member| member.agent).collect(),
            service_level_s: of.service_level.as_secs(),
            today: of.today.into(),
            hour: of.hour.into(),
        }
    }
}

impl From<AgentView> for AgentShown {
    fn from(of: AgentView) -> AgentShown {
        AgentShown {
            id: of.id,
            name: of.name,
            reach: of.reach,
            state: of.state.name(),
            logged_in: of.logged_in,
            paused: of.paused,
            call: of.call,
            queues: of.queues,
            today: of.today.into(),
            hour: of.hour.into(),
        }
    }
}
