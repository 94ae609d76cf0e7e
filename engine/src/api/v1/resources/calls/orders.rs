//! Orders to a call, a POST for each. Paths of files are not taken from outside: what is played is a URL or a prompt that is loaded or built in,
//! what is recorded goes to the folder of recordings.
use super::super::super::V1;
use super::super::super::book::{Book, Route};
use super::super::super::problem::{Kind, Problem};
use super::super::super::scope::Scope;
use super::super::super::take::{Body, MaybeBody, Named};
use super::{Carried, order};
use crate::call::control::{Order, Parting, PlayOrder, Side, Transfer, When};
use crate::call::{
    Audio, Conference, Dial, DialTarget, HangupCause, Manner, Program, RecordCall,
    RecordingControl, Repeat, SendDigits, Stream,
};
use crate::config::Secret;
use crate::fetch;
use crate::flow::verbs_json::MAX_SOUND_MS;
use crate::media::{Listening, Pause, RecordingFormat, Tracks};
use crate::stream::protocol::Framing;
use crate::stream::{Address, TOKENS, is_token};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// Pieces of audio of one order.
const MOST_AUDIO: usize = 32;
/// Characters of a number or name.
const MOST_NAME: usize = 256;
/// Digits of one order.
const MOST_DIGITS: usize = 256;

type Done = Result<Json<Carried>, Problem>;

/// Which of the parties of a call that two have.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Party {
    /// The call's own: who called, or whom we called.
    #[default]
    Own,
    /// The one it is joined with.
    Peer,
    /// Both.
    Both,
}

/// Why a call ends.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HangupOrder {
    /// Q.850 cause, usually 16.
    #[schema(minimum = 1, maximum = 127)]
    cause: Option<u8>,
    /// Whom: the whole call (`own`, usual) or only the party it is joined with (`peer`).
    #[serde(default)]
    party: Party,
}

/// What plays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PlayAsked {
    /// In order without gaps: `http://…` and `https://…` within [fetch], prompts that are loaded, `builtin:…`, `silence:MS` (1 to 600000).
    #[schema(min_items = 1, max_items = 32)]
    audio: Vec<String>,
    /// How often, usually once; 0: until something stops it.
    #[schema(maximum = 1000)]
    times: Option<u32>,
    /// To whom.
    #[serde(default)]
    party: Party,
    /// After what plays now, instead of at once.
    #[serde(default)]
    after: bool,
}

/// To or of whom.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PartyAsked {
    /// Which party.
    #[serde(default)]
    party: Party,
}

/// Keys to be sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DigitsAsked {
    /// `0-9*#A-D`; `w` pauses 0.5 s, `W` 1 s.
    #[schema(min_length = 1, max_length = 256, pattern = "^[0-9*#A-DwW]+$")]
    digits: String,
    /// Length of each in ms, usually 100.
    #[schema(minimum = 40, maximum = 60_000)]
    tone_ms: Option<u32>,
    /// Pause between two in ms, usually 100.
    #[schema(minimum = 40, maximum = 60_000)]
    gap_ms: Option<u32>,
    /// To whom.
    #[serde(default)]
    party: Party,
}

/// How a call is recorded.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RecordAsked {
    /// `received`, `mixed` (usual) or `stereo`.
    #[serde(default)]
    tracks: TracksAsked,
    /// `wav` (usual) or `opus`.
    #[serde(default)]
    format: FormatAsked,
    /// Whether a pause is silence in the file, instead of nothing.
    #[serde(default)]
    silent_pause: bool,
}

/// Which sides a recording holds.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum TracksAsked {
    Received,
    #[default]
    Mixed,
    Stereo,
}

/// Kinds of files.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum FormatAsked {
    #[default]
    Wav,
    Opus,
}

/// Where the audio of a call goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StreamAsked {
    /// `ws://…` or `wss://…`, within [fetch].
    #[schema(max_length = 2048)]
    url: String,
    /// Sent as `Authorization: Bearer …`.
    #[schema(min_length = 1, max_length = 4096, pattern = "^[!-~]+$")]
    token: Option<String>,
    /// 8000 (usual) or 16000.
    rate_hz: Option<u32>,
    /// Whether what the far end is sent is sent as well.
    #[serde(default)]
    both: bool,
    /// Whether the service's audio is played.
    #[serde(default)]
    playback: bool,
    /// Given to the service.
    #[serde(default)]
    parameters: BTreeMap<String, String>,
}

