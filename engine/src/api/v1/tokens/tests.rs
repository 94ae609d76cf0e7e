use super::*;
use std::os::unix::fs::PermissionsExt;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn minted(seed: u8, expires: Option<Timestamp>) -> (Token, String) {
    Token::mint([seed; 38], "test", vec![Scope::CallsRead], at(0), expires)
}

#[test]
fn only_the_whole_token_is_known_and_only_in_its_time() {
    let (one, text) = minted(1, Some(at(100)));
    let (other, _) = minted(2, None);
    let tokens = [other, one];
    let kind = |header: Option<&str>, now| match authenticate(&tokens, header, at(now)) {
        Ok(token) => Err(token.id.clone()),
        Err(problem) => Ok(problem.kind),
    };
    let bearer = format!("Bearer {text}");
    assert_eq!(kind(Some(&bearer), 99), Err("010101010101".to_owned()));
    assert_eq!(
        kind(Some(&bearer.replace("Bearer", "bearer")), 99),
        Err("010101010101".to_owned())
    );
    assert_eq!(kind(Some(&bearer), 100), Ok(Kind::TokenExpired));
    let shorter = &bearer[..bearer.len() - 1];
    let other_id = bearer.replace("010101010101", "020202020202");
    let no_id = bearer.replace("010101010101", "030303030303");
    for wrong in [
        shorter,
        &other_id,
        &no_id,
        "Bearer",
        "Bearer ",
        "Bearer tl_",
        "Bearer tl__",
        "Basic eDp5",
        "",
        &text,
        "Bearer tl_010101010101_",
    ] {
        assert_eq!(kind(Some(wrong), 99), Ok(Kind::Unauthenticated), "{wrong}");
    }
    assert_eq!(kind(None, 99), Ok(Kind::Unauthenticated));
}

#[test]
fn the_file_holds_no_secret_and_is_for_its_owner_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = TokenFile::new(folder.path().join("tokens.json"));
    assert_eq!(file.read().expect("none is none"), []);
    let (token, text) = minted(7, Some(at(5)));
    file.change(|tokens| tokens.push(token.clone()))
        .expect("written");
    assert_eq!(file.read().expect("read"), [token]);
    let written = std::fs::read_to_string(file.path()).expect("read");
    let secret = text.splitn(3, '_').nth(2).expect("a secret");
    assert!(!written.contains(secret));
    let path = file.write_secret("admin.token", &text).expect("written");
    assert_eq!(
        std::fs::read_to_string(&path).expect("read"),
        format!("{text}\n")
    );
    for path in [file.path(), &path] {
        let mode = std::fs::metadata(path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    file.change(Vec::clear).expect("written");
    assert_eq!(file.read().expect("read"), []);
}

#[test]
fn a_broken_file_is_told_and_not_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = TokenFile::new(folder.path().join("tokens.json"));
    for text in ["", "{", "{}", "{\"tokens\": [{}]}", "{\"tokens\": 1}"] {
        std::fs::write(file.path(), text).expect("written");
        assert!(
            matches!(file.read(), Err(FileError::Broken { .. })),
            "{text}"
        );
        assert!(file.change(Vec::clear).is_err(), "{text}");
        assert_eq!(std::fs::read_to_string(file.path()).expect("read"), text);
    }
}

#[test]
fn there_is_an_end_to_tokens() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = TokenFile::new(folder.path().join("tokens.json"));
    let (token, _) = minted(1, None);
    file.change(|tokens| tokens.resize(MOST_TOKENS, token.clone()))
        .expect("room");
    let full = file.change(|tokens| tokens.push(token));
    assert!(matches!(full, Err(FileError::Full)));
    assert_eq!(file.read().expect("read").len(), MOST_TOKENS);
}

/// As root for a server that is not: what only root can try.
#[test]
fn files_belong_to_whom_the_folder_or_the_tokens_belong() {
    use std::os::unix::fs::{MetadataExt, chown};
    let folder = tempfile::tempdir().expect("a folder");
    let theirs = std::fs::metadata(folder.path()).expect("there").uid() + 4711;
    if chown(folder.path(), Some(theirs), Some(theirs)).is_err() {
        return;
    }
    let file = TokenFile::new(folder.path().join("tokens.json"));
    let owners = |names: &[&str]| {
        let owner = |name: &&str| std::fs::metadata(folder.path().join(name)).map(|of| of.uid());
        let all: Result<Vec<u32>, _> = names.iter().map(owner).collect();
        all.expect("they are there")
    };
    file.change(|_| ()).expect("written");
    file.write_secret("first.token", "x").expect("written");
    let all = ["tokens.json", "tokens.lock", "first.token"];
    assert_eq!(owners(&all), [theirs; 3]);
    chown(folder.path(), Some(0), Some(0)).expect("we are root");
    file.change(|_| ()).expect("written");
    assert_eq!(owners(&all[..2]), [theirs; 2], "the tokens' owner stays");
}
