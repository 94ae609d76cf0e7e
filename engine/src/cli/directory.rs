//! Where dialled targets are found: trunks here, everybody else refused in one clear sentence until they can be dialled.
use crate::call::directory::Boxed;
use crate::call::{Branch, CallInfo, Caller, DialTarget, Directory, Found, Refusal};
use crate::route::Place;
use crate::trunk::Trunks;
use std::sync::Arc;
use trunkline_sip::Origin;

/// The trunks of a configuration.
pub(super) struct Targets {
    pub(super) trunks: Arc<Trunks>,
}

impl Targets {
    fn over_trunk(
        &self,
        caller: &Caller,
        (trunk, number): (&str, &str),
        caller_id: Option<&str>,
    ) -> Result<Found, Refusal> {
        // Whatever routes say: an INVITE of somebody unknown never leaves through a trunk.
        if caller.origin == Origin::Stranger && caller.source.is_some() {
            let text = format!("a stranger may not call over trunk {trunk}");
            return Err(Refusal::new(403, "stranger-to-trunk", text));
        }
        let mut identity = caller.identity.clone();
        if let Some(shown) = caller_id {
            (identity.number, identity.name) = (shown.to_owned(), None);
        }
        let call = self.trunks.dial(trunk, number, &identity)?;
        Ok(Found::all(vec![Branch::trunk(call)]))
    }
}

impl Directory for Targets {
    fn find<'a>(
        &'a self,
        _: &'a CallInfo,
        caller: &'a Caller,
        target: &'a DialTarget,
        caller_id: Option<&'a str>,
    ) -> Boxed<'a, Result<Found, Refusal>> {
        Box::pin(async move {
            match target {
                DialTarget::Trunk { trunk, number } => {
                    self.over_trunk(caller, (trunk, number), caller_id)
                }
                other => {
                    let text = format!("{other} cannot be dialled by this version");
                    Err(Refusal::new(501, "target-not-built", text))
                }
            }
        })
    }

    fn admit(&self, caller: &Caller) -> Result<Option<Place>, Refusal> {
        match &caller.origin {
            Origin::Peer(trunk) => Ok(Some(Place::new(self.trunks.admit(trunk)?))),
            _ => Ok(None),
        }
    }
}
