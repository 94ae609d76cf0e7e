//! `trunkline ctl scheduled`: calls that are to be placed later.
use super::ask::{Asked, Columns, Paging, get, once, part};
use reqwest::Method;
use serde_json::json;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Scheduled {
    /// Those that wait, and what became of others.
    List {
        /// Only those in this state.
        #[arg(long, value_parser = ["waiting", "placing", "placed", "missed", "failed"])]
        state: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One of them.
    Get { id: String },
    /// Another time.
    Move {
        id: String,
        /// "2026-12-24T18:30:00+01:00" or "2026-12-24 18:30 Europe/Berlin".
        #[arg(long)]
        at: String,
        /// How many seconds later it may still be placed.
        #[arg(long)]
        late: Option<u32>,
    },
    /// Not at all.
    Cancel { id: String },
}

impl Scheduled {
    pub(super) fn asked(&self) -> Asked {
        let path = |id: &str| format!("/scheduled-calls/{}", part(id));
        match self {
            Scheduled::List { state, paging } => paging.list(
                "/scheduled-calls",
                &[("state", state.clone())],
                &["id", "at", "state", "to", "from", "call", "reason"],
            ),
            Scheduled::Get { id } => get(path(id), Columns::All),
            Scheduled::Move { id, at, late } => {
                let mut body = json!({ "at": at });
                if let Some(late) = late {
                    body["late_s"] = (*late).into();
                }
                once(Method::PATCH, path(id), Some(body), Columns::All)
            }
            Scheduled::Cancel { id } => once(Method::DELETE, path(id), None, Columns::All),
        }
    }
}
