//! Reads `[[endpoint]]` and `[[ring_group]]`.
use super::login::password;
use super::media::{own_codecs, own_dtmf, own_dtmf_profile, own_srtp};
use super::value::{count, flag, header_text, list_of, name, optional_count, prefix, seconds};
use super::{Field, Sources, Table, entries, repeated, unknown};
use crate::config::types::*;

/// The most members of a ring group.
const MAX_MEMBERS: usize = 64;

/// Reads every `[[endpoint]]`.
pub(super) fn endpoints(
    root: &mut Table<'_>,
    media: &Media,
    sources: &Sources<'_>,
) -> Vec<Endpoint> {
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for field in entries(root, "endpoint") {
        let Some(table) = field.table() else { continue };
        let Some((user, extension, endpoint)) = endpoint(table, media, sources) else {
            continue;
        };
        let named = |name: &str| {
            endpoints
                .iter()
                .find(|each| each.user == name || each.extension.as_deref() == Some(name))
        };
        if let Some(earlier) = named(&endpoint.user) {
            repeated(&user, &endpoint.user, earlier.at);
            continue;
        }
        if let (Some(field), Some(text)) = (&extension, &endpoint.extension)
            && let Some(earlier) = named(text)
        {
            repeated(field, text, earlier.at);
        }
        endpoints.push(endpoint);
    }
    endpoints
}

type Read<'a> = (Field<'a>, Option<Field<'a>>, Endpoint);

fn endpoint<'a>(mut table: Table<'a>, media: &Media, sources: &Sources<'_>) -> Option<Read<'a>> {
    let user = table.required("user");
    let password = password(&mut table, sources);
    if !table.has("password") && !table.has("password_file") {
        table.error("needs \"password\" or \"password_file\"");
    }
    let extension = table.field("extension");
    let endpoint = Endpoint {
        user: String::new(),
        password: password.unwrap_or_default(),
        extension: extension
            .as_ref()
            .and_then(extension_text)
            .map(str::to_owned),
        name: table
            .field("name")
            .and_then(|f| header_text(&f))
            .map(str::to_owned),
        max_contacts: count(&mut table, "max_contacts", 1..=64, 5),
        transports: transports(&mut table),
        codecs: own_codecs(&mut table, &media.codecs),
        dtmf: own_dtmf(&mut table, media.dtmf),
        dtmf_profile: own_dtmf_profile(&mut table),
        srtp: own_srtp(&mut table, media.srtp),
        max_calls: optional_count(&mut table, "max_calls", 1..=100_000),
        allow_outbound: table.field("allow_outbound").map(|f| list_of(&f, prefix)),
        dnd: flag(&mut table, "dnd", false),
        at: table.at,
    };
    table.finish();
    let field = user?;
    let (user, at) = (name(&field)?.to_owned(), field.at());
    Some((
        field,
        extension,
        Endpoint {
            user,
            at,
            ..endpoint
        },
    ))
}

fn extension_text<'a>(field: &Field<'a>) -> Option<&'a str> {
    let text = field.string()?;
    let fits = |byte: u8| byte.is_ascii_digit() || b"*#+".contains(&byte);
    if (1..=32).contains(&text.len()) && text.bytes().all(fits) {
        return Some(text);
    }
    field.expected("a short number of digits, \"*\" and \"#\", in quotes")
}

fn transports(table: &mut Table<'_>) -> Vec<Transport> {
    let Some(field) = table.field("transports") else {
        return Transport::ALL.to_vec();
    };
    let found = list_of(&field, |item| {
        super::sip::transport_named(item, item.string()?)
    });
    if field.list().is_some_and(|items| items.is_empty()) {
        field.expected::<()>(
            "a list of at least one transport: \"udp\", \"tcp\", \"tls\", \"ws\", \"wss\"",
        );
    }
    found
}

/// Reads every `[[ring_group]]`.
pub(super) fn ring_groups(root: &mut Table<'_>, endpoints: &[Endpoint]) -> Vec<RingGroup> {
    let mut groups: Vec<RingGroup> = Vec::new();
    for field in entries(root, "ring_group") {
        let Some(table) = field.table() else { continue };
        let Some((named, group)) = ring_group(table, endpoints) else {
            continue;
        };
        let user = endpoints
            .iter()
            .find(|each| each.user == group.name || each.extension.as_ref() == Some(&group.name))
            .map(|each| each.at);
        let earlier = groups.iter().find(|each| each.name == group.name);
        if let Some(earlier) = earlier.map(|each| each.at).or(user) {
            repeated(&named, &group.name, earlier);
            continue;
        }
        groups.push(group);
    }
    groups
}

fn ring_group<'a>(mut table: Table<'a>, endpoints: &[Endpoint]) -> Option<(Field<'a>, RingGroup)> {
    let orders = [("all", RingOrder::All), ("one-by-one", RingOrder::OneByOne)];
    let named = table.required("name");
    let members = table.required("members");
    let order = table.field("order").and_then(|f| f.choice(&orders));
    let ring = seconds(&mut table, "ring_s", 1, 25);
    table.finish();
    let users = || endpoints.iter().map(|endpoint| endpoint.user.as_str());
    let member = |field: &Field<'a>| {
        let user = field.string()?;
        if !users().any(|known| known == user) {
            unknown(field, "endpoint", user, users());
        }
        Some(user.to_owned())
    };
    let list = members.as_ref().map(|field| list_of(field, member));
    if let Some(field) = &members {
        let given = field.list().map_or(1, |items| items.len());
        if given == 0 {
            field.expected::<()>("a list of at least one user of an [[endpoint]]");
        }
        if given > MAX_MEMBERS {
            field.error(format!("has more than {MAX_MEMBERS} members, the limit"));
        }
    }
    let named = named?;
    let group = RingGroup {
        name: name(&named)?.to_owned(),
        members: list.unwrap_or_default(),
        order: order.unwrap_or(RingOrder::All),
        ring,
        at: named.at(),
    };
    Some((named, group))
}