/// Which conference.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct JoinAsked {
    /// Its name.
    #[schema(min_length = 1, max_length = 128)]
    conference: String,
    /// Who goes there.
    #[serde(default)]
    party: Party,
    /// Nobody hears it at first.
    #[serde(default)]
    mute: bool,
}

/// Somebody who can be called; one of these.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Target {
    /// A number, routed as if the call's caller had dialled it.
    #[schema(min_length = 1, max_length = 256)]
    number: Option<String>,
    /// A user with phones.
    #[schema(min_length = 1, max_length = 256)]
    endpoint: Option<String>,
    /// A ring group.
    #[schema(min_length = 1, max_length = 256)]
    ring_group: Option<String>,
    /// An agent of queues, where it is reached.
    #[schema(min_length = 1, max_length = 256)]
    agent: Option<String>,
    /// The trunk that the number is dialled on.
    #[schema(min_length = 1, max_length = 256)]
    trunk: Option<String>,
}

impl Target {
    /// It is a number, which may lead anywhere.
    pub(in super::super) fn is_number(&self) -> bool {
        self.number.is_some()
    }
}

/// Where parties go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TransferAsked {
    /// Whom to call for them.
    to: Option<Target>,
    /// The flow that goes on with them.
    #[schema(max_length = 256)]
    flow: Option<String>,
    /// Who goes there: the call's own party (the one it is joined with is hung up), or the other (the own one's program goes on).
    #[serde(default)]
    party: Party,
}

pub(super) fn routes(book: Book) -> Book {
    let asks = |path, id, summary| {
        Route::post(path, id)
            .says("calls", summary)
            .scope(Scope::CallsWrite)
            .answers::<Carried>(200, "It is done, or has begun")
    };
    let book = book
        .add(
            asks(
                "/calls/{id}/hangup",
                "hang_up_call",
                "Ends a call, or hangs up the party it is joined with",
            )
            .maybe_body::<HangupOrder>(),
            hang_up,
        )
        .add(
            asks(
                "/calls/{id}/transfer",
                "transfer_call",
                "Sends a party elsewhere: to somebody else, or to a flow",
            )
            .body::<TransferAsked>(),
            transfer,
        )
        .add(
            asks("/calls/{id}/play", "play_to_call", "Plays audio").body::<PlayAsked>(),
            play,
        )
        .add(
            asks(
                "/calls/{id}/stop",
                "stop_playing",
                "Stops what plays; the program's prompt is over then",
            )
            .maybe_body::<PartyAsked>(),
            stop,
        )
        .add(
            asks(
                "/calls/{id}/mute",
                "mute_call",
                "The others do not hear this party",
            )
            .maybe_body::<PartyAsked>(),
            mute,
        )
        .add(
            asks(
                "/calls/{id}/unmute",
                "unmute_call",
                "The others hear this party again",
            )
            .maybe_body::<PartyAsked>(),
            unmute,
        )
        .add(
            asks(
                "/calls/{id}/hold",
                "hold_call",
                "Puts a party on hold: it hears music and is not heard",
            )
            .maybe_body::<PartyAsked>(),
            hold,
        )
        .add(
            asks(
                "/calls/{id}/unhold",
                "unhold_call",
                "Takes a party off hold",
            )
            .maybe_body::<PartyAsked>(),
            unhold,
        )
        .add(
            asks(
                "/calls/{id}/digits",
                "send_digits",
                "Sends digits to a far end",
            )
            .body::<DigitsAsked>(),
            digits,
        );
    let book = book
        .add(
            asks(
                "/calls/{id}/recording/start",
                "start_recording",
                "Records the call from now on, into the folder of recordings",
            )
            .maybe_body::<RecordAsked>(),
            record,
        )
        .add(
            asks(
                "/calls/{id}/recording/stop",
                "stop_recording",
                "Ends the recording",
            ),
            record_stop,
        )
        .add(
            asks(
                "/calls/{id}/recording/pause",
                "pause_recording",
                "Pauses the recording",
            ),
            record_pause,
        )
        .add(
            asks(
                "/calls/{id}/recording/resume",
                "resume_recording",
                "Goes on with the recording",
            ),
            record_resume,
        );
    book.add(
        asks(
            "/calls/{id}/stream/start",
            "start_stream",
            "Streams the own party's audio to a service",
        )
        .body::<StreamAsked>(),
        stream,
    )
    .add(
        asks("/calls/{id}/stream/stop", "stop_stream", "Ends the stream"),
        stream_stop,
    )
    .add(
        asks(
            "/calls/{id}/conference/join",
            "join_conference",
            "Goes to a conference",
        )
        .body::<JoinAsked>(),
        join,
    )
    .add(
        asks(
            "/calls/{id}/conference/leave",
            "leave_conference",
            "Leaves the conference; the program goes on",
        ),
        leave,
    )
}

