//! Flow files are watched: a changed one is read, checked and staged with its prompts, and put in force for the calls that begin from
//! then on. Calls in progress keep the flow they began with; a file with a mistake leaves the old one in force, and the log says why.
use super::routes::{self, Kept, LiveRoutes};
use crate::config::FlowSource;
use crate::media::PromptLibrary;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often files are looked at. One that changed is read when it stayed the same from one look to the next: nobody is writing it.
const EVERY: Duration = Duration::from_secs(1);

/// What tells one version of a file from another: device, inode, length, and when it was changed.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// Watches until the process ends.
pub(super) async fn watch(routes: LiveRoutes, prompts: Arc<PromptLibrary>) {
    let mut watch = FlowWatch::new(routes, prompts);
    loop {
        tokio::time::sleep(EVERY).await;
        let looked = tokio::task::spawn_blocking(move || {
            watch.look();
            watch
        });
        match looked.await {
            Ok(back) => watch = back,
            Err(_) => return,
        }
    }
}

/// The files of the flows in force.
struct FlowWatch {
    routes: LiveRoutes,
    prompts: Arc<PromptLibrary>,
    seen: HashMap<String, Seen>,
}

/// What was seen of one flow's files.
struct Seen {
    /// Of the version that is in force, or was refused.
    settled: Vec<Stamp>,
    /// At the last look.
    last: Vec<Stamp>,
}

impl FlowWatch {
    fn new(routes: LiveRoutes, prompts: Arc<PromptLibrary>) -> FlowWatch {
        let mut watch = FlowWatch {
            routes,
            prompts,
            seen: HashMap::new(),
        };
        watch.look();
        watch
    }

    /// One look at every file; changes what has changed.
    fn look(&mut self) {
        let flows = self.routes.flows.load_full();
        self.seen.retain(|name, _| flows.contains_key(name));
        for (name, kept) in flows.iter() {
            let stamps = stamps(kept);
            let seen = self.seen.entry(name.clone()).or_insert_with(|| Seen {
                settled: stamps.clone(),
                last: stamps.clone(),
            });
            let still = seen.last == stamps;
            seen.last.clone_from(&stamps);
            if seen.settled == stamps || !still {
                continue;
            }
            seen.settled = stamps;
            self.exchange(name, kept);
            // What it is made from may be other files now.
            if let (Some(kept), Some(seen)) =
                (self.routes.flows.load().get(name), self.seen.get_mut(name))
            {
                let now = self::stamps(kept);
                if now.len() != seen.settled.len() {
                    (seen.settled, seen.last) = (now.clone(), now);
                }
            }
        }
    }

    fn exchange(&self, name: &str, old: &Kept) {
        let aliases = self.routes.router.load().config().flow.aliases.clone();
        let new = match routes::load(&old.source, &aliases, &self.prompts) {
            Ok(new) => new,
            Err(problems) => {
                for line in problems.lines() {
                    tracing::error!("{line}");
                }
                tracing::error!(
                    rule = "flow-kept",
                    mistakes = problems.list.len(),
                    "{name} was changed and not taken; the flow before stays in force"
                );
                return;
            }
        };
        for warning in &new.warnings {
            tracing::warn!("{warning}");
        }
        let (menus, nodes) = (new.flow.menus.len(), new.flow.nodes.len());
        if self.routes.swap(name, old, new) {
            tracing::info!(
                menus,
                nodes,
                "{name} has changed: calls run it from now on, those in progress keep the flow they began with"
            );
        }
    }
}

fn stamps(kept: &Kept) -> Vec<Stamp> {
    let FlowSource::File(path) = &kept.source else {
        return Vec::new();
    };
    let further = kept.further.iter().map(PathBuf::from);
    [path.clone()]
        .into_iter()
        .chain(further)
        .map(|path| stamp(&path))
        .collect()
}

fn stamp(path: &Path) -> Stamp {
    let meta = std::fs::metadata(path).ok()?;
    Some((
        meta.dev(),
        meta.ino(),
        meta.len(),
        meta.ctime(),
        meta.ctime_nsec(),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::routes::{RouteTable, library};
    use super::*;
    use crate::config::Config;

    fn flow(name: &str, digit: &str) -> String {
        format!(
            "flow_version: 1\nname: {name}\nentry: m\nmenus:\n  m:\n    menu_prompt: {{silence_ms: 10}}\n    choices: [{{exten: '{digit}', destination: {{type: hangup}}}}]\n"
        )
    }

    /// As often as it takes to see that a file stays as it is.
    fn looks(watch: &mut FlowWatch) {
        (0..3).for_each(|_| watch.look());
    }

    fn name(routes: &LiveRoutes) -> String {
        let flows = routes.flows.load();
        let kept = flows.values().next().expect("one flow");
        kept.flow.name.clone()
    }

    #[test]
    fn a_changed_file_counts_from_then_on_and_a_bad_one_does_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("flow.yaml");
        std::fs::write(&path, flow("first", "1")).expect("written");
        let config = format!("[[number]]\nto = \"1\"\nflow = \"{}\"\n", path.display());
        let config = Arc::new(Config::from_str("t", &config).expect("good"));
        let prompts = Arc::new(library());
        let (table, _) = RouteTable::load(config, &prompts).expect("good");
        let routes = LiveRoutes::new(table);
        let running = routes.flows.load_full();
        let mut watch = FlowWatch::new(routes.clone(), prompts);
        watch.look();
        assert_eq!(name(&routes), "first");

        std::fs::write(&path, flow("second", "2")).expect("written");
        watch.look();
        assert_eq!(name(&routes), "first", "it may still be written");
        watch.look();
        assert_eq!(name(&routes), "second");
        let kept = running.values().next().expect("one flow");
        assert_eq!(kept.flow.name, "first", "a call keeps what it began with");

        std::fs::write(&path, "flow_version: 1\nentry: nowhere\n").expect("written");
        looks(&mut watch);
        assert_eq!(name(&routes), "second", "a bad file is not taken");
        std::fs::remove_file(&path).expect("removed");
        looks(&mut watch);
        assert_eq!(name(&routes), "second", "nor is none at all");
        std::fs::write(&path, flow("third", "3")).expect("written");
        looks(&mut watch);
        assert_eq!(name(&routes), "third");
    }
}
