//! `make install` and `make uninstall`, staged into a scratch folder.
use crate::server::BINARY;
use std::path::Path;
use std::process::Command;

fn script(name: &str, stage: &Path, purge: &str) -> String {
    let script = crate::examples().join("../scripts").join(name);
    let output = Command::new(script)
        .env("DESTDIR", stage)
        .env("PREFIX", "/usr")
        .env("SYSCONFDIR", "/etc")
        .env("UNITDIR", "/etc/systemd/system")
        .env("BINARY", BINARY)
        .env("PURGE", purge)
        .output()
        .expect("run the script");
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    said
}

#[test]
fn installs_three_files_keeps_the_configuration_and_takes_them_away() {
    let stage = tempfile::tempdir().expect("scratch folder");
    let at = |path: &str| stage.path().join(path);
    let (binary, config, unit) = (
        at("usr/bin/trunkline"),
        at("etc/trunkline/trunkline.toml"),
        at("etc/systemd/system/trunkline.service"),
    );

    script("install", stage.path(), "");
    let text = std::fs::read_to_string(&unit).expect("unit");
    assert!(
        text.contains("ExecStart=/usr/bin/trunkline run --config /etc/trunkline/trunkline.toml"),
        "{text}"
    );
    assert!(
        !text.contains("@PREFIX") && !text.contains("@SYSCONFDIR"),
        "a place was not filled in: {text}"
    );
    assert!(binary.is_file());

    std::fs::write(&config, "# mine\n").expect("write");
    script("install", stage.path(), "");
    assert_eq!(
        std::fs::read_to_string(&config).expect("config"),
        "# mine\n",
        "an existing configuration was overwritten"
    );

    script("uninstall", stage.path(), "");
    assert!(!binary.exists() && !unit.exists() && config.exists());
    script("uninstall", stage.path(), "1");
    assert!(!config.exists());
}
