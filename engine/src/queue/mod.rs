//! Queues and agents: who waits, who serves, and who is rung for whom.
//!
//! [`Core`] is the whole of it as a state machine without clock, socket or chance of its own: what happens to callers and agents goes in,
//! orders for the calls and events for everybody come out. [`Queues`] is the core with a clock, a lock and lines to the calls: what the
//! executor, programs and the control API use (`list_queues`, `login`, `pause`, `add_member`, `remove_caller` and their like).
//! Nothing here knows SIP, audio or flows.
mod agents;
mod callers;
mod core;
mod desk;
mod figures;
mod log;
mod moves;
mod order;
mod pick;
#[cfg(test)]
mod tests;
mod turn;
mod views;

pub use agents::Unknown;
pub use core::{Core, reach_text};
pub use desk::{DueCallback, EventSink, Place, Queues};
pub use figures::Counts;
pub use order::{AgentState, CallerId, Event, Joining, Leaving, Missed, Order, Refused, Rung};
pub use views::{
    AgentStanding, AgentView, CallerView, KeptCallback, KeptMember, MemberView, QueueView,
};
