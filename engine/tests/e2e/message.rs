//! A SIP message as the tests look into one. It shares no code with Trunkline, so that an error cannot hide on both sides.

/// A SIP message, as far as the tests look into one.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// The first line.
    pub(crate) start: String,
    /// Names and values.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: String,
}

impl Message {
    /// Takes a datagram apart.
    pub(crate) fn parse(datagram: &[u8]) -> Self {
        let text = String::from_utf8(datagram.to_vec()).expect("our side writes UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").expect("end of headers");
        let mut lines = head.split("\r\n");
        let start = lines.next().expect("start line").to_owned();
        let headers = lines
            .map(|line| {
                line.split_once(':')
                    .unwrap_or_else(|| panic!("no colon in {line:?}"))
            })
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        Self {
            start,
            headers,
            body: body.to_owned(),
        }
    }

    /// The status of a response, 0 of a request.
    pub(crate) fn status(&self) -> u16 {
        self.start
            .strip_prefix("SIP/2.0 ")
            .and_then(|rest| rest.get(..3))
            .map_or(0, |code| code.parse().expect("status"))
    }

    /// The method of a request.
    pub(crate) fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or("")
    }

    /// A header's first value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}
