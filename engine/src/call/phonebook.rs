//! The directory of a configuration: its endpoints, ring groups and trunks, and who may call them.
//!
//! Every target a program or a transfer names goes through the same rules as a call would. It keeps nothing itself.
use super::caller::Caller;
use super::dial::DialTarget;
use super::directory::{Boxed, Branch, Directory, Found};
use super::program::CallInfo;
use super::user_calls::UserCalls;
use crate::config::{Config, Endpoint, RingOrder};
use crate::registrar::Location;
use crate::route::address::{domain_of, name_addr};
use crate::route::{
    self, CallerIdentity, Destination, Diverted, OutboundLeg, Place, Refusal, Router,
};
use crate::trunk::Trunks;
use arc_swap::ArcSwap;
use std::sync::Arc;
use trunkline_sip::{HeaderId, Host, Origin, Scheme, Uri};

/// Knows which phones of a user are registered.
pub trait Phones: Send + Sync {
    /// One leg for each phone of the user, the most wanted first, and the caller as they are to be shown.
    fn legs(&self, user: &str, caller: &CallerIdentity) -> Vec<OutboundLeg>;
}

impl Phones for Location {
    fn legs(&self, user: &str, caller: &CallerIdentity) -> Vec<OutboundLeg> {
        Location::legs(self, user, caller)
    }
}

/// See the module's text.
pub struct PhoneBook {
    router: Arc<ArcSwap<Router>>,
    trunks: Arc<Trunks>,
    phones: Arc<dyn Phones>,
    users: UserCalls,
}

impl PhoneBook {
    /// A book that looks targets up in these.
    pub fn new(
        router: Arc<ArcSwap<Router>>,
        trunks: Arc<Trunks>,
        phones: Arc<dyn Phones>,
    ) -> PhoneBook {
        PhoneBook {
            router,
            trunks,
            phones,
            users: UserCalls::default(),
        }
    }

    fn look_up(
        &self,
        router: &Router,
        caller: &Caller,
        shown: &CallerIdentity,
        target: &DialTarget,
    ) -> Result<Found, Refusal> {
        let config = router.config();
        match target {
            DialTarget::Endpoint(user) => {
                let endpoint = endpoint(config, user)?;
                Ok(Found::all(self.phones_of(endpoint, shown)?))
            }
            DialTarget::RingGroup(name) => self.group(config, shown, name),
            DialTarget::Trunk { trunk, number } => self.trunk(caller, shown, trunk, number),
            DialTarget::Number(number) => {
                self.number(router, caller, shown, number, Router::route_of_program)
            }
            // A far end named it.
            DialTarget::Uri(uri) => {
                let number = local_number(config, caller, uri)?;
                self.number(router, caller, shown, &number, Router::route)
            }
        }
    }

    fn number(
        &self,
        router: &Router,
        caller: &Caller,
        shown: &CallerIdentity,
        number: &str,
        route: Route,
    ) -> Result<Found, Refusal> {
        match routed(router, caller, shown, number, route)? {
            Some(target) => self.look_up(router, caller, shown, &target),
            None => Ok(Found::program_of(number)),
        }
    }

    fn phones_of(
        &self,
        endpoint: &Endpoint,
        shown: &CallerIdentity,
    ) -> Result<Vec<Branch>, Refusal> {
        if endpoint.dnd {
            let text = format!("endpoint {} has dnd = true", endpoint.user);
            return Err(Refusal::new(603, "do-not-disturb", text));
        }
        let mut legs = self.phones.legs(&endpoint.user, shown);
        if legs.is_empty() {
            return Err(not_registered(&endpoint.user));
        }
        let place = self.users.take(endpoint)?;
        for leg in &mut legs {
            // All phones of a user that ring for one call are one call of the user.
            leg.place.clone_from(&place);
            let told = for_phones(shown, &leg.from);
            leg.headers.extend(told);
        }
        let phone = |leg| Branch::phone(&endpoint.user, leg);
        Ok(legs.into_iter().map(phone).collect())
    }

