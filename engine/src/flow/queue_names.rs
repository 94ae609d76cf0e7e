//! Which queues and agents a flow names: so that whoever loads it can say which are not there.
use super::model::{Destination, Flow, Step};
use super::schedule::Rule;
use std::collections::BTreeSet;

impl Flow {
    /// The queues and the agents (`agent:ID`) that it names, but for names that hold variables; its own queues are left out.
    pub fn waits_for(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for node in &self.nodes {
            of_step(&node.step, &mut found);
        }
        let menus = self.menus.iter().flat_map(|menu| menu.destinations());
        let exceptions = self
            .schedules
            .iter()
            .flat_map(|schedule| &schedule.exceptions);
        let exceptions = exceptions.filter_map(|exception| match &exception.rule {
            Rule::To(destination) => Some(destination),
            Rule::Open | Rule::Closed => None,
        });
        for destination in menus.chain(exceptions).chain([&self.error_destination]) {
            of_destination(destination, &mut found);
        }
        for queue in &self.queues {
            found.remove(&queue.settings.name);
            let further = queue.fallbacks.values();
            further.for_each(|destination| of_destination(destination, &mut found));
        }
        found
    }
}

fn of_step(step: &Step, found: &mut BTreeSet<String>) {
    if let Step::Queue(queueing) = step
        && let Some(name) = queueing.name.fixed()
    {
        found.insert(match queueing.alone {
            true => format!("agent:{name}"),
            false => name.to_owned(),
        });
    }
    for destination in step.destinations() {
        of_destination(destination, found);
    }
}

fn of_destination(destination: &Destination, found: &mut BTreeSet<String>) {
    match destination {
        Destination::Sound { then, .. } => of_destination(then, found),
        Destination::Step(step) => of_step(step, found),
        _ => {}
    }
}
