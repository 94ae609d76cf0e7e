//! Which program answers which number: the flows of a configuration, loaded once, with all their prompts.
use super::builtin;
use crate::call::{CallInfo, Caller, Program, Refusal, Routes};
use crate::config::{Config, NumberDestination};
use crate::flow::{Flow, FlowProgram};
use crate::media::PromptLibrary;
use anyhow::Context;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

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
    fn program(&self, call: &CallInfo, _: &Caller) -> Result<Box<dyn Program>, Refusal> {
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
        let NumberDestination::Flow(source) = &number.destination else {
            let line = number.at.line;
            return Err(Refusal::new(
                501,
                "destination-not-built",
                format!("[[number]] in line {line} does not lead to a flow"),
            ));
        };
        match self.flows.get(&source.to_string()) {
            Some(flow) => Ok(Box::new(FlowProgram::new(flow.clone()))),
            None => Err(Refusal::new(
                500,
                "flow-not-loaded",
                format!("flow {source} is not loaded"),
            )),
        }
    }
}

/// The prompt library over the embedded prompts and the files of this machine.
pub(super) fn library() -> PromptLibrary {
    PromptLibrary::new(Path::new(""), builtin::PROMPTS)
}
