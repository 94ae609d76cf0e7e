//! Which program answers which number: the flows of a configuration, loaded once, with all their prompts.
use super::builtin;
use crate::call::{CallInfo, Program, Refusal, Routes};
use crate::config::Config;
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
            let name = number.flow.to_string();
            if flows.contains_key(&name) {
                continue;
            }
            let loaded = Flow::from_source(&number.flow)?;
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
    fn program(&self, call: &CallInfo) -> Result<Box<dyn Program>, Refusal> {
        let number = self.config.number(&call.to).ok_or_else(|| {
            Refusal::new(
                404,
                "no-such-number",
                format!("no [[number]] for {:?} in {}", call.to, self.config.source),
            )
        })?;
        match self.flows.get(&number.flow.to_string()) {
            Some(flow) => Ok(Box::new(FlowProgram::new(flow.clone()))),
            None => Err(Refusal::new(
                500,
                "flow-not-loaded",
                format!("flow {} is not loaded", number.flow),
            )),
        }
    }
}

/// The prompt library over the embedded prompts and the files of this machine.
pub(super) fn library() -> PromptLibrary {
    PromptLibrary::new(Path::new(""), builtin::PROMPTS)
}
