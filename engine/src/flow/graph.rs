//! A flow as a drawing: menus and nodes in layers from the entry down, arrows with the keys and cases that lead along them. Owns the layout;
//! the result is one SVG without scripts or outside references, all text escaped.
use super::model::{Callee, Destination, Flow, MenuId, NodeId, Step, Target};
use super::schedule::Rule;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write;

/// Size of a box and the gaps between boxes, in px.
const BOX: (f64, f64) = (170.0, 46.0);
const GAP: (f64, f64) = (40.0, 80.0);
const MARGIN: f64 = 30.0;
/// Characters that fit into a box or beside an arrow.
const TITLE: usize = 22;
const LABEL: usize = 34;
/// The most boxes that are drawn.
const MAX_BOXES: usize = 2000;
/// Rounds of the sweep that untangles arrows.
const SWEEPS: usize = 8;

/// A box.
struct Place {
    title: String,
    kind: String,
    class: &'static str,
    layer: usize,
    /// Where in its layer, from the left.
    rank: usize,
}

/// An arrow; labels of those that join the same boxes are one.
type Arrows = BTreeMap<(usize, usize), Vec<String>>;

/// The drawing.
pub fn svg(flow: &Flow) -> String {
    let mut drawing = Drawing {
        flow,
        places: Vec::new(),
        by_target: HashMap::new(),
        outside: HashMap::new(),
        arrows: Arrows::new(),
    };
    drawing.boxes();
    drawing.connect();
    drawing.layers();
    drawing.untangle();
    drawing.draw()
}

struct Drawing<'f> {
    flow: &'f Flow,
    places: Vec<Place>,
    by_target: HashMap<Target, usize>,
    /// Boxes of what lies outside the flow: numbers, queues, the end.
    outside: HashMap<String, usize>,
    arrows: Arrows,
}

