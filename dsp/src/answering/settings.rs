//! What answering is judged by.

/// The limits, in ms where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Silence before anything is said that is longer: [`Answerer::Silence`](super::Answerer::Silence).
    pub initial_silence_ms: u32,
    /// Voice in all that is longer: a machine.
    pub greeting_ms: u32,
    /// Silence after a voice that is as long: a human, who waits.
    pub after_greeting_silence_ms: u32,
    /// When nothing is known after this time: [`Answerer::NotSure`](super::Answerer::NotSure).
    pub total_analysis_ms: u32,
    /// A voice that is shorter is no word.
    pub min_word_ms: u32,
    /// A single word that is longer: a machine.
    pub max_word_ms: u32,
    /// Silence that is as long ends a word.
    pub between_words_silence_ms: u32,
    /// More words than so many: a machine.
    pub max_words: u32,
    /// Voice is louder than this, dBm0.
    pub silence_threshold_dbm0: i32,
    /// After a machine was found: whether its greeting is listened to until the beep.
    pub wait_for_beep: bool,
    /// Then silence that is as long ends the greeting too,
    pub end_silence_ms: u32,
    /// and it lasts that long at most.
    pub max_message_ms: u32,
}

impl Default for Settings {
    /// Those of Asterisk's `amd.conf`; its threshold of 256 is about -34 dBm0, we listen more closely.
    fn default() -> Settings {
        Settings {
            initial_silence_ms: 2500,
            greeting_ms: 1500,
            after_greeting_silence_ms: 800,
            total_analysis_ms: 5000,
            min_word_ms: 100,
            max_word_ms: 5000,
            between_words_silence_ms: 50,
            max_words: 3,
            silence_threshold_dbm0: -38,
            wait_for_beep: false,
            end_silence_ms: 2500,
            max_message_ms: 60_000,
        }
    }
}
