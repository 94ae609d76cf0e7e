//! What agents and supervisors are told in words, beside the tones that say the same: in English, Spanish or German.
use super::verb::Audio;
use crate::config::AgentService;
use crate::speech::Speech;

/// One thing that is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// The agent's id is asked for.
    Id,
    /// The PIN.
    Pin,
    /// The key that takes a call of a queue.
    Take,
    /// It is done.
    Done(AgentService),
    /// It is not.
    NotDone,
}

impl Words {
    /// The text; English where the language has none here.
    fn text(self, language: &str) -> &'static str {
        use AgentService::{Login, Logout, Pause};
        match (language.get(..2).unwrap_or_default(), self) {
            ("es", Self::Id) => "Introduzca el número de agente y pulse almohadilla.",
            ("es", Self::Pin) => "Introduzca su clave y pulse almohadilla.",
            ("es", Self::Take) => "Una llamada. Pulse uno para aceptarla.",
            ("es", Self::Done(Login)) => "Ha iniciado sesión.",
            ("es", Self::Done(Logout)) => "Ha cerrado la sesión.",
            ("es", Self::Done(Pause)) => "Está en pausa.",
            ("es", Self::Done(_)) => "La pausa ha terminado.",
            ("es", Self::NotDone) => "No ha sido posible.",
            ("de", Self::Id) => "Bitte geben Sie die Agentennummer ein, dann die Rautetaste.",
            ("de", Self::Pin) => "Bitte geben Sie Ihre Geheimzahl ein, dann die Rautetaste.",
            ("de", Self::Take) => "Ein Anruf. Mit der Eins nehmen Sie ihn an.",
            ("de", Self::Done(Login)) => "Sie sind angemeldet.",
            ("de", Self::Done(Logout)) => "Sie sind abgemeldet.",
            ("de", Self::Done(Pause)) => "Ihre Pause beginnt.",
            ("de", Self::Done(_)) => "Ihre Pause ist beendet.",
            ("de", Self::NotDone) => "Das war nicht möglich.",
            (_, Self::Id) => "Please enter the number of the agent, then press the hash key.",
            (_, Self::Pin) => "Please enter your PIN, then press the hash key.",
            (_, Self::Take) => "A call. Press one to take it.",
            (_, Self::Done(Login)) => "You are logged in.",
            (_, Self::Done(Logout)) => "You are logged out.",
            (_, Self::Done(Pause)) => "Your break begins.",
            (_, Self::Done(_)) => "Your break is over.",
            (_, Self::NotDone) => "That was not possible.",
        }
    }

    /// As a voice of that language says it.
    pub(super) fn said(self, language: &str) -> Audio {
        let speech = Speech::plain(self.text(language)).in_voice(Some(language), None);
        Audio::Speech(Box::new(speech))
    }
}
