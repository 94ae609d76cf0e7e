//! The core with a clock and a lock: what calls, flows and the control API use. Orders go to the calls they are for, events to whoever listens.
//!
//! Limits: 64 orders for one caller, who takes them at once; 1000 callbacks that wait for somebody to make them. What is lost beyond is told.
use super::agents::Unknown;
use super::core::Core;
use super::log;
use super::order::{CallerId, Event, Joining, Leaving, Missed, Order, Refused};
use super::views::{AgentStanding, AgentView, CallerView, KeptCallback, KeptMember, QueueView};
use crate::config::{Agent, Queue, Reach};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};

/// Orders that can wait for one caller.
const ORDERS: usize = 64;
/// Callbacks that can wait to be made.
const CALLBACKS: usize = 1000;
/// How often the date is looked at.
const DATE_EVERY: Duration = Duration::from_secs(30);

/// Takes what happens to queues and agents; must not wait, nor ask anything of the queues.
pub type EventSink = Box<dyn Fn(&Event) + Send + Sync>;

/// Somebody whose turn it is to be called back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueCallback {
    /// Its place.
    pub caller: CallerId,
    /// Whom to call.
    pub number: String,
    /// The queue.
    pub queue: String,
}

/// All queues and agents.
pub struct Queues {
    inside: Mutex<Inside>,
    sinks: Mutex<Vec<EventSink>>,
    woken: Arc<Notify>,
    driven: AtomicBool,
}

struct Inside {
    core: Core,
    lines: HashMap<CallerId, mpsc::Sender<Order>>,
    callbacks: mpsc::Sender<DueCallback>,
    /// Until somebody makes them.
    due_callbacks: Option<mpsc::Receiver<DueCallback>>,
    date: jiff::civil::Date,
    date_seen: Instant,
}

impl std::fmt::Debug for Queues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queues").finish_non_exhaustive()
    }
}

impl Queues {
    /// Without queues and agents; `seed` is for the strategies that leave it to chance.
    pub fn new(seed: u64) -> Arc<Queues> {
        let (callbacks, due) = mpsc::channel(CALLBACKS);
        Arc::new(Queues {
            inside: Mutex::new(Inside {
                core: Core::new(seed),
                lines: HashMap::new(),
                callbacks,
                due_callbacks: Some(due),
                date: jiff::Zoned::now().date(),
                date_seen: Instant::now(),
            }),
            sinks: Mutex::default(),
            woken: Arc::default(),
            driven: AtomicBool::new(false),
        })
    }

    /// Lets somebody know of all that happens from now on.
    pub fn listen(&self, sink: EventSink) {
        self.sinks().push(sink);
    }

    fn sinks(&self) -> MutexGuard<'_, Vec<EventSink>> {
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the core; nothing comes of that, and nobody is woken.
    fn look<T>(&self, at: impl FnOnce(&Core, Instant) -> T) -> T {
        let now = Instant::now();
        let mut inside = self.inside();
        inside.see_date(now);
        at(&inside.core, now)
    }

    /// Does something with the core, and passes on what comes of it.
    fn with<T>(&self, act: impl FnOnce(&mut Inside, Instant) -> T) -> T {
        let now = Instant::now();
        let mut inside = self.inside();
        inside.see_date(now);
        let done = act(&mut inside, now);
        inside.pass_on(now);
        let events: Vec<Event> = std::iter::from_fn(|| inside.core.poll_event()).collect();
        // Taken before the core is let go: events are told in their order.
        let sinks = (!events.is_empty()).then(|| self.sinks());
        drop(inside);
        self.woken.notify_one();
        for sink in sinks.iter().flat_map(|sinks| sinks.iter()) {
            events.iter().for_each(sink);
        }
        drop(sinks);
        events.iter().for_each(log::tell);
        done
    }

    /// Queues and agents as configured from now on; see [`Core::apply`].
    pub fn apply(&self, queues: &[Queue], agents: &[Agent]) {
        self.with(|inside, now| inside.core.apply(now, queues, agents));
    }

    /// A queue's settings.
    pub fn settings(&self, queue: &str) -> Option<Arc<Queue>> {
        self.inside().core.settings(queue)
    }

    /// Takes a place.
    ///
    /// # Errors
    /// Why there is none.
    pub fn join(self: &Arc<Queues>, joining: Joining) -> Result<Place, Refused> {
        self.drive();
        let (orders, received) = mpsc::channel(ORDERS);
        let id = self.with(|inside, now| {
            let id = inside.core.join(now, joining)?;
            inside.lines.insert(id, orders);
            Ok(id)
        })?;
        Ok(self.place(id, received))
    }

    /// Takes the place of somebody who was called back, in that call; `None`: it is gone.
    pub fn resume(self: &Arc<Queues>, caller: CallerId, call: &str) -> Option<Place> {
        self.drive();
        let (orders, received) = mpsc::channel(ORDERS);
        let there = self.with(|inside, now| {
            inside.lines.insert(caller, orders);
            let there = inside.core.called_back(now, caller, call);
            if !there {
                inside.lines.remove(&caller);
            }
            there
        });
        there.then(|| self.place(caller, received))
    }

