//! Owns a dialog (RFC 3261 §12): tags, CSeq numbers, route set, remote target, and the path requests take.
//!
//! It is the one place that numbers our requests and judges the peer's numbers. It sends nothing and resolves no
//! names: a next hop that is a name is reached over the path the dialog came from.

mod scope;

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
use scope::{is_hidden, is_reachable};
use std::net::SocketAddr;

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
    /// The dialog an incoming INVITE or SUBSCRIBE opens (§12.1.1). The error is the rule it breaks, for a 400.
    pub(crate) fn uas(
        request: &Frame<'_>,
        local_tag: &[u8],
        path: Flow,
    ) -> Result<Self, &'static str> {
        let target = contact_uri(request).ok_or("a dialog needs one Contact with a SIP URI")?;
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

    /// Requests go over the path of the peer's latest one, whatever its Contact says.
    pub(crate) fn stay_on_path(&mut self) {
        self.symmetric = true;
    }

    /// The peer's Contact URI.
    pub(crate) fn target(&self) -> &str {
        &self.remote_target
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

#[cfg(test)]
mod tests;
