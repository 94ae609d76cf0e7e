//! `trunkline ctl queues` and `trunkline ctl agents`.
use super::ask::{Asked, Columns, Paging, get, once, part, target};
use reqwest::Method;
use serde_json::json;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Queues {
    /// Queues and how they stand.
    List(Paging),
    /// A queue.
    Get { name: String },
    /// Who waits, and who talks.
    Callers {
        name: String,
        #[command(flatten)]
        paging: Paging,
    },
    /// Put a caller to another place, or into another queue.
    Move {
        name: String,
        call: String,
        /// From 1.
        #[arg(long, required_unless_present = "queue")]
        position: Option<usize>,
        #[arg(long, conflicts_with = "position")]
        queue: Option<String>,
    },
    /// Send a caller away; its program goes on.
    Remove { name: String, call: String },
    /// Agents who serve it.
    Members {
        name: String,
        #[command(flatten)]
        paging: Paging,
    },
    /// Let an agent serve it.
    Add {
        name: String,
        agent: String,
        /// Those with less are rung first.
        #[arg(long, default_value_t = 0)]
        penalty: u32,
    },
    /// Take an agent out.
    Drop { name: String, agent: String },
}

impl Queues {
    pub(super) fn asked(&self) -> Asked {
        let below = |name: &str, kind: &str, of: &str| {
            format!("/queues/{}/{kind}/{}", part(name), part(of))
        };
        match self {
            Queues::List(paging) => paging.list(
                "/queues",
                &[],
                &[
                    "name",
                    "strategy",
                    "waiting",
                    "talking",
                    "callbacks",
                    "longest_wait_s",
                    "today.answered",
                    "today.service_level",
                    "agents",
                ],
            ),
            Queues::Get { name } => get(format!("/queues/{}", part(name)), Columns::All),
            Queues::Callers { name, paging } => paging.list(
                &format!("/queues/{}/callers", part(name)),
                &[],
                &["position", "call", "number", "stage", "waited_s", "agents"],
            ),
            Queues::Move {
                name,
                call,
                position,
                queue,
            } => {
                let body = match queue {
                    Some(queue) => json!({ "queue": queue }),
                    None => json!({ "position": position }),
                };
                let path = below(name, "callers", call);
                once(Method::PATCH, path, Some(body), Columns::All)
            }
            Queues::Remove { name, call } => once(
                Method::DELETE,
                below(name, "callers", call),
                None,
                Columns::All,
            ),
            Queues::Members { name, paging } => paging.list(
                &format!("/queues/{}/members", part(name)),
                &[],
                &["agent", "penalty", "state", "calls"],
            ),
            Queues::Add {
                name,
                agent,
                penalty,
            } => {
                let body = json!({ "penalty": penalty });
                let path = below(name, "members", agent);
                once(Method::PUT, path, Some(body), Columns::All)
            }
            Queues::Drop { name, agent } => once(
                Method::DELETE,
                below(name, "members", agent),
                None,
                Columns::All,
            ),
        }
    }
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum Agents {
    /// Agents and what they do.
    List(Paging),
    /// An agent.
    Get { id: String },
    /// Log an agent in.
    Login { id: String },
    /// Log an agent out.
    Logout { id: String },
    /// No calls for a while.
    Pause {
        id: String,
        /// A word such as "lunch".
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Calls again.
    Unpause { id: String },
    /// Call a supervisor, who joins the agent's call.
    Supervise {
        id: String,
        /// The supervisor: a number, "endpoint:USER".
        #[arg(long)]
        to: String,
        #[arg(long, value_parser = ["listen", "whisper", "barge"], default_value = "listen")]
        mode: String,
    },
    /// A supervisor listens, whispers or barges in from now on.
    Mode {
        id: String,
        /// The call to the supervisor.
        call: String,
        #[arg(value_parser = ["listen", "whisper", "barge"])]
        mode: String,
    },
}

impl Agents {
    pub(super) fn asked(&self) -> Asked {
        let does = |id: &str, what: &str, body| {
            let path = format!("/agents/{}/{what}", part(id));
            once(Method::POST, path, body, Columns::All)
        };
        match self {
            Agents::List(paging) => paging.list(
                "/agents",
                &[],
                &["id", "name", "state", "reach", "paused", "call", "queues"],
            ),
            Agents::Get { id } => get(format!("/agents/{}", part(id)), Columns::All),
            Agents::Login { id } => does(id, "login", None),
            Agents::Logout { id } => does(id, "logout", None),
            Agents::Pause { id, reason } => does(id, "pause", Some(json!({ "reason": reason }))),
            Agents::Unpause { id } => does(id, "unpause", None),
            Agents::Supervise { id, to, mode } => {
                let body = json!({ "to": target(to), "mode": mode });
                does(id, "supervise", Some(body))
            }
            Agents::Mode { id, call, mode } => once(
                Method::PATCH,
                format!("/agents/{}/supervise/{}", part(id), part(call)),
                Some(json!({ "mode": mode })),
                Columns::All,
            ),
        }
    }
}
