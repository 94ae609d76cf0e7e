//! Messages: begun, filed, heard, deleted. Owns the order of file and row: a row is never without what is left of its file. What could not be filed is kept, and filed when it
//! can be.
use super::{Boxes, Happened, NotDone};
use crate::config::VoicemailBox;
use crate::media::repair_recording;
use crate::store::{
    StoreError, VoicemailBegun, VoicemailCount, VoicemailLeft, VoicemailQuery, VoicemailRow,
    VoicemailState, voicemail_id,
};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Octets of a WAV file in which there is nothing: its header, at most.
const EMPTY: u64 = 44;
/// Messages that wait to be filed; more wait for the next start of the process.
const MOST_UNFILED: usize = 1000;

/// Who leaves a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The call.
    pub call: String,
    /// The number.
    pub number: String,
    /// The name, where one was told.
    pub name: Option<String>,
}

/// A message that is being recorded. Whoever has it files it, or the next start of the process does.
#[derive(Debug, Clone)]
pub struct Take {
    /// The box.
    pub mailbox: Arc<VoicemailBox>,
    /// The file to record.
    pub path: PathBuf,
    begun: VoicemailBegun,
}

impl Take {
    /// One that an earlier process has begun.
    pub(super) fn again(mailbox: Arc<VoicemailBox>, begun: VoicemailBegun) -> Take {
        let path = begun.path.clone();
        Take {
            mailbox,
            path,
            begun,
        }
    }
}

/// Why no message can be left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoTake {
    /// There is no such box.
    Unknown,
    /// It holds as many as it may.
    Full,
    /// The disk does not take it.
    Failed,
}

impl NoTake {
    /// A word: for events and logs.
    pub fn name(self) -> &'static str {
        match self {
            NoTake::Unknown => "unknown",
            NoTake::Full => "full",
            NoTake::Failed => "failed",
        }
    }
}

/// What became of a message that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filed {
    /// It is in the box.
    Left(Box<VoicemailRow>),
    /// It was too short, and is gone.
    Empty,
    /// The disk did not take it now.
    Failed,
}

/// A message that could not be filed yet.
#[derive(Debug)]
pub(super) struct Unfiled {
    take: Take,
    silence: Duration,
}

impl Boxes {
    /// Begins a message.
    ///
    /// # Errors
    /// See [`NoTake`]; told in the log and as an event.
    pub async fn begin(&self, mailbox: &str, caller: Caller) -> Result<Take, NoTake> {
        let call = caller.call.clone();
        let begun = self.try_begin(mailbox, caller).await;
        if let Err((why, text)) = &begun {
            let reason = why.name();
            self.came_of_it(reason);
            tracing::warn!(
                rule = "voicemail-refused",
                mailbox,
                reason,
                "a message cannot be left: {text}"
            );
            self.tell(&Happened::Refused(mailbox.to_owned(), call, reason));
        }
        begun.map_err(|(why, _)| why)
    }

