//! Finds where requests to a SIP URI go (RFC 3263): NAPTR says which transports, SRV which hosts and ports, A and AAAA which
//! addresses.
//!
//! A numeric host asks nobody. A `sips` URI leads to TLS only. A zone that does not answer, answers in circles or too much is given up
//! after [`WHOLE_TIME`]; at most [`MAX_HOPS`] hops come out.
mod dns;
mod select;
#[cfg(test)]
mod tests;

pub use select::{Naptr, Srv};

use super::Hop;
use dns::Dns;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;
use trunkline_sip::Transport;

/// All questions of one look-up together may take this long.
const WHOLE_TIME: Duration = Duration::from_secs(10);
/// Hops of one look-up.
const MAX_HOPS: usize = 32;
/// Addresses of one host.
const MAX_ADDRESSES: usize = 8;

/// The answer to one question: the records, none when there are none, or why it could not be asked.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<Vec<T>, String>> + Send + 'a>>;

/// Who knows the records of names.
pub trait Zones: Send + Sync {
    /// NAPTR records of a name.
    fn naptr<'a>(&'a self, name: &'a str) -> Asked<'a, Naptr>;
    /// SRV records of a name.
    fn srv<'a>(&'a self, name: &'a str) -> Asked<'a, Srv>;
    /// Addresses of a host.
    fn addresses<'a>(&'a self, name: &'a str) -> Asked<'a, IpAddr>;
}

/// Why no hop was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// A secure URI with a transport that is not.
    #[error("a sips URI cannot be reached over {0}: use transport=tls or none")]
    NotSecure(&'static str),
    /// DNS has nothing.
    #[error("DNS knows no address of {0}")]
    Unknown(String),
    /// DNS could not be asked.
    #[error("DNS could not be asked for {0}: {1}")]
    Failed(String, String),
    /// It took too long.
    #[error("DNS gave no complete answer for {0} within 10 s")]
    Timeout(String),
}

/// Finds hops. Cheap to ask again: DNS answers are kept for their time to live.
pub struct Resolver {
    zones: Box<dyn Zones>,
    draw: Box<dyn Fn(u32) -> u32 + Send + Sync>,
    patience: Duration,
}

/// What is looked up.
struct Question<'a> {
    host: &'a str,
    port: Option<u16>,
    transport: Option<Transport>,
    secure: bool,
}

impl Resolver {
    /// Asks the name servers of the system, as `/etc/resolv.conf` and `/etc/hosts` say now. Needs the tokio runtime.
    pub fn system() -> Resolver {
        Resolver::new(Box::new(Dns::system()), Box::new(random_up_to))
    }

    /// Asks these zones. `draw(n)` is a random number from 0 to n, both included (RFC 2782).
    pub fn new(zones: Box<dyn Zones>, draw: Box<dyn Fn(u32) -> u32 + Send + Sync>) -> Resolver {
        Resolver {
            zones,
            draw,
            patience: WHOLE_TIME,
        }
    }

    /// The hops of a URI with this host, port, `transport` parameter, and scheme (`secure`: sips), in the order in which they are to
    /// be tried. Their certificates must speak for `host`, whatever names DNS leads to (RFC 5922 §4).
    pub async fn resolve(
        &self,
        host: &str,
        port: Option<u16>,
        transport: Option<Transport>,
        secure: bool,
    ) -> Result<Vec<Hop>, ResolveError> {
        let transport = match (secure, transport) {
            // RFC 3261 §26.2.2: TCP of a sips URI is TLS.
            (true, Some(Transport::Tcp)) => Some(Transport::Tls),
            (true, Some(other)) if !other.is_secure() => {
                return Err(ResolveError::NotSecure(other.uri_param()));
            }
            (_, transport) => transport,
        };
        let host = host.trim_end_matches('.');
        let question = Question {
            host,
            port,
            transport,
            secure,
        };
        let numeric = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = numeric.parse::<IpAddr>() {
            return Ok(vec![question.hop(
                ip.to_canonical(),
                question.usual(),
                port,
            )]);
        }
        let hops = tokio::time::timeout(self.patience, self.look_up(&question))
            .await
            .unwrap_or_else(|_| Err(ResolveError::Timeout(host.to_owned())))?;
        match hops.is_empty() {
            true => Err(ResolveError::Unknown(host.to_owned())),
            false => Ok(hops),
        }
    }

