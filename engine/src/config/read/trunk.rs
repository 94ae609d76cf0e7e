//! Reads `[[trunk]]`.
use super::login::password;
use super::media::{own_codecs, own_dtmf, own_dtmf_profile, own_srtp};
use super::tones::own_country;
use super::value::{
    flag, header_text, list_of, name, network, optional_count, prefix, seconds, seconds_or_none,
    split_host_port,
};
use super::{Field, Sources, Table, repeated};
use crate::config::Secret;
use crate::config::types::*;

/// The most targets of a trunk.
const MAX_TARGETS: usize = 32;

/// Reads every `[[trunk]]`.
pub(super) fn trunks(
    root: &mut Table<'_>,
    media: &Media,
    tones: &Tones,
    sources: &Sources<'_>,
) -> Vec<Trunk> {
    let mut trunks: Vec<Trunk> = Vec::new();
    for field in super::entries(root, "trunk") {
        let Some(table) = field.table() else { continue };
        let Some((named, trunk)) = trunk(table, media, tones, sources) else {
            continue;
        };
        if let Some(earlier) = trunks.iter().find(|each| each.name == trunk.name) {
            repeated(&named, &trunk.name, earlier.at);
            continue;
        }
        if !trunk.authenticate_inbound {
            warn_shared_network(&named, &trunk, &trunks);
        }
        trunks.push(trunk);
    }
    trunks
}

/// Of two trunks that call from the same address without a password, only the first would ever be known.
fn warn_shared_network(named: &Field<'_>, trunk: &Trunk, earlier: &[Trunk]) {
    for other in earlier {
        let shared = trunk.acl.iter().find(|network| {
            other
                .acl
                .iter()
                .any(|theirs| theirs.overlaps(network) && theirs.bits() == network.bits())
        });
        if let Some(network) = shared {
            named.warning(format!(
                "shares {network} of acl with trunk \"{}\" (line {}): calls from there count as that trunk's",
                other.name, other.at.line
            ));
        }
    }
}

fn trunk<'a>(
    mut table: Table<'a>,
    media: &Media,
    tones: &Tones,
    sources: &Sources<'_>,
) -> Option<(Field<'a>, Trunk)> {
    let named = table.required("name");
    let login = login(&mut table, sources);
    let targets = targets(&mut table);
    let register = register(&mut table, &targets, login.as_ref());
    let acl = table
        .field("acl")
        .map(|f| list_of(&f, network))
        .unwrap_or_default();
    let authenticate_inbound = flag(&mut table, "authenticate_inbound", false);
    if authenticate_inbound && login.is_none() && !table.failed() {
        table.error("authenticate_inbound = true needs username and password");
    }
    let trunk = Trunk {
        name: String::new(),
        login,
        register,
        targets,
        acl,
        authenticate_inbound,
        options_interval: seconds_or_none(&mut table, "options_interval_s", 60),
        failover_timeout: seconds(&mut table, "failover_timeout_s", 1, 5),
        limits: limits(&mut table),
        codecs: own_codecs(&mut table, &media.codecs),
        dtmf: own_dtmf(&mut table, media.dtmf),
        dtmf_profile: own_dtmf_profile(&mut table),
        srtp: own_srtp(&mut table, media.srtp),
        tones: own_country(&mut table, "tones", tones.country),
        progress: flag(&mut table, "progress", false),
        identity: identity(&mut table),
        numbering: numbering(&mut table),
        pass_headers: table
            .field("pass_headers")
            .map(|f| list_of(&f, header_pattern))
            .unwrap_or_default(),
        at: table.at,
    };
    if trunk.targets.is_empty() && trunk.acl.is_empty() && !authenticate_inbound && !table.failed()
    {
        table.warning("has neither target nor acl: it can neither call nor be called");
    }
    table.finish();
    let named = named?;
    let name = name(&named)?.to_owned();
    let at = named.at();
    Some((named, Trunk { name, at, ..trunk }))
}

fn login(table: &mut Table<'_>, sources: &Sources<'_>) -> Option<Login> {
    let username = table.field("username");
    let secret = password(table, sources);
    let realm = table.field("auth_realm");
    let realm = realm.and_then(|f| header_text(&f)).map(str::to_owned);
    let given = table.has("password") || table.has("password_file");
    if username.is_some() != given {
        let missing = if given { "username" } else { "password" };
        table.error(format!(
            "username and password go together: \"{missing}\" is missing"
        ));
        return None;
    }
    if realm.is_some() && username.is_none() {
        table.error("auth_realm is the realm of a password, and there is none");
    }
    let username = header_text(&username?)?.to_owned();
    let password: Secret = secret?;
    Some(Login {
        username,
        password,
        realm,
    })
}