    fn place(self: &Arc<Queues>, id: CallerId, orders: mpsc::Receiver<Order>) -> Place {
        Place {
            queues: self.clone(),
            id,
            orders,
            kept: false,
        }
    }

    /// Whoever makes callbacks takes them from here; the first to ask has them.
    pub fn due_callbacks(&self) -> Option<mpsc::Receiver<DueCallback>> {
        self.inside().due_callbacks.take()
    }

    /// Somebody could not be called back.
    pub fn callback_failed(&self, caller: CallerId) {
        self.with(|inside, now| inside.core.callback_failed(now, caller));
    }

    /// Somebody is called back another time, see [`Core::callback_put_off`].
    pub fn callback_put_off(&self, caller: CallerId) {
        self.with(|inside, now| inside.core.callback_put_off(now, caller));
    }

    /// Lets time have its way. Done by the first who waits; until then time changes nothing.
    fn drive(self: &Arc<Queues>) {
        if self.driven.swap(true, Ordering::Relaxed) {
            return;
        }
        let (queues, woken) = (Arc::downgrade(self), self.woken.clone());
        tokio::spawn(drive(queues, woken));
    }

    /// Every queue.
    pub fn list_queues(&self) -> Vec<QueueView> {
        self.look(|core, now| core.list_queues(now))
    }

    /// A queue, with its figures.
    pub fn queue(&self, name: &str) -> Option<QueueView> {
        self.look(|core, now| core.queue(now, name))
    }

    /// Every agent.
    pub fn list_agents(&self) -> Vec<AgentView> {
        self.look(|core, now| core.list_agents(now))
    }

    /// An agent, with its figures.
    pub fn agent(&self, id: &str) -> Option<AgentView> {
        self.look(|core, now| core.agent(now, id))
    }

    /// Those who wait in a queue, in order, then those who talk.
    pub fn list_callers(&self, queue: &str) -> Option<Vec<CallerView>> {
        self.look(|core, now| core.list_callers(now, queue))
    }

    /// Sends a caller away, by the call's id. Returns whether it waited there.
    pub fn remove_caller(&self, queue: &str, call: &str) -> bool {
        self.with(|inside, now| {
            let found = inside.core.find(queue, call);
            found.is_some_and(|id| inside.core.remove(now, id))
        })
    }

    /// Puts a caller who waits to another place, by the call's id; see [`Core::move_to`]. Returns whether it waited there.
    pub fn move_caller(&self, queue: &str, call: &str, position: usize) -> bool {
        self.with(|inside, now| {
            let found = inside.core.find(queue, call);
            found.is_some_and(|id| inside.core.move_to(now, id, position))
        })
    }

    /// An agent serves its queues from now on.
    ///
    /// # Errors
    /// There is no such agent.
    pub fn login(&self, agent: &str) -> Result<(), Unknown> {
        self.with(|inside, now| inside.core.login(now, agent))
    }

    /// An agent serves nobody any more.
    ///
    /// # Errors
    /// There is no such agent.
    pub fn logout(&self, agent: &str) -> Result<(), Unknown> {
        self.with(|inside, now| inside.core.logout(now, agent))
    }

    /// An agent has a break.
    ///
    /// # Errors
    /// There is no such agent.
    pub fn pause(&self, agent: &str, reason: &str) -> Result<(), Unknown> {
        self.with(|inside, now| inside.core.pause(now, agent, Some(reason)))
    }

    /// The break is over.
    ///
    /// # Errors
    /// There is no such agent.
    pub fn unpause(&self, agent: &str) -> Result<(), Unknown> {
        self.with(|inside, now| inside.core.pause(now, agent, None))
    }

    /// Ends the time after a call early.
    ///
    /// # Errors
    /// There is no such agent.
    pub fn end_wrap_up(&self, agent: &str) -> Result<(), Unknown> {
        self.with(|inside, now| inside.core.end_wrap_up(now, agent))
    }

    /// Whether that is the agent's PIN.
    ///
    /// # Errors
    /// It is not; see [`Core::check_pin`].
    pub fn check_pin(&self, agent: &str, pin: &str) -> Result<(), Unknown> {
        self.with(|inside, now| inside.core.check_pin(now, agent, pin))
    }

    /// Whether the agent has a PIN.
    pub fn needs_pin(&self, agent: &str) -> bool {
        self.inside().core.needs_pin(agent)
    }

    /// Lets an agent serve a queue, or changes its penalty there.
    ///
    /// # Errors
    /// There is no such agent or queue.
    pub fn add_member(&self, queue: &str, agent: &str, penalty: u32) -> Result<(), Unknown> {
        self.with(|inside, now| inside.core.add_member(now, queue, agent, penalty))
    }

    /// Takes an agent out of a queue.
    ///
    /// # Errors
    /// There is no such queue, or the agent is not in it.
    pub fn remove_member(&self, queue: &str, agent: &str) -> Result<(), Unknown> {
        self.with(|inside, now| inside.core.remove_member(now, queue, agent))
    }

