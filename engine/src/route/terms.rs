//! The configuration's words in SIP's own types. Owns nothing but the translation: the configuration knows no SIP.
use crate::config;
use trunkline_sip::endpoint::{Advertise, Advertised, Reliability, SessionTimer};
use trunkline_sip::{Encoding, SrtpPolicy, Transport};

/// A transport.
pub fn transport(transport: config::Transport) -> Transport {
    match transport {
        config::Transport::Udp => Transport::Udp,
        config::Transport::Tcp => Transport::Tcp,
        config::Transport::Tls => Transport::Tls,
        config::Transport::Ws => Transport::Ws,
        config::Transport::Wss => Transport::Wss,
    }
}

/// Codecs, in their order.
pub fn encodings(codecs: &[config::Codec]) -> Vec<Encoding> {
    let encoding = |codec: &config::Codec| match codec {
        config::Codec::Pcmu => Encoding::Pcmu,
        config::Codec::Pcma => Encoding::Pcma,
        config::Codec::G722 => Encoding::G722,
        config::Codec::Opus => Encoding::Opus,
        config::Codec::L16 => Encoding::L16Narrow,
        config::Codec::L16Wide => Encoding::L16Wide,
    };
    codecs.iter().map(encoding).collect()
}

/// `srtp`.
pub fn srtp_policy(policy: config::SrtpPolicy) -> SrtpPolicy {
    match policy {
        config::SrtpPolicy::Never => SrtpPolicy::Never,
        config::SrtpPolicy::Optional => SrtpPolicy::Optional,
        config::SrtpPolicy::Required => SrtpPolicy::Required,
    }
}

/// `[sip] advertise`.
pub fn advertise(advertise: &config::Advertise) -> Advertise {
    let host = |host: &config::HostPort| Advertised {
        host: host.host.clone(),
        port: host.port,
    };
    Advertise {
        all: advertise.all.as_ref().map(host),
        each: advertise
            .each
            .iter()
            .map(|(on, each)| (transport(*on), host(each)))
            .collect(),
    }
}

/// `[sip] reliable_provisional`.
pub fn reliability(reliable: config::ReliableProvisional) -> Reliability {
    match reliable {
        config::ReliableProvisional::Off => Reliability::Off,
        config::ReliableProvisional::Supported => Reliability::Supported,
        config::ReliableProvisional::Required => Reliability::Required,
    }
}

/// `[sip] session_expires_s` and `min_se_s`.
pub fn session_timer(sip: &config::Sip) -> Option<SessionTimer> {
    let min_se_s = sip.min_se.as_secs() as u32;
    let expires_s = sip.session_expires?.as_secs() as u32;
    Some(SessionTimer {
        expires_s: expires_s.max(min_se_s),
        min_se_s,
    })
}
