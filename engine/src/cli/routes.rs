//! What answers which call: the router and the flows of a configuration, exchanged as a whole at reload.
use super::builtin;
use super::number_webhook;
use super::queue_table::{self, queues_and_agents};
use crate::call::{
    AgentProgram, CallInfo, Caller, DialProgram, DialTarget, LegTerms, Program, QueueProgram,
    Refusal, Routed, Routes, TextTo, Voicemail, VoicemailProgram,
};
use crate::config::{Config, FlowSource, NumberDestination, Problem, Problems};
use crate::flow::by_hand::HoursByHand;
use crate::flow::{Aliases, Flow, FlowProgram, PromptFile};
use crate::media::PromptLibrary;
use crate::queue::Queues;
use crate::route::{self, CallerIdentity, Destination, Router, identity, terms};
use crate::speech::{Speaker, Speech};
use arc_swap::ArcSwap;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use trunkline_sip::{Frame, Origin};

/// Versions of a flow that are kept.
const VERSIONS: usize = 10;

/// Flows by their source.
pub(super) type Flows = HashMap<String, Kept>;

/// A flow in force, and the files it was made from.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) flow: Arc<Flow>,
    pub(super) source: FlowSource,
    /// Directories that it reads.
    pub(super) further: Vec<String>,
    /// Texts that can be spoken before a call asks for them.
    texts: Vec<Speech>,
    /// What is odd but allowed.
    pub(super) warnings: Vec<String>,
    /// Its text and since when it counts; those before, latest first.
    pub(super) versions: Vec<Arc<FlowText>>,
}

/// The text of a flow.
pub(super) struct FlowText {
    pub(super) version: String,
    pub(super) text: Arc<str>,
    pub(super) since: Timestamp,
    /// `file` or `api`.
    pub(super) by: &'static str,
}

impl FlowText {
    fn new(text: &str, by: &'static str) -> Arc<FlowText> {
        let digest = Sha256::digest(text.as_bytes());
        Arc::new(FlowText {
            version: HEXLOWER.encode(&digest[..8]),
            text: text.into(),
            since: Timestamp::now(),
            by,
        })
    }
}

impl Kept {
    /// Remembers what it takes the place of.
    pub(super) fn follow(&mut self, before: &Kept) {
        let now = self.versions.first().map(|now| now.version.clone());
        let older = before.versions.iter();
        let same = older
            .clone()
            .next()
            .filter(|of| Some(&of.version) == now.as_ref());
        if let (Some(same), Some(own)) = (same, self.versions.first_mut()) {
            own.clone_from(same);
        }
        let other = older.filter(|of| Some(&of.version) != now.as_ref());
        self.versions.extend(other.take(VERSIONS - 1).cloned());
    }
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
            let flow = load(source, &config.flow.aliases, prompts)
                .map_err(|problems| broken.extend(problems.lines()))
                .ok();
            warnings.extend(flow.iter().flat_map(|kept| kept.warnings.iter().cloned()));
            flows.insert(name, flow);
        }
        if !broken.is_empty() {
            return Err(BrokenFlows(broken));
        }
        let flows: Flows = flows
            .into_iter()
            .filter_map(|(name, flow)| Some((name, flow?)))
            .collect();
        broken = queue_table::missing_prompts(&config, prompts);
        broken.extend(number_webhook::mistakes(&config, prompts));
        if !broken.is_empty() {
            return Err(BrokenFlows(broken));
        }
        warnings.extend(queue_table::warnings(&config, &flows));
        warnings.extend(number_webhook::warnings(&config));
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
) -> Result<Kept, Problems> {
    let text = Flow::source_text(source)?;
    staged(source, &text, "file", aliases, prompts)
}

/// The same of a text that is to be the source's.
pub(super) fn staged(
    source: &FlowSource,
    text: &str,
    by: &'static str,
    aliases: &Aliases,
    prompts: &PromptLibrary,
) -> Result<Kept, Problems> {
    let loaded = Flow::from_text(source, text, aliases)?;
    let absent = |file: &PromptFile| {
        let error = prompts.load(&file.key).err()?;
        Some(Problem {
            at: file.at,
            path: String::new(),
            message: error.to_string(),
        })
    };
    let list: Vec<Problem> = loaded.prompt_files.iter().filter_map(absent).collect();
    if !list.is_empty() {
        let file = source.to_string();
        return Err(Problems { file, list });
    }
    Ok(Kept {
        flow: loaded.flow,
        source: source.clone(),
        further: loaded.watched,
        warnings: loaded.warnings,
        texts: loaded.texts.into_iter().map(|text| text.speech).collect(),
        versions: vec![FlowText::new(text, by)],
    })
}

/// The routes in force. Calls in progress keep the flow they began with when they are exchanged.
#[derive(Clone)]
pub(super) struct LiveRoutes {
    /// Also what the directory of targets goes by.
    pub(super) router: Arc<ArcSwap<Router>>,
    pub(super) flows: Arc<ArcSwap<Flows>>,
    /// What is set by hand of the flows' schedules.
    pub(super) hours: Arc<HoursByHand>,
    /// Learns of queues and agents.
    queues: Arc<OnceLock<Arc<Queues>>>,
    /// Speaks the texts of flows before a call asks for them.
    speaker: Arc<OnceLock<Speaker>>,
}