fn register(table: &mut Table<'_>, targets: &[Target], login: Option<&Login>) -> Option<Register> {
    let wanted = flag(table, "register", false);
    let registrar = table.field("registrar").and_then(|f| uri(&f));
    let expires = seconds(table, "register_expires_s", 60, 300);
    if !wanted {
        return None;
    }
    if login.is_none() && !table.failed() {
        table.error("register = true needs username and password");
    }
    let first = targets.first().map(|target| target.uri.clone());
    let Some(registrar) = registrar.or(first) else {
        if !table.failed() {
            table.error("register = true needs a registrar or a target");
        }
        return None;
    };
    Some(Register { registrar, expires })
}

/// `target = "…"` or `targets = [ … ]`, by priority.
fn targets(table: &mut Table<'_>) -> Vec<Target> {
    let one = table.field("target");
    let many = table.field("targets");
    if let (Some(_), Some(many)) = (&one, &many) {
        many.error("\"target\" and \"targets\" are both given; keep one");
    }
    let mut targets: Vec<Target> = one.iter().filter_map(plain_target).collect();
    let Some(many) = many else { return targets };
    let items = many.list().unwrap_or_default();
    if items.len() > MAX_TARGETS {
        many.error(format!("has more than {MAX_TARGETS} targets, the limit"));
    }
    targets.extend(items.iter().filter_map(target));
    targets.sort_by_key(|target| target.priority);
    targets
}

fn plain_target(field: &Field<'_>) -> Option<Target> {
    Some(Target {
        uri: uri(field)?,
        priority: 1,
        weight: 10,
    })
}

fn target(field: &Field<'_>) -> Option<Target> {
    if field.text().is_some() {
        return plain_target(field);
    }
    let mut table = field.table_or(
        "\"sip:HOST\", or a table such as { uri = \"sip:HOST\", priority = 1, weight = 10 }",
    )?;
    let found = table.required("uri").and_then(|f| uri(&f));
    let number = |table: &mut Table<'_>, key, default| {
        optional_count(table, key, 0..=65_535).map_or(default, |number| number as u16)
    };
    let (priority, weight) = (
        number(&mut table, "priority", 1),
        number(&mut table, "weight", 10),
    );
    table.finish();
    Some(Target {
        uri: found?,
        priority,
        weight,
    })
}

/// `sip:HOST[:PORT][;transport=…]`; the scheme may be left out.
fn uri(field: &Field<'_>) -> Option<TrunkUri> {
    const FORM: &str = "\"sip:HOST\", with or without \":PORT\" and \";transport=udp\" (or tcp, tls, ws, wss), or \"sips:HOST\"";
    let text = field.string()?;
    let (secure, rest) = match (text.strip_prefix("sip:"), text.strip_prefix("sips:")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => (false, text),
    };
    let (host, parameter) = match rest.split_once(';') {
        Some((host, parameter)) => (host, Some(parameter)),
        None => (rest, None),
    };
    let Some(address) = split_host_port(host) else {
        return field.expected(FORM);
    };
    let transport = match parameter {
        None => None,
        Some(parameter) => match parameter.strip_prefix("transport=") {
            Some(name) => Some(super::sip::transport_named(field, name)?),
            None => return field.expected(FORM),
        },
    };
    if secure
        && transport.is_some_and(|transport| !transport.is_secure() && transport != Transport::Tcp)
    {
        return field.expected("\"sips:\" with a transport that can be secure: tls or wss");
    }
    Some(TrunkUri {
        secure,
        address,
        transport,
    })
}

fn limits(table: &mut Table<'_>) -> TrunkLimits {
    let prefixes = |table: &mut Table<'_>, key| {
        let given = table.field(key).map(|f| list_of(&f, prefix));
        given.unwrap_or_default()
    };
    TrunkLimits {
        max_calls: optional_count(table, "max_calls", 1..=100_000),
        max_cps: optional_count(table, "max_cps", 1..=100_000).map(|number| number as u32),
        allowed_prefixes: prefixes(table, "allowed_prefixes"),
        denied_prefixes: prefixes(table, "denied_prefixes"),
        prefix_max_calls: table
            .field("prefix_max_calls")
            .map(|f| list_of(&f, prefix_limit))
            .unwrap_or_default(),
    }
}

fn prefix_limit(field: &Field<'_>) -> Option<PrefixLimit> {
    let mut table = field.table_or("a table such as { prefix = \"+1\", calls = 5 }")?;
    let found = table.required("prefix").and_then(|f| prefix(&f));
    let calls = table.required("calls").and_then(|f| f.integer(0..=100_000));
    table.finish();
    Some(PrefixLimit {
        prefix: found?,
        calls: calls? as usize,
    })
}