    async fn try_begin(&self, name: &str, caller: Caller) -> Result<Take, (NoTake, String)> {
        let (Some(mailbox), Some(store)) = (self.find(name), &self.store) else {
            let text = "there is no [[voicemail]] of that name or number".to_owned();
            return Err((NoTake::Unknown, text));
        };
        let id = voicemail_id();
        let path = self.folder.join(format!("{}-{id}.wav", mailbox.name));
        let failed = |text: String| (NoTake::Failed, text);
        tokio::fs::create_dir_all(&self.folder)
            .await
            .map_err(|error| failed(format!("{}: {error}", self.folder.display())))?;
        let begun = VoicemailBegun {
            id,
            mailbox: mailbox.name.clone(),
            call: caller.call,
            caller: caller.number,
            caller_name: caller.name,
            path: std::path::absolute(&path).unwrap_or_else(|_| path.clone()),
            at: SystemTime::now(),
        };
        let taken = store
            .voicemail_begun(begun.clone(), mailbox.max_messages)
            .await;
        match taken {
            Ok(true) => Ok(Take {
                mailbox,
                path,
                begun,
            }),
            Ok(false) => {
                let most = mailbox.max_messages;
                let text = format!("the box holds {most} messages, see max_messages");
                Err((NoTake::Full, text))
            }
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// Files what was recorded, once its file is complete. `silence`: so much of its end is silence. What the disk does not take now is kept for
    /// `Boxes::file_again`.
    pub async fn file(&self, take: Take, silence: Duration) -> Filed {
        let filed = self.settle(take, silence, false).await;
        self.came_of_it(match filed {
            Filed::Left(_) => "left",
            Filed::Empty => "empty",
            Filed::Failed => "failed",
        });
        filed
    }

    /// `again`: it was tried before.
    async fn settle(&self, take: Take, silence: Duration, again: bool) -> Filed {
        let filed = self.try_file(&take, silence).await;
        match &filed {
            Ok(Filed::Left(row)) => {
                let count = self.count(&row.mailbox).await.unwrap_or_default();
                tracing::info!(
                    mailbox = row.mailbox,
                    message = row.id,
                    ms = row.ms,
                    new = count.new,
                    "a message was left"
                );
                self.happened(Happened::Left((**row).clone(), count));
                self.work.notify_one();
            }
            Ok(_) => tracing::info!(
                rule = "voicemail-too-short",
                mailbox = take.mailbox.name,
                "what was left is no message: see min_s"
            ),
            Err(error) => self.not_filed(take, silence, again, error),
        }
        filed.unwrap_or(Filed::Failed)
    }

    fn not_filed(&self, take: Take, silence: Duration, again: bool, error: &NotDone) {
        let mailbox = take.mailbox.name.clone();
        let (file, reason) = (take.path.clone(), &error.reason);
        let (path, rule) = (file.display(), "voicemail-not-filed");
        if error.for_good {
            let rule = "voicemail-lost";
            tracing::error!(rule, mailbox, %path, reason, "a message is lost to its box; its file stays");
            return;
        }
        match (self.keep_unfiled(take, silence), again) {
            (true, false) => {
                tracing::warn!(rule, mailbox, %path, reason, "a message is not in its box yet; it is tried again");
            }
            (true, true) => {
                tracing::debug!(rule, mailbox, %path, reason, "a message is still not in its box");
            }
            (false, _) => {
                tracing::warn!(rule, mailbox, %path, reason, "a message is not in its box yet; it is filed at the next start");
            }
        }
    }

    /// Whether there was room for it. Once more of the same message is not.
    fn keep_unfiled(&self, take: Take, silence: Duration) -> bool {
        let mut unfiled = self.unfiled();
        let is_there = |each: &Unfiled| each.take.begun.id == take.begun.id;
        if unfiled.iter().any(is_there) {
            return true;
        }
        let has_room = unfiled.len() < MOST_UNFILED;
        if has_room {
            unfiled.push(Unfiled { take, silence });
        }
        has_room
    }

    /// Tries to file what could not be.
    pub(super) async fn file_again(&self) {
        let all = std::mem::take(&mut *self.unfiled());
        for Unfiled { take, silence } in all {
            if let Filed::Left(_) = self.settle(take, silence, true).await {
                self.came_of_it("left");
            }
        }
    }

    async fn try_file(&self, take: &Take, silence: Duration) -> Result<Filed, NotDone> {
        let Some(store) = &self.store else {
            return Err(NotDone::for_good("there is no store".to_owned()));
        };
        let told = |error: StoreError| NotDone::for_now(error.to_string());
        let (id, path) = (take.begun.id.as_str(), take.path.clone());
        let (ms, octets) = match length(path).await {
            Ok(length) => length,
            Err(error) => {
                if error.for_good {
                    // It holds no place in its box.
                    store.forget_voicemail(id).await.map_err(told)?;
                }
                return Err(error);
            }
        };
        let heard = Duration::from_millis(ms).saturating_sub(silence);
        if ms == 0 || heard < take.mailbox.min {
            store.forget_voicemail(id).await.map_err(told)?;
            remove(&take.path).await;
            return Ok(Filed::Empty);
        }
        let at = take.begun.at;
        let wanted = take.mailbox.transcribe || !take.mailbox.email.is_empty();
        let left = VoicemailLeft {
            ms,
            octets,
            keep_until: take.mailbox.keep.and_then(|keep| at.checked_add(keep)),
            work_due: wanted.then_some(at),
        };
        store.voicemail_left(id, left).await.map_err(told)?;
        let row = store.voicemail(id).await.map_err(told)?;
        row.map(|row| Filed::Left(Box::new(row)))
            .ok_or_else(|| NotDone::for_good("it was deleted meanwhile".to_owned()))
    }

    /// A message that is not wanted after all.
    pub async fn discard(&self, take: Take) {
        if let Some(store) = &self.store {
            // The store has told what went wrong.
            let _ = store.forget_voicemail(&take.begun.id).await;
        }
        remove(&take.path).await;
    }

    /// How many messages a box has.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn count(&self, mailbox: &str) -> Result<VoicemailCount, StoreError> {
        match &self.store {
            Some(store) => store.voicemail_count(mailbox).await,
            None => Ok(VoicemailCount::default()),
        }
    }

    /// How many messages wait for a phone, in all of its boxes; `None`: it has none.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn count_of_phone(&self, user: &str) -> Result<Option<VoicemailCount>, StoreError> {
        let mut sum = None;
        for mailbox in self.all().iter() {
            if !mailbox.endpoints.iter().any(|own| own == user) {
                continue;
            }
            let count = self.count(&mailbox.name).await?;
            let sum = sum.get_or_insert_with(VoicemailCount::default);
            sum.new += count.new;
            sum.saved += count.saved;
        }
        Ok(sum)
    }

