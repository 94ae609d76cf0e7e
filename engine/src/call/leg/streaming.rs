//! The leg's stream: its audio at a service.
use super::Leg;
use crate::call::program::Direction;
use crate::call::verb::{KeyPress, Stream};
use crate::media::{Command, Listening, TapSpec};
use crate::stream::protocol::{CallFacts, Heard};
use crate::stream::{StreamEnd, StreamHandle, StreamSpec};

impl Leg {
    /// Begins a stream; one that the leg has ends.
    pub(in super::super) fn begin_stream(&mut self, stream: &Stream) -> Result<(), String> {
        let channel = self.channel.as_ref().ok_or("the media channel is closed")?;
        let tap = TapSpec {
            rate_hz: stream.rate_hz,
            received: stream.received,
            sent: stream.sent,
        };
        let tap = channel.tap(tap).map_err(|error| error.to_string())?;
        let call = &self.settings.call;
        let facts = CallFacts {
            id: call.info.id.clone(),
            direction: match call.info.direction {
                Direction::Inbound => "inbound",
                Direction::Outbound => "outbound",
            },
            from: call.info.from.clone(),
            to: call.info.to.clone(),
        };
        let spec = StreamSpec {
            address: stream.address.clone(),
            token: stream.token.clone(),
            call: facts,
            rate_hz: stream.rate_hz,
            received: stream.received,
            sent: stream.sent,
            playback: stream.playback,
            framing: stream.framing,
            parameters: stream.parameters.clone(),
        };
        self.stream = Some(call.calls.streams.begin(spec, tap));
        self.listen(stream.listen);
        Ok(())
    }

    /// Ends the stream, if there is one.
    pub(in super::super) fn end_stream(&mut self) {
        if self.stream.take().is_some() {
            self.listen(Listening::default());
        }
    }

    fn listen(&mut self, wanted: Listening) {
        // Refused only where the channel is gone or its shard far behind: the stream goes on without it.
        let _ = self.media(Command::Listen(wanted));
    }

    /// While keys are secret no service is told of them.
    pub(in super::super) fn keys_are_secret(&mut self, secret: bool) {
        self.secret_keys = secret;
    }

    /// Tells the service of a key.
    pub(super) fn stream_key(&self, key: &KeyPress) {
        if let Some(stream) = self.stream.as_ref().filter(|_| !self.secret_keys) {
            stream.key(key.digit, key.duration_ms);
        }
    }

    /// Tells the service of something heard.
    pub(super) fn stream_heard(&self, heard: Heard) {
        if let Some(stream) = &self.stream {
            stream.heard(heard);
        }
    }
}

/// Waits for the end of a stream; for ever where there is none.
pub(super) async fn over(stream: &mut Option<StreamHandle>) -> StreamEnd {
    match stream {
        Some(stream) => stream.ended().await,
        None => std::future::pending().await,
    }
}
