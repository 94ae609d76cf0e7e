//! `trunkline ctl calls create`: a call to be placed, as the API's body.
use super::ask::target;
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::path::PathBuf;

/// A call to be placed, and what drives it.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("drives").required(true).args(["flow", "verbs", "webhook", "options", "two_party"])))]
pub(super) struct Create {
    /// A number, "endpoint:USER", "ring_group:NAME" or "agent:ID".
    #[arg(long)]
    to: String,
    /// The number shown.
    #[arg(long)]
    from: Option<String>,
    /// How long it rings, in seconds.
    #[arg(long)]
    ring: Option<u32>,
    /// When: "2026-12-24T18:30:00+01:00" or "2026-12-24 18:30 Europe/Berlin"; without it, now.
    #[arg(long)]
    at: Option<String>,
    /// How many seconds later it may still be placed.
    #[arg(long, requires = "at")]
    late: Option<u32>,
    /// A flow.
    #[arg(long)]
    flow: Option<String>,
    /// File of verbs (JSON).
    #[arg(long)]
    verbs: Option<PathBuf>,
    /// A web service that is asked what to do.
    #[arg(long)]
    webhook: Option<String>,
    /// KEY=TEXT:WHAT such as "1=Press 1 for sales:queue=sales"; WHAT is queue=, agent=, number=, endpoint=, ring_group=, voicemail=, repeat or hangup.
    #[arg(long = "option")]
    options: Vec<String>,
    /// Somebody else who is called; they are joined once both have pressed 1.
    #[arg(long)]
    two_party: Option<String>,
    /// What is said first, or to the two: a text, a URL, "builtin:..." or "silence:MS".
    #[arg(long, conflicts_with_all = ["flow", "verbs", "webhook"])]
    say: Option<String>,
    /// Find out first who answered, and what to do then.
    #[arg(long, value_parser = ["hangup", "continue", "wait-for-beep"], conflicts_with = "two_party")]
    machine_detection: Option<String>,
    /// Tags.
    #[arg(long = "tag")]
    tags: Vec<String>,
    /// NAME=VALUE.
    #[arg(long)]
    metadata: Vec<String>,
    /// The trunk that the number is dialled on.
    #[arg(long)]
    trunk: Option<String>,
    /// By the rights of this user with phones.
    #[arg(long = "as")]
    as_endpoint: Option<String>,
}

/// Audio where it looks like audio, else a text.
fn says(word: &str) -> Value {
    let is_audio = ["http://", "https://", "builtin:", "silence:"]
        .iter()
        .any(|begin| word.starts_with(begin));
    match is_audio {
        true => json!({ "audio": [word] }),
        false => json!({ "say": word }),
    }
}

/// A key of the menu.
fn option(word: &str) -> anyhow::Result<Value> {
    let parts = word.split_once('=');
    let parts = parts.and_then(|(key, rest)| Some((key, rest.rsplit_once(':')?)));
    let (key, (text, what)) = parts.with_context(|| format!("\"{word}\" is not KEY=TEXT:WHAT"))?;
    let verb = match what.split_once('=').unwrap_or((what, "")) {
        ("queue", name) if !name.is_empty() => json!({ "enqueue": { "queue": name } }),
        ("agent", id) if !id.is_empty() => json!({ "enqueue": { "agent": id } }),
        ("voicemail", name) if !name.is_empty() => json!({ "voicemail": { "mailbox": name } }),
        ("number", number) if !number.is_empty() => json!({ "dial": { "to": number } }),
        (kind @ ("endpoint" | "ring_group"), name) if !name.is_empty() => {
            json!({ "dial": { "to": { kind: name } } })
        }
        ("hangup", "") => json!({ "hangup": {} }),
        // Without verbs the menu is said again.
        ("repeat", "") => return Ok(json!({ "key": key, "prompt": says(text) })),
        _ => bail!(
            "\"{what}\" is not queue=, agent=, number=, endpoint=, ring_group=, voicemail=, repeat or hangup"
        ),
    };
    Ok(json!({ "key": key, "prompt": says(text), "then": [verb] }))
}

impl Create {
    /// The body.
    pub(super) fn body(&self) -> anyhow::Result<Value> {
        let mut body = json!({ "to": target(&self.to), "from": self.from });
        if let Some(trunk) = &self.trunk {
            body["to"]["trunk"] = trunk.as_str().into();
        }
        if let Some(user) = &self.as_endpoint {
            body["as_endpoint"] = user.as_str().into();
        }
        for entry in &self.metadata {
            let pair = entry.split_once('=');
            let (name, value) = pair.with_context(|| format!("\"{entry}\" is not NAME=VALUE"))?;
            body["metadata"][name] = value.into();
        }
        if let Some(ring) = self.ring {
            body["ring_s"] = ring.into();
        }
        if let Some(on) = &self.machine_detection {
            body["machine_detection"] = on.as_str().into();
        }
        if let Some(at) = &self.at {
            body["at"] = at.as_str().into();
        }
        if let Some(late) = self.late {
            body["late_s"] = late.into();
        }
        if !self.tags.is_empty() {
            body["tags"] = json!(self.tags);
        }
        if let Some(flow) = &self.flow {
            body["flow"] = flow.as_str().into();
        }
        if let Some(file) = &self.verbs {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            body["verbs"] = serde_json::from_str(&text)
                .with_context(|| format!("{} is no JSON", file.display()))?;
        }
        if let Some(url) = &self.webhook {
            body["webhook"] = json!({ "url": url });
        }
        let said = self.say.as_deref().map(says);
        if !self.options.is_empty() {
            let options: Result<Vec<_>, _> = self.options.iter().map(|word| option(word)).collect();
            body["menu"] = json!({ "options": options? });
            if let Some(said) = &said {
                body["menu"]["greeting"] = said.clone();
            }
        }
        if let Some(other) = &self.two_party {
            let said =
                said.context("--two-party wants --say: what both hear until they press 1")?;
            body["two_party"] = json!({ "to": target(other), "prompt": said });
        }
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_keys_with_verbs() {
        for (word, key) in [
            (
                "1=Press 1 for sales:queue=sales",
                json!({"key": "1", "prompt": {"say": "Press 1 for sales"}, "then": [{"enqueue": {"queue": "sales"}}]}),
            ),
            (
                "#=https://x.example/a.wav:endpoint=ann",
                json!({"key": "#", "prompt": {"audio": ["https://x.example/a.wav"]}, "then": [{"dial": {"to": {"endpoint": "ann"}}}]}),
            ),
            (
                "2=silence:100:hangup",
                json!({"key": "2", "prompt": {"audio": ["silence:100"]}, "then": [{"hangup": {}}]}),
            ),
        ] {
            assert_eq!(option(word).expect(word), key);
        }
        let again = option("0=Press 0 to repeat:repeat").expect("good");
        assert_eq!(
            again,
            json!({"key": "0", "prompt": {"say": "Press 0 to repeat"}})
        );
        for word in ["1", "1=text", "1=text:queue", "1=text:dance=tango"] {
            assert!(option(word).is_err(), "{word}");
        }
    }
}
