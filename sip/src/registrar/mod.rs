//! Owns who can be reached where: the bindings of a registrar (RFC 3261 §10.3), with Path (RFC 3327) and flows of
//! instances (RFC 5626).
//!
//! It reads no clock, sends nothing and knows no passwords: whoever calls it has authenticated the user. A REGISTER
//! changes all it names or nothing.
//!
//! Limits: `max_bindings` in all, `max_contacts` per user, 16 contacts in one REGISTER, 8 Path values, 512 octets per
//! URI. Each binding has a deadline.

mod binding;
mod request;
#[cfg(test)]
mod tests;

pub use binding::Binding;

use crate::flow::Flow;
use crate::message::Frame;
use request::{Asked, Wanted};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a registrar is told at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistrarConfig {
    /// Shortest interval granted; below it 423 (RFC 3261 §10.3 step 7).
    pub min_expires: Duration,
    /// Longest interval granted; above it this one.
    pub max_expires: Duration,
    /// The interval of those who ask for none.
    pub default_expires: Duration,
    /// Most bindings of all users.
    pub max_bindings: usize,
}

impl Default for RegistrarConfig {
    fn default() -> Self {
        Self {
            min_expires: Duration::from_secs(60),
            max_expires: Duration::from_secs(3_600),
            default_expires: Duration::from_secs(3_600),
            max_bindings: 100_000,
        }
    }
}

/// A REGISTER that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterRefused {
    /// The status to answer with.
    pub status: u16,
    /// The rule.
    pub rule: &'static str,
    /// Further headers: Min-Expires.
    pub headers: Vec<(&'static str, String)>,
}

impl RegisterRefused {
    fn new(status: u16, rule: &'static str) -> Self {
        Self {
            status,
            rule,
            headers: Vec::new(),
        }
    }
}

/// A REGISTER that was served with 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The headers of the 200: all Contacts of the user, Path, Supported, Require, Flow-Timer.
    pub headers: Vec<(&'static str, String)>,
    /// Bindings it added.
    pub added: usize,
    /// Bindings it refreshed.
    pub refreshed: usize,
    /// Bindings it removed, those included that another one took the place of.
    pub removed: usize,
}

/// All bindings. See the module.
#[derive(Debug)]
pub struct Registrar {
    config: RegistrarConfig,
    bindings: HashMap<u64, Binding>,
    by_user: HashMap<Arc<str>, Vec<u64>>,
    by_flow: BTreeSet<(Flow, u64)>,
    deadlines: BTreeSet<(Instant, u64)>,
    /// Connections that lost a binding since they were asked for.
    left: BTreeSet<Flow>,
    last: u64,
}

impl Registrar {
    /// A registrar without bindings.
    pub fn new(config: RegistrarConfig) -> Self {
        Self {
            config,
            bindings: HashMap::new(),
            by_user: HashMap::new(),
            by_flow: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            left: BTreeSet::new(),
            last: 0,
        }
    }

    /// Serves a REGISTER of `user`, who is authenticated and may have `max_contacts` bindings.
    ///
    /// # Errors
    /// What the REGISTER is refused with; nothing was changed then.
    pub fn register(
        &mut self,
        now: Instant,
        user: &Arc<str>,
        max_contacts: usize,
        flow: Flow,
        request: &Frame<'_>,
    ) -> Result<Registered, RegisterRefused> {
        self.expire(now);
        let asked = Asked::parse(request, user, &self.config)?;
        let plan = self.plan(user, max_contacts, flow, &asked)?;
        let mut done = Registered {
            headers: Vec::new(),
            added: 0,
            refreshed: 0,
            removed: plan.remove.len(),
        };
        for id in plan.remove {
            self.remove(id);
        }
        for (wanted, known) in plan.store {
            match known {
                Some(_) => done.refreshed += 1,
                None => done.added += 1,
            }
            self.store(now, user, flow, &asked, wanted, known);
        }
        done.headers = self.answer(now, user, &asked);
        Ok(done)
    }

