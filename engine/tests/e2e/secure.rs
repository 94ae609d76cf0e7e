//! `trunkline run` and `trunkline call` over TLS, as an operator sets it up.
use crate::server::{Server, Settings, free_port, own_address, trunkline};
use rcgen::{CertificateParams, KeyPair, SanType};
use std::path::{Path, PathBuf};

/// A certificate for `name` that is its own authority, and its key.
pub(crate) fn certificate(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().expect("key");
    let mut params = CertificateParams::new([name.to_owned()]).expect("name");
    // linphone looks for an address among the names.
    let as_name = SanType::DnsName(name.try_into().expect("ASCII"));
    params.subject_alt_names.push(as_name);
    let signed = params.self_signed(&key).expect("certificate");
    let (pem, secret) = (folder.join("sip.pem"), folder.join("sip.key"));
    std::fs::write(&pem, signed.pem()).expect("write");
    std::fs::write(&secret, key.serialize_pem()).expect("write");
    (pem, secret)
}

/// The section that names them.
pub(crate) fn tls((certificate, key): &(PathBuf, PathBuf)) -> String {
    format!("[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n")
}

#[test]
fn a_call_over_tls_and_one_whose_certificate_is_wrong() {
    let folder = tempfile::tempdir().expect("scratch folder");
    let ip = own_address();
    let files = certificate(folder.path(), &ip.to_string());
    let port = free_port(ip);
    let default = Settings::default();
    let server = Server::with(Settings {
        ip,
        listen_extra: vec![format!("tls:{ip}:{port}")],
        callers: format!("{}{}", tls(&files), default.callers),
        ..default
    });
    let to = format!("sips:demo@{ip}:{port}");
    let ca = files.0.display().to_string();
    let call = ["call", &to, "--pause", "0.2", "--listen", "1", "--ca", &ca];
    let (status, said) = trunkline(&call);
    assert!(
        status.success(),
        "{said}\n--- server ---\n{}",
        server.log_text()
    );
    server.wait_idle();
    // Nobody on this system trusts the certificate without --ca.
    let (status, said) = trunkline(&call[..6]);
    assert!(!status.success(), "{said}");
    assert!(
        said.contains("tls-refused") && said.contains("UnknownIssuer"),
        "{said}"
    );
}

#[test]
fn check_names_the_certificate_that_is_wrong() {
    let folder = tempfile::tempdir().expect("scratch folder");
    let mut files = certificate(folder.path(), "pbx.example");
    let config = folder.path().join("trunkline.toml");
    let check = |files: &(PathBuf, PathBuf)| {
        std::fs::write(&config, tls(files)).expect("write");
        trunkline(&["check", &config.display().to_string()])
    };
    let (status, said) = check(&files);
    assert!(status.success(), "{said}");
    files.1 = files.0.clone();
    let (status, said) = check(&files);
    assert!(!status.success(), "{said}");
    assert!(
        said.contains("sip.pem") && said.contains("no private key"),
        "{said}"
    );
}
