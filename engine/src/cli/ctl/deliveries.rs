//! `trunkline ctl deliveries`: what waits to be delivered to webhooks.
use super::ask::{Asked, Columns, Paging, get, once, part};
use reqwest::Method;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Deliveries {
    /// Those that wait, the oldest first.
    List {
        /// Of this webhook only.
        #[arg(long)]
        webhook: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One of them, with what is sent.
    Get { id: String },
    /// Try it at once.
    Retry { id: String },
    /// Give it up.
    Delete { id: String },
}

impl Deliveries {
    pub(super) fn asked(&self) -> Asked {
        let path = |id: &str| format!("/webhooks/deliveries/{}", part(id));
        match self {
            Deliveries::List { webhook, paging } => paging.list(
                "/webhooks/deliveries",
                &[("webhook", webhook.clone())],
                &[
                    "id", "webhook", "event", "call", "created", "attempts", "due",
                ],
            ),
            Deliveries::Get { id } => get(path(id), Columns::All),
            Deliveries::Retry { id } => once(
                Method::POST,
                format!("{}/retry", path(id)),
                None,
                Columns::All,
            ),
            Deliveries::Delete { id } => once(Method::DELETE, path(id), None, Columns::All),
        }
    }
}
