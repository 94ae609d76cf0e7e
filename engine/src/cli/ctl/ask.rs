//! What is asked on the command line, as a request.
use anyhow::Context;
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::path::PathBuf;

/// A body.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) media: &'static str,
    pub(super) text: String,
}

/// How an answer is shown.
#[derive(Debug, Clone, Copy)]
pub(super) enum Columns {
    /// A table of these.
    Of(&'static [&'static str]),
    /// All fields of one thing.
    All,
    /// As it is.
    Text,
}

/// A request.
pub(super) enum Asked {
    Once {
        method: Method,
        path: String,
        body: Option<Body>,
        columns: Columns,
    },
    Follow(String),
    /// A file, and where it is written.
    File(String, PathBuf),
}

#[derive(Debug, clap::Args)]
pub(super) struct Paging {
    /// Most rows.
    #[arg(long)]
    limit: Option<u32>,
    /// Where the list before ended.
    #[arg(long)]
    cursor: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum What {
    /// Version, uptime and how much goes on.
    Server,
    /// The token in use.
    Token,
    /// Carriers and how they stand, or one.
    Trunks {
        name: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Users with phones, or one.
    Endpoints {
        user: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Phones that are registered.
    Registrations(Paging),
    /// Which number leads where.
    Numbers(Paging),
    /// Call records.
    Cdrs {
        /// Of this call and its legs only.
        #[arg(long, conflicts_with_all = ["number", "limit", "cursor"])]
        call: Option<String>,
        /// Of this number only.
        #[arg(long)]
        number: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Recordings.
    #[command(subcommand)]
    Recordings(Recordings),
    /// Voicemail boxes and their messages.
    #[command(subcommand)]
    Voicemail(Voicemail),
    /// Events: the latest, or as they happen.
    Events {
        /// As they happen, until Ctrl-C.
        #[arg(long)]
        follow: bool,
        /// Names such as "call.*,digit".
        #[arg(long)]
        events: Option<String>,
        /// Of this call only.
        #[arg(long)]
        call: Option<String>,
        /// Most of the latest, 1 to 200; usually 50.
        #[arg(long, conflicts_with = "follow")]
        limit: Option<u32>,
    },
    /// Flows.
    #[command(subcommand)]
    Flows(Flows),
    /// Calls in progress.
    #[command(subcommand)]
    Calls(Calls),
    /// Calls that are to be placed later.
    #[command(subcommand)]
    Scheduled(super::scheduled::Scheduled),
    /// Conferences in progress.
    #[command(subcommand)]
    Conferences(Conferences),
    /// Queues: who waits, who serves.
    #[command(subcommand)]
    Queues(super::queues::Queues),
    /// Agents of queues.
    #[command(subcommand)]
    Agents(super::queues::Agents),
    /// What waits to be delivered to webhooks.
    #[command(subcommand)]
    Deliveries(super::deliveries::Deliveries),
    /// Any other request: METHOD PATH below /api/v1, with a JSON body where one is given.
    Request {
        method: String,
        path: String,
        body: Option<String>,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum Recordings {
    /// Recordings, the newest first.
    List {
        /// Of this call only.
        #[arg(long)]
        call: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// A recording.
    Get { id: String },
    /// A signed address under which it can be heard for a while.
    Address {
        id: String,
        /// How long, in seconds.
        #[arg(long)]
        valid: Option<u32>,
    },
    /// Write the file of a recording.
    Save { id: String, file: PathBuf },
    /// Delete a recording and its file.
    Delete { id: String },
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum Voicemail {
    /// Boxes and how many messages they have.
    List(Paging),
    /// A box, by name or number.
    Get { mailbox: String },
    /// The messages of a box, the newest first.
    Messages {
        mailbox: String,
        /// "new" or "saved" only.
        #[arg(long)]
        state: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// A message.
    Message { mailbox: String, id: String },
    /// A message counts as heard.
    Save { mailbox: String, id: String },
    /// A message counts as new again.
    Renew { mailbox: String, id: String },
    /// Write what was said, as a WAV file; it does not count as heard by this.
    Audio {
        mailbox: String,
        id: String,
        file: PathBuf,
    },
    /// Delete a message.
    Delete { mailbox: String, id: String },
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum Flows {
    /// Flows in force.
    List(Paging),
    /// A flow and its versions.
    Get { id: String },
    /// The text of a version of a flow.
    Text { id: String, version: String },
    /// Replace a flow.
    Put {
        id: String,
        file: PathBuf,
        /// Only check it.
        #[arg(long)]
        dry_run: bool,
    },
    /// The schedules of a flow, and whether they are open.
    Schedules {
        id: String,
        #[command(flatten)]
        paging: Paging,
    },
    /// Set a schedule by hand: open, closed, or auto (its hours count).
    Hours {
        id: String,
        schedule: String,
        #[arg(value_parser = ["open", "closed", "auto"])]
        to: String,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum Conferences {
    /// Conferences in progress.
    List(Paging),
    /// Who is in one.
    Get { name: String },
    /// End one for all.
    End { name: String },
    /// Nobody hears a member.
    Mute { name: String, call: String },
    /// A member is heard again.
    Unmute { name: String, call: String },
    /// Put a member out.
    Kick { name: String, call: String },
}

/// Of whom.
#[derive(Debug, clap::Args)]
pub(super) struct Party {
    /// The call's id.
    id: String,
    /// "own", "peer" or "both".
    #[arg(long, default_value = "own")]
    party: String,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum Calls {
    /// Calls in progress.
    List {
        /// With this tag only.
        #[arg(long)]
        tag: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Place a call.
    Create(Box<super::place::Create>),
    /// Call somebody who joins a call, in a conference.
    Add {
        id: String,
        /// A number, "endpoint:USER", "ring_group:NAME" or "agent:ID".
        #[arg(long)]
        to: String,
        /// The number shown.
        #[arg(long)]
        from: Option<String>,
        /// The others do not hear it at first.
        #[arg(long)]
        mute: bool,
    },
    /// Who was added to a call.
    Participants {
        id: String,
        #[command(flatten)]
        paging: Paging,
    },
    /// Remove somebody who was added: by number, user, "agent:ID" or the id of their call.
    Remove { id: String, who: String },
    /// A call.
    Get { id: String },
    /// Say a text.
    Say {
        #[command(flatten)]
        party: Party,
        text: String,
        #[arg(long)]
        language: Option<String>,
        #[arg(long)]
        voice: Option<String>,
    },
    /// End a call, or the party it is joined with (--party peer).
    Hangup(Party),
    /// Send a party elsewhere.
    Transfer {
        #[command(flatten)]
        party: Party,
        /// A number, "endpoint:USER", "ring_group:NAME" or "agent:ID".
        #[arg(long, required_unless_present = "flow")]
        to: Option<String>,
        /// A flow.
        #[arg(long, conflicts_with = "to")]
        flow: Option<String>,
    },
    /// Play audio: URLs, loaded prompts, "builtin:...", "silence:MS".
    Play {
        #[command(flatten)]
        party: Party,
        #[arg(required = true)]
        audio: Vec<String>,
    },
    /// Stop what plays.
    Stop(Party),
    /// Nobody hears a party.
    Mute(Party),
    /// A party is heard again.
    Unmute(Party),
    /// Put a party on hold.
    Hold(Party),
    /// Take a party off hold.
    Unhold(Party),
    /// Send digits.
    Digits {
        #[command(flatten)]
        party: Party,
        digits: String,
    },
    /// Record: start, stop, pause or resume.
    Record {
        id: String,
        #[arg(value_parser = ["start", "stop", "pause", "resume"])]
        what: String,
        /// To start with: "mixed" (usual), "stereo" or "received".
        #[arg(long)]
        tracks: Option<String>,
        /// To start with: "wav" (usual) or "opus".
        #[arg(long)]
        format: Option<String>,
    },
    /// Stream the audio to a service at this URL (ws, wss), or "stop".
    Stream { id: String, url: String },
    /// Go to a conference.
    Join {
        #[command(flatten)]
        party: Party,
        conference: String,
    },
    /// Leave the conference.
    Leave { id: String },
    /// Set tags and metadata (NAME=VALUE; NAME= removes).
    Tag {
        id: String,
        #[arg(long = "tag")]
        tags: Vec<String>,
        #[arg(long)]
        metadata: Vec<String>,
    },
}

pub(super) fn once(method: Method, path: String, body: Option<Value>, columns: Columns) -> Asked {
    let body = body.map(|body| Body {
        media: "application/json",
        text: body.to_string(),
    });
    Asked::Once {
        method,
        path,
        body,
        columns,
    }
}

pub(super) fn get(path: impl Into<String>, columns: Columns) -> Asked {
    once(Method::GET, path.into(), None, columns)
}

/// A name as one part of a path.
pub(super) fn part(name: &str) -> String {
    let mut part = String::new();
    for octet in name.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                part.push(char::from(octet))
            }
            _ => _ = write!(part, "%{octet:02X}"),
        }
    }
    part
}

pub(super) fn query(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let given = parameters
        .iter()
        .filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let pairs: Vec<String> = given
        .map(|(name, value)| format!("{name}={}", part(value)))
        .collect();
    match pairs.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", pairs.join("&")),
    }
}

impl Paging {
    pub(super) fn list(
        &self,
        path: &str,
        more: &[(&str, Option<String>)],
        columns: &'static [&'static str],
    ) -> Asked {
        let mut all = vec![
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("cursor", self.cursor.clone()),
        ];
        all.extend_from_slice(more);
        get(query(path, &all), Columns::Of(columns))
    }
}

impl What {
    /// The request.
    pub(super) fn asked(&self) -> anyhow::Result<Asked> {
        Ok(match self {
            What::Server => get("/server", Columns::All),
            What::Token => get("/token", Columns::All),
            What::Trunks {
                name: Some(name), ..
            } => get(format!("/trunks/{}", part(name)), Columns::All),
            What::Endpoints {
                user: Some(user), ..
            } => get(format!("/endpoints/{}", part(user)), Columns::All),
            What::Cdrs {
                call: Some(call), ..
            } => get(
                format!("/cdrs/{}", part(call)),
                Columns::Of(&[
                    "type", "leg", "party", "began", "answered", "state", "cause", "seconds",
                ]),
            ),
            What::Trunks { paging, .. } => paging.list(
                "/trunks",
                &[],
                &["name", "usable", "calls", "max_calls", "registration"],
            ),
            What::Endpoints { paging, .. } => paging.list(
                "/endpoints",
                &[],
                &["user", "extension", "name", "dnd", "registrations"],
            ),
            What::Registrations(paging) => paging.list(
                "/registrations",
                &[],
                &[
                    "user",
                    "contact",
                    "transport",
                    "remote",
                    "valid_for_s",
                    "user_agent",
                ],
            ),
            What::Numbers(paging) => paging.list(
                "/numbers",
                &[],
                &["to", "from", "kind", "destination", "line"],
            ),
            What::Cdrs { number, paging, .. } => paging.list(
                "/cdrs",
                &[("number", number.clone())],
                &["call", "began", "from", "to", "state", "cause", "seconds"],
            ),
            What::Events {
                follow,
                events,
                call,
                limit,
            } => {
                let limit = limit.map(|limit| limit.to_string());
                let wanted = [
                    ("events", events.clone()),
                    ("call", call.clone()),
                    ("limit", limit),
                ];
                match follow {
                    true => Asked::Follow(query("/events", &wanted)),
                    false => get(
                        query("/events/recent", &wanted),
                        Columns::Of(&["at", "event", "call", "data"]),
                    ),
                }
            }
            What::Recordings(recordings) => recordings.asked(),
            What::Voicemail(voicemail) => voicemail.asked(),
            What::Flows(flows) => flows.asked()?,
            What::Calls(calls) => calls.asked()?,
            What::Scheduled(scheduled) => scheduled.asked(),
            What::Conferences(conferences) => conferences.asked(),
            What::Queues(queues) => queues.asked(),
            What::Agents(agents) => agents.asked(),
            What::Deliveries(deliveries) => deliveries.asked(),
            What::Request { method, path, body } => {
                let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes())
                    .context("that is no method")?;
                let body = body.as_ref().map(|text| Body {
                    media: "application/json",
                    text: text.clone(),
                });
                let path = path.strip_prefix("/api/v1").unwrap_or(path).to_owned();
                Asked::Once {
                    method,
                    path,
                    body,
                    columns: Columns::Text,
                }
            }
        })
    }
}

impl Recordings {
    fn asked(&self) -> Asked {
        match self {
            Recordings::List { call, paging } => paging.list(
                "/recordings",
                &[("call", call.clone())],
                &["id", "call", "conference", "state", "began", "ms", "octets"],
            ),
            Recordings::Get { id } => get(format!("/recordings/{}", part(id)), Columns::All),
            Recordings::Address { id, valid } => once(
                Method::POST,
                format!("/recordings/{}/address", part(id)),
                valid.map(|seconds| json!({ "valid_s": seconds })),
                Columns::All,
            ),
            Recordings::Save { id, file } => {
                Asked::File(format!("/recordings/{}/audio", part(id)), file.clone())
            }
            Recordings::Delete { id } => once(
                Method::DELETE,
                format!("/recordings/{}", part(id)),
                None,
                Columns::All,
            ),
        }
    }
}

impl Voicemail {
    fn asked(&self) -> Asked {
        let message =
            |mailbox: &str, id: &str| format!("/voicemail/{}/messages/{}", part(mailbox), part(id));
        let mark = |mailbox, id, state: &str| {
            let body = Some(json!({ "state": state }));
            once(Method::PATCH, message(mailbox, id), body, Columns::All)
        };
        match self {
            Voicemail::List(paging) => paging.list(
                "/voicemail",
                &[],
                &["name", "number", "new", "saved", "endpoints"],
            ),
            Voicemail::Get { mailbox } => {
                get(format!("/voicemail/{}", part(mailbox)), Columns::All)
            }
            Voicemail::Messages {
                mailbox,
                state,
                paging,
            } => paging.list(
                &format!("/voicemail/{}/messages", part(mailbox)),
                &[("state", state.clone())],
                &["id", "at", "from", "name", "state", "ms", "transcript"],
            ),
            Voicemail::Message { mailbox, id } => get(message(mailbox, id), Columns::All),
            Voicemail::Save { mailbox, id } => mark(mailbox, id, "saved"),
            Voicemail::Renew { mailbox, id } => mark(mailbox, id, "new"),
            Voicemail::Audio { mailbox, id, file } => {
                Asked::File(format!("{}/audio", message(mailbox, id)), file.clone())
            }
            Voicemail::Delete { mailbox, id } => {
                once(Method::DELETE, message(mailbox, id), None, Columns::All)
            }
        }
    }
}

impl Flows {
    fn asked(&self) -> anyhow::Result<Asked> {
        Ok(match self {
            Flows::List(paging) => paging.list(
                "/flows",
                &[],
                &["id", "name", "version", "menus", "nodes", "source"],
            ),
            Flows::Get { id } => get(format!("/flows/{}", part(id)), Columns::All),
            Flows::Text { id, version } => get(
                format!("/flows/{}/versions/{}", part(id), part(version)),
                Columns::Text,
            ),
            Flows::Schedules { id, paging } => paging.list(
                &format!("/flows/{}/schedules", part(id)),
                &[],
                &["id", "override", "open", "why", "local_time", "timezone"],
            ),
            Flows::Hours { id, schedule, to } => once(
                Method::PUT,
                format!("/flows/{}/schedules/{}", part(id), part(schedule)),
                Some(json!({ "override": to })),
                Columns::All,
            ),
            Flows::Put { id, file, dry_run } => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("cannot read {}", file.display()))?;
                Asked::Once {
                    method: Method::PUT,
                    path: format!("/flows/{}?dry_run={dry_run}", part(id)),
                    body: Some(Body {
                        media: "text/plain",
                        text,
                    }),
                    columns: Columns::All,
                }
            }
        })
    }
}

impl Conferences {
    fn asked(&self) -> Asked {
        let member =
            |name: &str, call: &str| format!("/conferences/{}/members/{}", part(name), part(call));
        let mute = |mute: bool| Some(json!({ "mute": mute }));
        match self {
            Conferences::List(paging) => paging.list("/conferences", &[], &["name", "members"]),
            Conferences::Get { name } => get(format!("/conferences/{}", part(name)), Columns::All),
            Conferences::End { name } => once(
                Method::DELETE,
                format!("/conferences/{}", part(name)),
                None,
                Columns::All,
            ),
            Conferences::Mute { name, call } => {
                once(Method::PATCH, member(name, call), mute(true), Columns::All)
            }
            Conferences::Unmute { name, call } => {
                once(Method::PATCH, member(name, call), mute(false), Columns::All)
            }
            Conferences::Kick { name, call } => {
                once(Method::DELETE, member(name, call), None, Columns::All)
            }
        }
    }
}

/// Whom a word names: a number, "endpoint:USER", "ring_group:NAME", "agent:ID".
pub(super) fn target(word: &str) -> Value {
    match word.split_once(':') {
        Some((kind @ ("endpoint" | "ring_group" | "agent" | "number"), name)) => {
            json!({ kind: name })
        }
        _ => json!({ "number": word }),
    }
}

impl Calls {
    fn asked(&self) -> anyhow::Result<Asked> {
        let order = |id: &str, what: &str, body: Value| {
            let body = Some(body).filter(|body| !body.is_null());
            once(
                Method::POST,
                format!("/calls/{}/{what}", part(id)),
                body,
                Columns::All,
            )
        };
        let party =
            |party: &Party, what: &str| order(&party.id, what, json!({ "party": party.party }));
        Ok(match self {
            Calls::List { tag, paging } => paging.list(
                "/calls",
                &[("tag", tag.clone())],
                &[
                    "id",
                    "direction",
                    "from",
                    "to",
                    "state",
                    "program",
                    "bridged_with",
                    "conference",
                    "tags",
                ],
            ),
            Calls::Create(create) => once(
                Method::POST,
                "/calls".to_owned(),
                Some(create.body()?),
                Columns::All,
            ),
            Calls::Add { id, to, from, mute } => order(
                id,
                "participants",
                json!({ "to": target(to), "from": from, "mute": mute }),
            ),
            Calls::Participants { id, paging } => paging.list(
                &format!("/calls/{}/participants", part(id)),
                &[],
                &["id", "to", "state", "conference"],
            ),
            Calls::Remove { id, who } => once(
                Method::DELETE,
                format!("/calls/{}/participants/{}", part(id), part(who)),
                None,
                Columns::All,
            ),
            Calls::Get { id } => get(format!("/calls/{}", part(id)), Columns::All),
            Calls::Say {
                party,
                text,
                language,
                voice,
            } => order(
                &party.id,
                "say",
                json!({ "party": party.party, "text": text, "language": language, "voice": voice }),
            ),
            Calls::Hangup(of) => party(of, "hangup"),
            Calls::Transfer { party, to, flow } => {
                let mut body = json!({ "party": party.party });
                if let Some(to) = to {
                    body["to"] = target(to);
                }
                if let Some(flow) = flow {
                    body["flow"] = flow.as_str().into();
                }
                order(&party.id, "transfer", body)
            }
            Calls::Play { party, audio } => order(
                &party.id,
                "play",
                json!({ "party": party.party, "audio": audio }),
            ),
            Calls::Stop(of) => party(of, "stop"),
            Calls::Mute(of) => party(of, "mute"),
            Calls::Unmute(of) => party(of, "unmute"),
            Calls::Hold(of) => party(of, "hold"),
            Calls::Unhold(of) => party(of, "unhold"),
            Calls::Digits { party, digits } => order(
                &party.id,
                "digits",
                json!({ "party": party.party, "digits": digits }),
            ),
            Calls::Record {
                id,
                what,
                tracks,
                format,
            } => {
                let mut how = Map::new();
                for (key, value) in [("tracks", tracks), ("format", format)] {
                    how.extend(value.iter().map(|value| (key.to_owned(), json!(value))));
                }
                let body = match how.is_empty() {
                    true => Value::Null,
                    false => Value::Object(how),
                };
                order(id, &format!("recording/{what}"), body)
            }
            Calls::Stream { id, url } if url == "stop" => order(id, "stream/stop", Value::Null),
            Calls::Stream { id, url } => order(id, "stream/start", json!({ "url": url })),
            Calls::Join { party, conference } => order(
                &party.id,
                "conference/join",
                json!({ "party": party.party, "conference": conference }),
            ),
            Calls::Leave { id } => order(id, "conference/leave", Value::Null),
            Calls::Tag { id, tags, metadata } => {
                let mut entries = Map::new();
                for entry in metadata {
                    let (name, value) = entry
                        .split_once('=')
                        .with_context(|| format!("\"{entry}\" is not NAME=VALUE"))?;
                    let value = if value.is_empty() {
                        Value::Null
                    } else {
                        value.into()
                    };
                    entries.insert(name.to_owned(), value);
                }
                let mut body = json!({ "metadata": entries });
                if !tags.is_empty() {
                    body["tags"] = json!(tags);
                }
                once(
                    Method::PATCH,
                    format!("/calls/{}", part(id)),
                    Some(body),
                    Columns::All,
                )
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        what: What,
    }

    fn asked(line: &str) -> (Method, String, Option<Value>) {
        let words = std::iter::once("ctl").chain(line.split(' '));
        let line = Line::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
        match line.what.asked().expect("good") {
            Asked::Once {
                method, path, body, ..
            } => {
                let body = body.map(|body| serde_json::from_str(&body.text).expect("JSON"));
                (method, path, body)
            }
            Asked::Follow(path) | Asked::File(path, _) => (Method::GET, path, None),
        }
    }

    #[test]
    fn words_become_requests() {
        for (line, method, path, body) in [
            (
                "calls list --tag a/b --limit 3",
                "GET",
                "/calls?limit=3&tag=a%2Fb",
                None,
            ),
            (
                "calls hangup c-1 --party peer",
                "POST",
                "/calls/c-1/hangup",
                Some(json!({"party": "peer"})),
            ),
            (
                "calls transfer c-1 --to endpoint:ann",
                "POST",
                "/calls/c-1/transfer",
                Some(json!({"party": "own", "to": {"endpoint": "ann"}})),
            ),
            (
                "calls record c-1 pause",
                "POST",
                "/calls/c-1/recording/pause",
                None,
            ),
            (
                "calls record c-1 start --tracks stereo --format opus",
                "POST",
                "/calls/c-1/recording/start",
                Some(json!({"tracks": "stereo", "format": "opus"})),
            ),
            (
                "calls tag c-1 --tag vip --metadata order=7 --metadata old=",
                "PATCH",
                "/calls/c-1",
                Some(json!({"tags": ["vip"], "metadata": {"order": "7", "old": null}})),
            ),
            (
                "events --follow --events call.*",
                "GET",
                "/events?events=call.%2A",
                None,
            ),
            (
                "events --limit 5 --call c-1",
                "GET",
                "/events/recent?call=c-1&limit=5",
                None,
            ),
            (
                "conferences kick café c-2",
                "DELETE",
                "/conferences/caf%C3%A9/members/c-2",
                None,
            ),
            (
                "calls create --to endpoint:ann --ring 20 --option 1=sales:queue=sales",
                "POST",
                "/calls",
                Some(
                    json!({"to": {"endpoint": "ann"}, "from": null, "ring_s": 20, "menu": {"options": [
                        {"key": "1", "prompt": {"say": "sales"}, "then": [{"enqueue": {"queue": "sales"}}]},
                    ]}}),
                ),
            ),
            ("recordings delete r-1", "DELETE", "/recordings/r-1", None),
            (
                "recordings save r-1 a.wav",
                "GET",
                "/recordings/r-1/audio",
                None,
            ),
            (
                "calls remove c-1 agent:2001",
                "DELETE",
                "/calls/c-1/participants/agent%3A2001",
                None,
            ),
            (
                "agents mode 2001 c-2 barge",
                "PATCH",
                "/agents/2001/supervise/c-2",
                Some(json!({"mode": "barge"})),
            ),
            ("cdrs --call c-1", "GET", "/cdrs/c-1", None),
            ("trunks carrier", "GET", "/trunks/carrier", None),
            (
                "recordings address r-1 --valid 60",
                "POST",
                "/recordings/r-1/address",
                Some(json!({"valid_s": 60})),
            ),
            (
                "voicemail messages sales --state new",
                "GET",
                "/voicemail/sales/messages?state=new",
                None,
            ),
            (
                "voicemail save sales v-1",
                "PATCH",
                "/voicemail/sales/messages/v-1",
                Some(json!({"state": "saved"})),
            ),
            (
                "voicemail delete sales v-1",
                "DELETE",
                "/voicemail/sales/messages/v-1",
                None,
            ),
            ("request get /api/v1/server", "GET", "/server", None),
            (
                "calls create --to agent:2001 --at 2030-01-01T08:00:00Z --late 60 --flow desk",
                "POST",
                "/calls",
                Some(
                    json!({"to": {"agent": "2001"}, "from": null, "at": "2030-01-01T08:00:00Z", "late_s": 60, "flow": "desk"}),
                ),
            ),
            (
                "scheduled list --state missed",
                "GET",
                "/scheduled-calls?state=missed",
                None,
            ),
            (
                "scheduled move s-1 --at 2030-01-01T08:00:00Z",
                "PATCH",
                "/scheduled-calls/s-1",
                Some(json!({"at": "2030-01-01T08:00:00Z"})),
            ),
            (
                "scheduled cancel s-1",
                "DELETE",
                "/scheduled-calls/s-1",
                None,
            ),
            (
                "queues move sales c-1 --position 1",
                "PATCH",
                "/queues/sales/callers/c-1",
                Some(json!({"position": 1})),
            ),
            (
                "queues remove sales c-1",
                "DELETE",
                "/queues/sales/callers/c-1",
                None,
            ),
            (
                "queues add sales 2001 --penalty 2",
                "PUT",
                "/queues/sales/members/2001",
                Some(json!({"penalty": 2})),
            ),
            (
                "agents pause 2001 --reason lunch",
                "POST",
                "/agents/2001/pause",
                Some(json!({"reason": "lunch"})),
            ),
            (
                "agents supervise 2001 --to endpoint:boss --mode whisper",
                "POST",
                "/agents/2001/supervise",
                Some(json!({"to": {"endpoint": "boss"}, "mode": "whisper"})),
            ),
            (
                "deliveries retry evt-1",
                "POST",
                "/webhooks/deliveries/evt-1/retry",
                None,
            ),
        ] {
            let found = asked(line);
            assert_eq!(
                (found.0.as_str(), &*found.1, found.2),
                (method, path, body),
                "{line}"
            );
        }
    }
}
