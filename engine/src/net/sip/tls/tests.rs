//! What an operator reads when a file is wrong, and which certificates speak for a domain.
use super::*;
use rcgen::{CertificateParams, Issuer, KeyPair, SanType};
use std::path::Path;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn identity(certificate: &Path, key: &Path) -> TlsSettings {
    TlsSettings {
        identity: Some((certificate.to_owned(), key.to_owned())),
        ..TlsSettings::default()
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let files = Files::new();
    let one = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    let other = KeyPair::generate().unwrap();
    let certificate = files.write("certificate.pem", &one.cert.pem());
    let key = files.write("key.pem", &one.signing_key.serialize_pem());
    let wrong_key = files.write("other.pem", &other.serialize_pem());
    let empty = files.write("empty.pem", "");
    let missing = files.0.path().join("missing.pem");
    assert!(
        Tls::load(&identity(&certificate, &key))
            .unwrap()
            .server()
            .is_some()
    );
    let ca = TlsSettings {
        ca: Some(empty.clone()),
        ..TlsSettings::default()
    };
    for (settings, file, said) in [
        (identity(&missing, &key), "missing.pem", "cannot read"),
        (
            identity(&empty, &key),
            "empty.pem",
            "no certificate in PEM form",
        ),
        (
            identity(&certificate, &empty),
            "empty.pem",
            "no private key in PEM form",
        ),
        (
            identity(&certificate, &certificate),
            "certificate.pem",
            "no private key",
        ),
        (
            identity(&certificate, &wrong_key),
            "other.pem",
            "not the key of the first certificate",
        ),
        (ca, "empty.pem", "no certificate in PEM form"),
    ] {
        let error = Tls::load(&settings).unwrap_err().to_string();
        assert!(error.contains(file) && error.contains(said), "{error}");
        assert!(error.contains("[tls]"), "{error}");
    }
}

#[test]
fn a_bad_file_leaves_the_certificate_in_force() {
    let files = Files::new();
    let one = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    let certificate = files.write("certificate.pem", &one.cert.pem());
    let key = files.write("key.pem", &one.signing_key.serialize_pem());
    let tls = Tls::load(&identity(&certificate, &key)).unwrap();
    let before = tls.server().unwrap();
    files.write("certificate.pem", "nothing");
    assert!(tls.reload(&identity(&certificate, &key)).is_err());
    assert!(Arc::ptr_eq(&before, &tls.server().unwrap()));
    files.write("certificate.pem", &one.cert.pem());
    tls.reload(&identity(&certificate, &key)).unwrap();
    assert!(!Arc::ptr_eq(&before, &tls.server().unwrap()));
}

/// A certificate with these names, and a verifier that believes its issuer.
fn issued(names: &[SanType]) -> (CertificateDer<'static>, SipServer) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new([]).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = ca.self_signed(&ca_key).unwrap();
    let mut params = CertificateParams::new([]).unwrap();
    params.subject_alt_names = names.to_vec();
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(root.der().clone()).unwrap();
    let algorithms = ring::default_provider().signature_verification_algorithms;
    (leaf.der().clone(), SipServer::new(roots, algorithms))
}

/// RFC 5922 §7.1, §7.2.
#[test]
fn a_certificate_speaks_for_the_domains_it_names() {
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let uri = |name: &str| SanType::URI(name.try_into().unwrap());
    let address = SanType::IpAddress([192, 0, 2, 1].into());
    for (names, wanted, speaks) in [
        (vec![dns("example.com")], "example.com", true),
        (vec![dns("example.com")], "EXAMPLE.com", true),
        (vec![dns("example.com")], "sip.example.com", false),
        (vec![dns("*.example.com")], "sip.example.com", true),
        (vec![uri("sip:example.com")], "example.com", true),
        // Named by URI, it speaks for nothing else.
        (
            vec![uri("sip:example.com"), dns("other.example")],
            "other.example",
            false,
        ),
        // A user is no domain, and another scheme says nothing about SIP.
        (
            vec![uri("sip:alice@example.com"), dns("other.example")],
            "example.com",
            false,
        ),
        (
            vec![uri("https://example.com"), dns("other.example")],
            "other.example",
            true,
        ),
        (vec![address.clone()], "192.0.2.1", true),
        (vec![address], "192.0.2.2", false),
        (vec![dns("example.com")], "192.0.2.1", false),
    ] {
        let (certificate, verifier) = issued(&names);
        let name = ServerName::try_from(wanted).unwrap();
        let verdict = verifier.verify_server_cert(&certificate, &[], &name, &[], UnixTime::now());
        assert_eq!(
            verdict.is_ok(),
            speaks,
            "{names:?} for {wanted}: {verdict:?}"
        );
    }
}

#[test]
fn a_stranger_as_issuer_is_refused() {
    let dns = SanType::DnsName("example.com".try_into().unwrap());
    let (certificate, _) = issued(std::slice::from_ref(&dns));
    let (_, other) = issued(&[dns]);
    let name = ServerName::try_from("example.com").unwrap();
    let verdict = other.verify_server_cert(&certificate, &[], &name, &[], UnixTime::now());
    let refused = verdict.unwrap_err();
    assert!(
        matches!(refused, tokio_rustls::rustls::Error::InvalidCertificate(_)),
        "{refused}"
    );
}
