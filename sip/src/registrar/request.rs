//! Owns what a REGISTER says, read and judged before any binding is looked at (RFC 3261 §10.3 steps 5 to 7).

use super::{RegisterRefused, RegistrarConfig};
use crate::header::HeaderId;
use crate::lex::{decimal, split_once};
use crate::message::Frame;
use crate::name_addr::{Contact, NameAddr};
use crate::uri::{Scheme, Uri};
use std::time::Duration;

/// Most contacts of one REGISTER.
const MAX_CONTACTS: usize = 16;
/// Most Path values.
const MAX_PATH: usize = 8;
/// Longest URI that is kept, in octets.
const MAX_URI: usize = 512;
/// Longest instance id and Call-ID that are kept, in octets.
const MAX_NAME: usize = 256;
/// Most characters of a User-Agent that are kept.
const MAX_USER_AGENT: usize = 80;

/// A REGISTER.
#[derive(Debug)]
pub(super) struct Asked {
    /// `Contact: *` with `Expires: 0`.
    pub(super) all_off: bool,
    pub(super) contacts: Vec<Wanted>,
    /// The To URI without parameters.
    pub(super) aor: String,
    pub(super) path: Vec<String>,
    /// The peer wants to know the Path (RFC 3327 §5.3).
    pub(super) tells_path: bool,
    /// The peer speaks RFC 5626 and nothing stands in the way.
    pub(super) outbound: bool,
    pub(super) call_id: String,
    pub(super) cseq: u32,
    pub(super) user_agent: Option<String>,
}

/// One contact of a REGISTER.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) uri: String,
    /// Zero removes it.
    pub(super) expires: Duration,
    /// Preference in thousandths.
    pub(super) q: u16,
    pub(super) instance: Option<String>,
    pub(super) reg_id: Option<u32>,
}

fn bad(rule: &'static str) -> RegisterRefused {
    RegisterRefused::new(400, rule)
}

impl Asked {
    pub(super) fn parse(
        request: &Frame<'_>,
        user: &str,
        config: &RegistrarConfig,
    ) -> Result<Self, RegisterRefused> {
        let to = request.to().map_err(|_| bad("To cannot be read"))?;
        // §10.3 step 4: nobody registers for somebody else.
        if to.uri.user_decoded().as_deref() != Some(user.as_bytes()) {
            return Err(RegisterRefused::new(
                403,
                "To is not the authenticated user",
            ));
        }
        let call_id = request
            .call_id()
            .map_err(|_| bad("Call-ID cannot be read"))?;
        let cseq = request
            .cseq()
            .map_err(|_| bad("CSeq cannot be read"))?
            .number;
        if call_id.len() > MAX_NAME {
            return Err(bad("Call-ID is longer than 256 octets"));
        }
        let path = path(request)?;
        let speaks = request.lists(HeaderId::Supported, "outbound");
        let outbound = speaks && path.last().is_none_or(|edge| has_ob(edge));
        let (all_off, contacts) = contacts(request, config, outbound)?;
        Ok(Self {
            all_off,
            aor: kept(address_of_record(&to.uri).as_bytes(), MAX_URI)
                .ok_or(bad("To is too long or unfit"))?,
            outbound: outbound && contacts.iter().any(|contact| contact.reg_id.is_some()),
            contacts,
            path,
            tells_path: request.lists(HeaderId::Supported, "path"),
            call_id: String::from_utf8_lossy(call_id).into_owned(),
            cseq,
            user_agent: user_agent(request),
        })
    }
}

fn contacts(
    request: &Frame<'_>,
    config: &RegistrarConfig,
    outbound: bool,
) -> Result<(bool, Vec<Wanted>), RegisterRefused> {
    let header = request.header(HeaderId::Expires).map(|_| request.expires());
    let mut all: Vec<Wanted> = Vec::new();
    for (count, contact) in request.contacts().enumerate() {
        if count == MAX_CONTACTS {
            return Err(bad("more than 16 contacts in one REGISTER"));
        }
        match contact.map_err(|_| bad("Contact cannot be read"))? {
            Contact::Star if header == Some(Some(0)) && request.contacts().nth(1).is_none() => {
                return Ok((true, Vec::new()));
            }
            // §10.2.2
            Contact::Star => return Err(bad("Contact * needs Expires 0 and no other Contact")),
            Contact::Address(address) => {
                let wanted = wanted(&address, header.flatten(), config, outbound)?;
                if all
                    .iter()
                    .any(|known| super::binding::same_uri(&known.uri, &wanted.uri))
                {
                    return Err(bad("a contact stands twice"));
                }
                all.push(wanted);
            }
        }
    }
    Ok((false, all))
}

