//! The executor: carries out one verb after the other on a leg and tells the program what became of each.
//!
//! It owns the waiting; it knows neither SIP nor RTP. Every wait ends when the leg does.
use super::gather::{Gathering, Next};
use super::leg::{End, Input, Leg, hangup_reason};
use super::program::{CallInfo, Direction, Program, Step};
use super::verb::{
    Audio, Echo, Failure, Gather, Hangup, HangupCause, KeyPress, Outcome, Play, Record, RecordEnd,
    Recorded, RecordingId, Repeat, SendDigits, Verb,
};
use crate::media::{Command, MediaAudio, PromptLibrary, RecordingEnd};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use trunkline_sip::HangupReason;

/// Steps a program may make without media, input or waiting in between: a loop that eats the processor is ended.
const MAX_IDLE_STEPS: u32 = 1000;
/// The beep before a recording.
const BEEP: MediaAudio = MediaAudio::Tone {
    hz: [1000.0, 0.0],
    dbm0: -13.0,
    ms: 250,
};
/// After hanging up, how long the far end may take to agree. The endpoint's own timers are shorter.
const FAREWELL: Duration = Duration::from_secs(40);

/// How long an outbound call may ring.
const RING_LIMIT: Duration = Duration::from_secs(120);

/// A verb ends with an outcome, or the leg does.
type VerbResult = Result<Outcome, End>;

/// Runs programs on a leg.
pub(super) struct Executor<'a> {
    leg: &'a mut Leg,
    info: &'a CallInfo,
    prompts: &'a Arc<PromptLibrary>,
    /// Where recordings of this call go; the call id makes their names unique.
    recordings: PathBuf,
    made: HashMap<RecordingId, (PathBuf, bool)>,
    /// The SDP to answer with.
    answer: Option<Vec<u8>>,
    next_id: u32,
}

impl<'a> Executor<'a> {
    pub(super) fn new(
        leg: &'a mut Leg,
        info: &'a CallInfo,
        prompts: &'a Arc<PromptLibrary>,
        recordings: PathBuf,
        answer: Option<Vec<u8>>,
    ) -> Self {
        Executor {
            leg,
            info,
            prompts,
            recordings,
            made: HashMap::new(),
            answer,
            next_id: 0,
        }
    }

    /// Waits until our outbound call is answered.
    pub(super) async fn until_answered(&mut self) -> Result<(), End> {
        let deadline = Instant::now() + RING_LIMIT;
        loop {
            match self.input_until(Some(deadline)).await? {
                None => {
                    tracing::info!(limit_s = RING_LIMIT.as_secs(), "nobody answers: giving up");
                    self.leg.hang_up("no-answer", None);
                    return Err(self.farewell().await);
                }
                Some(Input::Progress(status)) => tracing::info!(status, "far end reports progress"),
                Some(Input::Answered) => {
                    tracing::info!(codec = self.leg.codec(), "answered");
                    return Ok(());
                }
                Some(_) => {}
            }
        }
    }

    /// Runs the program to its end and returns how the leg ended. `stop` ends the call from outside (shutdown).
    pub(super) async fn run(
        &mut self,
        program: &mut dyn Program,
        mut stop: tokio::sync::watch::Receiver<bool>,
    ) -> End {
        let limit = program.max_duration();
        let end = tokio::select! {
            end = self.run_program(program) => end,
            () = after(limit) => {
                tracing::info!(?limit, rule = "max-call-duration", "hanging up: the call has lasted as long as its program allows");
                self.leg.hang_up("max-duration", Some(hangup_reason("Q.850", 16, "max-call-duration")));
                self.farewell().await
            }
            () = stopped(&mut stop) => {
                tracing::info!("hanging up: the server is shutting down");
                self.leg.hang_up("shutdown", Some(hangup_reason("SIP", 503, "shutdown")));
                self.farewell().await
            }
        };
        self.delete_unkept().await;
        end
    }

