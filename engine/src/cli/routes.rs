//! What answers which call: the router and the flows of a configuration, exchanged as a whole at reload.
use super::builtin;
use crate::call::{
    CallInfo, Caller, DialProgram, DialTarget, LegTerms, Program, Refusal, Routed, Routes, TextTo,
};
use crate::config::{Config, FlowSource, NumberDestination};
use crate::flow::{Aliases, Flow, FlowProgram};
use crate::media::PromptLibrary;
use crate::route::{self, CallerIdentity, Destination, Router, identity, terms};
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use trunkline_sip::{Frame, Origin};

/// Flows by their source.
pub(super) type Flows = HashMap<String, Kept>;

/// A flow in force, and the files it was made from.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) flow: Arc<Flow>,
    pub(super) source: FlowSource,
    /// Directories that it reads.
    pub(super) further: Vec<String>,
}

/// A configuration's routes with everything they need, checked and loaded.
pub(super) struct RouteTable {
    router: Arc<Router>,
    flows: Arc<Flows>,
}

/// All that is wrong with the flows of a configuration, one line each.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub(super) struct BrokenFlows(Vec<String>);

impl RouteTable {
    /// Loads every flow and every prompt it can play; warnings are returned as sentences.
    ///
    /// # Errors
    /// Every mistake in every flow, and each prompt that cannot be loaded.
    pub(super) fn load(
        config: Arc<Config>,
        prompts: &PromptLibrary,
    ) -> Result<(RouteTable, Vec<String>), BrokenFlows> {
        let (mut flows, mut warnings, mut broken) = (HashMap::new(), Vec::new(), Vec::new());
        for number in &config.numbers {
            let NumberDestination::Flow(source) = &number.destination else {
                continue;
            };
            let name = source.to_string();
            if flows.contains_key(&name) {
                continue;
            }
            let flow = load(source, &config.flow.aliases, prompts, &mut warnings)
                .map_err(|lines| broken.extend(lines))
                .ok();
            flows.insert(name, flow);
        }
        if !broken.is_empty() {
            return Err(BrokenFlows(broken));
        }
        let flows = flows
            .into_iter()
            .filter_map(|(name, flow)| Some((name, flow?)))
            .collect();
        let flows = Arc::new(flows);
        let router = Arc::new(Router::new(config));
        Ok((RouteTable { router, flows }, warnings))
    }
}

/// A flow and its prompts, or every mistake in them.
pub(super) fn load(
    source: &FlowSource,
    aliases: &Aliases,
    prompts: &PromptLibrary,
    warnings: &mut Vec<String>,
) -> Result<Kept, Vec<String>> {
    let loaded = Flow::from_source(source, aliases)
        .map_err(|problems| problems.lines().collect::<Vec<_>>())?;
    let missing: Vec<String> = loaded
        .prompt_files
        .iter()
        .filter_map(|file| {
            let error = prompts.load(&file.key).err()?;
            Some(format!(
                "{source}:{}:{} {error}",
                file.at.line, file.at.column
            ))
        })
        .collect();
    if !missing.is_empty() {
        return Err(missing);
    }
    warnings.extend(loaded.warnings);
    Ok(Kept {
        flow: loaded.flow,
        source: source.clone(),
        further: loaded.watched,
    })
}

/// The routes in force. Calls in progress keep the flow they began with when they are exchanged.
#[derive(Clone)]
pub(super) struct LiveRoutes {
    /// Also what the directory of targets goes by.
    pub(super) router: Arc<ArcSwap<Router>>,
    pub(super) flows: Arc<ArcSwap<Flows>>,
}

impl LiveRoutes {
    pub(super) fn new(table: RouteTable) -> LiveRoutes {
        LiveRoutes {
            router: Arc::new(ArcSwap::new(table.router)),
            flows: Arc::new(ArcSwap::new(table.flows)),
        }
    }

    /// New calls go by this table from now on.
    pub(super) fn exchange(&self, table: RouteTable) {
        // Flows first: a number never leads to one that is not there yet.
        self.flows.store(table.flows);
        self.router.store(table.router);
    }

    fn program_of(&self, destination: Destination) -> Result<Box<dyn Program>, Refusal> {
        let target = match destination {
            Destination::Flow(source) => return self.flow(&source),
            Destination::Endpoint(user) => DialTarget::Endpoint(user),
            Destination::RingGroup(name) => DialTarget::RingGroup(name),
            Destination::Trunk { trunk, number } => DialTarget::Trunk { trunk, number },
        };
        Ok(Box::new(DialProgram::new(target)))
    }

    fn flow(&self, source: &FlowSource) -> Result<Box<dyn Program>, Refusal> {
        match self.flows.load().get(&source.to_string()) {
            Some(kept) => Ok(Box::new(FlowProgram::new(kept.flow.clone()))),
            None => Err(Refusal::new(
                500,
                "flow-not-loaded",
                format!("flow {source} is not loaded"),
            )),
        }
    }
}

fn as_routed(caller: &Caller) -> route::Caller<'_> {
    route::Caller {
        origin: &caller.origin,
        from: &caller.identity.number,
        source: caller.source.map(|source| source.ip()),
    }
}

impl Routes for LiveRoutes {
    fn program(&self, call: &CallInfo, caller: &Caller) -> Result<Routed, Refusal> {
        let routed = self.router.load().route(&as_routed(caller), &call.to);
        let destination = routed.outcome?;
        Ok(Routed {
            rule: routed.rule,
            program: self.program_of(destination)?,
        })
    }

    fn text(&self, call: &CallInfo, caller: &Caller) -> Result<TextTo, Refusal> {
        let routed = self.router.load().route(&as_routed(caller), &call.to);
        let rule = routed.rule;
        Ok(match routed.outcome? {
            Destination::Endpoint(user) => TextTo::Phones { user, rule },
            destination => TextTo::Program(Routed {
                rule,
                program: self.program_of(destination)?,
            }),
        })
    }

    fn terms(&self, caller: &Caller) -> Option<LegTerms> {
        let router = self.router.load();
        let config = router.config();
        let (codecs, dtmf, srtp, tones) = match &caller.origin {
            Origin::Peer(name) => {
                let trunk = config.trunk(name)?;
                (&trunk.codecs, trunk.dtmf, trunk.srtp, trunk.tones)
            }
            Origin::User(name) => {
                let endpoint = config.endpoint(name)?;
                let own = config.tones.country;
                (&endpoint.codecs, endpoint.dtmf, endpoint.srtp, own)
            }
            Origin::Stranger => return None,
        };
        Some(LegTerms {
            codecs: terms::encodings(codecs),
            dtmf,
            srtp,
            tones,
        })
    }

    fn identity(&self, origin: &Origin, invite: &Frame<'_>) -> CallerIdentity {
        identity::believed(self.router.load().config(), origin, invite)
    }
}

/// The prompt library over the embedded prompts and the files of this machine.
pub(super) fn library() -> PromptLibrary {
    PromptLibrary::new(Path::new(""), builtin::PROMPTS)
}