impl From<Party> for Side {
    fn from(party: Party) -> Side {
        match party {
            Party::Own => Side::Own,
            Party::Peer => Side::Peer,
            Party::Both => Side::Both,
        }
    }
}

impl Target {
    /// Whom it names.
    pub(in super::super) fn read(self, v1: &V1, path: &str) -> Result<DialTarget, Problem> {
        let odd = |name: &String| {
            !(1..=MOST_NAME).contains(&name.chars().count()) || name.chars().any(char::is_control)
        };
        if self.names().into_iter().flatten().any(odd) {
            let text = format!(
                "has names of 1 to {MOST_NAME} characters, none of them control characters"
            );
            return Err(Problem::invalid(path, text));
        }
        let given = self.names().into_iter().flatten().count();
        match self {
            Target {
                number: Some(number),
                trunk: Some(trunk),
                ..
            } if given == 2 => Ok(DialTarget::Trunk { trunk, number }),
            Target {
                number: Some(number),
                ..
            } if given == 1 => Ok(DialTarget::Number(number)),
            Target {
                endpoint: Some(user),
                ..
            } if given == 1 => Ok(DialTarget::Endpoint(user)),
            Target {
                ring_group: Some(group),
                ..
            } if given == 1 => Ok(DialTarget::RingGroup(group)),
            Target {
                agent: Some(agent), ..
            } if given == 1 => {
                let reach = v1.parts.calls.queues.reach(&agent);
                let reach = reach.ok_or_else(|| Problem::invalid(path, "names no agent"))?;
                Ok(reach.into())
            }
            _ => Err(Problem::invalid(
                path,
                "is one of number (with or without trunk), endpoint, ring_group, agent",
            )),
        }
    }

    fn names(&self) -> [&Option<String>; 5] {
        [
            &self.number,
            &self.endpoint,
            &self.ring_group,
            &self.agent,
            &self.trunk,
        ]
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kinds = ["", "endpoint ", "ring group ", "agent ", "on trunk "];
        let given = kinds.into_iter().zip(self.names());
        let given: Vec<String> = given
            .filter_map(|(kind, name)| Some(format!("{kind}{}", name.as_ref()?)))
            .collect();
        f.write_str(&given.join(" "))
    }
}

/// How often, as `times` says.
pub(super) fn repeat(times: Option<u32>) -> Result<Repeat, Problem> {
    match times {
        Some(0) => Ok(Repeat::Forever),
        None => Ok(Repeat::Times(1)),
        Some(times @ 1..=1000) => Ok(Repeat::Times(times)),
        Some(_) => Err(Problem::invalid("times", "is at most 1000")),
    }
}

/// The program of a flow.
pub(super) fn program_of(v1: &V1, flow: &str) -> Result<Box<dyn Program>, Problem> {
    let program = v1.parts.flows.program(flow);
    program.ok_or_else(|| Problem::invalid("flow", "is the id of no flow in force"))
}

/// `silence:MS`, in ms.
fn silence(name: &str) -> Option<u32> {
    let ms = name.strip_prefix("silence:")?.parse().ok()?;
    (1..=MAX_SOUND_MS).contains(&ms).then_some(ms)
}

