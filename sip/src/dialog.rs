//! Owns a dialog (RFC 3261 §12): tags, CSeq numbers, route set, remote target, and the path requests take.
//!
//! It is the one place that numbers our requests and judges the peer's numbers. It sends nothing and resolves no
//! names: a next hop that is a name is reached over the path the dialog came from.

use crate::build::MessageBuilder;
use crate::endpoint::Advertise;
use crate::flow::Flow;
use crate::header::HeaderId;
use crate::identity::Token;
use crate::message::Frame;
use crate::name_addr::NameAddr;
use crate::transaction::key::{self, Key};
use crate::uri::{Host, Uri};
use crate::wire::{request_head, unfolded};
use std::net::{IpAddr, SocketAddr};

/// Most routes kept; a route set longer than the longest path (RFC 3261 §8.1.1.6) is refused.
const MAX_ROUTES: usize = 70;

/// One dialog, early or confirmed.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    call_id: Box<[u8]>,
    /// Our address with our tag, as it stands in From of our requests.
    local: Box<[u8]>,
    /// The peer's address with its tag.
    remote: Box<[u8]>,
    local_tag: Box<[u8]>,
    remote_tag: Box<[u8]>,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    route_set: Vec<Box<[u8]>>,
    remote_target: Box<str>,
    /// The path of the peer's latest request, or of our INVITE.
    path: Flow,
    /// The peer sits behind an address translator: answer to where it sends from.
    symmetric: bool,
}