impl Drawing<'_> {
    fn boxes(&mut self) {
        let flow = self.flow;
        for (index, menu) in flow.menus.iter().enumerate().take(MAX_BOXES) {
            self.by_target
                .insert(Target::Menu(MenuId(index)), self.places.len());
            self.place(menu.id.clone(), "menu".to_owned(), "menu");
        }
        for (index, node) in flow
            .nodes
            .iter()
            .enumerate()
            .take(MAX_BOXES - self.places.len().min(MAX_BOXES))
        {
            self.by_target
                .insert(Target::Node(NodeId(index)), self.places.len());
            self.place(node.id.clone(), kind(&node.step).to_owned(), "node");
        }
    }

    fn place(&mut self, title: String, kind: String, class: &'static str) -> usize {
        self.places.push(Place {
            title,
            kind,
            class,
            layer: usize::MAX,
            rank: 0,
        });
        self.places.len() - 1
    }

    fn connect(&mut self) {
        let flow = self.flow;
        for (index, menu) in flow.menus.iter().enumerate() {
            let Some(from) = self.by_target.get(&Target::Menu(MenuId(index))).copied() else {
                continue;
            };
            for choice in &menu.choices {
                self.arrow(from, choice.exten.as_str(), &choice.destination);
            }
            let ways = [
                ("wrong key", &menu.invalid_destination),
                ("silence", &menu.timeout_destination),
                ("gives up", &menu.abort_destination),
            ];
            for (label, way) in ways {
                if let Some(destination) = way {
                    self.arrow(from, label, destination);
                }
            }
        }
        for (index, node) in flow.nodes.iter().enumerate() {
            let Some(from) = self.by_target.get(&Target::Node(NodeId(index))).copied() else {
                continue;
            };
            self.step(from, "", &node.step);
        }
    }

    fn step(&mut self, from: usize, label: &str, step: &Step) {
        let with = |more: &str| match (label.is_empty(), more.is_empty()) {
            (true, _) => more.to_owned(),
            (_, true) => label.to_owned(),
            _ => format!("{label}, {more}"),
        };
        match step {
            Step::Branch {
                cases, otherwise, ..
            } => {
                for (case, destination) in cases {
                    self.arrow(from, &with(&format!("= {case}")), destination);
                }
                self.arrow(from, &with("else"), otherwise);
            }
            Step::Schedule {
                schedule,
                open,
                closed,
            } => {
                self.arrow(from, &with("open"), open);
                self.arrow(from, &with("closed"), closed);
                for exception in &self.flow.schedules[schedule.0].exceptions {
                    if let Rule::To(destination) = &exception.rule {
                        let name = exception.name.as_deref().unwrap_or("exception");
                        self.arrow(from, &with(name), destination);
                    }
                }
            }
            Step::Directory {
                then, otherwise, ..
            } => {
                self.arrow(from, &with("found"), then);
                self.arrow(from, &with("not found"), otherwise);
            }
            Step::Webhook(asking) => {
                let found = match &asking.not_found {
                    Some(_) => with("found"),
                    None => label.to_owned(),
                };
                self.arrow(from, &found, &asking.then);
                if let Some(nobody) = &asking.not_found {
                    self.arrow(from, &with("not found"), nobody);
                }
                if let Some(error) = &asking.error {
                    self.arrow(from, &with("error"), error);
                }
            }
            Step::Collect {
                confirm,
                then,
                no_input,
                ..
            } => {
                self.arrow(from, label, then);
                if let Some(silence) = no_input {
                    self.arrow(from, &with("silence"), silence);
                }
                if let Some(confirm) = confirm {
                    self.arrow(from, &with("not confirmed"), &confirm.failed);
                }
            }
            Step::Dial(dialling) => {
                let to = self.beyond(&callee(&dialling.to), "dial");
                self.join(from, to, label);
                for (end, destination) in &dialling.fallbacks {
                    self.arrow(from, &with(end), destination);
                }
                if let Some(then) = &dialling.then {
                    self.arrow(from, &with("then"), then);
                }
            }
            Step::Queue(queueing) => {
                let name = queueing.name.expand_made(|name| format!("${{{name}}}"));
                let kind = match (&queueing.call_back, queueing.alone) {
                    (Some(_), _) => "callback for",
                    (None, true) => "agent",
                    (None, false) => "queue",
                };
                let to = self.beyond(&format!("{kind} {name}"), kind);
                self.join(from, to, label);
                for (end, destination) in &queueing.fallbacks {
                    self.arrow(from, &with(end), destination);
                }
                if let Some(then) = &queueing.then {
                    self.arrow(from, &with("then"), then);
                }
            }
            Step::Voicemail(messaging) => {
                let name = messaging.mailbox.as_ref().map_or_else(
                    || "of the phone".to_owned(),
                    |name| name.expand_made(|name| format!("${{{name}}}")),
                );
                let to = self.beyond(&format!("voicemail {name}"), "voicemail");
                self.join(from, to, label);
                for (end, destination) in &messaging.fallbacks {
                    self.arrow(from, &with(end), destination);
                }
                if let Some(then) = &messaging.then {
                    self.arrow(from, &with("then"), then);
                }
            }
            Step::NotServed { what, .. } => {
                let to = self.beyond(what, "not served yet");
                self.join(from, to, label);
            }
            Step::Hangup { .. } => {
                let to = self.beyond("hang up", "end");
                self.join(from, to, label);
            }
            step => {
                for destination in step.destinations() {
                    self.arrow(from, label, destination);
                }
            }
        }
    }

    fn arrow(&mut self, from: usize, label: &str, destination: &Destination) {
        match destination {
            Destination::Goto(node) => self.lead(from, label, Target::Node(*node)),
            Destination::Menu(menu) => self.lead(from, label, Target::Menu(*menu)),
            Destination::Sound { then, .. } => self.arrow(from, label, then),
            Destination::Step(step) => self.step(from, label, step),
            Destination::Hangup { .. } => {
                let to = self.beyond("hang up", "end");
                self.join(from, to, label);
            }
            // Back to the menu that led here: drawn as a loop at the menu itself, and not at all at a node.
            Destination::Repeat | Destination::Back => {
                if self.places[from].class == "menu" {
                    let what = if *destination == Destination::Back {
                        "back"
                    } else {
                        "again"
                    };
                    self.join(from, from, format!("{label} {what}").trim());
                }
            }
        }
    }

    fn lead(&mut self, from: usize, label: &str, target: Target) {
        if let Some(to) = self.by_target.get(&target).copied() {
            self.join(from, to, label);
        }
    }

    fn beyond(&mut self, title: &str, kind: &str) -> usize {
        if let Some(place) = self.outside.get(title) {
            return *place;
        }
        let place = self.place(title.to_owned(), kind.to_owned(), "outside");
        self.outside.insert(title.to_owned(), place);
        place
    }

    fn join(&mut self, from: usize, to: usize, label: &str) {
        let labels = self.arrows.entry((from, to)).or_default();
        if !label.is_empty() && labels.len() < 20 {
            labels.push(label.to_owned());
        }
    }

    /// Each box as deep as its shortest way from the entry; what nothing leads to stands at the top.
    fn layers(&mut self) {
        let mut after: Vec<Vec<usize>> = vec![Vec::new(); self.places.len()];
        for (from, to) in self.arrows.keys() {
            after[*from].push(*to);
        }
        let entry = self.by_target.get(&self.flow.entry).copied();
        let others = 0..self.places.len();
        for start in entry.into_iter().chain(others) {
            if self.places[start].layer != usize::MAX {
                continue;
            }
            self.places[start].layer = 0;
            let mut todo = VecDeque::from([start]);
            while let Some(place) = todo.pop_front() {
                for next in &after[place] {
                    if self.places[*next].layer == usize::MAX {
                        self.places[*next].layer = self.places[place].layer + 1;
                        todo.push_back(*next);
                    }
                }
            }
        }
    }

    /// Orders each layer by the middle of its neighbours in the layer above, then below, a few times.
    fn untangle(&mut self) {
        let depth = self
            .places
            .iter()
            .map(|place| place.layer)
            .max()
            .unwrap_or(0);
        let mut layers: Vec<Vec<usize>> = vec![Vec::new(); depth + 1];
        for (index, place) in self.places.iter_mut().enumerate() {
            place.rank = layers[place.layer].len();
            layers[place.layer].push(index);
        }
        for sweep in 0..SWEEPS {
            for layer in &mut layers {
                let mut middles: HashMap<usize, f64> = HashMap::new();
                for place in layer.iter() {
                    middles.insert(*place, self.middle(*place, sweep % 2 == 0));
                }
                layer.sort_by(|a, b| middles[a].total_cmp(&middles[b]));
                for (rank, place) in layer.iter().enumerate() {
                    self.places[*place].rank = rank;
                }
            }
        }
    }

    fn middle(&self, place: usize, above: bool) -> f64 {
        let layer = self.places[place].layer;
        let ends = self.arrows.keys().filter_map(|(from, to)| match place {
            _ if *to == place => Some(*from),
            _ if *from == place => Some(*to),
            _ => None,
        });
        let wanted = |other: &usize| {
            if above {
                self.places[*other].layer < layer
            } else {
                self.places[*other].layer > layer
            }
        };
        let ranks: Vec<f64> = ends
            .filter(wanted)
            .map(|other| self.places[other].rank as f64)
            .collect();
        if ranks.is_empty() {
            return self.places[place].rank as f64;
        }
        ranks.iter().sum::<f64>() / ranks.len() as f64
    }

    fn corner(&self, place: usize, widest: usize) -> (f64, f64) {
        let Place { layer, rank, .. } = &self.places[place];
        let across = self
            .places
            .iter()
            .filter(|other| other.layer == *layer)
            .count();
        let step = BOX.0 + GAP.0;
        let left = (widest - across) as f64 * step / 2.0;
        (
            MARGIN + left + *rank as f64 * step,
            MARGIN + *layer as f64 * (BOX.1 + GAP.1),
        )
    }

    fn draw(&self) -> String {
        let depth = self
            .places
            .iter()
            .map(|place| place.layer)
            .max()
            .unwrap_or(0);
        let mut counts = vec![0; depth + 1];
        for place in &self.places {
            counts[place.layer] += 1;
        }
        let widest = counts.iter().copied().max().unwrap_or(1);
        let corners: Vec<(f64, f64)> = (0..self.places.len())
            .map(|place| self.corner(place, widest))
            .collect();
        let width = 2.0 * MARGIN + widest as f64 * (BOX.0 + GAP.0) + GAP.0;
        let height = 2.0 * MARGIN + (depth + 1) as f64 * (BOX.1 + GAP.1);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n<title>{}</title>\n{STYLE}\n",
            escaped(&self.flow.name)
        );
        // Words lie above everything else.
        let mut words = Vec::new();
        for ((from, to), labels) in &self.arrows {
            let (path, label_at) = arrow(corners[*from], corners[*to], from == to);
            let _ = writeln!(out, "<path d=\"{path}\" marker-end=\"url(#tip)\"/>");
            words.push((cut(&labels.join(" | "), LABEL), label_at));
        }
        let entry = self.by_target.get(&self.flow.entry).copied();
        for (index, place) in self.places.iter().enumerate() {
            let (x, y) = corners[index];
            let class = if entry == Some(index) {
                format!("{} entry", place.class)
            } else {
                place.class.to_owned()
            };
            let _ = writeln!(
                out,
                "<g class=\"{class}\"><rect x=\"{x:.0}\" y=\"{y:.0}\" width=\"{}\" height=\"{}\" rx=\"6\"/><text x=\"{:.0}\" y=\"{:.0}\" class=\"title\">{}</text><text x=\"{:.0}\" y=\"{:.0}\" class=\"kind\">{}</text></g>",
                BOX.0,
                BOX.1,
                x + BOX.0 / 2.0,
                y + 20.0,
                escaped(&cut(&place.title, TITLE)),
                x + BOX.0 / 2.0,
                y + 36.0,
                escaped(&cut(&place.kind, TITLE)),
            );
        }
        for (label, (x, y)) in words.iter().filter(|(label, _)| !label.is_empty()) {
            let label = escaped(label);
            let _ = writeln!(
                out,
                "<text class=\"label\" x=\"{x:.0}\" y=\"{y:.0}\">{label}</text>"
            );
        }
        out.push_str("</svg>\n");
        out
    }
}

