//! The control API on a socket of its own, over TLS, from the shell.
use super::api::{admin, quick, trunkline_in};
use super::secure::certificate;
use crate::server::{Server, Settings, free_port, own_address};

#[test]
fn ctl_asks_over_tls_and_only_whom_it_knows() {
    let folder = tempfile::tempdir().expect("a folder");
    let ip = own_address();
    let (pem, key) = certificate(folder.path(), &ip.to_string());
    let port = free_port(ip);
    let quick = quick();
    let listen = format!("[api]\nlisten = \"{ip}:{port}\"\ncertificate = {pem:?}\nkey = {key:?}\n");
    let server = Server::with(Settings {
        callers: quick.callers.replacen("[api]\n", &listen, 1),
        ..quick
    });
    let (url, ca) = (format!("https://{ip}:{port}"), pem.display().to_string());
    let ctl = |arguments: &[&str]| trunkline_in(server.scratch.path(), arguments);
    let (good, out) = ctl(&["ctl", "--json", "--url", &url, "--ca", &ca, "server"]);
    assert!(good && out.contains("\"version\""), "{out}");
    let (good, out) = ctl(&["ctl", "--json", "--url", &url, "server"]);
    assert!(!good && out.contains("certificate"), "{out}");
    let plain = url.replacen("https", "http", 1);
    let (good, out) = ctl(&["ctl", "--json", "--url", &plain, "server"]);
    assert!(!good, "{out}");
    assert!(!out.contains(&admin(&server)), "the token is not told");
    // Signed addresses are served there as well; this is none.
    let address = format!("{url}/recordings/r-1?expires=1&signature=x");
    let asked = std::process::Command::new("curl")
        .args(["-s", "-w", "%{http_code}", "--cacert", &ca, &address])
        .output()
        .expect("curl runs");
    let said = String::from_utf8_lossy(&asked.stdout).into_owned();
    assert!(said.ends_with("403"), "{said}");
    let asked = std::process::Command::new("curl")
        .args(["-s", "-i", "-X", "DELETE", "--cacert", &ca, &address])
        .output()
        .expect("curl runs");
    let said = String::from_utf8_lossy(&asked.stdout).into_owned();
    assert!(
        said.contains("405") && said.contains("method-not-allowed"),
        "{said}"
    );
    // It is not where /health is.
    let (status, _) = server.http("/api/v1").expect("an answer");
    assert_eq!(status, 404);
}
