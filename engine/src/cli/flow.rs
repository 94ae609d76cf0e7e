//! `trunkline flow lint|convert|graph|schema|simulate|test`: flow files, looked at without a server.
//!
//! Exit codes: 0 good; 1 there is something wrong with the flow, or a test failed; 2 the command line itself is wrong.
use super::prerender::{self, PrerenderArgs};
use super::simulate;
use crate::config::Problems;
use crate::flow::rehearsal::cases::Cases;
use crate::flow::{Flow, Loaded, graph};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Flow v1 as JSON Schema; the tests of `flow` hold the reader equal to it.
const SCHEMA: &str = include_str!("../../../docs/flow.schema.json");

/// Arguments of `trunkline flow`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say what is understood of a flow file, and what is wrong with it.
    Lint(LintArgs),
    /// Write a flow file of any kind as flow v1.
    Convert(ConvertArgs),
    /// Draw a flow (SVG).
    Graph(GraphArgs),
    /// Run a flow with a made-up caller.
    Simulate(simulate::Args),
    /// Have the texts of a flow spoken into files, prompts/ID.LANGUAGE.wav beside it, which then count before anything else.
    Prerender(PrerenderArgs),
    /// Print the JSON Schema of flow v1, for editors and other programs.
    Schema,
    /// Run the tests of *.flowtest.yaml files.
    Test(TestArgs),
}

