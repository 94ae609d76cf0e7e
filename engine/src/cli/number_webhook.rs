//! Numbers that lead to a web service: their fallback verbs are checked when the configuration is read, and each call gets a program.
use crate::call::{Audio, Program, Verb};
use crate::config::{Config, NumberDestination, NumberWebhook, Problems};
use crate::fetch;
use crate::flow::verbs_json::verbs;
use crate::flow::webhook::{Webhook, WebhookProgram};
use crate::media::PromptLibrary;

/// Every mistake in the fallback verbs of a configuration, and each of their prompts that cannot be loaded.
pub(super) fn mistakes(config: &Config, prompts: &PromptLibrary) -> Vec<String> {
    let mut told = Vec::new();
    for number in &config.numbers {
        let NumberDestination::Webhook(hook) = &number.destination else {
            continue;
        };
        let place = format!("{}:{}:{}", config.source, hook.at.line, hook.at.column);
        let mistakes = match fallback(hook) {
            Err(problems) => problems.lines().collect(),
            Ok(verbs) => missing(&verbs, prompts),
        };
        told.extend(
            mistakes
                .iter()
                .map(|each| format!("{place} fallback: {each}")),
        );
    }
    told
}

/// Numbers whose web service cannot know who asks it.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let unsigned = config
        .numbers
        .iter()
        .filter_map(|number| match &number.destination {
            NumberDestination::Webhook(hook) if hook.secret.is_none() => Some(format!(
                "{}:{}:{} what is posted to {} is not signed: set webhook_secret",
                config.source, number.at.line, number.at.column, hook.url
            )),
            _ => None,
        });
    unsigned.collect()
}

/// What drives a call to this number.
pub(super) fn program(hook: NumberWebhook) -> Box<dyn Program> {
    // Checked when the configuration was read.
    let fallback = fallback(&hook).unwrap_or_default();
    Box::new(WebhookProgram::new(Webhook {
        fallback_url: hook.fallback_url,
        secret: hook.secret,
        timeout_ms: hook.timeout_ms,
        fallback,
        ..Webhook::at(hook.url)
    }))
}

fn fallback(hook: &NumberWebhook) -> Result<Vec<Verb>, Problems> {
    match &hook.fallback {
        Some(text) => verbs("verbs", text.as_bytes()),
        None => Ok(Vec::new()),
    }
}

fn missing(verbs: &[Verb], prompts: &PromptLibrary) -> Vec<String> {
    let audio = verbs.iter().flat_map(|verb| match verb {
        Verb::Play(play) => play.audio.as_slice(),
        Verb::Gather(gather) => &gather.prompts,
        Verb::Listen(listen) => &listen.prompts,
        _ => &[],
    });
    let keys = audio.filter_map(|piece| match piece {
        Audio::Prompt(key) if !fetch::is_url(key) => Some(key),
        _ => None,
    });
    keys.filter_map(|key| prompts.load(key).err())
        .map(|error| error.to_string())
        .collect()
}
