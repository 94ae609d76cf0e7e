//! What can be told from a flow's graph: loops that take no time are refused, what cannot be reached is warned of.
use super::model::{Destination, Flow, MenuId, NodeId, Step, Target};
use super::schedule::Rule;
use crate::config::document::field::{Report, shown};
use crate::config::document::problem::At;
use std::collections::{HashMap, HashSet};

/// Whether a choice of this menu leads anywhere but back to it.
fn leaves(destination: &Destination, from: MenuId) -> bool {
    match destination {
        Destination::Repeat => false,
        Destination::Menu(to) => *to != from,
        Destination::Sound { then, .. } => leaves(then, from),
        Destination::Step(step) => {
            let ways = step.destinations();
            ways.is_empty() || ways.into_iter().any(|to| leaves(to, from))
        }
        Destination::Goto(_) | Destination::Back | Destination::Hangup { .. } => true,
    }
}

/// Checks the graph of a flow whose names are all found; `places` says where each step stands.
pub(super) fn graph(flow: &Flow, places: &HashMap<Target, At>, report: &Report) {
    let place = |target: &Target| places.get(target).copied().unwrap_or(At::START);
    for node in instant_loops(flow) {
        let message =
            "leads back to itself without playing, listening or waiting: the call would hang";
        let id = shown(&flow.nodes[node.0].id);
        report.error(place(&Target::Node(node)), &format!("nodes.{id}"), message);
    }
    for (index, menu) in flow.menus.iter().enumerate() {
        let mut choices = menu.choices.iter().map(|choice| &choice.destination);
        if !choices.any(|to| leaves(to, MenuId(index))) {
            let id = shown(&menu.id);
            report.warning(
                place(&Target::Menu(MenuId(index))),
                &format!("menus.{id}"),
                "no key leads out of it: every choice comes back",
            );
        }
    }
    let reached = reached(flow);
    let menus = (0..flow.menus.len()).map(|index| Target::Menu(MenuId(index)));
    let nodes = (0..flow.nodes.len()).map(|index| Target::Node(NodeId(index)));
    for target in menus
        .chain(nodes)
        .filter(|target| !reached.contains(target))
    {
        let section = if matches!(target, Target::Menu(_)) {
            "menus"
        } else {
            "nodes"
        };
        report.warning(
            place(&target),
            &format!("{section}.{}", shown(flow.id(target))),
            "nothing leads here",
        );
    }
}

fn successors(flow: &Flow, from: Target) -> Vec<Target> {
    let targets = |destinations: Vec<&Destination>| {
        let mut targets = Vec::new();
        for destination in destinations {
            destination.targets(&mut targets);
        }
        targets
    };
    match from {
        Target::Menu(menu) => targets(flow.menus[menu.0].destinations().collect()),
        Target::Node(node) => targets(flow.nodes[node.0].step.destinations()),
    }
}

fn reached(flow: &Flow) -> HashSet<Target> {
    let mut todo = vec![flow.entry];
    flow.error_destination.targets(&mut todo);
    for schedule in &flow.schedules {
        for exception in &schedule.exceptions {
            if let Rule::To(destination) = &exception.rule {
                destination.targets(&mut todo);
            }
        }
        if let Some(closed) = &schedule.closed_destination {
            closed.targets(&mut todo);
        }
    }
    let mut reached = HashSet::new();
    while let Some(target) = todo.pop() {
        if reached.insert(target) {
            todo.extend(successors(flow, target));
        }
    }
    reached
}

/// Nodes on a cycle of nodes that take no time (or between two such cycles): what stays when the nodes that nothing instant
/// follows, and those that nothing instant comes before, are taken away again and again. Linear in the size of the flow.
fn instant_loops(flow: &Flow) -> Vec<NodeId> {
    let mut edges = Vec::new();
    for (from, node) in flow
        .nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| node.step.is_instant())
    {
        for to in instant_ways(flow, &node.step) {
            edges.push((from, to));
        }
    }
    let kept = followed(&edges);
    edges.retain(|(from, to)| kept.contains(from) && kept.contains(to));
    let backwards: Vec<(usize, usize)> = edges.iter().map(|(from, to)| (*to, *from)).collect();
    let mut cyclic: Vec<NodeId> = followed(&backwards).into_iter().map(NodeId).collect();
    cyclic.sort_by_key(|node| node.0);
    cyclic
}

/// The instant nodes that an instant step leads to at once, also by way of unnamed instant steps.
fn instant_ways(flow: &Flow, step: &Step) -> Vec<usize> {
    let mut ways = Vec::new();
    let mut todo = at_once(flow, step);
    while let Some(destination) = todo.pop() {
        match destination {
            Destination::Goto(to) if flow.nodes[to.0].step.is_instant() => ways.push(to.0),
            Destination::Step(step) if step.is_instant() => todo.extend(at_once(flow, step)),
            _ => {}
        }
    }
    ways
}

fn at_once<'f>(flow: &'f Flow, step: &'f Step) -> Vec<&'f Destination> {
    let mut ways = step.destinations();
    if let Step::Schedule { schedule, .. } = step {
        let exceptions = &flow.schedules[schedule.0].exceptions;
        ways.extend(
            exceptions
                .iter()
                .filter_map(|exception| match &exception.rule {
                    Rule::To(destination) => Some(destination),
                    Rule::Open | Rule::Closed => None,
                }),
        );
    }
    ways
}

/// The nodes from which one can walk on for ever.
fn followed(edges: &[(usize, usize)]) -> HashSet<usize> {
    let mut ways: HashMap<usize, usize> = HashMap::new();
    let mut before: HashMap<usize, Vec<usize>> = HashMap::new();
    for (from, to) in edges {
        *ways.entry(*from).or_default() += 1;
        ways.entry(*to).or_default();
        before.entry(*to).or_default().push(*from);
    }
    let mut ends: Vec<usize> = ways
        .iter()
        .filter(|(_, count)| **count == 0)
        .map(|(node, _)| *node)
        .collect();
    while let Some(node) = ends.pop() {
        ways.remove(&node);
        for earlier in before.get(&node).into_iter().flatten() {
            if let Some(count) = ways.get_mut(earlier) {
                *count -= 1;
                if *count == 0 {
                    ends.push(*earlier);
                }
            }
        }
    }
    ways.into_keys().collect()
}
