//! The flows in force as the control API sees them: by id, with their versions, and replaced as the watcher of files replaces them.
use super::routes::{self, Kept, LiveRoutes};
use crate::api::v1::{FlowFound, FlowShelf, FlowVersion, Kind, Override, Problem, ScheduleFound};
use crate::call::Program;
use crate::config::{FlowSource, document};
use crate::flow::by_hand;
use crate::flow::schedule::{Schedule, Verdict};
use crate::media::PromptLibrary;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// See the module's text.
pub(super) struct Shelf {
    routes: LiveRoutes,
    prompts: Arc<PromptLibrary>,
    /// One flow is replaced at a time.
    replacing: Mutex<()>,
}

impl Shelf {
    pub(super) fn new(routes: LiveRoutes, prompts: Arc<PromptLibrary>) -> Shelf {
        Shelf {
            routes,
            prompts,
            replacing: Mutex::default(),
        }
    }

    fn named(&self, id: &str) -> Option<(String, Kept)> {
        let flows = self.routes.flows.load();
        let name = ids(flows.keys()).remove(id)?;
        let kept = flows.get(&name)?.clone();
        Some((name, kept))
    }
}

/// Sources by id: the file's name without its ending, with a number where several have the same.
fn ids<'a>(sources: impl Iterator<Item = &'a String>) -> BTreeMap<String, String> {
    let mut sources: Vec<&String> = sources.collect();
    sources.sort();
    let mut ids = BTreeMap::new();
    for source in sources {
        let stem = match source.strip_prefix("builtin:") {
            Some(name) => format!("builtin-{name}"),
            None => Path::new(source)
                .file_stem()
                .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
        };
        let stem: String = stem
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        let numbered = (2..).map(|n| format!("{stem}-{n}"));
        let mut free = std::iter::once(stem.clone()).chain(numbered);
        if let Some(id) = free.find(|id| !ids.contains_key(id)) {
            ids.insert(id, source.clone());
        }
    }
    ids
}

fn found(id: &str, kept: &Kept) -> FlowFound {
    let versions = kept.versions.iter().map(|of| FlowVersion {
        version: of.version.clone(),
        since: of.since.to_string(),
        by: of.by.to_owned(),
        octets: of.text.len() as u64,
    });
    let versions: Vec<FlowVersion> = versions.collect();
    FlowFound {
        id: id.to_owned(),
        name: kept.flow.name.clone(),
        source: kept.source.to_string(),
        version: versions
            .first()
            .map(|now| now.version.clone())
            .unwrap_or_default(),
        menus: kept.flow.menus.len() as u64,
        nodes: kept.flow.nodes.len() as u64,
        writable: matches!(kept.source, FlowSource::File(_)),
        warnings: kept.warnings.clone(),
        versions,
    }
}

fn schedule_found(schedule: &Schedule, by_hand: Option<bool>) -> ScheduleFound {
    let now = SystemTime::now();
    let (open, why, destination) = match schedule.at(now, by_hand) {
        Verdict::Open(why) => (true, why, false),
        Verdict::Closed(why) => (false, why, false),
        Verdict::To(_, why) => (false, why, true),
    };
    ScheduleFound {
        id: schedule.id.clone(),
        set: Override::of(by_hand),
        open,
        exception: destination,
        why: why.to_owned(),
        local_time: schedule.local(now).strftime("%Y-%m-%dT%H:%M").to_string(),
        timezone: schedule.zone.iana_name().unwrap_or("UTC").to_owned(),
    }
}

impl FlowShelf for Shelf {
    fn list(&self) -> Vec<FlowFound> {
        let flows = self.routes.flows.load();
        let ids = ids(flows.keys());
        let shown = |(id, name): (&String, &String)| Some(found(id, flows.get(name)?));
        ids.iter().filter_map(shown).collect()
    }

    fn text(&self, id: &str, version: &str) -> Option<Arc<str>> {
        let (_, kept) = self.named(id)?;
        let found = kept.versions.iter().find(|of| of.version == version);
        found.map(|of| of.text.clone())
    }

    fn program(&self, id: &str) -> Option<Box<dyn Program>> {
        let (_, kept) = self.named(id)?;
        Some(self.routes.program_with(&kept))
    }

    fn schedules(&self, id: &str) -> Option<Vec<ScheduleFound>> {
        let (name, kept) = self.named(id)?;
        let schedules = kept.flow.schedules.iter();
        let found = |schedule: &Schedule| {
            schedule_found(schedule, self.routes.hours.of(&name, &schedule.id))
        };
        Some(schedules.map(found).collect())
    }

    fn set_schedule(
        &self,
        id: &str,
        schedule: &str,
        by_hand: Option<bool>,
    ) -> Result<ScheduleFound, Problem> {
        let (name, kept) = self
            .named(id)
            .ok_or_else(|| Problem::not_found("flow", id))?;
        if by_hand.is_none() {
            // Also of one that is in the flow no more.
            self.routes.hours.set(&name, schedule, None);
        }
        let mut schedules = kept.flow.schedules.iter();
        let found = schedules
            .find(|each| each.id == schedule)
            .ok_or_else(|| Problem::not_found("schedule", schedule))?;
        if !self.routes.hours.set(&name, schedule, by_hand) {
            let detail = format!("{} schedules are set by hand, the limit", by_hand::MAX_SET);
            return Err(Problem::new(Kind::Conflict, detail));
        }
        tracing::info!(
            flow = name,
            schedule,
            open = by_hand,
            "a schedule is set over the API"
        );
        Ok(schedule_found(found, by_hand))
    }