/// What is played, by its names.
pub(super) fn sounds(v1: &V1, path: &str, names: &[String]) -> Result<Vec<Audio>, Problem> {
    if names.is_empty() || names.len() > MOST_AUDIO {
        return Err(Problem::invalid(
            path,
            format!("has 1 to {MOST_AUDIO} pieces"),
        ));
    }
    let sound = |(index, name): (usize, &String)| {
        if let Some(ms) = silence(name) {
            return Ok(Audio::Silence { ms });
        }
        let known = fetch::is_url(name)
            || name.starts_with("builtin:")
            || v1.parts.calls.knows_prompt(name);
        match known {
            true => Ok(Audio::Prompt(name.clone())),
            false => Err(Problem::invalid(
                &format!("{path}[{index}]"),
                "is neither a URL nor a prompt that is loaded nor builtin: or silence:MS of 1 to 600000",
            )),
        }
    };
    names.iter().enumerate().map(sound).collect()
}

async fn hang_up(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    MaybeBody(asked): MaybeBody<HangupOrder>,
) -> Done {
    let cause = match asked.cause {
        None | Some(16) => HangupCause::Normal,
        Some(17) => HangupCause::Busy,
        Some(34) => HangupCause::Congestion,
        Some(cause @ 1..=127) => HangupCause::Q850(cause),
        Some(_) => return Err(Problem::invalid("cause", "is 1 to 127 (Q.850)")),
    };
    let hang_up = match asked.party {
        Party::Peer => Order::HangupPeer(cause),
        Party::Own | Party::Both => Order::Hangup(cause),
    };
    order(&v1, id, hang_up).await
}

async fn transfer(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    Body(asked): Body<TransferAsked>,
) -> Done {
    let parting = match (asked.to, asked.flow) {
        (Some(to), None) => Parting::dial(Dial::one(to.read(&v1, "to")?)),
        (None, Some(flow)) => {
            let program = program_of(&v1, &flow)?;
            Parting::program(program, flow)
        }
        _ => return Err(Problem::invalid("to", "is given, or flow, and not both")),
    };
    let transfer = match asked.party {
        Party::Own => Transfer {
            own: Some(parting),
            peer: None,
        },
        Party::Peer => Transfer {
            own: None,
            peer: Some(parting),
        },
        Party::Both => return Err(Problem::invalid("party", "is own or peer here")),
    };
    order(&v1, id, Order::Transfer(transfer)).await
}

async fn play(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    Body(asked): Body<PlayAsked>,
) -> Done {
    let play = PlayOrder {
        audio: sounds(&v1, "audio", &asked.audio)?,
        repeat: repeat(asked.times)?,
        manner: Manner::default(),
        side: asked.party.into(),
        when: if asked.after { When::After } else { When::Now },
    };
    order(&v1, id, Order::Play(play)).await
}

async fn stop(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    MaybeBody(asked): MaybeBody<PartyAsked>,
) -> Done {
    order(&v1, id, Order::StopPlay(asked.party.into())).await
}

async fn mute(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    MaybeBody(asked): MaybeBody<PartyAsked>,
) -> Done {
    order(&v1, id, Order::Mute(asked.party.into(), true)).await
}

async fn unmute(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    MaybeBody(asked): MaybeBody<PartyAsked>,
) -> Done {
    order(&v1, id, Order::Mute(asked.party.into(), false)).await
}

async fn hold(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    MaybeBody(asked): MaybeBody<PartyAsked>,
) -> Done {
    order(&v1, id, Order::Hold(asked.party.into(), true)).await
}

async fn unhold(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    MaybeBody(asked): MaybeBody<PartyAsked>,
) -> Done {
    order(&v1, id, Order::Hold(asked.party.into(), false)).await
}

