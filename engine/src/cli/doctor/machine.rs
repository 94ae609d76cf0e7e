//! The configuration held against this machine: addresses, ports, limits, certificates, names.
use super::Finding::{self, Good, Note, Wrong};
use super::certificate;
use crate::call::diagnosis::{Reach, reach};
use crate::config::{CertificateAuthorities, Config, Listen, Tls, Transport, TrunkUri};
use crate::net::rtp_socket;
use crate::net::sip::Resolver;
use crate::net::thread::raise_open_files;
use crate::route::terms;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::time::{Duration, SystemTime};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// A certificate that ends sooner is worth a word.
const SOON: Duration = Duration::from_secs(14 * 86_400);
/// Pairs of RTP ports tried.
const TRIED_PAIRS: usize = 8;

/// Whether an address is one of this machine's.
fn is_ours(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// `[sip] listen`: the addresses exist, and without a `running` server their ports are free.
pub(super) fn listening(config: &Config, running: bool) -> Vec<Finding> {
    let one = |listen: &Listen| {
        let (name, address) = (listen.transport.as_str(), listen.address);
        if !is_ours(address.ip()) {
            let ip = address.ip();
            return Wrong(format!(
                "[sip] listen names {name}:{address}, but {ip} is no address of this machine: take one that `ip addr` shows, or 0.0.0.0"
            ));
        }
        let bound = match (running, listen.transport) {
            (true, _) => Ok(()),
            (false, Transport::Udp) => UdpSocket::bind(address).map(drop),
            (false, _) => TcpListener::bind(address).map(drop),
        };
        match bound {
            Ok(()) => Good(format!("[sip] listen {name}:{address}")),
            Err(error) if error.kind() == ErrorKind::AddrInUse => Wrong(format!(
                "[sip] listen {name}:{address} is taken by another program (`ss -lnp 'sport = :{}'` names it), or by a server that --url does not reach",
                address.port()
            )),
            Err(error) => Wrong(format!(
                "[sip] listen {name}:{address} cannot be opened: {error}"
            )),
        }
    };
    config.sip.listen.iter().map(one).collect()
}

/// `[media]`: its address, its family against that of SIP, its ports.
pub(super) fn media(config: &Config) -> Vec<Finding> {
    let media = &config.media;
    let mut findings = Vec::new();
    if !is_ours(media.bind) {
        let ip = media.bind;
        findings.push(Wrong(format!("[media] bind: {ip} is no address of this machine: take one that `ip addr` shows, or 0.0.0.0")));
        return findings;
    }
    let addresses = config.sip.listen.iter().map(|listen| listen.address.ip());
    findings.extend(families(media.bind, media.advertise, addresses));
    let tried = (usize::from(media.ports.first)..usize::from(media.ports.last)).step_by(2);
    let step = (media.ports.pairs() / TRIED_PAIRS).max(1);
    let tried: Vec<_> = tried
        .step_by(step)
        .filter_map(|port| u16::try_from(port).ok())
        .collect();
    let free = tried
        .iter()
        .filter(|port| rtp_socket::bind(media.bind, **port, None).is_ok())
        .count();
    findings.push(match free {
        0 => Wrong(format!("[media] ports: none of {} ports tried in {}-{} can be opened at {}: calls or other programs hold them", tried.len(), media.ports.first, media.ports.last, media.bind)),
        _ => Good(format!("[media] bind {}, UDP ports {}-{}; a firewall must let them in", media.bind, media.ports.first, media.ports.last)),
    });
    findings
}

/// Audio over another family than signalling: the address in SDP would not be one that RTP is received on.
fn families(
    bind: IpAddr,
    advertise: Option<IpAddr>,
    sip: impl Iterator<Item = IpAddr>,
) -> Option<Finding> {
    // A socket on :: takes IPv4 as well.
    if bind.is_ipv6() && bind.is_unspecified() {
        return None;
    }
    let family = |ip: IpAddr| if ip.is_ipv4() { "IPv4" } else { "IPv6" };
    match advertise {
        Some(ip) if ip.is_ipv4() != bind.is_ipv4() => Some(Wrong(format!(
            "[media] advertise {ip} is {}, but [media] bind {bind} receives {} only: bind to ::, or advertise an address of the same family",
            family(ip),
            family(bind)
        ))),
        Some(_) => None,
        None => {
            let other = { sip }.find(|ip| ip.is_ipv4() != bind.is_ipv4())?;
            Some(Wrong(format!(
                "[sip] listen has {other} ({}), but [media] bind {bind} receives {} only: calls that come over {} get an SDP address without audio; bind to ::",
                family(other),
                family(bind),
                family(other)
            )))
        }
    }
}

/// Open files.
pub(super) fn limits(config: &Config) -> Vec<Finding> {
    let wanted = config.sip.max_calls as u64 * 4 + 1024;
    let files = raise_open_files(wanted);
    vec![if files < wanted {
        Wrong(format!(
            "{files} open files are allowed here; [sip] max_calls {} needs {wanted} (four for each call between two parties, and 1024): `ulimit -n`, LimitNOFILE= of the \
             systemd unit, or --ulimit nofile of the container",
            config.sip.max_calls
        ))
    } else {
        Good(format!("{files} open files are allowed"))
    }]
}

/// `[tls]`: whether certificates are good today, and for how long.
pub(super) fn certificates(tls: &Tls, now: SystemTime) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(identity) = &tls.identity {
        findings.extend(certificate_file(
            "[tls] certificate",
            &identity.certificate,
            now,
        ));
    }
    if let Some(file) = &tls.client_ca {
        findings.extend(certificate_file("[tls] client_ca", file, now));
    }
    if let CertificateAuthorities::File(file) = &tls.ca {
        findings.extend(certificate_file("[tls] ca", file, now));
    }
    findings
}

