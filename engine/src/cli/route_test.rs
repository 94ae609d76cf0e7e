//! `trunkline route-test FROM TO`: says what would happen to a call and which rule of the file says so, and starts nothing.
use super::configured;
use crate::config::Config;
use crate::route::{Caller, Destination, Router, gate};
use anyhow::{Context, bail};
use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use trunkline_sip::Origin;

/// Arguments of `trunkline route-test`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The caller's number or user.
    from: String,
    /// The called number or user.
    to: String,
    /// The call comes from this address.
    #[arg(long, value_name = "IP")]
    source: Option<IpAddr>,
    /// The caller has authenticated as this endpoint.
    #[arg(long = "as", value_name = "USER", conflicts_with = "trunk")]
    user: Option<String>,
    /// The call comes from this trunk.
    #[arg(long, value_name = "NAME")]
    trunk: Option<String>,
    /// Configuration file; without one the embedded default.
    #[arg(long, short, env = "TRUNKLINE_CONFIG")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = Arc::new(configured(args.config.as_ref())?);
    let told = tell(args, &config)?;
    let mut out = std::io::stdout();
    for line in &told.lines {
        writeln!(out, "{line}")?;
    }
    Ok(match told.goes_through {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

struct Told {
    lines: Vec<String>,
    goes_through: bool,
}

fn tell(args: &Args, config: &Arc<Config>) -> anyhow::Result<Told> {
    let origin = origin(args, config)?;
    let caller = Caller {
        origin: &origin,
        from: &args.from,
        source: args.source,
    };
    let routed = Router::new(config.clone()).explain(&caller, &args.to);
    let mut lines = vec![format!(
        "a call from {:?} to {:?} by {}",
        args.from, args.to, config.source
    )];
    lines.extend(routed.steps.iter().map(|step| format!("  {step}")));
    lines.push(format!("rule: {}", routed.rule));
    lines.push(match &routed.outcome {
        Ok(destination) => format!("goes to: {}", shown(config, destination)),
        Err(refusal) => format!(
            "refused: {} ({}): {}",
            refusal.status, refusal.rule, refusal.text
        ),
    });
    Ok(Told {
        lines,
        goes_through: routed.outcome.is_ok(),
    })
}

/// Who it is, as the gate would know it.
fn origin(args: &Args, config: &Arc<Config>) -> anyhow::Result<Origin> {
    if let Some(user) = &args.user {
        let found = config.endpoint_called(user);
        let endpoint = found
            .with_context(|| format!("there is no [[endpoint]] {user:?} in {}", config.source))?;
        return Ok(Origin::User(endpoint.user.as_str().into()));
    }
    if let Some(name) = &args.trunk {
        if config.trunk(name).is_none() {
            bail!("there is no [[trunk]] {name:?} in {}", config.source);
        }
        return Ok(Origin::Peer(name.as_str().into()));
    }
    let peer = args.source.and_then(|source| gate::peer_at(config, source));
    Ok(peer.map_or(Origin::Stranger, Origin::Peer))
}

fn shown(config: &Config, destination: &Destination) -> String {
    match destination {
        Destination::Flow(source) => format!("flow {source}"),
        Destination::Endpoint(user) => {
            format!("endpoint {user:?}, at every phone it has registered")
        }
        Destination::RingGroup(name) => {
            let members = config
                .ring_group(name)
                .map(|group| group.members.join(", "));
            format!("ring group {name:?} ({})", members.unwrap_or_default())
        }
        Destination::Queue(name) => format!("queue {name:?}"),
        Destination::Agent(service) => format!("the agents' service {:?}", service.name()),
        Destination::Voicemail(name) => format!("voicemail box {name:?}"),
        Destination::VoicemailAccess(None) => "the messages of the phone's own box".to_owned(),
        Destination::VoicemailAccess(Some(name)) => {
            format!("the messages of voicemail box {name:?}")
        }
        Destination::Webhook(hook) => format!("the webhook {}", hook.url),
        Destination::Trunk { trunk, number } => format!("{number:?} over trunk {trunk:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    const OFFICE: &str = r#"
[[trunk]]
name = "carrier"
target = "sip:192.0.2.1"
acl = ["192.0.2.0/24"]
[[endpoint]]
user = "alice"
password = "a"
extension = "201"
[[number]]
to = "100"
endpoint = "alice"
[[number]]
to = "+*"
trunk = "carrier"
"#;

    fn told(words: &[&str]) -> anyhow::Result<(bool, String)> {
        let line = Line::parse_from([&["route-test"], words].concat());
        let config = Arc::new(Config::from_str("office.toml", OFFICE)?);
        let told = tell(&line.args, &config)?;
        Ok((told.goes_through, told.lines.join("\n")))
    }

    #[test]
    fn it_says_what_happens_and_which_line_says_so() {
        for (words, through, last) in [
            (
                &["1", "100"][..],
                false,
                "refused: 404 (no-such-number): no [[number]] for \"100\" admits strangers in office.toml",
            ),
            (
                &["1", "100", "--source", "192.0.2.7"],
                true,
                "goes to: endpoint \"alice\", at every phone it has registered",
            ),
            (
                &["1", "100", "--trunk", "carrier"],
                true,
                "goes to: endpoint \"alice\", at every phone it has registered",
            ),
            (
                &["1", "+49301", "--as", "201"],
                true,
                "goes to: \"+49301\" over trunk \"carrier\"",
            ),
            (
                &["1", "+49301", "--trunk", "carrier"],
                false,
                "refused: 404 (no-such-number): no [[number]] for \"+49301\" admits trunk \"carrier\" in office.toml",
            ),
        ] {
            let (went, text) = told(words).expect("told");
            assert_eq!((went, text.lines().last()), (through, Some(last)), "{text}");
        }
        let (_, text) = told(&["1", "+49301", "--as", "alice"]).expect("told");
        assert!(
            text.contains("rule: [[number]] \"+*\" in line 14"),
            "{text}"
        );
    }

    #[test]
    fn nobody_is_made_up() {
        for words in [["1", "2", "--as", "bob"], ["1", "2", "--trunk", "bob"]] {
            assert!(
                told(&words)
                    .expect_err("refused")
                    .to_string()
                    .contains("there is no [[")
            );
        }
    }
}