async fn digits(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    Body(asked): Body<DigitsAsked>,
) -> Done {
    let known = |c: char| c.is_ascii_digit() || matches!(c, '*' | '#' | 'A'..='D' | 'w' | 'W');
    let good = (1..=MOST_DIGITS).contains(&asked.digits.len()) && asked.digits.chars().all(known);
    if !good {
        return Err(Problem::invalid(
            "digits",
            format!("is 1 to {MOST_DIGITS} of 0-9*#A-DwW"),
        ));
    }
    let length = |path: &str, ms: Option<u32>| match ms.unwrap_or(100) {
        ms @ 40..=60_000 => Ok(ms),
        _ => Err(Problem::invalid(path, "is 40 to 60000 ms")),
    };
    let send = SendDigits {
        tone_ms: length("tone_ms", asked.tone_ms)?,
        gap_ms: length("gap_ms", asked.gap_ms)?,
        digits: asked.digits,
    };
    order(&v1, id, Order::SendDigits(asked.party.into(), send)).await
}

async fn record(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    MaybeBody(asked): MaybeBody<RecordAsked>,
) -> Done {
    let record = RecordCall {
        path: None,
        tracks: match asked.tracks {
            TracksAsked::Received => Tracks::Received,
            TracksAsked::Mixed => Tracks::Mixed,
            TracksAsked::Stereo => Tracks::Stereo,
        },
        format: match asked.format {
            FormatAsked::Wav => RecordingFormat::Wav,
            FormatAsked::Opus => RecordingFormat::Opus,
        },
        pause: if asked.silent_pause {
            Pause::Silence
        } else {
            Pause::Nothing
        },
    };
    order(&v1, id, Order::Record(record)).await
}

async fn record_stop(State(v1): State<Arc<V1>>, Named(id): Named<String>) -> Done {
    order(&v1, id, Order::Recording(RecordingControl::Stop)).await
}

async fn record_pause(State(v1): State<Arc<V1>>, Named(id): Named<String>) -> Done {
    order(&v1, id, Order::Recording(RecordingControl::Pause)).await
}

async fn record_resume(State(v1): State<Arc<V1>>, Named(id): Named<String>) -> Done {
    order(&v1, id, Order::Recording(RecordingControl::Resume)).await
}

async fn stream(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    Body(asked): Body<StreamAsked>,
) -> Done {
    let address =
        Address::parse(&asked.url).map_err(|error| Problem::invalid("url", error.to_string()))?;
    if asked.token.as_deref().is_some_and(|token| !is_token(token)) {
        return Err(Problem::invalid("token", format!("is {TOKENS}")));
    }
    let rate_hz = asked.rate_hz.unwrap_or(8000);
    if !matches!(rate_hz, 8000 | 16_000) {
        return Err(Problem::invalid("rate_hz", "is 8000 or 16000"));
    }
    if asked.parameters.len() > 32 {
        return Err(Problem::new(
            Kind::Invalid,
            "parameters has at most 32 entries",
        ));
    }
    let stream = Stream {
        address,
        foreign: true,
        token: asked.token.map(Secret::new),
        rate_hz,
        received: true,
        sent: asked.both,
        playback: asked.playback,
        framing: Framing::Json,
        listen: Listening::default(),
        background: true,
        parameters: asked.parameters.into_iter().collect(),
    };
    order(&v1, id, Order::Stream(Box::new(stream))).await
}

async fn stream_stop(State(v1): State<Arc<V1>>, Named(id): Named<String>) -> Done {
    order(&v1, id, Order::StopStream).await
}

async fn join(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    Body(asked): Body<JoinAsked>,
) -> Done {
    if asked.conference.is_empty() || asked.conference.chars().count() > 128 {
        return Err(Problem::invalid(
            "conference",
            "is a name of 1 to 128 characters",
        ));
    }
    let conference = Conference {
        mute: asked.mute,
        ..Conference::of(asked.conference)
    };
    order(
        &v1,
        id,
        Order::Conference(asked.party.into(), Box::new(conference)),
    )
    .await
}

async fn leave(State(v1): State<Arc<V1>>, Named(id): Named<String>) -> Done {
    order(&v1, id, Order::LeaveConference).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_has_an_end() {
        for (name, ms) in [
            ("silence:1", Some(1)),
            ("silence:600000", Some(600_000)),
            ("silence:0", None),
            ("silence:600001", None),
            ("silence:4294967295", None),
            ("silence:", None),
        ] {
            assert_eq!(silence(name), ms, "{name}");
        }
    }
}