impl LiveRoutes {
    pub(super) fn new(table: RouteTable) -> LiveRoutes {
        LiveRoutes {
            router: Arc::new(ArcSwap::new(table.router)),
            flows: Arc::new(ArcSwap::new(table.flows)),
            hours: Arc::default(),
            queues: Arc::default(),
            speaker: Arc::default(),
        }
    }

    /// Tells these of the queues and agents that are in force, now and at every change.
    pub(super) fn tell(&self, queues: &Arc<Queues>) {
        let _ = self.queues.set(queues.clone());
        self.tell_queues();
    }

    fn tell_queues(&self) {
        if let Some(queues) = self.queues.get() {
            let router = self.router.load();
            let (all, agents) = queues_and_agents(router.config(), &self.flows.load());
            queues.apply(&all, &agents);
        }
    }

    /// From now on the texts of all flows are spoken in advance, in the background.
    pub(super) fn speak(&self, speaker: &Speaker) {
        let _ = self.speaker.set(speaker.clone());
        self.prepare(|_| true);
    }

    fn prepare(&self, which: impl Fn(&str) -> bool) {
        let Some(speaker) = self.speaker.get() else {
            return;
        };
        let flows = self.flows.load();
        let wanted = flows.iter().filter(|(name, _)| which(name));
        let texts = wanted.flat_map(|(_, kept)| kept.texts.iter().cloned());
        speaker.prepare(texts.collect());
    }

    /// New calls go by this table from now on.
    pub(super) fn exchange(&self, mut table: RouteTable) {
        let old = self.flows.load();
        for (name, kept) in Arc::make_mut(&mut table.flows) {
            if let Some(before) = old.get(name) {
                kept.follow(before);
            }
        }
        // Flows first: a number never leads to one that is not there yet.
        self.flows.store(table.flows);
        self.router.store(table.router);
        self.tell_queues();
        self.prepare(|_| true);
    }

    /// Puts a flow in force in the place of `old`. Returns whether it was still that one: otherwise a reload came in between, and counts.
    pub(super) fn swap(&self, name: &str, old: &Kept, mut new: Kept) -> bool {
        new.follow(old);
        let mut taken = false;
        self.flows.rcu(|flows| {
            taken = flows
                .get(name)
                .is_some_and(|now| Arc::ptr_eq(&now.flow, &old.flow));
            let mut flows = Flows::clone(flows);
            if taken {
                flows.insert(name.to_owned(), new.clone());
            }
            flows
        });
        self.tell_queues();
        if taken {
            self.prepare(|each| each == name);
        }
        taken
    }

    fn program_of(&self, destination: Destination) -> Result<Box<dyn Program>, Refusal> {
        let target = match destination {
            Destination::Flow(source) => return self.flow(&source),
            Destination::Endpoint(user) => DialTarget::Endpoint(user),
            Destination::RingGroup(name) => DialTarget::RingGroup(name),
            Destination::Queue(name) => return Ok(self.queue(&name)),
            Destination::Voicemail(name) => {
                return Ok(Box::new(VoicemailProgram::new(Voicemail::leave(name))));
            }
            Destination::VoicemailAccess(name) => {
                return Ok(Box::new(VoicemailProgram::new(Voicemail::listen(name))));
            }
            Destination::Agent(service) => {
                let router = self.router.load();
                let language = &router.config().speech.language;
                return Ok(Box::new(AgentProgram::new(service).speaking(language)));
            }
            Destination::Webhook(hook) => return Ok(number_webhook::program(*hook)),
            Destination::Trunk { trunk, number } => DialTarget::Trunk { trunk, number },
        };
        Ok(Box::new(DialProgram::new(target)))
    }

    fn queue(&self, name: &str) -> Box<dyn Program> {
        let router = self.router.load();
        let mut queues = router.config().queues.iter();
        let then = queues.find(|queue| queue.name == name);
        let then = then.map_or_else(Vec::new, |queue| queue.then.clone());
        Box::new(QueueProgram::new(name, then))
    }

    /// Whether a flow that is in force has such a schedule.
    pub(super) fn has_schedule(&self, flow: &str, schedule: &str) -> bool {
        let flows = self.flows.load();
        let found = flows.get(flow).map(|kept| &kept.flow.schedules);
        found.is_some_and(|all| all.iter().any(|each| each.id == schedule))
    }

    /// A flow as the program of a call.
    pub(super) fn program_with(&self, kept: &Kept) -> Box<dyn Program> {
        let hand = self.hours.of_flow(&kept.source.to_string());
        Box::new(FlowProgram::new(kept.flow.clone()).by_hand(hand))
    }

    fn flow(&self, source: &FlowSource) -> Result<Box<dyn Program>, Refusal> {
        match self.flows.load().get(&source.to_string()) {
            Some(kept) => Ok(self.program_with(kept)),
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
        let (codecs, (dtmf, dtmf_profile), srtp, tones) = match &caller.origin {
            Origin::Peer(name) => {
                let trunk = config.trunk(name)?;
                let keys = (trunk.dtmf, trunk.dtmf_profile);
                (&trunk.codecs, keys, trunk.srtp, trunk.tones)
            }
            Origin::User(name) => {
                let endpoint = config.endpoint(name)?;
                let own = config.tones.country;
                let keys = (endpoint.dtmf, endpoint.dtmf_profile);
                (&endpoint.codecs, keys, endpoint.srtp, own)
            }
            Origin::Stranger => return None,
        };
        Some(LegTerms {
            codecs: terms::encodings(codecs),
            dtmf,
            dtmf_profile,
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