    /// The complete messages of a box as whoever hears them gets them: those nobody has heard first, of each the oldest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn messages(&self, mailbox: &str) -> Result<Vec<VoicemailRow>, StoreError> {
        let Some(store) = &self.store else {
            return Ok(Vec::new());
        };
        let query = VoicemailQuery {
            mailbox: Some(mailbox.to_owned()),
            ..VoicemailQuery::default()
        };
        let mut rows = store.voicemails(query).await?;
        rows.sort_by_key(|row| (row.state == VoicemailState::Saved, row.number));
        Ok(rows)
    }

    /// A message was heard, or is to count as new again.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn mark(
        &self,
        mut row: VoicemailRow,
        saved: bool,
    ) -> Result<VoicemailRow, StoreError> {
        let Some(store) = &self.store else {
            return Ok(row);
        };
        if store.mark_voicemail(&row.id, saved).await? {
            row.state = match saved {
                true => VoicemailState::Saved,
                false => VoicemailState::New,
            };
            let count = store.voicemail_count(&row.mailbox).await?;
            self.happened(Happened::Marked(row.clone(), count));
        }
        Ok(row)
    }

    /// Deletes a message and its file.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn delete(&self, row: VoicemailRow) -> Result<(), StoreError> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        // The file last: what is left of it without a row is found by nobody, a row without it would be heard.
        if store.forget_voicemail(&row.id).await? {
            remove(&row.path).await;
            let count = store.voicemail_count(&row.mailbox).await?;
            self.happened(Happened::Deleted(row, count));
        }
        Ok(())
    }

    fn happened(&self, happened: Happened) {
        self.tell(&happened);
        if let Happened::Left(row, _) | Happened::Marked(row, _) | Happened::Deleted(row, _) =
            &happened
        {
            let mailbox = self.find(&row.mailbox);
            let phones = mailbox.iter().flat_map(|mailbox| &mailbox.endpoints);
            phones.for_each(|user| self.changed(user));
        }
    }
}

/// The length of a file in ms and octets, its header put right; nothing where there is none.
async fn length(path: PathBuf) -> Result<(u64, u64), NotDone> {
    let file = tokio::task::spawn_blocking(move || repair_recording(&path)).await;
    match file {
        Ok(Ok(file)) => match file.ms {
            Some(ms) => Ok((ms, file.octets)),
            None if file.octets <= EMPTY => Ok((0, 0)),
            None => Err(NotDone::for_good("its header is none of ours".to_owned())),
        },
        Ok(Err(error)) if error.kind() == ErrorKind::NotFound => Ok((0, 0)),
        Ok(Err(error)) => Err(NotDone::for_now(error.to_string())),
        Err(error) => Err(NotDone::for_now(error.to_string())),
    }
}

async fn remove(path: &Path) {
    if let Err(error) = tokio::fs::remove_file(path).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        let path = path.display();
        tracing::warn!(rule = "voicemail-not-deleted", %path, %error, "the file of a message could not be deleted");
    }
}