const STYLE: &str = "<style>rect{fill:#fff;stroke:#345;stroke-width:1.2}.menu rect{fill:#e8f0fe}.outside rect{fill:#f4f4f4;stroke-dasharray:4 3}.entry rect{stroke-width:3}\
text{text-anchor:middle;fill:#123}.title{font-weight:bold}.kind{fill:#567;font-size:11px}.label{fill:#833;font-size:11px;paint-order:stroke;stroke:#fff;stroke-width:3px}\
path{fill:none;stroke:#789}</style>\n<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" style=\"fill:#789\"/></marker></defs>";

/// The path from one corner to another, and where its words stand.
fn arrow(from: (f64, f64), to: (f64, f64), to_itself: bool) -> (String, (f64, f64)) {
    let (x1, x2) = (from.0 + BOX.0 / 2.0, to.0 + BOX.0 / 2.0);
    if to_itself {
        let (x, y) = (from.0 + BOX.0, from.1);
        let path = format!("M{x:.0} {:.0}c30 -4 30 26 0 22", y + 12.0);
        return (path, (x + 20.0, y + 6.0));
    }
    if to.1 == from.1 {
        // To a neighbour: below.
        let (y, low) = (from.1 + BOX.1, from.1 + BOX.1 + GAP.1 * 0.7);
        let path = format!("M{x1:.0} {y:.0}C{x1:.0} {low:.0} {x2:.0} {low:.0} {x2:.0} {y:.0}");
        return (path, ((x1 + x2) / 2.0, y + GAP.1 * 0.52));
    }
    if to.1 > from.1 {
        let (y1, y2) = (from.1 + BOX.1, to.1);
        let half = (y1 + y2) / 2.0;
        let path = format!("M{x1:.0} {y1:.0}C{x1:.0} {half:.0} {x2:.0} {half:.0} {x2:.0} {y2:.0}");
        return (path, ((x1 + x2) / 2.0, half));
    }
    // Upwards: around the right side.
    let (x1, y1) = (from.0 + BOX.0, from.1 + BOX.1 / 2.0);
    let (x2, y2) = (to.0 + BOX.0, to.1 + BOX.1 / 2.0);
    let out = x1.max(x2) + GAP.0;
    let path = format!("M{x1:.0} {y1:.0}C{out:.0} {y1:.0} {out:.0} {y2:.0} {x2:.0} {y2:.0}");
    (path, (out - 12.0, (y1 + y2) / 2.0))
}