fn certificate_file(key: &str, file: &Path, now: SystemTime) -> Vec<Finding> {
    let shown = file.display();
    let certificates = match CertificateDer::pem_file_iter(file) {
        Ok(certificates) => certificates,
        Err(error) => return vec![Wrong(format!("{key}: {shown} cannot be read: {error}"))],
    };
    let told = (1..).zip(certificates).map(|(number, certificate)| {
        let validity = certificate.ok().and_then(|certificate| certificate::validity(&certificate));
        let Some(validity) = validity else {
            return Note(format!("{key}: certificate {number} of {shown} cannot be read"));
        };
        if now < *validity.start() {
            return Wrong(format!("{key}: certificate {number} of {shown} is not good yet: is this machine's clock right?"));
        }
        match validity.end().duration_since(now) {
            Err(since) => Wrong(format!("{key}: certificate {number} of {shown} has been out of date for {} days: renew it and send SIGHUP", since.duration().as_secs() / 86_400)),
            Ok(left) if left < SOON => Note(format!("{key}: certificate {number} of {shown} ends in {} days: renew it and send SIGHUP", left.as_secs() / 86_400)),
            Ok(left) => Good(format!("{key}: certificate {number} of {shown} is good for {} days", left.as_secs() / 86_400)),
        }
    });
    told.collect()
}

/// What we tell others that we are reached at.
pub(super) async fn advertised(config: &Config, resolver: &Resolver) -> Vec<Finding> {
    let mut findings = Vec::new();
    let advertise = &config.sip.advertise;
    let hosts: BTreeSet<&str> = advertise
        .all
        .iter()
        .chain(advertise.each.iter().map(|(_, host)| host))
        .map(|host| &*host.host)
        .collect();
    for host in hosts {
        let hops = resolver.resolve(host, Some(5060), None, false).await;
        match hops {
            Err(error) => findings.push(Wrong(format!("[sip] advertise {host}: {error}: others will not find us; correct the name or write the address"))),
            Ok(hops) => findings.extend(hops.iter().map(|hop| {
                let ip = hop.address.ip();
                placed(&format!("[sip] advertise {host}"), ip, is_ours(ip))
            })),
        }
    }
    if let Some(ip) = config.media.advertise {
        findings.push(placed(
            "the address in SDP ([media] advertise, or [sip] advertise)",
            ip,
            is_ours(ip),
        ));
    }
    findings
}

/// What it means to advertise an address that is `ours` or not.
fn placed(key: &str, ip: IpAddr, ours: bool) -> Finding {
    match (reach(ip), ours) {
        (Reach::Nowhere, _) => Wrong(format!("{key}: {ip} is no address anybody can send to")),
        (Reach::Host, _) => Note(format!("{key}: {ip} is reached from this machine only")),
        (_, true) => Good(format!("{key}: {ip} is an address of this machine")),
        (Reach::World, false) => Good(format!(
            "{key}: {ip} is not on this machine, so it must be that of the NAT before it, which must forward SIP and the RTP ports to it unchanged"
        )),
        (Reach::Site, false) => Note(format!(
            "{key}: {ip} is a private address and not on this machine: right only where a host or container around this one forwards it"
        )),
    }
}

