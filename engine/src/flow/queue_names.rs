//! Which queues, agents and voicemail boxes a flow names: so that whoever loads it can say which are not there.
use super::model::{Destination, Flow, Step};
use super::schedule::Rule;
use std::collections::BTreeSet;

impl Flow {
    /// The queues and the agents (`agent:ID`) that it names, but for names that hold variables; its own queues are left out.
    pub fn waits_for(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.each_step(&mut |step| {
            if let Step::Queue(queueing) = step
                && let Some(name) = queueing.name.fixed()
            {
                found.insert(match queueing.alone {
                    true => format!("agent:{name}"),
                    false => name.to_owned(),
                });
            }
        });
        for queue in &self.queues {
            found.remove(&queue.settings.name);
        }
        found
    }

    /// The voicemail boxes that it names, but for names that hold variables.
    pub fn boxes(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.each_step(&mut |step| {
            if let Step::Voicemail(messaging) = step {
                let name = messaging.mailbox.as_ref().and_then(|name| name.fixed());
                found.extend(name.map(str::to_owned));
            }
        });
        found
    }

    /// Shows every step, those without a name too.
    fn each_step(&self, see: &mut dyn FnMut(&Step)) {
        for node in &self.nodes {
            of_step(&node.step, see);
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
        let queues = self
            .queues
            .iter()
            .flat_map(|queue| queue.fallbacks.values());
        let all = menus.chain(exceptions).chain(queues);
        for destination in all.chain([&self.error_destination]) {
            of_destination(destination, see);
        }
    }
}

fn of_step(step: &Step, see: &mut dyn FnMut(&Step)) {
    see(step);
    for destination in step.destinations() {
        of_destination(destination, see);
    }
}

fn of_destination(destination: &Destination, see: &mut dyn FnMut(&Step)) {
    match destination {
        Destination::Sound { then, .. } => of_destination(then, see),
        Destination::Step(step) => of_step(step, see),
        _ => {}
    }
}