    fn replace(
        &self,
        id: &str,
        text: &[u8],
        expected: Option<&str>,
        dry_run: bool,
    ) -> Result<FlowFound, Problem> {
        let _one = self
            .replacing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (name, old) = self
            .named(id)
            .ok_or_else(|| Problem::not_found("flow", id))?;
        let now = old.versions.first().map_or("", |now| &now.version);
        if expected.is_some_and(|expected| expected != now) {
            let detail = format!("version {now} is in force");
            return Err(Problem::new(Kind::PreconditionFailed, detail));
        }
        let FlowSource::File(path) = &old.source else {
            return Err(Problem::new(
                Kind::Conflict,
                "a built-in flow cannot be replaced",
            ));
        };
        let text = document::text(&name, text)?;
        let aliases = self.routes.router.load().config().flow.aliases.clone();
        let mut new = routes::staged(&old.source, text, "api", &aliases, &self.prompts)?;
        if dry_run {
            new.follow(&old);
            return Ok(found(id, &new));
        }
        write(path, text).map_err(|cause| {
            Problem::new(
                Kind::Unavailable,
                format!("{} cannot be written: {cause}", path.display()),
            )
        })?;
        if !self.routes.swap(&name, &old, new) {
            return Err(Problem::new(
                Kind::Conflict,
                "the configuration was read anew meanwhile; the file holds what was sent and is taken up within seconds",
            ));
        }
        tracing::info!(
            flow = id,
            "{name} was replaced over the API: calls run it from now on"
        );
        let (_, kept) = self
            .named(id)
            .ok_or_else(|| Problem::not_found("flow", id))?;
        Ok(found(id, &kept))
    }
}

/// Beside the file first, so that it is never half written.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut staged = path.as_os_str().to_owned();
    staged.push(".staged");
    let mut file = std::fs::File::create(&staged)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&staged, path)
}

#[cfg(test)]
mod tests {
    use super::super::routes::{RouteTable, library};
    use super::*;
    use crate::config::Config;

    fn flow(name: &str) -> String {
        format!(
            "flow_version: 1\nname: {name}\nentry: m\nmenus:\n  m:\n    menu_prompt: {{silence_ms: 10}}\n    choices: [{{exten: '1', destination: {{type: hangup}}}}]\n"
        )
    }

    fn shelf(folder: &Path) -> Shelf {
        let path = folder.join("desk.yaml");
        std::fs::write(&path, flow("first")).expect("written");
        let config = format!(
            "[[number]]\nto = \"1\"\nflow = \"{}\"\n[[number]]\nto = \"2\"\nflow = \"builtin:demo\"",
            path.display()
        );
        let config = Arc::new(Config::from_str("t", &config).expect("good"));
        let prompts = Arc::new(library());
        let (table, _) = RouteTable::load(config, &prompts).expect("good");
        Shelf::new(LiveRoutes::new(table), prompts)
    }

    #[test]
    fn a_flow_is_replaced_as_a_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let shelf = shelf(folder.path());
        let ids: Vec<_> = shelf.list().into_iter().map(|flow| flow.id).collect();
        assert_eq!(ids, ["builtin-demo", "desk"]);
        let first = shelf.list().remove(1);
        let kind = |id: &str, text: &str, expected: Option<&str>| {
            shelf
                .replace(id, text.as_bytes(), expected, false)
                .map_err(|problem| problem.kind)
                .map(|flow| flow.name)
        };
        assert_eq!(kind("none", &flow("x"), None), Err(Kind::NotFound));
        assert_eq!(kind("builtin-demo", &flow("x"), None), Err(Kind::Conflict));
        assert_eq!(
            kind("desk", &flow("x"), Some("made-up")),
            Err(Kind::PreconditionFailed)
        );
        let problem = shelf
            .replace("desk", b"flow_version: 1\nentry: nowhere\n", None, false)
            .expect_err("broken");
        assert_eq!(problem.kind, Kind::Invalid);
        assert!(
            problem
                .errors
                .iter()
                .all(|error| error.line.is_some() && error.file.is_some())
        );
        assert_eq!(shelf.list()[1].name, "first", "nothing of that was taken");
        assert_eq!(
            shelf
                .replace("desk", flow("dry").as_bytes(), None, true)
                .expect("good")
                .name,
            "dry"
        );
        assert_eq!(shelf.list()[1].name, "first");
        assert_eq!(
            kind("desk", &flow("second"), Some(&first.version)),
            Ok("second".into())
        );
        let now = shelf.list().remove(1);
        assert_eq!(now.versions.len(), 2);
        assert_eq!(
            (&*now.versions[0].by, &*now.versions[1].by),
            ("api", "file")
        );
        assert_eq!(
            &*shelf.text("desk", &first.version).expect("kept"),
            flow("first")
        );
        let file = folder.path().join("desk.yaml");
        assert_eq!(
            std::fs::read_to_string(file).expect("there"),
            flow("second")
        );
    }

    #[test]
    fn flows_whose_files_have_the_same_name_have_ids_of_their_own() {
        let sources: Vec<String> = [
            "/a/menu.yaml",
            "/b/menu.json",
            "/b/me nu.json",
            "builtin:demo",
        ]
        .map(str::to_owned)
        .into();
        let found = ids(sources.iter());
        let found: Vec<_> = found
            .iter()
            .map(|(id, source)| (&**id, &**source))
            .collect();
        assert_eq!(
            found,
            [
                ("builtin-demo", "builtin:demo"),
                ("me_nu", "/b/me nu.json"),
                ("menu", "/a/menu.yaml"),
                ("menu-2", "/b/menu.json")
            ]
        );
    }
}
