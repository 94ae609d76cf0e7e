//! `;name=value` parameter lists, as in URIs, Via, From, To, Contact, Reason. A view: nothing is copied.

use crate::lex::{find_outside, trim};

/// A parameter list, raw, with or without the leading semicolon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a>(pub(crate) &'a [u8]);

impl<'a> Params<'a> {
    /// The list as written, without the leading semicolon.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0.strip_prefix(b";").unwrap_or(self.0)
    }

    /// Names and values in order. A parameter without `=` has no value; quotes stay on.
    pub fn iter(&self) -> ParamIter<'a> {
        ParamIter {
            rest: Some(self.as_bytes()),
        }
    }

    /// The first parameter of this name (ASCII case ignored): outer `None` absent, inner `None` without a value.
    pub fn find(&self, name: &str) -> Option<Option<&'a [u8]>> {
        self.iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// The value of the first parameter of this name, without quotes; `None` when absent or without a value.
    pub fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.find(name).flatten().map(unquoted)
    }

    /// Whether a parameter of this name is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

/// The inside of a quoted string (escapes kept), or the text itself.
fn unquoted(text: &[u8]) -> &[u8] {
    match text {
        [b'"', inner @ .., b'"'] => inner,
        _ => text,
    }
}

/// Iterator of [`Params::iter`].
#[derive(Clone, Debug)]
pub struct ParamIter<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for ParamIter<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.rest?;
            let item = match find_outside(rest, b';', false) {
                Some(at) => {
                    self.rest = Some(&rest[at + 1..]);
                    &rest[..at]
                }
                None => {
                    self.rest = None;
                    rest
                }
            };
            if trim(item).is_empty() {
                continue;
            }
            let (name, value) = crate::lex::split_once(item, b'=');
            return Some((trim(name), value.map(trim)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_case_quotes_and_empties() {
        let params = Params(b";branch=z9hG4bK1 ; RPORT;;x=\"a;b\"; y = 2");
        let all: Vec<_> = params.iter().collect();
        assert_eq!(all.len(), 4);
        assert_eq!(params.find("rport"), Some(None));
        assert_eq!(params.value("x"), Some(&b"a;b"[..]));
        assert_eq!(params.value("Y"), Some(&b"2"[..]));
        assert!(!params.has("z"));
        assert_eq!(Params(b"").iter().count(), 0);
    }
}