impl Dialog {
    /// The dialog an incoming INVITE opens (§12.1.1). The error is the rule it breaks, for a 400.
    pub(crate) fn uas(
        request: &Frame<'_>,
        local_tag: &[u8],
        path: Flow,
    ) -> Result<Self, &'static str> {
        let target = contact_uri(request).ok_or("INVITE needs one Contact with a SIP URI")?;
        let routes: Vec<Box<[u8]>> = routes(request, false)?;
        let to = request.header(HeaderId::To).unwrap_or_default();
        let cseq = request.cseq().map_err(|_| "CSeq is malformed")?;
        let from = request.header(HeaderId::From).unwrap_or_default();
        if from.contains(&0) || to.contains(&0) {
            return Err("NUL in From or To");
        }
        Ok(Self {
            call_id: request.header(HeaderId::CallId).unwrap_or_default().into(),
            local: unfolded(&[to, b";tag=", local_tag].concat()),
            remote: unfolded(from),
            local_tag: local_tag.into(),
            remote_tag: key::from_tag(request).into(),
            local_cseq: 0,
            remote_cseq: Some(cseq.number),
            symmetric: is_translated(request, &routes, target, &path),
            route_set: routes,
            remote_target: text(target),
            path,
        })
    }

    /// The dialog a response to our INVITE opens (§12.1.2).
    pub(crate) fn uac(
        invite: &Frame<'_>,
        response: &Frame<'_>,
        path: Flow,
    ) -> Result<Self, &'static str> {
        let target = match contact_uri(response) {
            Some(target) => target,
            // A 2xx without Contact is a broken peer, but it must still get its ACK: fall back to the To address.
            None => response.to().map_err(|_| "To is malformed")?.uri.as_bytes(),
        };
        let cseq = invite.cseq().map_err(|_| "CSeq is malformed")?;
        let route_set = routes(response, true)?;
        let elsewhere = route_set.is_empty() && is_reached_elsewhere(invite, target, &path);
        Ok(Self {
            call_id: invite.header(HeaderId::CallId).unwrap_or_default().into(),
            local: invite.header(HeaderId::From).unwrap_or_default().into(),
            remote: unfolded(response.header(HeaderId::To).unwrap_or_default()),
            local_tag: key::from_tag(invite).into(),
            remote_tag: key::to_tag(response).unwrap_or_default().into(),
            local_cseq: cseq.number,
            remote_cseq: None,
            symmetric: elsewhere || is_hidden(first_hop(&route_set, target), &path),
            route_set,
            remote_target: text(target),
            path,
        })
    }

    /// How the dialog is found: Call-ID, our tag, the peer's tag.
    pub(crate) fn key(&self) -> Key {
        key::join(&[&self.call_id, &self.local_tag, &self.remote_tag])
    }

    /// The key of the dialog a request from the peer names; `None` without a To tag.
    pub(crate) fn key_of_request(request: &Frame<'_>) -> Option<Key> {
        let call_id = request.header(HeaderId::CallId).unwrap_or_default();
        Some(key::join(&[
            call_id,
            key::to_tag(request)?,
            key::from_tag(request),
        ]))
    }

    pub(crate) fn remote_tag(&self) -> &[u8] {
        &self.remote_tag
    }

    /// Call-ID, our tag, the peer's tag.
    pub(crate) fn names(&self) -> (&[u8], &[u8], &[u8]) {
        (&self.call_id, &self.local_tag, &self.remote_tag)
    }

    pub(crate) fn local_cseq(&self) -> u32 {
        self.local_cseq
    }

    /// Takes over the numbers that requests within the early dialog already used up.
    pub(crate) fn inherit(&mut self, early: &Dialog) {
        self.remote_cseq = early.remote_cseq;
        self.local_cseq = self.local_cseq.max(early.local_cseq);
    }

    /// Our next number is above `number`.
    pub(crate) fn skip_to(&mut self, number: u32) {
        self.local_cseq = self.local_cseq.max(number);
    }

    /// Whether a request number of the peer is above the last one, as it must be (§12.2.2).
    pub(crate) fn is_next(&self, number: u32) -> bool {
        self.remote_cseq.is_none_or(|last| number > last)
    }

    /// Takes the number of a request from the peer.
    pub(crate) fn accept_cseq(&mut self, number: u32) {
        self.remote_cseq = Some(number);
    }

    /// A target refresh (§12.2): the Contact of a re-INVITE or of its 2xx replaces the remote target.
    pub(crate) fn refresh(&mut self, message: &Frame<'_>) {
        if let Some(target) = contact_uri(message) {
            self.remote_target = text(target);
        }
    }

    /// A request of the peer came over `flow`: a stream that was opened anew, or a translator that moved.
    pub(crate) fn heard_on(&mut self, flow: Flow) {
        if flow.transport.is_reliable() || self.symmetric {
            self.path = flow;
        }
    }

    /// The path of the next request: the first route or the remote target, when it is an address we can use.
    pub(crate) fn next_hop(&self) -> Flow {
        if self.path.transport.is_reliable() || self.symmetric {
            return self.path;
        }
        Flow {
            remote: self.hop().unwrap_or(self.path.remote),
            ..self.path
        }
    }

    /// The address of the first route or the remote target, when it is one that we can use.
    fn hop(&self) -> Option<SocketAddr> {
        let hop = match self.route_set.first() {
            Some(route) => NameAddr::parse(route).map(|route| route.uri),
            None => Uri::parse(self.remote_target.as_bytes()),
        };
        let default = self.path.transport.default_port();
        match hop.map(|uri| (uri.host, uri.port)) {
            Ok((Host::Ip(address), port)) if is_reachable(address, &self.path) => {
                Some(SocketAddr::new(address, port.unwrap_or(default)))
            }
            _ => None,
        }
    }

    /// The latest path, as it is filed.
    pub(crate) fn path(&self) -> Flow {
        self.path
    }

    /// The connection is gone: the next request asks for one to where the remote target says, or, where that lies
    /// behind an address translator or is a name, to where the peer was.
    pub(crate) fn disconnected(&mut self) {
        let hop = self.hop().filter(|_| !self.symmetric);
        self.path = Flow {
            remote: hop.unwrap_or(self.path.remote),
            connection: 0,
            ..self.path
        };
    }

    /// What went over `old` goes over `new` from now on.
    pub(crate) fn moved(&mut self, old: Flow, new: Flow) {
        if self.path == old {
            self.path = new;
        }
    }

    /// The number of our next request.
    pub(crate) fn next_number(&mut self) -> u32 {
        self.local_cseq = self.local_cseq.saturating_add(1);
        self.local_cseq
    }

    /// Starts our next request (§12.2.1.1). ACK takes the number of its INVITE, `cseq`; all others a new one.
    pub(crate) fn request(
        &mut self,
        method: &str,
        cseq: Option<u32>,
        advertise: &Advertise,
        branch: &Token,
    ) -> (MessageBuilder, Flow) {
        let number = cseq.unwrap_or_else(|| self.next_number());
        let flow = self.next_hop();
        let strict = self.strict_route();
        let uri = strict.as_deref().unwrap_or(&self.remote_target);
        let mut builder = request_head(method, uri, &flow, advertise, branch, None);
        for route in &self.route_set[usize::from(strict.is_some())..] {
            builder = builder.header("Route", route);
        }
        if strict.is_some() {
            builder = builder.header("Route", format!("<{}>", self.remote_target));
        }
        builder = builder
            .header("From", &self.local)
            .header("To", &self.remote)
            .header("Call-ID", &self.call_id)
            .header("CSeq", format!("{number} {method}"));
        (builder, flow)
    }

    /// The URI of the first route when it is a strict router: one without `lr`.
    fn strict_route(&self) -> Option<String> {
        let route = NameAddr::parse(self.route_set.first()?).ok()?;
        if route.uri.params.has("lr") {
            return None;
        }
        // §12.2.1.1: what may not stand in a Request-URI (its headers) is taken off.
        let uri = String::from_utf8_lossy(route.uri.as_bytes());
        Some(uri.split('?').next().unwrap_or_default().to_owned())
    }
}

