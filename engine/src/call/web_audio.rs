//! Audio that programs name by URL: fetched when it is first asked for, decoded once, kept while there is room, asked for again when it is no longer
//! fresh (RFC 9111). When a server fails, what was fetched before goes on being played, and the log says so.
//!
//! Several calls that want the same wait for one fetch. Limits: [`WebAudioLimits`]; the oldest in use go first when room is needed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

use crate::fetch::{FetchError, Fetcher, Validators};
use crate::media::{Prompt, PromptError};

/// After a failure what is kept is played so long before the server is asked again.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub struct WebAudioLimits {
    /// Audio in all, in octets of memory.
    pub kept_octets: usize,
    /// URLs.
    pub kept_urls: usize,
}

/// Why audio cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum WebAudioError {
    /// It was not fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It was fetched and is no audio we can read.
    #[error(transparent)]
    Audio(#[from] PromptError),
    /// Another call's fetch of the same failed.
    #[error("{0}")]
    Shared(String),
}

/// See the module's text.
#[derive(Debug)]
pub struct WebAudio {
    fetcher: Fetcher,
    limits: WebAudioLimits,
    kept: Mutex<Kept>,
}

type Pending = Arc<OnceCell<Result<Arc<Prompt>, String>>>;

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<String, Entry>,
    octets: usize,
    /// Fetches that are under way.
    pending: HashMap<String, Pending>,
}

#[derive(Debug, Clone)]
struct Entry {
    prompt: Arc<Prompt>,
    validators: Validators,
    fresh_until: Instant,
    used: Instant,
}

impl WebAudio {
    /// What fetches, within the limits and the reach of the configuration.
    pub fn fetcher(&self) -> &Fetcher {
        &self.fetcher
    }

    /// A cache over a fetcher.
    pub fn new(fetcher: Fetcher, limits: WebAudioLimits) -> WebAudio {
        WebAudio {
            fetcher,
            limits,
            kept: Mutex::default(),
        }
    }

    /// The audio at `url`.
    ///
    /// # Errors
    /// When it is neither kept nor can be fetched and read.
    pub async fn load(&self, url: &str) -> Result<Arc<Prompt>, WebAudioError> {
        let pending = {
            let mut kept = self.kept();
            if let Some(entry) = kept.entries.get_mut(url) {
                entry.used = Instant::now();
                if entry.used < entry.fresh_until {
                    return Ok(entry.prompt.clone());
                }
            }
            kept.pending.entry(url.to_owned()).or_default().clone()
        };
        let waiter = Waiter {
            web: self,
            url,
            pending: Some(pending),
        };
        let cell = waiter.pending.as_deref().expect("held until it is dropped");
        let loaded = cell
            .get_or_init(|| async {
                let loaded = self.refresh(url).await.map_err(|error| error.to_string());
                self.kept().pending.remove(url);
                loaded
            })
            .await;
        loaded.clone().map_err(WebAudioError::Shared)
    }

    async fn refresh(&self, url: &str) -> Result<Arc<Prompt>, WebAudioError> {
        let known = self.kept().entries.get(url).cloned();
        let validators = known.as_ref().map(|entry| entry.validators.clone());
        let fetched = match self
            .fetcher
            .fetch(url, &validators.unwrap_or_default())
            .await
        {
            Ok(fetched) => fetched,
            Err(error) => return self.fall_back(url, known, error.into()),
        };
        let now = Instant::now();
        let prompt = match (fetched.body, &known) {
            (None, Some(entry)) => entry.prompt.clone(),
            (body, _) => {
                let (key, extension) = (shown(url), fetched.extension);
                let decode = move || Prompt::from_file(key, &extension, &body.unwrap_or_default());
                match tokio::task::spawn_blocking(decode).await {
                    Ok(Ok(prompt)) => Arc::new(prompt),
                    Ok(Err(error)) => return self.fall_back(url, known, error.into()),
                    Err(_) => {
                        return Err(WebAudioError::Shared(
                            "reading the audio was interrupted".into(),
                        ));
                    }
                }
            }
        };
        self.keep(
            url,
            Entry {
                prompt: prompt.clone(),
                validators: fetched.validators,
                fresh_until: now + fetched.fresh_for,
                used: now,
            },
        );
        Ok(prompt)
    }

    /// What is kept is better than nothing.
    fn fall_back(
        &self,
        url: &str,
        known: Option<Entry>,
        error: WebAudioError,
    ) -> Result<Arc<Prompt>, WebAudioError> {
        let Some(mut entry) = known else {
            return Err(error);
        };
        tracing::warn!(url = shown(url), %error, rule = "stale-audio", "audio cannot be fetched again: what was fetched before is played");
        let prompt = entry.prompt.clone();
        entry.fresh_until = Instant::now() + AFTER_FAILURE;
        self.keep(url, entry);
        Ok(prompt)
    }

    fn keep(&self, url: &str, entry: Entry) {
        let mut kept = self.kept();
        kept.remove(url);
        let octets = entry.prompt.octets();
        if octets > self.limits.kept_octets {
            return;
        }
        while kept.octets + octets > self.limits.kept_octets
            || kept.entries.len() >= self.limits.kept_urls
        {
            let oldest = kept.entries.iter().min_by_key(|(_, entry)| entry.used);
            let Some(oldest) = oldest.map(|(url, _)| url.clone()) else {
                return;
            };
            kept.remove(&oldest);
        }
        kept.octets += octets;
        kept.entries.insert(url.to_owned(), entry);
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a fetch. A call may be over before it is done: the last who waited takes its entry away.
struct Waiter<'w> {
    web: &'w WebAudio,
    url: &'w str,
    pending: Option<Pending>,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut kept = self.web.kept();
        let Some(mine) = self.pending.take() else {
            return;
        };
        let same = kept
            .pending
            .get(self.url)
            .is_some_and(|of| Arc::ptr_eq(of, &mine));
        // Handed out and given back under the lock: two are the table's and this one.
        if same && Arc::strong_count(&mine) == 2 {
            kept.pending.remove(self.url);
        }
    }
}

