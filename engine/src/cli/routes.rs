//! Which program answers which number: the flows of a configuration, loaded once, with all their prompts.
use super::builtin;
use crate::call::{
    CallInfo, Caller, DialProgram, DialTarget, LegTerms, Program, Refusal, Routed, Routes,
};
use crate::config::{Callers, Config, NumberDestination};
use crate::flow::{Flow, FlowProgram};
use crate::media::PromptLibrary;
use crate::route::terms;
use anyhow::Context;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use trunkline_sip::Origin;

/// The flows behind the numbers of a configuration.
pub(super) struct FlowRoutes {
    config: Arc<Config>,
    flows: HashMap<String, Arc<Flow>>,
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
        Ok((FlowRoutes { config, flows }, warnings))
    }
}

impl Routes for FlowRoutes {
    fn terms(&self, caller: &Caller) -> Option<LegTerms> {
        let (codecs, dtmf, srtp) = match &caller.origin {
            Origin::Peer(name) => {
                let mut trunks = self.config.trunks.iter();
                let trunk = trunks.find(|trunk| trunk.name == **name)?;
                (&trunk.codecs, trunk.dtmf, trunk.srtp)
            }
            Origin::User(name) => {
                let mut endpoints = self.config.endpoints.iter();
                let endpoint = endpoints.find(|endpoint| endpoint.user == **name)?;
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

    fn program(&self, call: &CallInfo, caller: &Caller) -> Result<Routed, Refusal> {
        let matching = self
            .config
            .numbers
            .iter()
            .filter(|number| number.to.matches(&call.to));
        let number = matching
            .max_by_key(|number| number.to.exactness())
            .ok_or_else(|| {
                Refusal::new(
                    404,
                    "no-such-number",
                    format!("no [[number]] for {:?} in {}", call.to, self.config.source),
                )
            })?;
        if !number
            .from
            .iter()
            .any(|callers| admits(callers, &caller.origin))
        {
            let text = format!(
                "[[number]] {} in line {} does not admit this caller; see its from",
                number.to, number.at.line
            );
            return Err(Refusal::new(403, "caller-not-admitted", text));
        }
        Ok(Routed {
            rule: format!("[[number]] line {}", number.at.line),
            program: self.program_of(&number.destination, &call.to)?,
        })
    }
}

impl FlowRoutes {
    fn program_of(
        &self,
        destination: &NumberDestination,
        number: &str,
    ) -> Result<Box<dyn Program>, Refusal> {
        let target = match destination {
            NumberDestination::Flow(source) => {
                let flow = self.flows.get(&source.to_string()).ok_or_else(|| {
                    let text = format!("flow {source} is not loaded");
                    Refusal::new(500, "flow-not-loaded", text)
                })?;
                return Ok(Box::new(FlowProgram::new(flow.clone())));
            }
            NumberDestination::Endpoint(user) => DialTarget::Endpoint(user.clone()),
            NumberDestination::RingGroup(name) => DialTarget::RingGroup(name.clone()),
            NumberDestination::Trunk(trunk) => DialTarget::Trunk {
                trunk: trunk.clone(),
                number: number.to_owned(),
            },
        };
        Ok(Box::new(DialProgram::new(target)))
    }
}

/// Whether a caller of that origin is meant.
fn admits(callers: &Callers, origin: &Origin) -> bool {
    match (callers, origin) {
        (Callers::Anyone, _)
        | (Callers::Stranger, Origin::Stranger)
        | (Callers::AnyTrunk, Origin::Peer(_))
        | (Callers::AnyEndpoint, Origin::User(_)) => true,
        (Callers::Trunk(name), Origin::Peer(peer)) => name == &**peer,
        (Callers::Endpoint(user), Origin::User(known)) => user == &**known,
        _ => false,
    }
}

/// The prompt library over the embedded prompts and the files of this machine.
pub(super) fn library() -> PromptLibrary {
    PromptLibrary::new(Path::new(""), builtin::PROMPTS)
}
