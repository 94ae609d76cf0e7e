//! Reads passwords: written in the file, or in a file of their own.
use super::{Field, Sources, Table};
use crate::config::Secret;

/// The longest password, in characters.
const MAX_PASSWORD: usize = 256;

/// `password` or `password_file`; `None` where neither is given or what is given is no password (which has been told then).
pub(super) fn password(table: &mut Table<'_>, sources: &Sources<'_>) -> Option<Secret> {
    secret(table, sources, "password", "password_file")
}

/// The same under other names.
pub(super) fn secret(
    table: &mut Table<'_>,
    sources: &Sources<'_>,
    key: &'static str,
    key_file: &'static str,
) -> Option<Secret> {
    let (inline, file) = (table.field(key), table.field(key_file));
    match (inline, file) {
        (Some(inline), None) => {
            let text = inline.string()?;
            if !fits(text) {
                // The value itself is not shown: it is a secret even when it is refused.
                inline.error("must be 1 to 256 characters without control characters");
                return None;
            }
            Some(Secret::new(text))
        }
        (None, Some(file)) => from_file(&file, sources),
        (Some(_), Some(file)) => {
            file.error(format!(
                "\"{key}\" and \"{key_file}\" are both given; keep one"
            ));
            None
        }
        (None, None) => None,
    }
}

/// A secret that a variable of the environment holds.
pub(super) fn from_env(field: &Field<'_>) -> Option<Secret> {
    let name = super::value::not_empty(field)?;
    match std::env::var(name) {
        Ok(text) if fits(&text) => Some(Secret::new(text)),
        Ok(_) | Err(std::env::VarError::NotUnicode(_)) => {
            field.error(
                "names a variable that must hold 1 to 256 characters without control characters",
            );
            None
        }
        Err(std::env::VarError::NotPresent) => {
            field.error("names no variable of the environment");
            None
        }
    }
}

/// The one line of the file that the field names.
pub(super) fn from_file(file: &Field<'_>, sources: &Sources<'_>) -> Option<Secret> {
    let path = sources.base.join(super::value::not_empty(file)?);
    let text = match (sources.read_secret)(&path) {
        Ok(read) => {
            if read.others_may_read {
                file.warning(format!(
                    "{} may be read by every user of this machine; chmod 600 it",
                    path.display()
                ));
            }
            match read.text {
                Some(text) => text,
                None => return Some(Secret::default()),
            }
        }
        Err(error) => {
            file.error(format!("{} cannot be read: {error}", path.display()));
            return None;
        }
    };
    let text = text.trim_end_matches(['\r', '\n']);
    if !fits(text) {
        file.error(format!(
            "{} must hold one line of 1 to 256 characters: the password",
            path.display()
        ));
        return None;
    }
    Some(Secret::new(text))
}

fn fits(text: &str) -> bool {
    (1..=MAX_PASSWORD).contains(&text.chars().count()) && !text.contains(char::is_control)
}
