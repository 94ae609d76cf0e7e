//! Lists in pieces: a cursor names the last item of the piece before, so that what comes and goes meanwhile shifts nothing.
use super::problem::{Kind, Problem};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

/// Items of a page, unless told otherwise.
pub(super) const USUAL: usize = 50;
/// Most items of a page.
pub(super) const MOST: usize = 200;

/// Which page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
pub(super) struct Paging {
    /// Most items of the answer.
    #[param(minimum = 1, maximum = 200)]
    pub(super) limit: Option<usize>,
    /// What `next` of the page before said.
    #[param(max_length = 1024)]
    pub(super) cursor: Option<String>,
}

/// A piece of a list.
#[derive(Debug, Serialize)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<String>,
}

impl Paging {
    /// Most items of the answer.
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        match self.limit {
            None => Ok(USUAL),
            Some(limit @ 1..=MOST) => Ok(limit),
            Some(_) => Err(Problem::new(
                Kind::BadParameter,
                format!("limit is 1 to {MOST}"),
            )),
        }
    }

    /// The key of the last item of the page before.
    pub(super) fn after(&self) -> Result<Option<String>, Problem> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let octets = URL_SAFE_NO_PAD.decode(cursor).ok();
        let key = octets.and_then(|octets| String::from_utf8(octets).ok());
        let refused = || Problem::new(Kind::BadParameter, "the cursor is none of ours");
        key.map(Some).ok_or_else(refused)
    }

    /// The page of a list that is whole and sorted by `key`.
    pub(super) fn of<T>(
        &self,
        list: impl IntoIterator<Item = T>,
        key: impl Fn(&T) -> String,
    ) -> Result<Page<T>, Problem> {
        let (limit, after) = (self.limit()?, self.after()?);
        let beyond = |item: &T| after.as_ref().is_none_or(|after| key(item) > *after);
        let mut items: Vec<T> = list.into_iter().filter(beyond).take(limit + 1).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| more);
        let next = last.map(|last| cursor(&key(last)));
        Ok(Page { items, next })
    }
}

/// The cursor of what follows an item of that key.
pub(super) fn cursor(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_hold_each_item_once() {
        let list: Vec<String> = (0..7).map(|n| format!("n{n}")).collect();
        let (mut seen, mut at) = (Vec::new(), None);
        loop {
            let paging = Paging {
                limit: Some(3),
                cursor: at,
            };
            let page = paging.of(list.clone(), String::clone).expect("good");
            assert!(page.items.len() <= 3);
            seen.extend(page.items);
            at = page.next;
            if at.is_none() {
                break;
            }
        }
        assert_eq!(seen, list);
    }

    #[test]
    fn made_up_limits_and_cursors_are_refused() {
        let page = |limit, cursor: Option<&str>| {
            let cursor = cursor.map(str::to_owned);
            Paging { limit, cursor }
                .of(["a"], |of| of.to_string())
                .is_ok()
        };
        assert!(page(None, None) && page(Some(200), Some("")));
        assert!(!page(Some(0), None) && !page(Some(201), None));
        assert!(!page(None, Some("?")) && !page(None, Some("_w")));
    }
}
