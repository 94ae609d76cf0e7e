//! What SIP travels over, as the configuration says: sockets, certificates, guards.
use crate::config::Config;
use crate::net::sip::{GuardSettings, Guards, TcpLimits, Tls, TlsSettings, Transports};
use crate::route::terms;

/// Datagrams of one request: the request, its retransmissions, its ACK, and the answers to ours. The gate counts requests; before
/// it, datagrams are counted, generously.
const DATAGRAMS_PER_REQUEST: u32 = 20;

/// Reads the certificates; opens nothing yet.
pub(super) fn transports(config: &Config) -> anyhow::Result<Transports> {
    let listen = config.sip.listen.iter();
    Ok(Transports {
        listen: listen
            .map(|listen| (terms::transport(listen.transport), listen.address))
            .collect(),
        limits: TcpLimits {
            max_connections: config.sip.tcp_max_connections,
            idle: config.sip.tcp_idle_timeout,
        },
        tls: Some(Tls::load(&TlsSettings::from(&config.tls))?),
        guards: Guards::new(guard_settings(config)),
    })
}

/// The limits of one source.
pub(super) fn guard_settings(config: &Config) -> GuardSettings {
    let security = &config.security;
    GuardSettings {
        datagrams_per_second: security
            .requests_per_second_per_source
            .map(|requests| requests.saturating_mul(DATAGRAMS_PER_REQUEST)),
        connections_per_source: security.tcp_per_source,
        exempt: config
            .trunks
            .iter()
            .flat_map(|trunk| trunk.acl.iter().copied())
            .collect(),
    }
}
