//! A transfer that a far end of a bridge has asked for (REFER): what is asked, and the hunt for the target while both still talk.
use super::caller::Caller;
use super::dial::{DialTarget, Dialled};
use super::directory::Found;
use super::hunt::Hunt;
use super::leg::Leg;
use super::{Refusal, TransferPolicy};
use crate::net::sip::Command;
use crate::route::CallerIdentity;
use crate::route::address::{domain_of, name_addr};
use trunkline_sip::refer::{ReferTarget, Replaces};
use trunkline_sip::{Message, Origin, ReferId};

/// A REFER that is not answered yet.
#[derive(Debug)]
pub(super) struct Referral {
    pub(super) id: ReferId,
    pub(super) target: ReferTarget,
    /// Who asks, as far as the gate knows.
    pub(super) origin: Origin,
}

impl Referral {
    /// Reads a REFER; the endpoint has refused those that cannot be read.
    pub(super) fn of(id: ReferId, request: &Message, origin: Origin) -> Option<Referral> {
        let target = ReferTarget::parse(&request.frame()).ok()?;
        Some(Referral { id, target, origin })
    }

    /// Whether the policy is against it.
    pub(super) fn refused(&self, policy: &TransferPolicy, origin: &Origin) -> Option<Refusal> {
        let attended = self.target.replaces.is_some();
        policy.refuses(origin, attended).then(|| {
            let kind = if attended { "attended" } else { "blind" };
            let text = format!("{origin:?} may not ask for {kind} transfers; see [transfer]");
            Refusal::new(403, "transfer-not-allowed", text)
        })
    }

    /// Whom to dial for a blind transfer.
    pub(super) fn dial_target(&self) -> DialTarget {
        DialTarget::Uri(self.target.uri.clone())
    }

    /// The headers of an INVITE to a dialog that is not ours.
    pub(super) fn replaces_header(&self) -> Option<(String, String)> {
        let replaces: &Replaces = self.target.replaces.as_ref()?;
        Some(("Replaces".to_owned(), replaces.to_string()))
    }
}

/// A transfer under way.
pub(super) struct Transfer {
    pub(super) hunt: Hunt,
    pub(super) id: ReferId,
}

/// The caller of a transferred call: who is transferred, with the rights of whoever transfers.
pub(super) fn transferred(call: &Caller, transferee: &Leg, origin: Origin) -> Caller {
    Caller {
        origin,
        identity: transferee.identity.clone(),
        ..call.clone()
    }
}

/// Tells everybody who is called what a transfer adds: the dialog to be replaced, and phones of ours who transfers.
pub(super) fn as_transfer(
    mut found: Found,
    replaces: Option<(String, String)>,
    by: &CallerIdentity,
) -> Found {
    let number = Some(&by.number).filter(|number| !by.private && !number.is_empty());
    for branch in found.stages.iter_mut().flatten() {
        branch.headers.extend(replaces.clone());
        if matches!(branch.party, Origin::User(_)) {
            branch.referred_by = number.cloned();
        }
    }
    found
}

/// Referred-By (RFC 3892) as it is shown to whom `from` is shown: at the same domain, so that it says nothing of where the transferor is.
pub(super) fn referred_by(from: &str, number: &str) -> Option<(String, String)> {
    let domain = domain_of(from)?;
    Some(("Referred-By".to_owned(), name_addr(None, number, &domain)))
}

impl Leg {
    /// Whom this leg is with: for a caller what the gate said of its INVITE; a REFER proves it anew where it can.
    pub(super) fn refer_origin(&self, proven: &Origin) -> Origin {
        match proven {
            Origin::Stranger => self.party.clone(),
            known => known.clone(),
        }
    }

    pub(super) fn accept_refer(&self, id: ReferId) {
        self.tell(Command::AcceptRefer(self.id, id));
    }

    pub(super) fn refuse_refer(&self, id: ReferId, refusal: &Refusal) {
        tracing::info!(
            party = self.label(),
            status = refusal.status,
            rule = refusal.rule,
            reason = refusal.text,
            "transfer refused"
        );
        let rule = refusal.rule.to_owned();
        self.tell(Command::RejectRefer(self.id, id, refusal.status, rule));
    }

    /// Tells how the transfer goes; from 200 on for the last time.
    pub(super) fn notify_refer(&self, id: ReferId, status: u16) {
        self.tell(Command::NotifyRefer(self.id, id, status, String::new()));
    }
}

/// The status that tells a transferor why its transfer failed.
pub(super) fn failed_status(dialled: &Dialled) -> u16 {
    match dialled.status {
        status @ 300..=699 => status,
        _ => 503,
    }
}

#[cfg(test)]
mod tests {
    use super::referred_by;

    #[test]
    fn who_transferred_is_shown_at_the_domain_of_the_caller() {
        let value = |from: &str| referred_by(from, "20 1").map(|(_, value)| value);
        for (from, expected) in [
            (
                "\"Ann\" <sip:ann@pbx.example:5070>",
                Some("<sip:20%201@pbx.example:5070>"),
            ),
            ("sip:ann@192.0.2.1", Some("<sip:20%201@192.0.2.1>")),
            ("\"Anonymous\" <sip:anonymous@anonymous.invalid>", None),
            ("tel:+49", None),
            ("", None),
        ] {
            assert_eq!(value(from).as_deref(), expected, "{from}");
        }
    }
}