/// The names of trunks in DNS, and whether what we tell a trunk can be reached from there.
pub(super) async fn trunk_hosts(config: &Config, resolver: &Resolver) -> Vec<Finding> {
    let mut findings = Vec::new();
    for trunk in &config.trunks {
        let targets = trunk.targets.iter().map(|target| &target.uri);
        let registrar = trunk.register.iter().map(|register| &register.registrar);
        let mut asked: Vec<&TrunkUri> = Vec::new();
        for uri in targets.chain(registrar) {
            if asked.contains(&uri) {
                continue;
            }
            asked.push(uri);
            let transport = uri.transport.map(terms::transport);
            let (host, port) = (&uri.address.host, uri.address.port);
            match resolver.resolve(host, port, transport, uri.secure).await {
                Err(error) => findings.push(Wrong(format!("trunk {}: {uri}: {error}", trunk.name))),
                Ok(hops) => {
                    let shown: Vec<_> = hops
                        .iter()
                        .map(|hop| format!("{} {}", hop.transport.via_token(), hop.address))
                        .collect();
                    findings.push(Good(format!(
                        "trunk {}: {uri} is {}",
                        trunk.name,
                        shown.join(", ")
                    )));
                    let first = hops.first().map(|hop| hop.address);
                    findings.extend(first.and_then(|to| shown_to(config, &trunk.name, to)));
                }
            }
        }
    }
    findings
}

/// A public trunk that is told a private address cannot send audio there.
fn shown_to(config: &Config, trunk: &str, to: SocketAddr) -> Option<Finding> {
    let from = UdpSocket::bind((if to.is_ipv4() { "0.0.0.0" } else { "::" }, 0)).ok()?;
    // Chooses the way and sends nothing.
    if let Err(error) = from.connect(to) {
        return Some(Wrong(format!(
            "trunk {trunk}: there is no way from this machine to {to}: {error}"
        )));
    }
    let local = from.local_addr().ok()?.ip();
    let media = config
        .media
        .advertise
        .unwrap_or(match config.media.bind.is_unspecified() {
            true => local,
            false => config.media.bind,
        });
    (reach(media) < reach(to.ip())).then(|| Wrong(format!(
        "trunk {trunk}: it is reached at the public address {to}, but our SDP would tell it to send audio to {media}, which it cannot reach: set [sip] advertise (or [media] \
         advertise) to our public address"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn word(finding: Option<Finding>) -> &'static str {
        finding.map_or("", |finding| finding.parts().0)
    }

    #[test]
    fn audio_and_signalling_of_different_families() {
        for (bind, advertise, sip, expected) in [
            ("0.0.0.0", None, &["0.0.0.0"][..], ""),
            ("0.0.0.0", None, &["0.0.0.0", "::"], "WRONG"),
            ("0.0.0.0", Some("192.0.2.1"), &["0.0.0.0", "::"], ""),
            ("::", None, &["0.0.0.0", "::"], ""),
            ("2001:db8::1", None, &["0.0.0.0"], "WRONG"),
            ("192.0.2.1", Some("2001:db8::1"), &["192.0.2.1"], "WRONG"),
        ] {
            let found = families(ip(bind), advertise.map(ip), sip.iter().map(|text| ip(text)));
            assert_eq!(word(found), expected, "{bind} {advertise:?} {sip:?}");
        }
    }

    #[test]
    fn advertised_addresses() {
        for (address, ours, expected) in [
            ("0.0.0.0", false, "WRONG"),
            ("127.0.0.1", true, "note"),
            ("10.0.0.1", true, "ok"),
            ("10.0.0.1", false, "note"),
            ("203.0.113.1", false, "ok"),
        ] {
            assert_eq!(
                placed("x", ip(address), ours).parts().0,
                expected,
                "{address}"
            );
        }
    }

    #[test]
    fn certificates_that_ended_end_soon_and_last() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sip.pem");
        let mut params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 12, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        let day = |number: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(number * 86_400);
        for (now, expected, text) in [
            (20_400, "WRONG", "clock"),
            (20_500, "ok", "for 288 days"),
            (20_780, "note", "in 8 days"),
            (20_800, "WRONG", "for 12 days"),
        ] {
            let found = certificate_file("[tls] certificate", &file, day(now));
            let [found] = &found[..] else {
                panic!("{found:?}")
            };
            assert_eq!(found.parts().0, expected, "{found:?}");
            assert!(found.parts().1.contains(text), "{found:?}");
        }
        let missing = certificate_file("[tls] ca", &folder.path().join("none.pem"), day(0));
        assert_eq!(missing[0].parts().0, "WRONG");
    }
}
