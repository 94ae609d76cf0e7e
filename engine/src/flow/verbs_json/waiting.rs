//! Verbs of queues: to wait in one, and what agents and supervisors do.
use super::read::{keys, ms, named, short};
use crate::call::{AgentOrder, Enqueue, Verb};
use crate::config::document::field::Table;
use crate::config::{AgentService, Secret};

pub(super) fn enqueue(table: &mut Table<'_>) -> Option<Verb> {
    let (queue, agent) = (table.field("queue"), table.field("agent"));
    let plain = match (queue, agent) {
        (Some(queue), None) => Enqueue::queue(short(&queue)?),
        (None, Some(agent)) => Enqueue::agent(&short(&agent)?),
        _ => {
            table.error("must have queue, or agent, and not both");
            return None;
        }
    };
    let priority = table.field("priority");
    let priority = priority.map_or(Some(0), |field| field.integer(-1000..=1000));
    let (max_wait_ms, ring_ms) = (ms(table, "max_wait_ms", 0), ms(table, "ring_ms", 0));
    let language = table.field("language");
    let language = language.map_or(Some(String::new()), |field| short(&field));
    let exit_keys = keys(table, "exit_keys");
    Some(Verb::Enqueue(Box::new(Enqueue {
        priority: priority? as i32,
        max_wait_ms: max_wait_ms?,
        ring_ms: ring_ms?,
        language: language?,
        exit_keys: exit_keys?,
        ..plain
    })))
}

pub(super) fn agent(table: &mut Table<'_>) -> Option<Verb> {
    let service = table.required("service");
    let service = service.and_then(|field| field.choice(&AgentService::ALL));
    let service = service?;
    // Who supervises is not the agent: it has to be said whom.
    let agent = match service.supervises() {
        true => Some(named(table, "agent")?),
        false => match table.field("agent") {
            Some(field) => Some(short(&field)?),
            None => None,
        },
    };
    let pin = match table.field("pin") {
        Some(field) => Some(Secret::new(short(&field)?)),
        None => None,
    };
    Some(Verb::Agent(AgentOrder {
        service,
        agent,
        pin,
    }))
}