    /// The bindings of a user that are good at `now`: highest `q` first, among those the latest first.
    pub fn bindings(&self, now: Instant, user: &str) -> Vec<&Binding> {
        let ids = self
            .by_user
            .get(user)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let known = ids.iter().filter_map(|id| self.bindings.get(id));
        let mut all: Vec<&Binding> = known.filter(|binding| binding.until > now).collect();
        all.sort_by_key(|binding| std::cmp::Reverse((binding.q, binding.order)));
        all
    }

    /// A connection is gone, and with it the bindings that were reached over it (RFC 5626 §5.3), which are returned.
    pub fn flow_closed(&mut self, flow: Flow) -> Vec<Binding> {
        let over: Vec<u64> = self.on(flow).collect();
        over.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    /// Drops what is over at `now` and returns it.
    pub fn expire(&mut self, now: Instant) -> Vec<Binding> {
        let mut over = Vec::new();
        while let Some((at, id)) = self.deadlines.first().copied() {
            if at > now {
                break;
            }
            self.deadlines.pop_first();
            over.extend(self.remove(id));
        }
        over
    }

    /// The connections that carried a binding and carry none any more, each told once: nobody is called over them, so
    /// they need not be kept open.
    pub fn take_idle_flows(&mut self) -> Vec<Flow> {
        let left = std::mem::take(&mut self.left);
        left.into_iter()
            .filter(|flow| self.on(*flow).next().is_none())
            .collect()
    }

    fn on(&self, flow: Flow) -> impl Iterator<Item = u64> {
        self.by_flow
            .range((flow, 0)..=(flow, u64::MAX))
            .map(|(_, id)| *id)
    }

    /// When [`Registrar::expire`] has something to do.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Drops the bindings of users who are no more.
    pub fn retain_users(&mut self, is_user: impl Fn(&str) -> bool) {
        let gone: Vec<u64> = self
            .bindings
            .iter()
            .filter(|(_, binding)| !is_user(&binding.user))
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            self.remove(id);
        }
    }

    /// How many bindings there are.
    pub fn len(&self) -> usize {
        self.bindings.len()
    }