fn wanted(
    address: &NameAddr<'_>,
    header: Option<u32>,
    config: &RegistrarConfig,
    outbound: bool,
) -> Result<Wanted, RegisterRefused> {
    if !matches!(address.uri.scheme, Scheme::Sip | Scheme::Sips) {
        return Err(bad("Contact is not a sip or sips URI"));
    }
    let instance = match address.params.value("+sip.instance") {
        None => None,
        Some(instance) => {
            Some(kept(instance, MAX_NAME).ok_or(bad("+sip.instance is too long or unfit"))?)
        }
    };
    // RFC 5626 §6: without an instance, or from a peer that does not speak it, reg-id means nothing.
    let reg_id = address.params.value("reg-id").and_then(decimal);
    Ok(Wanted {
        uri: kept(address.uri.as_bytes(), MAX_URI).ok_or(bad("Contact is too long or unfit"))?,
        expires: expires(address, header, config)?,
        q: address.params.value("q").map_or(1_000, thousandths),
        reg_id: reg_id.filter(|_| outbound && instance.is_some()),
        instance,
    })
}

/// §10.3 step 7: the parameter, else the header, else what the registrar likes. What is malformed counts as absent.
fn expires(
    address: &NameAddr<'_>,
    header: Option<u32>,
    config: &RegistrarConfig,
) -> Result<Duration, RegisterRefused> {
    let asked = address.params.value("expires").and_then(decimal).or(header);
    let Some(seconds) = asked else {
        return Ok(config.default_expires);
    };
    let asked = Duration::from_secs(u64::from(seconds));
    if !asked.is_zero() && asked < config.min_expires {
        return Err(RegisterRefused {
            status: 423,
            rule: "expiry below the minimum",
            headers: vec![("Min-Expires", config.min_expires.as_secs().to_string())],
        });
    }
    Ok(asked.min(config.max_expires))
}

fn path(request: &Frame<'_>) -> Result<Vec<String>, RegisterRefused> {
    let mut all = Vec::new();
    for value in request.values(HeaderId::Path) {
        let hop = NameAddr::parse(value).map_err(|_| bad("Path cannot be read"))?;
        if all.len() == MAX_PATH {
            return Err(bad("more than 8 Path values"));
        }
        // It becomes a Route of ours, which must be loose.
        if !hop.uri.params.has("lr") {
            return Err(bad("Path is not a loose route"));
        }
        let uri = kept(hop.uri.as_bytes(), MAX_URI).ok_or(bad("Path is too long or unfit"))?;
        all.push(format!("<{uri}>"));
    }
    Ok(all)
}

/// Whether the edge proxy of a Path keeps flows (RFC 5626 §5.1).
fn has_ob(edge: &str) -> bool {
    NameAddr::parse(edge.as_bytes()).is_ok_and(|edge| edge.uri.params.has("ob"))
}

fn address_of_record(to: &Uri<'_>) -> String {
    let user = String::from_utf8_lossy(to.user.unwrap_or_default());
    let port = to.port.map(|port| format!(":{port}")).unwrap_or_default();
    match to.scheme {
        Scheme::Sips => format!("sips:{user}@{}{port}", to.host),
        Scheme::Sip => format!("sip:{user}@{}{port}", to.host),
        Scheme::Tel | Scheme::Other(_) => format!("tel:{user}"),
    }
}

/// Text of the peer that will stand in messages of ours: short, on one line, and without quotes that could end a string.
fn kept(octets: &[u8], most: usize) -> Option<String> {
    let fits = |octet: &u8| octet.is_ascii_graphic() && !matches!(octet, b'"' | b'\\');
    if octets.is_empty() || octets.len() > most || !octets.iter().all(fits) {
        return None;
    }
    String::from_utf8(octets.to_vec()).ok()
}

/// `0.5` is 500; what cannot be read counts as 1 (RFC 3261 §25.1, qvalue).
fn thousandths(text: &[u8]) -> u16 {
    let (whole, part) = split_once(text, b'.');
    let part = part.unwrap_or_default();
    match whole {
        b"0" if part.len() <= 3 && part.iter().all(u8::is_ascii_digit) => {
            let digits = part.iter().chain(b"000").take(3);
            digits.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
        }
        _ => 1_000,
    }
}

fn user_agent(request: &Frame<'_>) -> Option<String> {
    let text = String::from_utf8_lossy(request.header(HeaderId::UserAgent)?);
    let plain = text
        .chars()
        .map(|sign| if sign.is_control() { ' ' } else { sign });
    Some(plain.take(MAX_USER_AGENT).collect())
}
