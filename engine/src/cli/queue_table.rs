//! The queues that are in force: those of the configuration, and those that flows bring with them.
use super::routes::Flows;
use crate::config::{Agent, Config, Greeting, Queue, QueueMember, VoicemailBox};
use crate::media::PromptLibrary;
use std::collections::BTreeSet;

/// All queues and agents. A queue of the configuration comes before one of a flow that has its name. Members of a flow's queue who are
/// users of endpoints are agents of the same name, unless the configuration has such an agent.
pub(super) fn queues_and_agents(config: &Config, flows: &Flows) -> (Vec<Queue>, Vec<Agent>) {
    let (mut queues, mut agents) = (config.queues.clone(), config.agents.clone());
    let mut flows: Vec<_> = flows.iter().collect();
    flows.sort_by_key(|(name, _)| (*name).clone());
    for own in flows.iter().flat_map(|(_, kept)| &kept.flow.queues) {
        if queues.iter().any(|queue| queue.name == own.settings.name) {
            continue;
        }
        let mut queue = own.settings.clone();
        for user in &own.users {
            if !agents.iter().any(|agent| agent.id == user.agent) {
                let Some(endpoint) = config.endpoint_called(&user.agent) else {
                    continue;
                };
                agents.push(Agent::at_endpoint(&user.agent, &endpoint.user));
            }
            queue.members.push(QueueMember::clone(user));
        }
        queues.push(queue);
    }
    (queues, agents)
}

/// What is odd: flows that name queues, agents and voicemail boxes that are not there.
pub(super) fn warnings(config: &Config, flows: &Flows) -> Vec<String> {
    let (queues, agents) = queues_and_agents(config, flows);
    let queues = queues.iter().map(|queue| queue.name.clone());
    let agents = agents.iter().map(|agent| format!("agent:{}", agent.id));
    let known: BTreeSet<String> = queues.chain(agents).collect();
    let mut warnings = Vec::new();
    for (name, kept) in flows {
        for wanted in kept.flow.waits_for().difference(&known) {
            let what = match wanted.strip_prefix("agent:") {
                Some(agent) => format!("no [[agent]] {agent:?}"),
                None => format!("no [[queue]] {wanted:?}"),
            };
            warnings.push(format!(
                "{name}: there is {what}: a call that is to wait there goes on as after \"fail\""
            ));
        }
    }
    for (name, kept) in flows {
        let known = |wanted: &String| {
            let called = |each: &VoicemailBox| {
                each.name == *wanted || each.number.as_deref() == Some(wanted.as_str())
            };
            config.voicemail.iter().any(called)
        };
        for wanted in kept.flow.boxes().into_iter().filter(|name| !known(name)) {
            warnings.push(format!(
                "{name}: there is no [[voicemail]] {wanted:?}: no message can be left there"
            ));
        }
    }
    warnings.sort();
    warnings
}

/// Prompts of queues and greetings of voicemail boxes that cannot be loaded, a line each.
pub(super) fn missing_prompts(config: &Config, prompts: &PromptLibrary) -> Vec<String> {
    let mut missing = Vec::new();
    for queue in &config.queues {
        let keys = [&queue.music, &queue.whisper, &queue.announce.comfort];
        for key in keys.into_iter().flatten() {
            if let Err(error) = prompts.load(key) {
                let (file, line) = (&config.source, queue.at.line);
                missing.push(format!("{file}:{line} [[queue]] {:?}: {error}", queue.name));
            }
        }
    }
    for (mailbox, greeting) in config
        .voicemail
        .iter()
        .flat_map(|each| [(each, &each.greeting), (each, &each.greeting_busy)])
    {
        if let Greeting::File(key) = greeting
            && let Err(error) = prompts.load(key)
        {
            let (file, line) = (&config.source, mailbox.at.line);
            missing.push(format!(
                "{file}:{line} [[voicemail]] {:?}: {error}",
                mailbox.name
            ));
        }
    }
    missing
}
