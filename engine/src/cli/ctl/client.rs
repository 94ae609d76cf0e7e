//! The HTTP side of `trunkline ctl`.
use super::ask::Body;
use super::show;
use anyhow::{Context, bail};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Certificate, Method, Response};
use serde_json::Value;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;

/// Longest time for an answer that is not a stream, and for the next part of a file.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest line of a stream of events.
const MAX_LINE: usize = 1 << 20;
/// Why a file is not here.
const STALLED: &str = "the server stopped sending";

pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    bearer: String,
    /// `Idempotency-Key` of a POST.
    key: Option<String>,
    patience: Duration,
}

impl Client {
    pub(super) fn new(url: &str, token_file: &Path, ca: Option<&Path>) -> anyhow::Result<Client> {
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let token = match std::env::var("TRUNKLINE_TOKEN") {
            Ok(token) => token,
            Err(_) => std::fs::read_to_string(token_file).with_context(|| {
                format!("cannot read the token from {}; name another file with --token-file, or set TRUNKLINE_TOKEN", token_file.display())
            })?,
        };
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("trunkline-ctl/", env!("CARGO_PKG_VERSION")))
            .no_proxy();
        if let Some(path) = ca {
            let pem =
                std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            for certificate in Certificate::from_pem_bundle(&pem)? {
                http = http.add_root_certificate(certificate);
            }
        }
        Ok(Client {
            http: http.build()?,
            url: url.trim_end_matches('/').to_owned(),
            bearer: format!("Bearer {}", token.trim()),
            key: None,
            patience: PATIENCE,
        })
    }

    /// What it posts is done once for this key.
    pub(super) fn once_only(self, key: Option<String>) -> Client {
        Client { key, ..self }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Body>,
        limit: Option<Duration>,
    ) -> anyhow::Result<Response> {
        let url = format!("{}/api/v1{path}", self.url);
        let key = self.key.as_ref().filter(|_| method == Method::POST);
        let mut request = self
            .http
            .request(method, &url)
            .header(AUTHORIZATION, &self.bearer);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(limit) = limit {
            request = request.timeout(limit);
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, body.media).body(body.text);
        }
        let answer = request
            .send()
            .await
            .with_context(|| format!("{} does not answer", self.url))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        bail!("{}", show::problem(status.as_u16(), &text));
    }

    /// The text of the answer.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Body>,
    ) -> anyhow::Result<String> {
        let answer = self.send(method, path, body, Some(self.patience)).await?;
        Ok(answer.text().await?)
    }

    /// Writes a file of the server's to one here, which stays as it was until all is there.
    pub(super) async fn save(&self, path: &str, to: &Path) -> anyhow::Result<()> {
        let ask = self.send(Method::GET, path, None, None);
        let mut answer = timeout(self.patience, ask).await.context(STALLED)??;
        let to = std::fs::canonicalize(to).unwrap_or_else(|_| to.to_owned());
        let written = fill(&to, &mut answer, self.patience).await;
        written.with_context(|| format!("cannot write {}", to.display()))
    }

    /// Writes events until the stream ends.
    pub(super) async fn follow(
        &self,
        path: &str,
        json: bool,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let mut answer = self.send(Method::GET, path, None, None).await?;
        let mut rest = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            rest.extend_from_slice(&piece);
            while let Some(end) = rest.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                if let Some(data) = line.trim_end().strip_prefix("data: ") {
                    match json {
                        true => writeln!(out, "{data}")?,
                        false => show::event(
                            &serde_json::from_str::<Value>(data).unwrap_or_default(),
                            out,
                        )?,
                    }
                    out.flush()?;
                }
            }
            anyhow::ensure!(rest.len() <= MAX_LINE, "the server sends no lines");
        }
        bail!("the server has ended the stream")
    }
}

/// Writes an answer to a file, beside it until all is there; or to a pipe or a device.
async fn fill(to: &Path, answer: &mut Response, patience: Duration) -> anyhow::Result<()> {
    let there = std::fs::metadata(to).ok();
    if there.as_ref().is_some_and(|at| !at.is_file()) {
        return pour(answer, &mut File::create(to)?, patience).await;
    }
    let mut part = to.as_os_str().to_owned();
    part.push(format!(".{}.part", std::process::id()));
    let part = PathBuf::from(part);
    let mut file = File::create_new(&part).with_context(|| part.display().to_string())?;
    let written = async {
        if let Some(there) = there {
            file.set_permissions(there.permissions())?;
        }
        pour(answer, &mut file, patience).await?;
        file.sync_all()?;
        Ok(std::fs::rename(&part, to)?)
    };
    let written = written.await;
    if written.is_err() {
        // Why it is not here is told already.
        let _ = std::fs::remove_file(&part);
    }
    written
}

async fn pour(answer: &mut Response, file: &mut File, patience: Duration) -> anyhow::Result<()> {
    while let Some(piece) = timeout(patience, answer.chunk()).await.context(STALLED)?? {
        file.write_all(&piece)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A server that sends so much of ten octets, and then nothing, or ends.
    async fn server(sends: &'static str, hangs: bool) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
            let answer = format!("{head}{sends}");
            stream.write_all(answer.as_bytes()).await.unwrap();
            if hangs {
                std::future::pending::<()>().await;
            }
        });
        address
    }

    #[tokio::test]
    async fn a_file_stays_as_it_was_until_all_of_the_other_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, "t").unwrap();
        let to = folder.path().join("a.wav");
        for (sends, kept) in [
            ("01234", None),
            ("0123456789", Some("0123456789")),
            ("98765", Some("0123456789")),
            ("9876543210", Some("9876543210")),
        ] {
            let url = format!("http://{}", server(sends, false).await);
            let client = Client::new(&url, &token, None).unwrap();
            let saved = client.save("/audio", &to).await;
            assert_eq!(saved.is_ok(), sends.len() == 10, "{saved:?}");
            assert_eq!(std::fs::read_to_string(&to).ok().as_deref(), kept);
            let files = std::fs::read_dir(folder.path()).unwrap().count();
            assert_eq!(files, 1 + usize::from(kept.is_some()), "no half is left");
        }
    }

    #[tokio::test]
    async fn a_file_keeps_its_rights_and_what_others_write_meanwhile_stays() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, "t").unwrap();
        let to = folder.path().join("a.wav");
        std::fs::write(&to, "old").unwrap();
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o640)).unwrap();
        let others = folder.path().join("a.wav.part");
        std::fs::write(&others, "mine").unwrap();
        let ours = folder
            .path()
            .join(format!("a.wav.{}.part", std::process::id()));
        let save = async || {
            let url = format!("http://{}", server("0123456789", false).await);
            let client = Client::new(&url, &token, None).unwrap();
            client.save("/audio", &to).await
        };
        std::fs::write(&ours, "mine").unwrap();
        assert!(save().await.is_err());
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "old");
        assert_eq!(std::fs::read_to_string(&ours).unwrap(), "mine");
        std::fs::remove_file(&ours).unwrap();
        save().await.unwrap();
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "0123456789");
        let mode = std::fs::metadata(&to).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(std::fs::read_to_string(&others).unwrap(), "mine");
    }

    #[tokio::test]
    async fn a_server_that_sends_no_more_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, "t").unwrap();
        let to = folder.path().join("a.wav");
        let url = format!("http://{}", server("01234", true).await);
        let client = Client {
            patience: Duration::from_millis(200),
            ..Client::new(&url, &token, None).unwrap()
        };
        let error = client.save("/audio", &to).await.unwrap_err();
        assert!(format!("{error:#}").contains(STALLED), "{error:#}");
        assert!(!to.exists());
    }
}
