//! The leg's stream: its audio at a service.
use super::Leg;
use crate::call::events::EventKind;
use crate::call::verb::{KeyPress, Stream};
use crate::media::{Command, Listening, TapEnds, TapSpec};
use crate::speech::recognition::spoken::RATE_HZ;
use crate::stream::protocol::{CallFacts, Heard};
use crate::stream::{StreamEnd, StreamHandle, StreamSpec};
use serde_json::json;

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
            direction: call.info.direction.word(),
            from: call.info.from.clone(),
            to: call.info.to.clone(),
        };
        let within = match (stream.foreign, &call.calls.web_audio) {
            (false, _) => None,
            (true, Some(web)) => Some(web.fetcher().clone()),
            (true, None) => return Err("nothing is streamed to strangers' addresses here".into()),
        };
        let spec = StreamSpec {
            address: stream.address.clone(),
            within,
            token: stream.token.clone(),
            call: facts,
            rate_hz: stream.rate_hz,
            received: stream.received,
            sent: stream.sent,
            playback: stream.playback,
            framing: stream.framing,
            parameters: stream.parameters.clone(),
        };
        if self.stream.is_some() {
            self.say_stream_over(&StreamEnd::Stopped);
        }
        self.stream = Some(call.calls.streams.begin(spec, tap));
        self.settings.call.facts(|facts| facts.streaming = true);
        self.say(
            EventKind::StreamStarted,
            json!({"host": stream.address.host()}),
        );
        self.heard_by_stream = stream.listen;
        self.listen();
        Ok(())
    }

    /// Ends the stream, if there is one.
    pub(in super::super) fn end_stream(&mut self) {
        if self.stream.is_some() {
            self.stream_over(&StreamEnd::Stopped);
        }
    }

    /// The stream has come to its end.
    pub(super) fn stream_over(&mut self, end: &StreamEnd) {
        self.say_stream_over(end);
        self.settings.call.facts(|facts| facts.streaming = false);
        self.stream = None;
        self.heard_by_stream = Listening::default();
        self.listen();
    }

    /// What the program listens for from now on.
    pub(in super::super) fn program_hears(&mut self, wanted: Listening) {
        self.heard_by_program = wanted;
        self.listen();
    }

    /// What the far end says, for who understands it.
    pub(in super::super) fn hear(&mut self) -> Result<TapEnds, String> {
        let channel = self.channel.as_ref().ok_or("the media channel is closed")?;
        channel.hear(RATE_HZ).map_err(|error| error.to_string())
    }

    /// Whether the far end speaks, as far as anybody listens for that.
    pub(in super::super) fn is_speaking(&self) -> bool {
        self.speaking
    }

    fn listen(&mut self) {
        let (service, program) = (self.heard_by_stream, self.heard_by_program);
        let wanted = Listening {
            speech: service.speech || program.speech,
            beep: service.beep || program.beep,
        };
        self.speaking &= wanted.speech;
        // Refused only where the channel is gone or its shard far behind: the call goes on without it.
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
        let wanted = match heard {
            Heard::SpeechBegin | Heard::SpeechEnd { .. } => self.heard_by_stream.speech,
            Heard::Beep { .. } => self.heard_by_stream.beep,
        };
        if let Some(stream) = self.stream.as_ref().filter(|_| wanted) {
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