impl Kept {
    fn remove(&mut self, url: &str) {
        if let Some(entry) = self.entries.remove(url) {
            self.octets -= entry.prompt.octets();
        }
    }
}

/// A URL for logs: what follows its path may be a secret, and so may what stands before its host.
fn shown(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = path.split_once("://") else {
        return path.to_owned();
    };
    let (host, file) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}/{file}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::FetchLimits;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A server that answers every request with what `answer` makes of the number of the request and its path; counts them.
    async fn server(
        answer: impl Fn(usize, &str) -> Vec<u8> + Send + 'static,
    ) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(socket.read_u8().await.unwrap());
                }
                let request = String::from_utf8(request).unwrap();
                let path = request.split(' ').nth(1).unwrap();
                let number = counted.fetch_add(1, Ordering::SeqCst);
                socket.write_all(&answer(number, path)).await.unwrap();
            }
        });
        (base, requests)
    }

    fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        [head.as_bytes(), body].concat()
    }

    fn web_audio(kept_octets: usize) -> WebAudio {
        let fetcher = Fetcher::new(&FetchLimits {
            allow: vec!["127.0.0.0/8".parse().unwrap()],
            max_octets: 1 << 20,
            timeout: Duration::from_secs(60),
        });
        let limits = WebAudioLimits {
            kept_octets,
            kept_urls: 100,
        };
        WebAudio::new(fetcher.unwrap(), limits)
    }

    #[tokio::test]
    async fn many_calls_fetch_once() {
        let (base, requests) =
            server(|_, _| ok("Cache-Control: max-age=3600\r\n", &[1, 0, 2, 0])).await;
        let (web, url) = (Arc::new(web_audio(1 << 20)), format!("{base}/a.raw"));
        let loads = (0..50).map(|_| {
            let (web, url) = (web.clone(), url.clone());
            tokio::spawn(async move { web.load(&url).await.unwrap().slin8[..] == [1, 2] })
        });
        for load in loads.collect::<Vec<_>>() {
            assert!(load.await.unwrap());
        }
        assert!(web.load(&url).await.is_ok());
        assert_eq!(requests.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn what_is_stale_is_asked_for_and_played_on_when_the_server_fails() {
        let (base, requests) = server(|number, _| match number {
            0 => ok("Cache-Control: no-cache\r\nETag: \"1\"\r\n", &[1, 0]),
            1 => b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\nCache-Control: no-cache\r\nETag: \"1\"\r\n\r\n".to_vec(),
            2 => ok("Cache-Control: no-cache\r\n", &[5, 0]),
            _ => b"HTTP/1.1 500 Oops\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_vec(),
        })
        .await;
        let (web, url) = (web_audio(1 << 20), format!("{base}/a.raw?token=secret"));
        for (samples, asked) in [([1], 1), ([1], 2), ([5], 3), ([5], 4), ([5], 4)] {
            assert_eq!(web.load(&url).await.unwrap().slin8[..], samples);
            assert_eq!(requests.load(Ordering::SeqCst), asked);
        }
        let error = web
            .load(&format!("{base}/b.raw?token=secret"))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("500") && !error.contains("secret"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_call_that_is_over_before_its_audio_leaves_nothing() {
        // Takes connections and says nothing.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap();
        let (base, requests) = server(|_, _| ok("", &[1, 0])).await;
        let web = web_audio(1 << 20);
        for number in 0..20 {
            let url = format!("http://{address}/{number}.raw");
            tokio::select! {
                biased;
                _ = web.load(&url) => panic!("nothing can have come"),
                () = std::future::ready(()) => {}
            }
        }
        assert!(web.kept().pending.is_empty());
        assert!(web.load(&format!("{base}/0.raw")).await.is_ok());
        assert_eq!(requests.load(Ordering::SeqCst), 1);
        assert!(web.kept().pending.is_empty());
    }

    #[tokio::test]
    async fn the_oldest_make_room() {
        let (base, requests) =
            server(|_, _| ok("Cache-Control: max-age=3600\r\n", &[0; 2000])).await;
        let one = Prompt::from_samples("", &[0; 1000]).octets();
        let web = web_audio(2 * one);
        let load = async |name: &str| web.load(&format!("{base}/{name}.raw")).await.unwrap();
        for (name, asked) in [
            ("a", 1),
            ("b", 2),
            ("a", 2),
            ("c", 3),
            ("a", 3),
            ("b", 4),
            ("c", 5),
        ] {
            load(name).await;
            assert_eq!(requests.load(Ordering::SeqCst), asked, "{name}");
            assert!(web.kept().octets <= 2 * one && web.kept().pending.is_empty());
        }
    }

    #[tokio::test]
    async fn what_is_no_audio_is_refused_and_not_kept() {
        let (base, _) = server(|_, _| ok("Content-Type: text/html\r\n", b"<html>")).await;
        let web = web_audio(1 << 20);
        let error = web
            .load(&format!("{base}/a?token=secret"))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("unknown extension") && !error.contains("secret"),
            "{error}"
        );
        assert!(web.kept().entries.is_empty());
    }

    #[test]
    fn a_url_is_shown_without_secrets() {
        assert_eq!(
            shown("https://user:pass@host:1/a/b.wav?key=1#x"),
            "https://host:1/a/b.wav"
        );
    }
}