    fn group(&self, config: &Config, shown: &CallerIdentity, name: &str) -> Result<Found, Refusal> {
        let group = config.ring_group(name).ok_or_else(|| {
            let text = format!("there is no [[ring_group]] {name}");
            Refusal::new(404, "no-such-ring-group", text)
        })?;
        let (mut stages, mut refused) = (Vec::new(), None);
        for member in &group.members {
            match endpoint(config, member).and_then(|member| self.phones_of(member, shown)) {
                Ok(branches) => stages.push(branches),
                Err(refusal) => refused = Some(refusal),
            }
        }
        match refused {
            Some(refusal) if stages.is_empty() => Err(refusal),
            _ => Ok(Found {
                stages: match group.order {
                    RingOrder::All => vec![stages.into_iter().flatten().collect()],
                    RingOrder::OneByOne => stages,
                },
                ring: Some(group.ring),
                program_of: None,
            }),
        }
    }

    fn trunk(
        &self,
        caller: &Caller,
        shown: &CallerIdentity,
        trunk: &str,
        number: &str,
    ) -> Result<Found, Refusal> {
        // Whatever program or rule led here: nobody unknown spends money on a trunk.
        if caller.is_stranger() {
            let text = "a stranger never reaches a trunk".to_owned();
            return Err(Refusal::new(403, "stranger-to-trunk", text));
        }
        let call = self.trunks.dial(trunk, number, shown)?;
        Ok(Found::all(vec![Branch::trunk(call)]))
    }
}

impl Directory for PhoneBook {
    fn find<'a>(
        &'a self,
        _: &'a CallInfo,
        caller: &'a Caller,
        target: &'a DialTarget,
        caller_id: Option<&'a str>,
    ) -> Boxed<'a, Result<Found, Refusal>> {
        let mut shown = caller.identity.clone();
        if let Some(number) = caller_id.filter(|number| *number != shown.number) {
            shown.number = number.to_owned();
            // The name belongs to the number that is not shown.
            shown.name = None;
        }
        let router = self.router.load_full();
        Box::pin(async move { self.look_up(&router, caller, &shown, target) })
    }

    fn phones(&self, caller: &Caller, user: &str) -> Result<Vec<OutboundLeg>, Refusal> {
        endpoint(self.router.load().config(), user)?;
        let phones = self.phones.legs(user, &caller.identity);
        match phones.is_empty() {
            true => Err(not_registered(user)),
            false => Ok(phones),
        }
    }

    fn admit(&self, caller: &Caller) -> Result<Option<Place>, Refusal> {
        match &caller.origin {
            Origin::Peer(trunk) => Ok(Some(Place::new(self.trunks.admit(trunk)?))),
            Origin::User(user) => match self.router.load().config().endpoint(user) {
                Some(endpoint) => self.users.take(endpoint),
                None => Ok(None),
            },
            Origin::Stranger => Ok(None),
        }
    }
}

/// What a phone is told of the caller's leg beside who calls: headers that pass, and who passed the call on (RFC 5806), at the domain of
/// the From that it is shown.
fn for_phones(shown: &CallerIdentity, from: &str) -> Vec<(String, String)> {
    let passed = shown.headers.iter().filter(|(name, _)| {
        let name = name.as_bytes();
        let private = name.len() > 2 && name[..2].eq_ignore_ascii_case(b"X-");
        private || HeaderId::from_name(name) == HeaderId::UserToUser
    });
    let diversion = |diverted: &Diverted| {
        let uri = name_addr(None, &diverted.number, &domain_of(from)?);
        let value = format!("{uri};reason={}", diverted.reason.as_str());
        Some(("Diversion".to_owned(), value))
    };
    let diversions = shown.diverted_by.iter().filter_map(diversion);
    passed.cloned().chain(diversions).collect()
}

fn endpoint<'c>(config: &'c Config, user: &str) -> Result<&'c Endpoint, Refusal> {
    config.endpoint(user).ok_or_else(|| {
        let text = format!("there is no [[endpoint]] {user}");
        Refusal::new(404, "no-such-endpoint", text)
    })
}

fn not_registered(user: &str) -> Refusal {
    let text = format!("no phone of endpoint {user} is registered");
    Refusal::new(480, "not-registered", text)
}