/// A URI as text. Octets outside UTF-8 have no place in one and are replaced.
fn text(uri: &[u8]) -> Box<str> {
    String::from_utf8_lossy(uri).into()
}

/// The URI of the Contact.
fn contact_uri<'a>(message: &Frame<'a>) -> Option<&'a [u8]> {
    let contact = NameAddr::parse(message.values(HeaderId::Contact).next()?).ok()?;
    Some(contact.uri.as_bytes())
}

/// The Record-Route values in the order of travel: as they stand for a server, reversed for a client (§12.1).
fn routes(message: &Frame<'_>, reversed: bool) -> Result<Vec<Box<[u8]>>, &'static str> {
    let mut routes = Vec::new();
    for value in message.values(HeaderId::RecordRoute) {
        if routes.len() == MAX_ROUTES {
            return Err("more Record-Route values than a path can have");
        }
        NameAddr::parse(value).map_err(|_| "Record-Route is malformed")?;
        routes.push(unfolded(value));
    }
    if reversed {
        routes.reverse();
    }
    Ok(routes)
}

/// Whether the request passed an address translator on its last hop: the sender names another address or port
/// than the one we see, and no proxy keeps itself in the path.
fn is_translated(request: &Frame<'_>, routes: &[Box<[u8]>], target: &[u8], path: &Flow) -> bool {
    let moved = request.top_via().is_ok_and(|via| match via.host {
        Host::Ip(address) => address != path.remote.ip(),
        _ => false,
    });
    moved && routes.is_empty() || is_hidden(first_hop(routes, target), path)
}

/// Whether our INVITE reached the host of its Request-URI at another address than it names, as that of a phone that registered
/// through an address translator does, and the peer names the same host again.
fn is_reached_elsewhere(invite: &Frame<'_>, target: &[u8], path: &Flow) -> bool {
    let host = |uri| match Uri::parse(uri).map(|uri| uri.host) {
        Ok(Host::Ip(address)) => Some(address),
        _ => None,
    };
    let named = invite.request_uri().and_then(host);
    named.is_some_and(|named| named != path.remote.ip()) && named == host(target)
}

/// The URI requests go to: that of the first route, else the remote target.
fn first_hop<'a>(routes: &'a [Box<[u8]>], target: &'a [u8]) -> &'a [u8] {
    let route = routes.first().map(|route| NameAddr::parse(route));
    match route {
        Some(Ok(route)) => route.uri.as_bytes(),
        _ => target,
    }
}

/// Whether a target lies in a network of its own and the peer was heard from outside it.
fn is_hidden(target: &[u8], path: &Flow) -> bool {
    match Uri::parse(target).map(|uri| uri.host) {
        Ok(Host::Ip(address)) => {
            let scope = Scope::of(address);
            scope != Scope::Nowhere && !scope.is_open_to(Scope::of(path.remote.ip()))
        }
        _ => false,
    }
}

/// How far an address reaches. What a peer names in Contact or Record-Route may lie in its own network or in a wider
/// one, never in a narrower one: it must not aim our requests at this machine, at the metadata service of a cloud
/// (169.254.169.254), or at the network behind us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// No host: unspecified ("this network"), multicast, broadcast, reserved.
    Nowhere,
    /// This machine.
    Loopback,
    /// This link (RFC 3927; RFC 4291 §2.5.6).
    Link,
    /// A private network (RFC 1918, RFC 4193), or one of a carrier's translator (RFC 6598).
    Private,
    Global,
}