    /// The agent who is called at that endpoint.
    pub fn agent_at(&self, user: &str) -> Option<String> {
        self.inside().core.agent_at(user)
    }

    /// Where an agent is called.
    pub fn reach(&self, agent: &str) -> Option<Reach> {
        self.inside().core.reach(agent)
    }

    /// What of agents outlives a restart.
    pub fn standing(&self) -> Vec<AgentStanding> {
        self.inside().core.standing()
    }

    /// Members that differ from the configuration.
    pub fn changed_members(&self) -> Vec<KeptMember> {
        self.inside().core.changed_members()
    }

    /// Takes up what was changed of members.
    pub fn restore_members(&self, kept: &[KeptMember]) {
        self.with(|inside, now| inside.core.restore_members(now, kept));
    }

    /// Everybody who is to be called back.
    pub fn callbacks(&self) -> Vec<KeptCallback> {
        self.inside().core.callbacks()
    }

    /// Takes up those who are to be called back. Somebody has to make the calls.
    pub fn restore_callbacks(self: &Arc<Queues>, kept: &[KeptCallback]) {
        self.drive();
        self.with(|inside, now| inside.core.restore_callbacks(now, kept));
    }

    /// Takes up what was kept of agents.
    pub fn restore(&self, standing: &[AgentStanding]) {
        self.with(|inside, now| inside.core.restore(now, standing));
    }
}

impl Drop for Queues {
    fn drop(&mut self) {
        self.woken.notify_one();
    }
}

impl Inside {
    fn see_date(&mut self, now: Instant) {
        if now.saturating_duration_since(self.date_seen) < DATE_EVERY {
            return;
        }
        self.date_seen = now;
        let date = jiff::Zoned::now().date();
        if date != self.date {
            self.date = date;
            self.core.new_day();
        }
    }

    fn pass_on(&mut self, now: Instant) {
        while let Some((caller, order)) = self.core.poll_order() {
            if let Order::CallBack { number, queue } = order {
                let due = DueCallback {
                    caller,
                    number,
                    queue,
                };
                if self.callbacks.try_send(due).is_err() {
                    tracing::warn!(
                        rule = "callbacks-full",
                        "a callback is put off: too many wait to be made"
                    );
                    self.core.callback_put_off(now, caller);
                }
                continue;
            }
            let over = matches!(order, Order::Leave(_));
            if let Some(line) = self.lines.get(&caller)
                && line.try_send(order).is_err()
            {
                tracing::warn!(
                    rule = "queue-orders-full",
                    caller = caller.number(),
                    "an order of the queue is lost: its call does not take any"
                );
            }
            if over {
                self.lines.remove(&caller);
            }
        }
    }
}

/// Until the queues are gone.
async fn drive(queues: Weak<Queues>, woken: Arc<Notify>) {
    loop {
        let due = match queues.upgrade() {
            None => return,
            Some(queues) => queues.inside().core.due(),
        };
        let wait = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = wait => {}
            () = woken.notified() => continue,
        }
        match queues.upgrade() {
            Some(queues) => queues.with(|inside, now| inside.core.tick(now)),
            None => return,
        }
    }
}

/// A caller's place, held by its call; dropping it leaves the queue, or ends the conversation.
pub struct Place {
    queues: Arc<Queues>,
    id: CallerId,
    orders: mpsc::Receiver<Order>,
    /// The caller hangs up and keeps its place.
    kept: bool,
}

impl Place {
    /// The next order. Nothing is lost when this is dropped.
    pub async fn order(&mut self) -> Order {
        match self.orders.recv().await {
            Some(order) => order,
            None => Order::Leave(Leaving::Removed),
        }
    }

    /// See [`Core::picked_up`].
    pub fn picked_up(&self, attempt: u64, agent: &str, sure: bool) -> bool {
        self.queues
            .with(|inside, now| inside.core.picked_up(now, self.id, attempt, agent, sure))
    }

    /// See [`Core::answered`].
    pub fn answered(&self, attempt: u64, agent: &str) -> bool {
        self.queues
            .with(|inside, now| inside.core.answered(now, self.id, attempt, agent))
    }

    /// See [`Core::missed`].
    pub fn missed(&self, attempt: u64, agent: &str, why: Missed) {
        self.queues
            .with(|inside, now| inside.core.missed(now, self.id, attempt, agent, why));
    }

    /// See [`Core::ask_callback`].
    pub fn ask_callback(&mut self, number: &str) -> bool {
        self.kept = self.queues.with(|inside, now| {
            let kept = inside.core.ask_callback(now, self.id, number);
            if kept {
                inside.lines.remove(&self.id);
            }
            kept
        });
        self.kept
    }

    /// Gives it back for a reason, unless the caller keeps it to be called back.
    pub fn leave(mut self, why: Leaving) {
        if !std::mem::replace(&mut self.kept, true) {
            self.give_back(why);
        }
    }

    fn give_back(&self, why: Leaving) {
        self.queues.with(|inside, now| {
            inside.lines.remove(&self.id);
            inside.core.leave(now, self.id, why);
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.kept {
            self.give_back(Leaving::Abandoned);
        }
    }
}
