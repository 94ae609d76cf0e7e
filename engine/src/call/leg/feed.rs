//! Audio that is still being made while its beginning plays: texts that are spoken sentence by sentence. Owns the order of the pieces and how many
//! wait in the channel. What cannot be spoken is left out, and the log says so. Whatever else is played, or stops what plays, ends it.
use super::{Input, Leg};
use crate::media::{Command as MediaCommand, Manner, MediaAudio};
use crate::speech::{Speaker, Utterance};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Lists that are in the channel at the same time; it takes eight.
const MAX_LISTS: usize = 4;
/// Pieces that were made and not yet taken.
const MAX_MADE: usize = 8;
/// Of a list that is not the last: its end is nobody's business.
pub(super) const UNTOLD: u32 = 0;
/// Plays where nothing is left to play, so that the end is told, in ms.
const NOTHING_MS: u32 = 20;

/// A piece of what is played.
#[derive(Debug, Clone)]
pub(in super::super) enum Piece {
    /// Audio that is there.
    Ready(MediaAudio),
    /// Audio that has to be made.
    Say(Utterance),
}

/// Audio on its way into the channel.
#[derive(Debug)]
pub(super) struct Feed {
    made: mpsc::Receiver<MediaAudio>,
    id: u32,
    manner: Manner,
    /// Played more than once, so that all of it must be there first.
    whole: Option<(Option<u32>, Vec<MediaAudio>)>,
    begun: bool,
    lists: usize,
    maker: JoinHandle<()>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.maker.abort();
    }
}

/// What has come: pieces, and whether they are the last.
pub(super) type Fed = (Vec<MediaAudio>, bool);

/// The next pieces; never returns where nothing is being made, or where enough waits.
pub(super) async fn next(feed: &mut Option<Feed>) -> Fed {
    let Some(feed) = feed.as_mut().filter(|feed| feed.lists < MAX_LISTS) else {
        return std::future::pending().await;
    };
    let mut pieces = Vec::new();
    let Some(first) = feed.made.recv().await else {
        return (pieces, true);
    };
    pieces.push(first);
    loop {
        match feed.made.try_recv() {
            Ok(piece) => pieces.push(piece),
            Err(mpsc::error::TryRecvError::Disconnected) => return (pieces, true),
            Err(mpsc::error::TryRecvError::Empty) => return (pieces, false),
        }
    }
}

impl Leg {
    /// Plays pieces as they are made; `id` is told when the last was played.
    pub(in super::super) fn feed(
        &mut self,
        id: u32,
        manner: Manner,
        repeat: Option<u32>,
        pieces: Vec<Piece>,
        speaker: Speaker,
    ) {
        let _ = self.media(MediaCommand::StopPlay);
        let (send, made) = mpsc::channel(MAX_MADE);
        self.feed = Some(Feed {
            made,
            id,
            manner,
            whole: (repeat != Some(1)).then_some((repeat, Vec::new())),
            begun: false,
            lists: 0,
            maker: tokio::spawn(make(pieces, speaker, send)),
        });
    }

    /// Takes what was made into the channel.
    pub(super) fn fed(&mut self, (mut pieces, is_last): Fed) -> Option<Input> {
        let feed = self.feed.as_mut()?;
        let mut repeat = Some(1);
        if let Some((times, all)) = &mut feed.whole {
            all.append(&mut pieces);
            if !is_last {
                return None;
            }
            (repeat, pieces) = (*times, std::mem::take(all));
        }
        if pieces.is_empty() {
            pieces.push(MediaAudio::Silence { ms: NOTHING_MS });
            repeat = Some(1);
        }
        let (audio, manner) = (pieces, feed.manner);
        let id = if is_last { feed.id } else { UNTOLD };
        feed.lists += 1;
        let command = match std::mem::replace(&mut feed.begun, true) {
            false => MediaCommand::PlayIn {
                manner,
                id,
                audio,
                repeat,
            },
            true => MediaCommand::Append { id, audio, repeat },
        };
        // What is fed goes on: only other orders end it.
        let feed = self.feed.take().filter(|_| !is_last);
        let (sent, id) = (self.media(command), id);
        self.feed = feed;
        match sent {
            Ok(()) => None,
            Err(reason) => {
                tracing::warn!(reason, "audio that was made is not played");
                self.feed = None;
                is_last.then_some(Input::PlayDone(id))
            }
        }
    }

    /// A list that is not the last was played.
    pub(super) fn fed_list_done(&mut self) {
        if let Some(feed) = &mut self.feed {
            feed.lists = feed.lists.saturating_sub(1);
        }
    }
}

async fn make(pieces: Vec<Piece>, speaker: Speaker, send: mpsc::Sender<MediaAudio>) {
    for piece in pieces {
        let audio = match piece {
            Piece::Ready(audio) => audio,
            Piece::Say(said) => match speaker.utter(&said).await {
                Ok(prompt) => MediaAudio::Prompt(prompt),
                Err(error) => {
                    tracing::error!(%error, language = said.language, rule = "text-not-spoken", "a text is left out: nobody could speak it");
                    continue;
                }
            },
        };
        if send.send(audio).await.is_err() {
            return;
        }
    }
}