    /// Whether nobody is registered.
    pub fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }

    fn ids(&self, user: &str) -> &[u64] {
        self.by_user
            .get(user)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// What a REGISTER changes, decided before anything is.
    fn plan<'a>(
        &self,
        user: &str,
        max_contacts: usize,
        flow: Flow,
        asked: &'a Asked,
    ) -> Result<Plan<'a>, RegisterRefused> {
        let mut plan = Plan::default();
        let ids = self.ids(user);
        let known = || {
            ids.iter()
                .filter_map(|id| Some((*id, self.bindings.get(id)?)))
        };
        if asked.all_off {
            for (id, binding) in known() {
                self.in_order(binding, asked)?;
                plan.remove(id);
            }
            return Ok(plan);
        }
        for wanted in &asked.contacts {
            let same = known().find(|(_, binding)| binding.is(wanted));
            if let Some((_, binding)) = same {
                self.in_order(binding, asked)?;
            }
            match (same, wanted.expires.is_zero()) {
                (Some((id, _)), true) => plan.remove(id),
                (None, true) => {}
                (same, false) => plan.store.push((wanted, same.map(|(id, _)| id))),
            }
        }
        if !plan.store.is_empty() {
            let outlived = known().filter(|(_, binding)| {
                binding.is_outlived_by(flow, asked) || binding.has_moved(asked)
            });
            for (id, _) in outlived {
                if plan.store.iter().all(|(_, known)| *known != Some(id)) {
                    plan.remove(id);
                }
            }
        }
        self.has_room(max_contacts, ids.len(), &plan)?;
        Ok(plan)
    }

    fn has_room(
        &self,
        max_contacts: usize,
        had: usize,
        plan: &Plan<'_>,
    ) -> Result<(), RegisterRefused> {
        let added = plan.store.iter().filter(|(_, known)| known.is_none());
        let added = added.count();
        let left = (had + added).saturating_sub(plan.remove.len());
        if added > 0 && left > max_contacts {
            let rule = "user has max_contacts contacts already";
            return Err(RegisterRefused::new(403, rule));
        }
        if added > 0 && self.bindings.len() + added > self.config.max_bindings {
            return Err(RegisterRefused::new(503, "registrar is full"));
        }
        Ok(())
    }

    /// RFC 3261 §10.3 steps 6 and 7: a REGISTER that is older than the binding fails as a whole.
    fn in_order(&self, binding: &Binding, asked: &Asked) -> Result<(), RegisterRefused> {
        match binding.call_id == asked.call_id && asked.cseq <= binding.cseq {
            true => Err(RegisterRefused::new(
                500,
                "CSeq is not above that of the binding",
            )),
            false => Ok(()),
        }
    }

    fn store(
        &mut self,
        now: Instant,
        user: &Arc<str>,
        flow: Flow,
        asked: &Asked,
        wanted: &Wanted,
        known: Option<u64>,
    ) {
        let id = match known {
            Some(id) => {
                self.remove(id);
                id
            }
            None => {
                self.last += 1;
                self.last
            }
        };
        self.last += 1;
        let until = now.checked_add(wanted.expires).unwrap_or(now);
        let binding = Binding {
            user: Arc::clone(user),
            aor: asked.aor.clone(),
            contact: wanted.uri.clone(),
            flow,
            path: asked.path.clone(),
            q: wanted.q,
            until,
            instance: wanted.instance.clone(),
            reg_id: wanted.reg_id,
            user_agent: asked.user_agent.clone(),
            call_id: asked.call_id.clone(),
            cseq: asked.cseq,
            order: self.last,
        };
        self.by_user.entry(Arc::clone(user)).or_default().push(id);
        self.by_flow.insert((flow, id));
        self.deadlines.insert((until, id));
        self.bindings.insert(id, binding);
    }

    fn remove(&mut self, id: u64) -> Option<Binding> {
        let gone = self.bindings.remove(&id)?;
        self.by_flow.remove(&(gone.flow, id));
        if gone.flow.transport.is_reliable() {
            self.left.insert(gone.flow);
        }
        self.deadlines.remove(&(gone.until, id));
        if let Some(ids) = self.by_user.get_mut(&gone.user) {
            ids.retain(|known| *known != id);
            if ids.is_empty() {
                self.by_user.remove(&gone.user);
            }
        }
        Some(gone)
    }

    /// §10.3 step 8: all current bindings, with the seconds they are good for.
    fn answer(&self, now: Instant, user: &str, asked: &Asked) -> Vec<(&'static str, String)> {
        let bindings = self.bindings(now, user);
        let contacts = bindings
            .iter()
            .map(|binding| ("Contact", binding.as_contact(now)));
        let mut headers: Vec<_> = contacts.collect();
        headers.push(("Supported", "path, outbound".to_owned()));
        if asked.tells_path {
            headers.extend(asked.path.iter().map(|path| ("Path", path.clone())));
        }
        if asked.outbound && !asked.contacts.is_empty() {
            headers.push(("Require", "outbound".to_owned()));
            // RFC 5626 §4.4: the peer keeps its flow alive more often than this.
            headers.push(("Flow-Timer", FLOW_TIMER_S.to_string()));
        }
        headers
    }
}

/// Seconds of silence after which a flow may be taken for dead (RFC 5626 §5.4).
const FLOW_TIMER_S: u32 = 120;

#[derive(Default)]
struct Plan<'a> {
    remove: Vec<u64>,
    store: Vec<(&'a Wanted, Option<u64>)>,
}

impl Plan<'_> {
    fn remove(&mut self, id: u64) {
        if !self.remove.contains(&id) {
            self.remove.push(id);
        }
    }
}
