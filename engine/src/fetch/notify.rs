//! Requests whose answer's status is all that counts: webhooks.
use super::request::Request;
use super::{FetchError, Fetcher};
use std::time::Duration;

/// What is read of an answer, so that its connection can be used again.
const POLITE: usize = 16 * 1024;
/// How long that may take.
const POLITE_TIME: Duration = Duration::from_secs(1);

impl Fetcher {
    /// Sends a request and returns the status. The answer's body is not wanted: a long or slow one costs its connection only.
    ///
    /// # Errors
    /// See [`FetchError`]; a status is none.
    pub async fn notify(&self, request: &Request<'_>) -> Result<u16, FetchError> {
        let (_, mut response) = self.send(request).await?;
        let status = response.status().as_u16();
        let read = async {
            let mut octets = 0;
            while let Ok(Some(piece)) = response.chunk().await {
                octets += piece.len();
                if octets > POLITE {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(POLITE_TIME, read).await;
        Ok(status)
    }
}
