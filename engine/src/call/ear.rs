//! The ear of a gather: hears the far end from a tap, and has what it says understood. Never decides when somebody speaks or has finished; that is the
//! gather's state machine.
//!
//! What was heard just before somebody was found to speak belongs to the speech: [`BEFORE`] samples are kept. Ends with its handle.
use crate::media::TapEnds;
use crate::speech::recognition::spoken::Mouth;
use crate::speech::recognition::{Recogniser, RecogniserError, Spoken, Transcript, Wanted};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior};
use tracing::Instrument;

/// Half a second at 16 kHz: speech is told when it has gone on for 60 ms, and begins softly.
const BEFORE: usize = 8000;
/// How often the tap is looked at.
const TURN: Duration = Duration::from_millis(20);

/// [`Gather::speech`](super::Gather::speech): what speech is taken for an entry.
#[derive(Debug, Clone, PartialEq)]
pub struct SpeechInput {
    /// Whether keys count as well; the first of both that comes decides.
    pub keys: bool,
    /// An IETF tag; `None`: the configuration's.
    pub language: Option<String>,
    /// Words and phrases that are expected.
    pub hints: Vec<String>,
    /// So much silence in ms ends the speech; 400 at least.
    pub end_ms: u32,
    /// The longest speech in ms; what comes then is left out.
    pub max_ms: u32,
}

/// Silence that ends speech where nothing else is said, in ms.
pub const SPEECH_END_MS: u32 = 1000;
/// The longest speech where nothing else is said, in ms.
pub const SPEECH_MAX_MS: u32 = 15_000;

impl SpeechInput {
    /// The usual: keys count as well.
    pub fn usual() -> SpeechInput {
        SpeechInput {
            keys: true,
            language: None,
            hints: Vec::new(),
            end_ms: SPEECH_END_MS,
            max_ms: SPEECH_MAX_MS,
        }
    }
}

/// What an ear tells.
#[derive(Debug)]
pub(super) enum News {
    /// What is understood so far.
    SoFar(String),
    /// What was understood: the last word.
    Understood(Result<Transcript, RecogniserError>),
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Ear {
    /// Gone once the speech has begun.
    begin: Option<oneshot::Sender<()>>,
    /// Gone once it is over.
    end: Option<oneshot::Sender<()>>,
    so_far: watch::Receiver<String>,
    understood: mpsc::Receiver<Result<Transcript, RecogniserError>>,
    task: JoinHandle<()>,
}

impl Ear {
    /// An ear on a tap at 16 kHz.
    pub(super) fn new(
        tap: TapEnds,
        recogniser: Recogniser,
        input: &SpeechInput,
        call: &str,
    ) -> Ear {
        let (begin, begun) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let (tell, so_far) = watch::channel(String::new());
        let (answer, understood) = mpsc::channel(1);
        let (mouth, spoken) = Spoken::live();
        let wanted = Wanted {
            spoken,
            language: input.language.clone(),
            hints: input.hints.clone().into(),
            so_far: Some(tell),
            call: Some(call.to_owned()),
        };
        let mut heard = Heard::new(tap);
        let task = async move {
            heard.until(begun).await;
            let understanding = recogniser.understand(&wanted);
            tokio::pin!(understanding);
            // The answer may come before the speech is over.
            let transcript = tokio::select! {
                transcript = &mut understanding => transcript,
                () = heard.speech(mouth, ended) => understanding.await,
            };
            let _ = answer.send(transcript).await;
        };
        let task = tokio::spawn(task.in_current_span());
        Ear {
            begin: Some(begin),
            end: Some(end),
            so_far,
            understood,
            task,
        }
    }

    /// The far end speaks.
    pub(super) fn begin(&mut self) {
        if let Some(begin) = self.begin.take() {
            let _ = begin.send(());
        }
    }

    /// It has finished.
    pub(super) fn end(&mut self) {
        self.begin();
        self.end = None;
    }

    /// What there is to tell. Can be dropped without losing anything.
    pub(super) async fn next(&mut self) -> News {
        tokio::select! {
            biased;
            understood = self.understood.recv() => {
                let gone = || Err(RecogniserError::Failed("interrupted".to_owned()));
                News::Understood(understood.unwrap_or_else(gone))
            }
            Ok(()) = self.so_far.changed() => News::SoFar(self.so_far.borrow_and_update().clone()),
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The tap, and what was heard last.
struct Heard {
    tap: TapEnds,
    before: Vec<i16>,
    turn: Interval,
}

impl Heard {
    fn new(tap: TapEnds) -> Heard {
        let mut turn = tokio::time::interval(TURN);
        turn.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Heard {
            tap,
            before: Vec::new(),
            turn,
        }
    }

    /// Hears until the speech begins.
    async fn until(&mut self, mut begun: oneshot::Receiver<()>) {
        loop {
            while let Some(frame) = self.tap.read() {
                self.before.extend(frame.samples);
            }
            // Cut now and then: moving it all for each frame would be work for nothing.
            if self.before.len() > 2 * BEFORE {
                self.before.drain(..self.before.len() - BEFORE);
            }
            tokio::select! {
                _ = &mut begun => return,
                _ = self.turn.tick() => {}
            }
        }
    }

    /// Hears the speech, and what came before it, until it is over or the channel is gone.
    async fn speech(&mut self, mouth: Mouth, mut ended: oneshot::Receiver<()>) {
        let before = self.before.len().saturating_sub(BEFORE);
        mouth.say(&self.before[before..]);
        let mut over = false;
        loop {
            while let Some(frame) = self.tap.read() {
                mouth.say(&frame.samples);
            }
            if over || self.tap.is_over() {
                return;
            }
            tokio::select! {
                _ = &mut ended => over = true,
                _ = self.turn.tick() => {}
            }
        }
    }
}
