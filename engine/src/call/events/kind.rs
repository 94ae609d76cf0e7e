//! The list of all events: name, and what the data says. `docs/events.md` is this list; a test holds both together.

macro_rules! kinds {
    ($($(#[$meta:meta])* $kind:ident $name:literal $doc:literal)*) => {
        /// What can happen. The text of each says which fields its data has.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EventKind {
            $(#[doc = $doc] $kind,)*
        }

        impl EventKind {
            /// All of them, in the order of the page.
            pub const ALL: &'static [EventKind] = &[$(EventKind::$kind,)*];

            /// The name, such as `call.answered`.
            pub fn name(self) -> &'static str {
                match self {
                    $(EventKind::$kind => $name,)*
                }
            }

            /// When it happens and what its data says.
            pub fn doc(self) -> &'static str {
                match self {
                    $(EventKind::$kind => $doc,)*
                }
            }
        }
    };
}

kinds! {
    CallStarted "call.started" "A call has come in or is being placed. `direction` (`inbound`, `outbound`), `from`, `to`; `parted_from` where it is a party of that call that an order has sent elsewhere."
    CallRouted "call.routed" "It is known what drives the call. `rule`, `program`, `to`."
    CallRinging "call.ringing" "The caller is told that it rings, or our callee rings. `status` (180 or 183)."
    CallAnswered "call.answered" "The call's own leg is answered. `codec`."
    CallEnded "call.ended" "The call is over; the last event of the call itself. `by`, `cause`, `status`, `q850` as in its record, `answered`, `seconds` since it began."
    CallBridged "call.bridged" "Two parties hear each other. `with`, `leg`, `codec`, `peer_codec`."
    CallUnbridged "call.unbridged" "They are parted. `with`, `seconds`."
    CallHandedOver "call.handed_over" "Another program drives the call from now on. `program`, `to`, `rule`."

    CallMuted "call.muted" "An order has muted parties. `side` (`own`, `peer`, `both`)."
    CallUnmuted "call.unmuted" "They are heard again. `side`."
    CallHeld "call.held" "An order has put parties on hold. `side`."
    CallResumed "call.resumed" "They are back. `side`."
    CallChanged "call.changed" "Its tags or metadata have changed. `tags`, `metadata`."

    ScheduleCreated "schedule.created" "A call is to be placed later. `scheduled` (its id), `at`, `to`."
    ScheduleChanged "schedule.changed" "It is to be placed at another time. `scheduled`, `at`."
    ScheduleCancelled "schedule.cancelled" "It is not to be placed any more. `scheduled`."
    SchedulePlaced "schedule.placed" "Its time has come, and it rings. `scheduled`, `late_s`."
    ScheduleMissed "schedule.missed" "Its time was over by more than it may be late, and it is not placed. `scheduled`, `at`, `late_s`."
    ScheduleFailed "schedule.failed" "It could not be placed. `scheduled`, `reason`."

    LegStarted "leg.started" "A leg of the call has its audio channel. `leg`, `party`."
    LegRinging "leg.ringing" "It rings. `leg`, `party`, `status`."
    LegAnswered "leg.answered" "It is answered. `leg`, `party`, `direction`, `codec`."
    LegChanged "leg.changed" "The far end has changed its address, codec or direction. `leg`, `party`, `codec`, `held` (by the far end)."
    LegReplaced "leg.replaced" "Another leg has come in its place (RFC 3891). `leg`, `party` of the new one."
    LegEnded "leg.ended" "It is over. `leg`, `party`, `by`, `cause`, `status`, `q850`, `answered`, `codec`, `lost`, `late`, `jitter_ms`."

    Digit "digit" "A key was pressed. `digit` (`null` while the program gathers a secret), `source` (`inband`, `rfc4733`, `info`), `ms`, `leg`. A key that is pressed ahead is told when somebody takes it."
    ToneHeard "tone.heard" "A tone of the network or of a fax machine. `tone`, `leg`."
    MachineDetected "machine.detected" "It is known who answered our call. `answered_by`, `because`, `after_ms`, `leg`."
    GreetingOver "machine.greeting_over" "The greeting of an answering machine is over. `beep`, `after_ms`, `leg`."

    PlayStarted "play.started" "Audio begins to play. `play` (a number), `pieces`; `side` where an order plays it."
    PlayFinished "play.finished" "It was played to its end. `play`."
    RecordingStarted "recording.started" "A recording begins. `recording` (a number; `null` of a conference), `file`; `conference` where it is of one, `keep_days` where its program says how long it stays."
    RecordingPaused "recording.paused" "The recording pauses. `recording`."
    RecordingResumed "recording.resumed" "The recording goes on. `recording`."
    RecordingFinished "recording.finished" "A recording is complete. `file`, `format`, `ms`, `lost_ms`, `ended`; `conference` where it is of one, `call` where it is of one attendee. A message of voicemail is no recording: `voicemail.left` tells of it."

    ConferenceJoined "conference.joined" "The call has joined a conference. `conference`, `attendees`."
    ConferenceLeft "conference.left" "It has left it. `conference`, `seconds`, `end` (`key`, `over`, `removed`, `alone`, `limit`, `call-ended`)."
    ConferenceSpeaking "conference.speaking" "The call begins or stops to speak in its conference, where that tells it. `conference`, `speaking`."
    ConferenceLevel "conference.level" "How loud the call is that speaks, where its conference tells that. `conference`, `dbm0`."

    StreamStarted "stream.started" "A stream to a service begins. `leg`, `host`."
    StreamEnded "stream.ended" "The stream is over. `leg`, `end`."

    TransferAsked "transfer.asked" "A far end asks for a transfer (REFER). `by`, `target`, `attended`."
    TransferDone "transfer.done" "The transfer has succeeded. `to`."
    TransferFailed "transfer.failed" "The transfer has failed. `to`, `status`."

    QueueJoined "queue.joined" "The call waits in a queue. `queue`, `position`."
    QueueRefused "queue.refused" "The call was not let into a queue. `queue`, `why` (`full`, `empty`, `hold`, `ratio`, `unknown`)."
    QueueLeft "queue.left" "The call does not wait any more, and no agent took it. `queue`, `why` (`abandoned`, `key`, `timeout`, `empty`, `removed`, `callback`), `waited_s`."
    QueueMoved "queue.moved" "The call was put to another place of the queue. `queue`, `position`."
    QueueServed "queue.served" "An agent took the call. `queue`, `agent`, `waited_s`."
    QueueCompleted "queue.completed" "Agent and caller are parted. `queue`, `agent`, `talked_s`."
    QueueMember "queue.member" "An agent was added to a queue or taken out. `queue`, `agent`, `member`."
    QueueCallbackFailed "queue.callback_failed" "A caller who asked for it could not be called back. `queue`, `number`, `given_up`."
    AgentCalled "agent.called" "An agent rings for the call. `queue`, `agent`."
    AgentMissed "agent.missed" "An agent who rang did not take the call. `queue`, `agent`, `why` (`no-answer`, `busy`, `declined`, `unreachable`)."
    AgentState "agent.state" "An agent's state has changed. `agent`, `state` (`logged-out`, `free`, `paused`, `ringing`, `talking`, `wrap-up`, `busy`, `unavailable`), `reason` of a break."

    VoicemailLeft "voicemail.left" "A message was left in a voicemail box. `mailbox`, `message` (its id), `from`, `name`, `at`, `ms`, `octets`, `state`, `new`, `saved` (how many the box has now)."
    VoicemailMarked "voicemail.marked" "A message was heard, or is to count as new again. As above."
    VoicemailDeleted "voicemail.deleted" "A message is gone. As above."
    VoicemailTranscribed "voicemail.transcribed" "It is known what was said in a message. `mailbox`, `message`, `text`."
    VoicemailRefused "voicemail.refused" "A caller could leave no message. `mailbox`, `why` (`unknown`, `full`, `failed`)."
    VoicemailMailFailed "voicemail.mail_failed" "No mail is sent of a message. `mailbox`, `message`, `reason`."

    ProgramStep "program.step" "The program asks for a verb. `at` (where in the program), `verb`."
    SpeechPartial "speech.partial" "What is understood so far of what the far end says, by a back end that hears it live. `text` (`null` of a secret)."
    SpeechRecognised "speech.recognised" "What the far end has said was understood, for a program that asked. `text` (`null` of a secret; empty: no words), `confidence` (0 to 1, or `null`), `language`, `backend`."
    SpeechFailed "speech.failed" "A back end could not speak a text, or not understand speech. `task` (`speak`, `recognise`), `backend`, `reason`, `next` (who is asked instead; `null`: nobody is left)."
    VerbFailed "verb.failed" "A verb could not be carried out. `at`, `verb`, `reason`."
}