/// How a number is routed: as who dials it may.
type Route = fn(&Router, &route::Caller<'_>, &str) -> route::Routed;

/// Where a number leads for this caller; `None`: to a program.
fn routed(
    router: &Router,
    caller: &Caller,
    shown: &CallerIdentity,
    number: &str,
    route: Route,
) -> Result<Option<DialTarget>, Refusal> {
    let from = route::Caller {
        origin: &caller.origin,
        from: &shown.number,
        source: caller.source.map(|source| source.ip()),
    };
    let routed = route(router, &from, number);
    tracing::info!(to = number, rule = routed.rule, "target routed");
    Ok(Some(match routed.outcome? {
        Destination::Endpoint(user) => DialTarget::Endpoint(user),
        Destination::RingGroup(name) => DialTarget::RingGroup(name),
        Destination::Trunk { trunk, number } => DialTarget::Trunk { trunk, number },
        Destination::Flow(_)
        | Destination::Queue(_)
        | Destination::Agent(_)
        | Destination::Voicemail(_)
        | Destination::VoicemailAccess(_)
        | Destination::Webhook(_) => return Ok(None),
    }))
}

/// The number that a URI of ours names. URIs elsewhere are not called: nobody pays for where a far end sends us.
fn local_number(config: &Config, caller: &Caller, uri: &str) -> Result<String, Refusal> {
    let refused = |why: &str| {
        let text = format!("{uri:?} {why}");
        Refusal::new(403, "foreign-target", text)
    };
    let uri = Uri::parse(uri.as_bytes()).map_err(|_| refused("is no SIP URI"))?;
    if matches!(uri.scheme, Scheme::Other(_)) {
        return Err(refused("is no SIP URI"));
    }
    let number = route::identity::number_of(&uri);
    if number.is_empty() {
        return Err(refused("names nobody"));
    }
    let ours = match &uri.host {
        // tel: URIs have none.
        Host::Absent => true,
        Host::Ip(ip) => {
            let listens = config
                .sip
                .listen
                .iter()
                .any(|listen| listen.address.ip() == *ip);
            listens || caller.local == Some(*ip) || is_ours(config, &ip.to_string())
        }
        Host::Name(name) => is_ours(config, &String::from_utf8_lossy(name)),
    };
    match ours {
        true => Ok(number),
        false => Err(refused(
            "is not an address of this server; see [sip] advertise",
        )),
    }
}

fn is_ours(config: &Config, host: &str) -> bool {
    let advertise = &config.sip.advertise;
    let each = advertise.each.iter().map(|(_, at)| at);
    let mut names = advertise.all.iter().chain(each).map(|at| at.host.as_str());
    names.any(|name| name.eq_ignore_ascii_case(host))
        || config.security.realm.eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::DiversionReason;

    #[test]
    fn only_uris_of_this_server_are_dialled() {
        let text = "[sip]\nlisten = [\"udp:192.0.2.1:5060\"]\nadvertise = \"sip.example.com\"\n[security]\nrealm = \"pbx\"\n";
        let config = Config::from_str("t.toml", text).unwrap();
        let caller = Caller {
            local: Some([192, 0, 2, 9].into()),
            ..Caller::ourselves()
        };
        for (uri, expected) in [
            ("sip:200@192.0.2.1", Some("200")),
            ("sip:200@192.0.2.9:5080;transport=tcp", Some("200")),
            ("sip:200@SIP.example.com", Some("200")),
            ("sips:+49123@pbx", Some("+49123")),
            ("tel:+49123", Some("+49123")),
            ("sip:200@192.0.2.66", None),
            ("sip:+1900555@evil.example", None),
            ("sip:192.0.2.1", None),
            ("http://x", None),
        ] {
            let number = local_number(&config, &caller, uri).ok();
            assert_eq!(number.as_deref(), expected, "{uri}");
        }
    }

    #[test]
    fn phones_are_told_what_may_be_passed_on() {
        let header = |name: &str| (name.to_owned(), "1".to_owned());
        let shown = CallerIdentity {
            headers: ["X-Id", "User-to-User", "P-Asserted-Identity", "X-"]
                .map(header)
                .into(),
            ..CallerIdentity::default()
        };
        let shown = CallerIdentity {
            diverted_by: vec![Diverted {
                number: "+4930".to_owned(),
                reason: DiversionReason::NoAnswer,
            }],
            ..shown
        };
        let told = for_phones(&shown, "\"Ann\" <sip:201@pbx:5070>");
        let names: Vec<_> = told.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["X-Id", "User-to-User", "Diversion"]);
        assert_eq!(told[2].1, "<sip:+4930@pbx:5070>;reason=no-answer");
        // Nothing is shown to whom the caller is hidden from.
        let hidden = for_phones(&shown, crate::route::address::ANONYMOUS);
        assert_eq!(hidden.len(), 2);
    }
}