fn identity(table: &mut Table<'_>) -> TrunkIdentity {
    let privacy = [
        ("pass", PrivacyPolicy::Pass),
        ("strip", PrivacyPolicy::Strip),
        ("always", PrivacyPolicy::Always),
    ];
    TrunkIdentity {
        from_user: table
            .field("from_user")
            .and_then(|f| name(&f))
            .map(str::to_owned),
        from_domain: table.field("from_domain").and_then(|f| domain(&f)),
        caller_id: table
            .field("caller_id")
            .and_then(|f| caller_id(&f))
            .unwrap_or(CallerId::Passthrough),
        pai: flag(table, "pai", true),
        privacy: table
            .field("privacy")
            .and_then(|f| f.choice(&privacy))
            .unwrap_or(PrivacyPolicy::Pass),
        diversion: flag(table, "diversion", true),
        trust_identity: flag(table, "trust_identity", false),
    }
}

fn domain(field: &Field<'_>) -> Option<String> {
    match split_host_port(field.string()?) {
        Some(found) if found.port.is_none() => Some(found.host),
        _ => field.expected("a host name or IP address"),
    }
}

fn caller_id(field: &Field<'_>) -> Option<CallerId> {
    const FORM: &str = "\"passthrough\", or \"fixed:NUMBER\" such as \"fixed:+4930123456\"";
    let text = field.string()?;
    if text == "passthrough" {
        return Some(CallerId::Passthrough);
    }
    let number = text.strip_prefix("fixed:").filter(|number| {
        let digits = number.strip_prefix('+').unwrap_or(number);
        (1..=32).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    match number {
        Some(number) => Some(CallerId::Fixed(number.to_owned())),
        None => field.expected(FORM),
    }
}

fn numbering(table: &mut Table<'_>) -> Numbering {
    let digits = |table: &mut Table<'_>, key: &'static str| -> Option<String> {
        let field = table.field(key)?;
        let text = field.string()?;
        let fits = text.len() <= 8 && text.bytes().all(|byte| byte.is_ascii_digit());
        match fits {
            true => Some(text.to_owned()),
            false => field.expected("at most 8 digits"),
        }
    };
    let country_code = table.field("country_code").and_then(|f| country_code(&f));
    Numbering {
        country_code,
        international_prefix: digits(table, "international_prefix")
            .unwrap_or_else(|| "00".to_owned()),
        national_prefix: digits(table, "national_prefix").unwrap_or_else(|| "0".to_owned()),
        rewrite: table
            .field("rewrite")
            .map(|f| list_of(&f, rewrite))
            .unwrap_or_default(),
    }
}

/// ITU-T E.164 §6.2.1: one to three digits, the first not 0.
fn country_code(field: &Field<'_>) -> Option<String> {
    let text = field.string()?;
    let digits = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits && !text.starts_with('0') {
        return Some(text.to_owned());
    }
    field.expected("a country code without \"+\", such as \"49\"")
}

fn rewrite(field: &Field<'_>) -> Option<Rewrite> {
    let mut table = field.table_or("a table such as { prefix = \"+49\", replace = \"0\" }")?;
    let part = |table: &mut Table<'_>, key| -> Option<String> {
        let field = table.required(key)?;
        match field.string()? {
            "" => Some(String::new()),
            _ => prefix(&field),
        }
    };
    let (prefix, replace) = (part(&mut table, "prefix"), part(&mut table, "replace"));
    table.finish();
    Some(Rewrite {
        prefix: prefix?,
        replace: replace?,
    })
}

/// A header's name, or its beginning and `*`. Those that the call itself is made of never pass.
fn header_pattern(field: &Field<'_>) -> Option<String> {
    const OURS: [&str; 19] = [
        "Via",
        "From",
        "To",
        "Call-ID",
        "CSeq",
        "Contact",
        "Route",
        "Record-Route",
        "Max-Forwards",
        "Content-Type",
        "Content-Length",
        "Content-Encoding",
        "Content-Disposition",
        "Authorization",
        "Proxy-Authorization",
        "Require",
        "Supported",
        "Session-Expires",
        "RSeq",
    ];
    let text = field.string()?;
    let name = text.strip_suffix('*').unwrap_or(text);
    // RFC 3261 §25.1: token.
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%_+`'~".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(token) {
        return field.expected(
            "the name of a header such as \"User-to-User\", or its beginning and a star, \"X-*\"",
        );
    }
    let hidden = OURS.iter().find(|ours| match text.ends_with('*') {
        true => ours.len() >= name.len() && ours[..name.len()].eq_ignore_ascii_case(name),
        false => ours.eq_ignore_ascii_case(name),
    });
    if let Some(hidden) = hidden {
        field.error(format!(
            "would pass {hidden}, which each leg has of its own"
        ));
        return None;
    }
    Some(text.to_owned())
}