    async fn look_up(&self, question: &Question<'_>) -> Result<Vec<Hop>, ResolveError> {
        // §4.2: a port is an address's port, so nothing but addresses is asked for.
        if question.port.is_none() {
            let mut hops = Vec::new();
            for (transport, name) in self.services(question).await {
                self.service(question, transport, &name, &mut hops).await;
            }
            if !hops.is_empty() {
                return Ok(hops);
            }
        }
        let addresses = self
            .addresses(question.host)
            .await
            .map_err(|error| ResolveError::Failed(question.host.to_owned(), error))?;
        let usual = question.usual();
        let hop = |ip| question.hop(ip, usual, question.port);
        Ok(addresses.into_iter().map(hop).collect())
    }

    /// The SRV names to ask for (§4.1). What cannot be asked counts as absent: many name servers do not know NAPTR.
    async fn services(&self, question: &Question<'_>) -> Vec<(Transport, String)> {
        let host = question.host;
        if let Some(transport) = question.transport {
            let name = select::service_name(transport, host);
            return name.into_iter().map(|name| (transport, name)).collect();
        }
        let naptr = self.zones.naptr(host).await.unwrap_or_default();
        let services = select::services(naptr, question.secure);
        if !services.is_empty() {
            return services;
        }
        let usual: &[Transport] = match question.secure {
            true => &[Transport::Tls],
            false => &[Transport::Udp, Transport::Tcp, Transport::Tls],
        };
        usual
            .iter()
            .filter_map(|&transport| Some((transport, select::service_name(transport, host)?)))
            .collect()
    }

    async fn service(
        &self,
        question: &Question<'_>,
        transport: Transport,
        name: &str,
        hops: &mut Vec<Hop>,
    ) {
        if hops.len() >= MAX_HOPS {
            return;
        }
        let records = match self.zones.srv(name).await {
            Ok(records) => records,
            Err(error) => {
                tracing::debug!(name, error, "SRV records could not be asked for");
                return;
            }
        };
        for srv in select::order(records, &mut |most| (self.draw)(most)) {
            if hops.len() >= MAX_HOPS {
                return;
            }
            // One host of several without an address is one hop less.
            let found = self.addresses(&srv.target).await.unwrap_or_default();
            let room = MAX_HOPS - hops.len();
            let hop = |ip| question.hop(ip, transport, Some(srv.port));
            hops.extend(found.into_iter().take(room).map(hop));
        }
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        let mut found = self.zones.addresses(host).await?;
        found.retain(|ip| !ip.is_unspecified() && !ip.is_multicast());
        found.truncate(MAX_ADDRESSES);
        Ok(found)
    }
}

impl Question<'_> {
    /// The transport where neither the URI nor DNS names one (§4.1).
    fn usual(&self) -> Transport {
        self.transport.unwrap_or(match self.secure {
            true => Transport::Tls,
            false => Transport::Udp,
        })
    }

    fn hop(&self, ip: IpAddr, transport: Transport, port: Option<u16>) -> Hop {
        let usual = if transport.is_secure() { 5061 } else { 5060 };
        Hop {
            transport,
            address: SocketAddr::new(ip, port.unwrap_or(usual)),
            server_name: self.host.to_owned(),
        }
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

/// A random number from 0 to `most`, both included.
fn random_up_to(most: u32) -> u32 {
    let mut octets = [0; 4];
    // Without random numbers the first one is drawn each time: a worse spread, nothing more.
    if getrandom::fill(&mut octets).is_err() {
        return 0;
    }
    let wide = u64::from(u32::from_be_bytes(octets)) * (u64::from(most) + 1);
    (wide >> 32) as u32
}