impl Scope {
    fn of(address: IpAddr) -> Scope {
        match address.to_canonical() {
            IpAddr::V4(v4) => match v4.octets() {
                [0 | 224..=255, ..] => Scope::Nowhere,
                [127, ..] => Scope::Loopback,
                [169, 254, ..] => Scope::Link,
                [100, 64..=127, ..] => Scope::Private,
                _ if v4.is_private() => Scope::Private,
                _ => Scope::Global,
            },
            IpAddr::V6(v6) if v6.is_unspecified() || v6.is_multicast() => Scope::Nowhere,
            IpAddr::V6(v6) if v6.is_loopback() => Scope::Loopback,
            IpAddr::V6(v6) if v6.is_unicast_link_local() => Scope::Link,
            IpAddr::V6(v6) if v6.is_unique_local() => Scope::Private,
            IpAddr::V6(_) => Scope::Global,
        }
    }

    /// Whether a peer that was heard from `peer` may name an address of this scope.
    fn is_open_to(self, peer: Scope) -> bool {
        match self {
            Scope::Nowhere => false,
            Scope::Loopback | Scope::Link => peer == self,
            Scope::Private => peer != Scope::Global,
            Scope::Global => true,
        }
    }
}

/// Whether an address can be reached from the socket of `path`, is one host, and may be named by who is heard there.
fn is_reachable(address: IpAddr, path: &Flow) -> bool {
    Scope::of(address).is_open_to(Scope::of(path.remote.ip()))
        && address.is_ipv4() == path.local.is_ipv4()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Transport;
    use crate::identity::Identity;

    fn flow(remote: &str) -> Flow {
        Flow {
            transport: Transport::Udp,
            local: "203.0.113.1:5060".parse().unwrap(),
            remote: remote.parse().unwrap(),
            connection: 0,
        }
    }

    fn dialog(contact: &str, via: &str, extra: &str, path: Flow) -> Dialog {
        let text = format!(
            "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=f\r\n\
             To: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\nContact: {contact}\r\n{extra}\r\n"
        );
        Dialog::uas(&Frame::parse(text.as_bytes()).unwrap(), b"ours", path).unwrap()
    }

    #[test]
    fn where_requests_go() {
        let proxy = "Record-Route: <sip:198.51.100.9:5090;lr>\r\n";
        let table = [
            (
                "contact",
                "<sip:a@198.51.100.2:5070>",
                "198.51.100.1",
                "",
                "198.51.100.2:5070",
            ),
            (
                "default port",
                "<sip:a@198.51.100.2>",
                "198.51.100.1",
                "",
                "198.51.100.2:5060",
            ),
            (
                "route",
                "<sip:a@198.51.100.2>",
                "198.51.100.1",
                proxy,
                "198.51.100.9:5090",
            ),
            (
                "a name",
                "<sip:a@phone.example>",
                "198.51.100.1",
                "",
                "198.51.100.1:5062",
            ),
            (
                "translated",
                "<sip:a@10.0.0.5>",
                "10.0.0.5",
                "",
                "198.51.100.1:5062",
            ),
            (
                "translated by Contact",
                "<sip:a@10.0.0.5>",
                "198.51.100.1",
                "",
                "198.51.100.1:5062",
            ),
            (
                "translated by a carrier",
                "<sip:a@100.64.3.4>",
                "198.51.100.1",
                "",
                "198.51.100.1:5062",
            ),
            (
                "translated, then a proxy",
                "<sip:a@10.0.0.5>",
                "10.0.0.9",
                proxy,
                "198.51.100.9:5090",
            ),
            (
                "no host at all",
                "<tel:+123>",
                "198.51.100.1",
                "",
                "198.51.100.1:5062",
            ),
            (
                "unspecified",
                "<sip:a@0.0.0.0>",
                "198.51.100.1",
                "",
                "198.51.100.1:5062",
            ),
            (
                "multicast",
                "<sip:a@224.0.0.1>",
                "198.51.100.1",
                "",
                "198.51.100.1:5062",
            ),
            (
                "other family",
                "<sip:a@[2001:db8::1]>",
                "198.51.100.1",
                "",
                "198.51.100.1:5062",
            ),
        ];
        for (name, contact, via, extra, hop) in table {
            let dialog = dialog(contact, via, extra, flow("198.51.100.1:5062"));
            assert_eq!(dialog.next_hop().remote, hop.parse().unwrap(), "{name}");
        }
    }

    /// Nobody steers our requests to this machine, this link, the network behind us or to many hosts, but who is there.
    #[test]
    fn no_peer_steers_requests_into_a_network_it_is_not_in() {
        let global = "198.51.100.1:5062";
        let table = [
            (global, "127.0.0.1", false),
            (global, "127.8.9.10", false),
            (global, "169.254.169.254", false),
            (global, "10.0.0.5", false),
            (global, "192.168.1.1", false),
            (global, "100.64.3.4", false),
            (global, "0.0.0.0", false),
            (global, "0.0.0.1", false),
            (global, "224.0.0.1", false),
            (global, "239.255.255.250", false),
            (global, "255.255.255.255", false),
            (global, "198.51.100.9", true),
            ("10.0.0.9:5062", "127.0.0.1", false),
            ("10.0.0.9:5062", "169.254.169.254", false),
            ("10.0.0.9:5062", "224.0.0.1", false),
            ("10.0.0.9:5062", "10.0.0.5", true),
            ("10.0.0.9:5062", "192.168.1.1", true),
            ("10.0.0.9:5062", "198.51.100.9", true),
            ("127.0.0.1:5062", "127.0.0.2", true),
            ("127.0.0.1:5062", "169.254.169.254", false),
            ("127.0.0.1:5062", "0.0.0.0", false),
            ("127.0.0.1:5062", "10.0.0.5", true),
            ("169.254.7.7:5062", "169.254.8.8", true),
            ("169.254.7.7:5062", "127.0.0.1", false),
            ("[2001:db8::1]:5062", "[::1]", false),
            ("[2001:db8::1]:5062", "[::]", false),
            ("[2001:db8::1]:5062", "[fe80::1]", false),
            ("[2001:db8::1]:5062", "[fd00::1]", false),
            ("[2001:db8::1]:5062", "[ff02::1]", false),
            ("[2001:db8::1]:5062", "[::ffff:127.0.0.1]", false),
            ("[2001:db8::1]:5062", "[::ffff:169.254.169.254]", false),
            ("[2001:db8::1]:5062", "[2001:db8::2]", true),
            ("[::1]:5062", "[::1]", true),
        ];
        for (peer, named, goes_there) in table {
            let peer: SocketAddr = peer.parse().unwrap();
            let there: SocketAddr = format!("{named}:11211").parse().unwrap();
            let hop = if goes_there { there } else { peer };
            let path = Flow {
                local: match peer.is_ipv4() {
                    true => "203.0.113.1:5060".parse().unwrap(),
                    false => "[2001:db8::ff]:5060".parse().unwrap(),
                },
                ..flow(&peer.to_string())
            };
            let via = match peer.ip() {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            };
            let (contact, same) = (format!("<sip:a@{named}:11211>"), format!("<sip:a@{peer}>"));
            let record = format!("Record-Route: <sip:{named}:11211;lr>\r\n");
            let mut each = [
                dialog(&contact, &via, "", path),
                dialog(&same, &via, &record, path),
                dialog(&same, &via, "", path),
            ];
            let again = format!("INVITE sip:b@h SIP/2.0\r\nContact: {contact}\r\n\r\n");
            each[2].refresh(&Frame::parse(again.as_bytes()).unwrap());
            for (dialog, what) in each
                .iter_mut()
                .zip(["Contact", "Record-Route", "re-INVITE"])
            {
                assert_eq!(dialog.next_hop().remote, hop, "{what} {named} of {peer}");
                // The same where a stream was lost and another one is asked for.
                dialog.path.transport = Transport::Tcp;
                dialog.path.connection = 3;
                dialog.disconnected();
                assert_eq!(
                    dialog.next_hop().remote,
                    hop,
                    "{what} {named} of {peer}, anew"
                );
            }
        }
    }

    #[test]
    fn where_requests_of_a_caller_go() {
        let proxy = "Record-Route: <sip:198.51.100.9:5090;lr>\r\n";
        let inner = "Record-Route: <sip:10.9.9.9;lr>\r\n";
        let public = "198.51.100.1:5062";
        let table = [
            // name, Request-URI, Contact, Record-Route, path, where to
            (
                "contact",
                "b@h",
                "198.51.100.2",
                "",
                public,
                "198.51.100.2:5060",
            ),
            ("behind a translator", "b@h", "10.0.0.5", "", public, public),
            (
                "behind a proxy that stays",
                "b@h",
                "10.0.0.5",
                proxy,
                public,
                "198.51.100.9:5090",
            ),
            (
                "a proxy that hides",
                "b@h",
                "198.51.100.2",
                inner,
                public,
                public,
            ),
            (
                "a phone that registered through a translator of a private network",
                "b@192.168.1.5",
                "192.168.1.5",
                "",
                "172.17.0.1:40000",
                "172.17.0.1:40000",
            ),
            (
                "another host took the call",
                "b@192.168.1.5",
                "172.17.0.7",
                "",
                "172.17.0.1:5060",
                "172.17.0.7:5060",
            ),
        ];
        for (name, uri, contact, extra, path, hop) in table {
            let head =
                "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=f\r\nTo: <sip:b@h>";
            let tail = "Call-ID: c\r\nCSeq: 7 INVITE\r\n";
            let invite = format!("INVITE sip:{uri} SIP/2.0\r\n{head}\r\n{tail}\r\n");
            let response = format!(
                "SIP/2.0 200 OK\r\n{head};tag=t\r\n{tail}{extra}Contact: <sip:b@{contact}>\r\n\r\n"
            );
            let (invite, response) = (
                Frame::parse(invite.as_bytes()).unwrap(),
                Frame::parse(response.as_bytes()).unwrap(),
            );
            let dialog = Dialog::uac(&invite, &response, flow(path)).unwrap();
            assert_eq!(dialog.next_hop().remote, hop.parse().unwrap(), "{name}");
        }
    }

    #[test]
    fn a_stream_is_used_in_both_directions() {
        let path = Flow {
            transport: Transport::Tcp,
            connection: 4,
            ..flow("198.51.100.1:40000")
        };
        let mut dialog = dialog("<sip:a@198.51.100.2>", "198.51.100.1", "", path);
        assert_eq!(dialog.next_hop(), path);
        let anew = Flow {
            connection: 5,
            ..path
        };
        dialog.heard_on(anew);
        assert_eq!(dialog.next_hop(), anew);
    }

    #[test]
    fn numbers_rise_on_both_sides() {
        let mut dialog = dialog(
            "<sip:a@198.51.100.2>",
            "198.51.100.1",
            "",
            flow("198.51.100.1:5060"),
        );
        let taken = [7, 6, 8, 8, 9].map(|number| {
            let next = dialog.is_next(number);
            if next {
                dialog.accept_cseq(number);
            }
            next
        });
        assert_eq!(taken, [false, false, true, false, true]);
        let branch = Identity::new([1; 32]).token();
        for (method, cseq, expected) in [
            ("INFO", None, 1),
            ("INVITE", None, 2),
            ("ACK", Some(2), 2),
            ("BYE", None, 3),
        ] {
            let bytes = dialog
                .request(method, cseq, &Advertise::default(), &branch)
                .0
                .finish();
            assert_eq!(
                Frame::parse(&bytes).unwrap().cseq().unwrap().number,
                expected,
                "{method}"
            );
        }
    }

    #[test]
    fn a_contact_that_is_none_is_refused() {
        let text = b"INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@h>;tag=f\r\nTo: <sip:b@h>\r\n\
            Call-ID: c\r\nCSeq: 7 INVITE\r\nContact: *\r\n\r\n";
        assert!(
            Dialog::uas(
                &Frame::parse(text).unwrap(),
                b"ours",
                flow("198.51.100.1:5060")
            )
            .is_err()
        );
    }
}