    async fn run_program(&mut self, program: &mut dyn Program) -> End {
        let mut outcome = Outcome::Begin;
        let mut idle_steps = 0;
        loop {
            let Step { verb, at } = program.next(self.info, outcome);
            tracing::info!(at = %at, verb = verb.name(), "program");
            let takes_time = verb.takes_time();
            match self.carry_out(verb).await {
                Ok(next) => outcome = next,
                Err(end) => {
                    program.next(self.info, Outcome::HungUp);
                    return end;
                }
            }
            if let Outcome::Failed(failure) = &outcome {
                tracing::warn!(verb = failure.verb, reason = %failure.reason, at = %at, "verb failed");
            }
            idle_steps = if takes_time && !matches!(outcome, Outcome::Failed(_)) {
                0
            } else {
                idle_steps + 1
            };
            if idle_steps > MAX_IDLE_STEPS {
                tracing::error!(at = %at, rule = "program-loop", limit = MAX_IDLE_STEPS, "the program loops without media, input or waiting: hanging up");
                self.leg.hang_up(
                    "program-loop",
                    Some(hangup_reason("Q.850", 41, "program-loop")),
                );
                return self.farewell().await;
            }
        }
    }

    async fn carry_out(&mut self, verb: Verb) -> VerbResult {
        if !self.leg.answered {
            if verb.needs_answer() {
                return Ok(failed(verb.name(), "the call is not answered yet"));
            }
            if self.info.direction == Direction::Inbound && matches!(verb, Verb::Wait(_)) {
                self.leg.provisional(180, "Ringing");
            }
        }
        match verb {
            Verb::Answer => self.answer().await,
            Verb::Play(play) => self.play(play).await,
            Verb::Gather(gather) => self.gather(gather).await,
            Verb::Echo(echo) => self.echo(echo).await,
            Verb::Record(record) => self.record(record).await,
            Verb::RecordCall { path } => self.record_call(path),
            Verb::SendDigits(digits) => self.send_digits(digits).await,
            Verb::Wait(wait) => self.wait(wait.ms).await,
            Verb::Reject(reject) => {
                if self.leg.answered {
                    return Ok(failed("reject", "the call is answered already; use hangup"));
                }
                self.leg.reject(reject.status, reject.reason, Vec::new());
                Err(self.farewell().await)
            }
            Verb::Hangup(hangup) => {
                self.leg.hang_up("program", Some(reason_of(hangup)));
                Err(self.farewell().await)
            }
        }
    }

    async fn answer(&mut self) -> VerbResult {
        if let Some(sdp) = self.answer.take() {
            self.leg.answer(sdp);
            tracing::info!(codec = self.leg.codec(), "answered");
        }
        // Audio sent before the ACK may be lost to a phone that still rings: a greeting starts when somebody hears it.
        while !self.leg.confirmed {
            self.idle(None).await?;
        }
        Ok(Outcome::Done)
    }

    async fn play(&mut self, play: Play) -> VerbResult {
        let id = match self.start_playing(&play.audio, play.repeat).await {
            Ok(id) => id,
            Err(reason) => return Ok(failed("play", reason)),
        };
        loop {
            match self.leg.next().await {
                Input::PlayDone(done) if done == id => return Ok(Outcome::Done),
                Input::KeyDown(digit) if play.stop_keys.contains(digit) => {
                    let _ = self.leg.media(Command::StopPlay);
                }
                Input::Key(key) => {
                    log_key(&key);
                    if play.stop_keys.contains(key.digit) {
                        let _ = self.leg.media(Command::StopPlay);
                        return Ok(Outcome::Interrupted(key));
                    }
                    self.leg.keep(key);
                }
                Input::Ended(end) => return Err(end),
                _ => {}
            }
        }
    }

    async fn gather(&mut self, gather: Gather) -> VerbResult {
        if !gather.typeahead {
            self.leg.drop_ahead();
        }
        let mut state = Gathering::new(&gather, Instant::now(), !gather.prompts.is_empty());
        let mut next = state.next();
        while matches!(next, Next::Wait(_)) {
            let Some(key) = self.leg.take_ahead() else {
                break;
            };
            next = state.key(Instant::now(), key);
        }
        let mut playing = None;
        if state.prompting() && matches!(next, Next::Wait(_)) {
            match self.start_playing(&gather.prompts, gather.repeat).await {
                Ok(id) => playing = Some(id),
                Err(reason) => return Ok(failed("gather", reason)),
            }
        }
        loop {
            let deadline = match next {
                Next::Done(gathered) => {
                    if playing.is_some() {
                        let _ = self.leg.media(Command::StopPlay);
                    }
                    tracing::info!(digits = if gather.sensitive { "hidden" } else { &gathered.digits }, end = ?gathered.end, "gathered");
                    return Ok(Outcome::Gathered(gathered));
                }
                Next::Wait(deadline) => deadline,
            };
            next = match self.input_until(deadline).await? {
                None => state.time(Instant::now()),
                Some(Input::KeyDown(_)) => state.key_down(),
                Some(Input::Key(key)) => {
                    if !gather.sensitive {
                        log_key(&key);
                    }
                    state.key(Instant::now(), key)
                }
                Some(Input::PlayDone(id)) if playing == Some(id) => {
                    playing = None;
                    state.prompts_done(Instant::now())
                }
                Some(_) => state.next(),
            };
            if !state.prompting() && playing.take().is_some() {
                let _ = self.leg.media(Command::StopPlay);
            }
        }
    }

