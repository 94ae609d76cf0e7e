//! The HTTP side of `trunkline ctl`.
use super::ask::Body;
use super::show;
use anyhow::{Context, bail};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Certificate, Method, Response};
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Longest time for an answer that is not a stream.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest line of a stream of events.
const MAX_LINE: usize = 1 << 20;

pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    bearer: String,
    /// `Idempotency-Key` of a POST.
    key: Option<String>,
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
        let answer = self.send(method, path, body, Some(PATIENCE)).await?;
        Ok(answer.text().await?)
    }

    /// Writes a file of the server's to one here.
    pub(super) async fn save(&self, path: &str, to: &Path) -> anyhow::Result<()> {
        let mut answer = self.send(Method::GET, path, None, None).await?;
        let name = || to.display();
        let mut file =
            std::fs::File::create(to).with_context(|| format!("cannot write {}", name()))?;
        while let Some(piece) = answer.chunk().await? {
            file.write_all(&piece)
                .with_context(|| format!("cannot write {}", name()))?;
        }
        Ok(())
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