#[derive(Debug, clap::Args)]
struct LintArgs {
    /// The flow file: flow v1, a Wazo ivr_flows.json, or a file of menus, prompts and languages.
    file: PathBuf,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct ConvertArgs {
    /// The flow file.
    file: PathBuf,
    /// Where to write; without it, to the terminal. A name that ends with .json gets JSON, any other YAML.
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// JSON, whatever the name.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct GraphArgs {
    /// The flow file.
    file: PathBuf,
    /// Where to write; without it, to the terminal.
    #[arg(long, short)]
    output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct TestArgs {
    /// Files of tests, or folders that hold some (*.flowtest.yaml); without any, the present folder.
    files: Vec<PathBuf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
    /// Show the transcript of every test that fails.
    #[arg(long)]
    transcript: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Lint(args) => lint(args),
        Command::Convert(args) => convert(args),
        Command::Graph(args) => {
            let loaded = look_at(&args.file)?;
            write_to(args.output.as_deref(), &graph::svg(&loaded.flow))
        }
        Command::Schema => write_to(None, SCHEMA),
        Command::Simulate(args) => simulate::run(args),
        Command::Prerender(args) => prerender::run(args),
        Command::Test(args) => test(args),
    }
}

/// Reads a flow to look at it.
pub(super) fn look_at(file: &Path) -> anyhow::Result<Loaded> {
    Ok(Flow::look_at(file, &Default::default())?)
}

fn write_to(output: Option<&Path>, text: &str) -> anyhow::Result<ExitCode> {
    match output {
        Some(path) => std::fs::write(path, text)
            .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?,
        None => std::io::stdout().write_all(text.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn convert(args: &ConvertArgs) -> anyhow::Result<ExitCode> {
    let is_json = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "json");
    let as_json = args.json || args.output.as_ref().is_some_and(is_json);
    let (text, _) = Flow::convert(&args.file, as_json)?;
    write_to(args.output.as_deref(), &text)
}

/// What is known of a flow file.
struct Lint {
    file: String,
    loaded: Result<Loaded, Problems>,
}

fn lint(args: &LintArgs) -> anyhow::Result<ExitCode> {
    let lint = Lint {
        file: args.file.display().to_string(),
        loaded: Flow::look_at(&args.file, &Default::default()),
    };
    let mut out = std::io::stdout();
    if args.json {
        writeln!(out, "{:#}", lint.json())?;
    } else {
        for line in lint.lines() {
            writeln!(out, "{line}")?;
        }
    }
    Ok(if lint.runs() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What of the configuration a flow waits for.
fn queue_or_agent(name: &str) -> String {
    match name.strip_prefix("agent:") {
        Some(agent) => format!("[[agent]] {agent:?}"),
        None => format!("[[queue]] {name:?}"),
    }
}

impl Lint {
    /// Whether a server would take it.
    fn runs(&self) -> bool {
        let taken = |loaded: &Loaded| loaded.not_served.is_empty() && absent(loaded).is_empty();
        self.loaded.as_ref().is_ok_and(taken)
    }

    fn lines(&self) -> Vec<String> {
        let loaded = match &self.loaded {
            Ok(loaded) => loaded,
            Err(problems) => {
                let mut lines: Vec<String> = problems.lines().collect();
                lines.push(format!(
                    "{}: {} wrong",
                    self.file,
                    counted(problems.list.len(), "thing is", "things are")
                ));
                return lines;
            }
        };
        let flow = &loaded.flow;
        let mut lines = vec![format!(
            "{}: {}; entry {}; {}, {}, {}",
            self.file,
            loaded.kind.name(),
            flow.id(flow.entry),
            counted(flow.menus.len(), "menu", "menus"),
            counted(flow.nodes.len(), "node", "nodes"),
            counted(flow.prompts.len(), "prompt", "prompts"),
        )];
        if !flow.languages.is_empty() {
            let codes: Vec<&str> = flow
                .languages
                .iter()
                .map(|language| language.code.as_str())
                .collect();
            lines.push(format!("  languages: {}", codes.join(", ")));
        }
        if !flow.schedules.is_empty() {
            let ids: Vec<String> = flow
                .schedules
                .iter()
                .map(|schedule| {
                    format!(
                        "{} ({})",
                        schedule.id,
                        schedule.zone.iana_name().unwrap_or("?")
                    )
                })
                .collect();
            lines.push(format!("  schedules: {}", ids.join(", ")));
        }
        let mut needs: Vec<String> = flow
            .waits_for()
            .iter()
            .map(|name| queue_or_agent(name))
            .collect();
        let boxes = flow.boxes().into_iter();
        needs.extend(boxes.map(|name| format!("[[voicemail]] {name:?}")));
        if !needs.is_empty() {
            lines.push(format!("  the server needs: {}", needs.join(", ")));
        }
        if !loaded.texts.is_empty() {
            let texts = counted(loaded.texts.len(), "text", "texts");
            lines.push(format!("  to be spoken: {texts}"));
        }
        lines.extend(
            loaded
                .warnings
                .iter()
                .map(|line| format!("warning: {line}")),
        );
        for (at, key) in absent(loaded) {
            lines.push(format!(
                "missing: {}:{at} there is no file {key}",
                self.file
            ));
        }
        lines.extend(
            loaded
                .not_served
                .iter()
                .map(|problem| format!("not served: {}:{problem}", self.file)),
        );
        lines.push(if self.runs() {
            format!("{}: a server runs it", self.file)
        } else {
            format!(
                "{}: a server refuses it for what is missing or not served",
                self.file
            )
        });
        lines
    }

    fn json(&self) -> serde_json::Value {
        let problems = |list: &[crate::config::Problem]| -> Vec<serde_json::Value> {
            let one = |problem: &crate::config::Problem| json!({"line": problem.at.line, "column": problem.at.column, "path": problem.path, "message": problem.message});
            list.iter().map(one).collect()
        };
        match &self.loaded {
            Err(found) => {
                json!({"file": self.file, "runs": false, "errors": problems(&found.list)})
            }
            Ok(loaded) => {
                let flow = &loaded.flow;
                let absent: Vec<_> = absent(loaded)
                    .into_iter()
                    .map(|(at, key)| json!({"place": at, "file": key}))
                    .collect();
                json!({
                    "file": self.file,
                    "runs": self.runs(),
                    "kind": loaded.kind.name(),
                    "name": flow.name,
                    "entry": flow.id(flow.entry),
                    "menus": flow.menus.iter().map(|menu| &menu.id).collect::<Vec<_>>(),
                    "nodes": flow.nodes.iter().map(|node| &node.id).collect::<Vec<_>>(),
                    "languages": flow.languages.iter().map(|language| &language.code).collect::<Vec<_>>(),
                    "schedules": flow.schedules.iter().map(|schedule| &schedule.id).collect::<Vec<_>>(),
                    "errors": [],
                    "warnings": loaded.warnings,
                    "missing_files": absent,
                    "spoken_texts": loaded.texts.len(),
                    "not_served": problems(&loaded.not_served),
                })
            }
        }
    }
}

fn absent(loaded: &Loaded) -> Vec<(String, String)> {
    let files = loaded.prompt_files.iter().filter(|file| !file.is_there());
    files
        .map(|file| {
            (
                format!("{}:{}", file.at.line, file.at.column),
                file.key.clone(),
            )
        })
        .collect()
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn test(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let mut files = Vec::new();
    let here = [PathBuf::from(".")];
    let given = if args.files.is_empty() {
        &here[..]
    } else {
        &args.files
    };
    for path in given {
        found(path, &mut files)?;
    }
    anyhow::ensure!(!files.is_empty(), "there is no *.flowtest.yaml here");
    let mut tally = Tally::default();
    for file in &files {
        tally.file(file, args);
    }
    let mut out = std::io::stdout();
    if args.json {
        writeln!(
            out,
            "{:#}",
            json!({"passed": tally.passed, "failed": tally.failed, "tests": tally.results})
        )?;
    } else {
        for line in &tally.lines {
            writeln!(out, "{line}")?;
        }
        writeln!(out, "{} passed, {} failed", tally.passed, tally.failed)?;
    }
    Ok(if tally.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Files of tests: the path itself, or those in the folder it is.
fn found(path: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut inside: Vec<PathBuf> = std::fs::read_dir(path)?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    inside.sort();
    let is_test = |path: &PathBuf| {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        [".flowtest.yaml", ".flowtest.yml", ".flowtest.json"]
            .iter()
            .any(|ending| name.ends_with(ending))
    };
    files.extend(inside.into_iter().filter(is_test));
    Ok(())
}

/// What came of all tests.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    lines: Vec<String>,
    results: Vec<serde_json::Value>,
}

impl Tally {
    fn file(&mut self, file: &Path, args: &TestArgs) {
        let name = file.display().to_string();
        let read = crate::config::document::read_text(file, &name)
            .and_then(|text| Cases::from_bytes(&name, text.as_bytes()));
        let cases = match read {
            Ok(cases) => cases,
            Err(problems) => return self.broken(&name, &problems),
        };
        let flow = file.parent().unwrap_or(Path::new("")).join(&cases.flow);
        let loaded = match Flow::look_at(&flow, &Default::default()) {
            Ok(loaded) => loaded,
            Err(problems) => return self.broken(&name, &problems),
        };
        for case in &cases.list {
            let (transcript, wrong) = case.run(&loaded);
            let mark = if wrong.is_empty() { "ok" } else { "FAILED" };
            self.lines.push(format!(
                "{mark:6} {name}:{} {}",
                case.line,
                crate::config::document::field::shown(&case.name)
            ));
            self.lines
                .extend(wrong.iter().map(|sentence| format!("       {sentence}")));
            if args.transcript && !wrong.is_empty() {
                self.lines.extend(
                    simulate::lines(&transcript)
                        .into_iter()
                        .map(|line| format!("         {line}")),
                );
            }
            self.results.push(json!({"file": name, "line": case.line, "name": case.name, "passed": wrong.is_empty(), "wrong": wrong}));
            if wrong.is_empty() {
                self.passed += 1;
            } else {
                self.failed += 1;
            }
        }
    }

    fn broken(&mut self, name: &str, problems: &Problems) {
        self.failed += 1;
        self.lines.extend(problems.lines());
        let wrong: Vec<String> = problems.lines().collect();
        self.results
            .push(json!({"file": name, "passed": false, "wrong": wrong}));
    }
}