    async fn echo(&mut self, echo: Echo) -> VerbResult {
        if let Err(reason) = self.leg.media(Command::Echo(true)) {
            return Ok(failed("echo", reason));
        }
        let outcome = self.until_key(&echo.stop_keys, echo.max_ms).await;
        let _ = self.leg.media(Command::Echo(false));
        outcome
    }

    /// Waits for one of `keys` or for `ms` to pass.
    async fn until_key(&mut self, keys: &str, ms: u32) -> VerbResult {
        let deadline = deadline_in(ms);
        loop {
            match self.input_until(deadline).await? {
                None => return Ok(Outcome::Done),
                Some(Input::Key(key)) => {
                    log_key(&key);
                    if keys.contains(key.digit) {
                        return Ok(Outcome::Interrupted(key));
                    }
                }
                Some(_) => {}
            }
        }
    }

    async fn record(&mut self, record: Record) -> VerbResult {
        if record.beep {
            let Ok(id) = self.play_media(vec![BEEP], Some(1)) else {
                return Ok(failed("record", "the beep could not be played"));
            };
            while !matches!(self.idle(None).await?, Some(Input::PlayDone(done)) if done == id) {}
        }
        let id = self.fresh_id();
        let path = self.recordings.join(format!("{}-{id}.wav", self.info.id));
        let command = Command::Record {
            id,
            path: path.clone(),
            max_ms: record.max_ms,
            silence_ms: record.silence_ms,
        };
        if let Err(reason) = self.leg.media(command) {
            return Ok(failed("record", reason));
        }
        self.made.insert(RecordingId(id), (path, record.keep));
        let mut stopped_by = None;
        loop {
            match self.leg.next().await {
                Input::Key(key) => {
                    log_key(&key);
                    if record.stop_keys.contains(key.digit) && stopped_by.is_none() {
                        stopped_by = Some(key.digit);
                        let _ = self.leg.media(Command::StopRecord { id });
                    }
                }
                Input::RecordDone {
                    id: done,
                    duration_ms,
                    end,
                    lost_ms,
                } if done == id => {
                    tracing::info!(recording = id, duration_ms, lost_ms, end = ?end, "recorded");
                    let end = match (end, stopped_by) {
                        (RecordingEnd::WriteFailed(reason), _) => {
                            return Ok(failed("record", reason));
                        }
                        (_, Some(key)) => RecordEnd::Key(key),
                        (RecordingEnd::Silence, None) => RecordEnd::Silence,
                        (_, None) => RecordEnd::MaxLength,
                    };
                    return Ok(Outcome::Recorded(Recorded {
                        recording: RecordingId(id),
                        duration_ms,
                        end,
                    }));
                }
                Input::Ended(end) => return Err(end),
                _ => {}
            }
        }
    }

    fn record_call(&mut self, path: PathBuf) -> VerbResult {
        let id = self.fresh_id();
        Ok(
            match self.leg.media(Command::Record {
                id,
                path,
                max_ms: u32::MAX,
                silence_ms: 0,
            }) {
                Ok(()) => Outcome::Done,
                Err(reason) => failed("record_call", reason),
            },
        )
    }

    async fn send_digits(&mut self, send: SendDigits) -> VerbResult {
        let id = self.fresh_id();
        let command = Command::SendDigits {
            id,
            digits: send.digits,
            tone_ms: send.tone_ms,
            gap_ms: send.gap_ms,
        };
        if let Err(reason) = self.leg.media(command) {
            return Ok(failed("send_digits", reason));
        }
        loop {
            if matches!(self.idle(None).await?, Some(Input::DigitsSent(done)) if done == id) {
                return Ok(Outcome::Done);
            }
        }
    }

    async fn wait(&mut self, ms: u32) -> VerbResult {
        let deadline = deadline_in(ms);
        while self.idle(deadline).await?.is_some() {}
        Ok(Outcome::Done)
    }

