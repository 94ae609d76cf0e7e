//! What a trunk needs of the network: SIP, and somebody who finds addresses.
use super::Hop;
use crate::config::TrunkUri;
use crate::net::sip::{NoFlow, Resolver, SipHandle};
use crate::route::terms;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use trunkline_sip::Transport;

/// The future of a look-up.
pub type LookUp<'a> = Pin<Box<dyn Future<Output = Result<Vec<Hop>, String>> + Send + 'a>>;

/// Finds the addresses behind a URI (RFC 3263), best first. The error is for an operator.
pub trait Resolve: Send + Sync + 'static {
    /// Looks a URI up.
    fn resolve<'a>(&'a self, uri: &'a TrunkUri) -> LookUp<'a>;
}

/// Knows numeric addresses only.
#[derive(Debug, Clone, Copy, Default)]
pub struct Numeric;

impl Resolve for Numeric {
    fn resolve<'a>(&'a self, uri: &'a TrunkUri) -> LookUp<'a> {
        Box::pin(async move {
            let host = &uri.address.host;
            let ip = host
                .parse()
                .map_err(|_| format!("{host} is no IP address"))?;
            let transport = match (uri.transport, uri.secure) {
                (Some(transport), _) => terms::transport(transport),
                (None, true) => Transport::Tls,
                (None, false) => Transport::Udp,
            };
            let usual = if transport.is_secure() { 5061 } else { 5060 };
            Ok(vec![Hop {
                transport,
                address: SocketAddr::new(ip, uri.address.port.unwrap_or(usual)),
                server_name: host.clone(),
            }])
        })
    }
}

impl Resolve for Resolver {
    fn resolve<'a>(&'a self, uri: &'a TrunkUri) -> LookUp<'a> {
        Box::pin(async move {
            let (address, transport) = (&uri.address, uri.transport.map(terms::transport));
            Resolver::resolve(self, &address.host, address.port, transport, uri.secure)
                .await
                .map_err(|error| error.to_string())
        })
    }
}

/// The network as a trunk sees it. Cheap to clone.
#[derive(Clone)]
pub(super) struct TrunkNet {
    pub(super) sip: SipHandle,
    pub(super) resolver: Arc<dyn Resolve>,
}

impl TrunkNet {
    pub(super) async fn hops(&self, uri: &TrunkUri) -> Result<Vec<Hop>, String> {
        let hops = self.resolver.resolve(uri).await?;
        // A carrier's IPv6 address is no trouble of its own where we have no IPv6 socket, unless it has no other.
        let has_socket = |hop: &&Hop| {
            hop.transport != Transport::Udp
                || !matches!(self.sip.flow_to(hop), Err(NoFlow::NoSocket(_)))
        };
        let usable: Vec<Hop> = hops.iter().filter(has_socket).cloned().collect();
        Ok(if usable.is_empty() { hops } else { usable })
    }
}
