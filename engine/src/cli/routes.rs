//! Which program answers which number: the flows of a configuration, loaded once, with all their prompts.
use super::builtin;
use crate::call::{CallInfo, Caller, DialProgram, DialTarget, LegTerms, Refusal, Routed, Routes};
use crate::config::{Config, NumberDestination};
use crate::flow::{Flow, FlowProgram};
use crate::media::PromptLibrary;
use crate::route::identity::believed;
use crate::route::{self, CallerIdentity, Destination, Router, terms};
use anyhow::Context;
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use trunkline_sip::{Frame, Origin};

/// Flows by their source.
type Flows = HashMap<String, Arc<Flow>>;

/// The numbers of a configuration, and the flows behind them.
pub(super) struct FlowRoutes {
    pub(super) router: Arc<Router>,
    pub(super) flows: Arc<Flows>,
}

/// The numbers in force, for calls. Both parts are exchanged when the configuration is.
pub(super) struct NumberRoutes {
    pub(super) router: Arc<ArcSwap<Router>>,
    pub(super) flows: Arc<ArcSwap<Flows>>,
}

impl FlowRoutes {
    /// Loads every flow and every prompt it can play; warnings are returned as sentences.
    pub(super) fn load(
        config: Arc<Config>,
        prompts: &PromptLibrary,
    ) -> anyhow::Result<(FlowRoutes, Vec<String>)> {
        let (mut flows, mut warnings) = (HashMap::new(), Vec::new());
        for number in &config.numbers {
            let NumberDestination::Flow(source) = &number.destination else {
                continue;
            };
            let name = source.to_string();
            if flows.contains_key(&name) {
                continue;
            }
            let loaded = Flow::from_source(source)?;
            for file in &loaded.prompt_files {
                prompts
                    .load(&file.key)
                    .with_context(|| format!("{name}:{}:{}", file.at.line, file.at.column))?;
            }
            warnings.extend(loaded.warnings);
            flows.insert(name, loaded.flow);
        }
        let router = Arc::new(Router::new(config));
        let flows = Arc::new(flows);
        Ok((FlowRoutes { router, flows }, warnings))
    }
}

impl Routes for NumberRoutes {
    fn program(&self, call: &CallInfo, caller: &Caller) -> Result<Routed, Refusal> {
        let from = route::Caller {
            origin: &caller.origin,
            from: &caller.identity.number,
            source: caller.source.map(|source| source.ip()),
        };
        let routed = self.router.load().route(&from, &call.to);
        let target = match routed.outcome? {
            Destination::Flow(source) => {
                let flows = self.flows.load();
                let flow = flows.get(&source.to_string()).ok_or_else(|| {
                    let text = format!("flow {source} is not loaded");
                    Refusal::new(500, "flow-not-loaded", text)
                })?;
                return Ok(Routed {
                    rule: routed.rule,
                    program: Box::new(FlowProgram::new(flow.clone())),
                });
            }
            Destination::Endpoint(user) => DialTarget::Endpoint(user),
            Destination::RingGroup(name) => DialTarget::RingGroup(name),
            Destination::Trunk { trunk, number } => DialTarget::Trunk { trunk, number },
        };
        Ok(Routed {
            rule: routed.rule,
            program: Box::new(DialProgram::new(target)),
        })
    }

    fn identity(&self, origin: &Origin, invite: &Frame<'_>) -> CallerIdentity {
        believed(self.router.load().config(), origin, invite)
    }

    fn terms(&self, caller: &Caller) -> Option<LegTerms> {
        let router = self.router.load();
        let config = router.config();
        let (codecs, dtmf, srtp) = match &caller.origin {
            Origin::Peer(name) => {
                let trunk = config.trunk(name)?;
                (&trunk.codecs, trunk.dtmf, trunk.srtp)
            }
            Origin::User(name) => {
                let endpoint = config.endpoint(name)?;
                (&endpoint.codecs, endpoint.dtmf, endpoint.srtp)
            }
            Origin::Stranger => return None,
        };
        Some(LegTerms {
            codecs: terms::encodings(codecs),
            dtmf,
            srtp,
        })
    }
}

/// The prompt library over the embedded prompts and the files of this machine.
pub(super) fn library() -> PromptLibrary {
    PromptLibrary::new(Path::new(""), builtin::PROMPTS)
}
