//! What a token may do: the one list of scopes, by name.
use std::fmt;

/// One right. [`Scope::Admin`] includes all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everything.
    Admin,
    /// See calls.
    CallsRead,
    /// Place, steer and end calls.
    CallsWrite,
    /// See conferences.
    ConferencesRead,
    /// Steer and end conferences.
    ConferencesWrite,
    /// Read call records.
    CdrsRead,
    /// List and download recordings.
    RecordingsRead,
    /// Delete recordings.
    RecordingsWrite,
    /// See queues and agents.
    QueuesRead,
    /// Log agents in and out, pause them, listen in.
    QueuesWrite,
    /// Read flows.
    FlowsRead,
    /// Replace flows.
    FlowsWrite,
    /// Read voicemail.
    VoicemailRead,
    /// Delete voicemail.
    VoicemailWrite,
    /// See webhook deliveries.
    WebhooksRead,
    /// Send webhook deliveries again, or give them up.
    WebhooksWrite,
    /// See the server, trunks, endpoints and numbers.
    StatusRead,
    /// Follow the events.
    EventsRead,
}

impl Scope {
    /// All of them, in the order of lists.
    pub const ALL: [Scope; 18] = [
        Self::Admin,
        Self::CallsRead,
        Self::CallsWrite,
        Self::ConferencesRead,
        Self::ConferencesWrite,
        Self::CdrsRead,
        Self::RecordingsRead,
        Self::RecordingsWrite,
        Self::QueuesRead,
        Self::QueuesWrite,
        Self::FlowsRead,
        Self::FlowsWrite,
        Self::VoicemailRead,
        Self::VoicemailWrite,
        Self::WebhooksRead,
        Self::WebhooksWrite,
        Self::StatusRead,
        Self::EventsRead,
    ];

    /// Its name, as in `--scope`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::CallsRead => "calls:read",
            Self::CallsWrite => "calls:write",
            Self::ConferencesRead => "conferences:read",
            Self::ConferencesWrite => "conferences:write",
            Self::CdrsRead => "cdrs:read",
            Self::RecordingsRead => "recordings:read",
            Self::RecordingsWrite => "recordings:write",
            Self::QueuesRead => "queues:read",
            Self::QueuesWrite => "queues:write",
            Self::FlowsRead => "flows:read",
            Self::FlowsWrite => "flows:write",
            Self::VoicemailRead => "voicemail:read",
            Self::VoicemailWrite => "voicemail:write",
            Self::WebhooksRead => "webhooks:read",
            Self::WebhooksWrite => "webhooks:write",
            Self::StatusRead => "status:read",
            Self::EventsRead => "events:read",
        }
    }

    /// The scope of that name.
    pub fn named(name: &str) -> Option<Scope> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }

    /// Whether a token that holds `held` may do this.
    pub fn is_in(self, held: &[Scope]) -> bool {
        held.contains(&self) || held.contains(&Self::Admin)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_has_its_own_name_and_admin_has_all() {
        for scope in Scope::ALL {
            assert_eq!(Scope::named(scope.name()), Some(scope));
            assert!(scope.is_in(&[Scope::Admin]) && scope.is_in(&[scope]));
            assert!(!scope.is_in(&[]));
        }
        assert!(!Scope::CallsWrite.is_in(&[Scope::CallsRead]));
        assert!(!Scope::Admin.is_in(&Scope::ALL[1..]));
        assert_eq!(Scope::named("calls"), None);
    }
}