fn kind(step: &Step) -> &'static str {
    match step {
        Step::Play { .. } => "play",
        Step::Collect { .. } => "collect",
        Step::Echo { .. } => "echo",
        Step::SendDigits { .. } => "send_digits",
        Step::Listen { .. } => "listen",
        Step::WaitForTone { .. } => "wait_for_tone",
        Step::DetectMachine { .. } => "detect_machine",
        Step::Conference { .. } => "conference",
        Step::Record { .. } => "record_message",
        Step::RecordCall { .. } => "record_call",
        Step::RecordingControl { .. } => "recording_control",
        Step::Recording { .. } => "recording",
        Step::Stream { .. } => "stream",
        Step::StopStream { .. } => "stop_stream",
        Step::Set { .. } => "set",
        Step::Branch { .. } => "branch",
        Step::Dial(_) => "dial",
        Step::Queue(queueing) if queueing.alone => "agent",
        Step::Queue(queueing) if queueing.call_back.is_some() => "callback",
        Step::Queue(_) => "queue",
        Step::Voicemail(_) => "voicemail",
        Step::Language { .. } => "language",
        Step::Schedule { .. } => "schedule",
        Step::Hours { .. } => "hours",
        Step::Directory { .. } => "directory",
        Step::Webhook(asking) if asking.not_found.is_some() => "directory",
        Step::Webhook(_) => "webhook",
        Step::NotServed { .. } => "not served yet",
        Step::Hangup { .. } => "hangup",
    }
}

fn callee(callee: &Callee) -> String {
    let (kind, name) = match callee {
        Callee::Number(number) => ("", number),
        Callee::User(user) => ("user ", user),
        Callee::Group(name) => ("group ", name),
        Callee::Trunk { number, .. } => ("outside ", number),
    };
    format!("{kind}{}", name.expand_made(|name| format!("${{{name}}}")))
}

fn cut(text: &str, most: usize) -> String {
    let mut chars = text.chars();
    let mut out: String = chars.by_ref().take(most).collect();
    if chars.next().is_some() {
        out.push('…');
    }
    out
}

/// Text as XML; what XML 1.0 cannot hold at all becomes a replacement character.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            char if char.is_control() => out.push('\u{fffd}'),
            char => out.push(char),
        }
    }
    out
}
