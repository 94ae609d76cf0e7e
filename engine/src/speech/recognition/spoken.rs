//! A piece of speech that may still be going on: who understands it reads it from its beginning, one back end after the other, and waits for more.
//!
//! Limit: [`MAX_SECONDS`]; what is said beyond is left out.
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Samples per second.
pub const RATE_HZ: u32 = 16_000;
/// The longest piece: at 16 kHz these are the 25 MB that OpenAI's interface takes.
pub const MAX_SECONDS: usize = 780;
const MAX_SAMPLES: usize = MAX_SECONDS * RATE_HZ as usize;

/// The speech, for who understands it. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Spoken(Arc<Shared>);

/// The speech, for who hears it. Dropping it ends the piece.
#[derive(Debug)]
pub struct Mouth(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    samples: Mutex<Vec<i16>>,
    /// How many there are, and whether that is all.
    state: watch::Sender<(usize, bool)>,
}

impl Shared {
    fn samples(&self) -> MutexGuard<'_, Vec<i16>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spoken {
    /// A piece that is over: samples at [`RATE_HZ`].
    pub fn whole(mut samples: Vec<i16>) -> Spoken {
        samples.truncate(MAX_SAMPLES);
        let state = watch::Sender::new((samples.len(), true));
        Spoken(Arc::new(Shared {
            samples: Mutex::new(samples),
            state,
        }))
    }

    /// A piece that begins now.
    pub fn live() -> (Mouth, Spoken) {
        let shared = Arc::new(Shared {
            samples: Mutex::default(),
            state: watch::Sender::new((0, false)),
        });
        (Mouth(shared.clone()), Spoken(shared))
    }

    /// What comes after the first `from` samples, at least one; `None`: nothing comes any more. Waits. Can be dropped without losing anything.
    pub async fn after(&self, from: usize) -> Option<Vec<i16>> {
        let mut state = self.0.state.subscribe();
        // The sender is here: no error.
        let _ = state
            .wait_for(|(length, over)| *length > from || *over)
            .await;
        let samples = self.0.samples();
        let more = samples.get(from..).filter(|more| !more.is_empty());
        more.map(<[i16]>::to_vec)
    }

    /// Returns when it is over.
    pub async fn over(&self) {
        let mut state = self.0.state.subscribe();
        let _ = state.wait_for(|(_, over)| *over).await;
    }

    /// All of it, once it is over.
    pub async fn all(&self) -> Vec<i16> {
        self.over().await;
        self.0.samples().clone()
    }
}

impl Mouth {
    /// Says more: samples at [`RATE_HZ`].
    pub fn say(&self, samples: &[i16]) {
        let mut all = self.0.samples();
        let room = MAX_SAMPLES - all.len();
        all.extend_from_slice(&samples[..samples.len().min(room)]);
        let length = all.len();
        drop(all);
        self.0.state.send_modify(|state| state.0 = length);
    }
}

impl Drop for Mouth {
    fn drop(&mut self) {
        self.0.state.send_modify(|state| state.1 = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_said_is_read_from_the_beginning_by_each() {
        let (mouth, spoken) = Spoken::live();
        mouth.say(&[1, 2]);
        let reader = spoken.clone();
        let reading = tokio::spawn(async move {
            let (mut at, mut pieces) = (0, Vec::new());
            while let Some(more) = reader.after(at).await {
                at += more.len();
                pieces.extend(more);
            }
            pieces
        });
        assert_eq!(spoken.after(1).await, Some(vec![2]));
        tokio::task::yield_now().await;
        mouth.say(&[3]);
        drop(mouth);
        assert_eq!(reading.await.unwrap(), [1, 2, 3]);
        assert_eq!(spoken.all().await, [1, 2, 3]);
        assert_eq!(spoken.after(3).await, None);
        assert_eq!(spoken.after(9).await, None);
    }

    #[tokio::test]
    async fn it_ends_at_its_limit() {
        let whole = Spoken::whole(vec![0; MAX_SAMPLES + 1]);
        assert_eq!(whole.all().await.len(), MAX_SAMPLES);
        let (mouth, spoken) = Spoken::live();
        mouth.say(&vec![0; MAX_SAMPLES - 1]);
        mouth.say(&[1, 2]);
        drop(mouth);
        assert_eq!(spoken.all().await.len(), MAX_SAMPLES);
    }
}