    /// One input, keys kept as type-ahead; `None` at the deadline.
    async fn idle(&mut self, deadline: Option<Instant>) -> Result<Option<Input>, End> {
        let input = self.input_until(deadline).await?;
        if let Some(Input::Key(key)) = input {
            log_key(&key);
            self.leg.keep(key);
        }
        Ok(input)
    }

    async fn input_until(&mut self, deadline: Option<Instant>) -> Result<Option<Input>, End> {
        let input = match deadline {
            None => self.leg.next().await,
            Some(at) => match tokio::time::timeout_at(at.into(), self.leg.next()).await {
                Ok(input) => input,
                Err(_) => return Ok(None),
            },
        };
        match input {
            Input::Ended(end) => Err(end),
            input => Ok(Some(input)),
        }
    }

    /// Waits for the leg's end after it was hung up.
    async fn farewell(&mut self) -> End {
        let deadline = Instant::now() + FAREWELL;
        loop {
            match self.input_until(Some(deadline)).await {
                Err(end) => return end,
                Ok(Some(_)) => {}
                Ok(None) => {
                    tracing::error!("the SIP side did not report this leg's end; giving it up");
                    return End {
                        by: "us",
                        cause: "lost",
                        status: None,
                    };
                }
            }
        }
    }

    async fn start_playing(&mut self, audio: &[Audio], repeat: Repeat) -> Result<u32, String> {
        let mut items = Vec::with_capacity(audio.len());
        for piece in audio {
            items.push(self.media_audio(piece).await?);
        }
        let times = match repeat {
            Repeat::Times(times) => Some(times),
            Repeat::Forever => None,
        };
        self.play_media(items, times)
    }

    fn play_media(&mut self, audio: Vec<MediaAudio>, repeat: Option<u32>) -> Result<u32, String> {
        let id = self.fresh_id();
        self.leg.media(Command::Play { id, audio, repeat })?;
        Ok(id)
    }

    async fn media_audio(&self, piece: &Audio) -> Result<MediaAudio, String> {
        Ok(match piece {
            Audio::Prompt(key) => {
                MediaAudio::Prompt(self.prompts.load(key).map_err(|error| error.to_string())?)
            }
            Audio::Recording(id) => {
                let (path, _) = self
                    .made
                    .get(id)
                    .ok_or_else(|| format!("there is no recording {} in this call", id.0))?;
                MediaAudio::Prompt(self.load_recording(path.clone()).await?)
            }
            Audio::Tone(tone) => MediaAudio::Tone {
                hz: tone.hz,
                dbm0: tone.dbm0,
                ms: tone.ms,
            },
            Audio::Silence { ms } => MediaAudio::Silence { ms: *ms },
        })
    }

    async fn load_recording(&self, path: PathBuf) -> Result<Arc<crate::media::Prompt>, String> {
        let prompts = self.prompts.clone();
        let loaded = tokio::task::spawn_blocking(move || prompts.load_file(&path)).await;
        match loaded {
            Ok(loaded) => loaded.map_err(|error| error.to_string()),
            Err(_) => Err("reading the recording was interrupted".to_owned()),
        }
    }

    /// Recordings that were only for this call go with it.
    async fn delete_unkept(&mut self) {
        for (path, _) in self
            .made
            .drain()
            .map(|(_, made)| made)
            .filter(|(_, keep)| !keep)
        {
            if let Err(error) = tokio::fs::remove_file(&path).await {
                tracing::warn!(path = %path.display(), %error, "a recording that was not to be kept could not be deleted");
            }
        }
    }

    fn fresh_id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }
}

async fn after(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// Returns when the server stops its calls; never if it went away without doing so.
async fn stopped(stop: &mut tokio::sync::watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn log_key(key: &KeyPress) {
    tracing::info!(key = %key.digit, source = ?key.source, ms = key.duration_ms, "key");
}

fn failed(verb: &'static str, reason: impl Into<String>) -> Outcome {
    Outcome::Failed(Failure {
        verb,
        reason: reason.into(),
    })
}

fn deadline_in(ms: u32) -> Option<Instant> {
    (ms != u32::MAX).then(|| Instant::now() + Duration::from_millis(ms.into()))
}

fn reason_of(hangup: Hangup) -> HangupReason {
    match hangup.cause {
        HangupCause::Normal => hangup_reason("Q.850", 16, "Normal call clearing"),
        HangupCause::Busy => hangup_reason("Q.850", 17, "User busy"),
        HangupCause::Congestion => hangup_reason("Q.850", 34, "No circuit available"),
    }
}
