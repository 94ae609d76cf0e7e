//! The leg's stream: its audio at a service.
use super::Leg;
use crate::call::program::Direction;
use crate::call::verb::Stream;
use crate::media::TapSpec;
use crate::stream::protocol::CallFacts;
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
        Ok(())
    }

    /// Ends the stream, if there is one.
    pub(in super::super) fn end_stream(&mut self) {
        self.stream = None;
    }
}

/// Waits for the end of a stream; for ever where there is none.
pub(super) async fn over(stream: &mut Option<StreamHandle>) -> StreamEnd {
    match stream {
        Some(stream) => stream.ended().await,
        None => std::future::pending().await,
    }
}
