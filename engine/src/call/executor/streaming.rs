//! The verb that streams audio to a service.
use super::super::leg::Input;
use super::super::verb::{Outcome, Stream};
use super::{Executor, VerbResult, failed};
use crate::stream::StreamEnd;

impl Executor<'_> {
    pub(super) async fn stream(&mut self, stream: &Stream) -> VerbResult {
        if let Err(reason) = self.leg.begin_stream(stream) {
            return Ok(failed("stream", reason));
        }
        if stream.background {
            return Ok(Outcome::Done);
        }
        self.streaming = true;
        let outcome = self.until_stream_over().await;
        self.streaming = outcome.is_err();
        outcome
    }

    async fn until_stream_over(&mut self) -> VerbResult {
        loop {
            match self.next().await {
                Input::StreamEnded(StreamEnd::Failed(reason)) => {
                    return Ok(failed("stream", reason));
                }
                Input::StreamEnded(_) => return Ok(Outcome::Done),
                // The stream was the old leg's.
                Input::Replaced => return Ok(failed("stream", "the leg was replaced by another")),
                Input::Ended(end) => return Err(end),
                // Keys go to the service.
                _ => {}
            }
        }
    }
}
