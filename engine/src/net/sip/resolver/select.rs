//! Which records of DNS are used and in which order (RFC 3263, RFC 2782). Pure: random numbers are an argument, nothing is asked.
//!
//! Limits: [`MAX_RECORDS`] records of an answer are looked at.
use trunkline_sip::Transport;

/// Records of one answer that are looked at; more are a mistake or an attack.
const MAX_RECORDS: usize = 64;

/// A NAPTR record (RFC 3403 §4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naptr {
    /// Lower ones come first.
    pub order: u16,
    /// Lower ones come first within an order.
    pub preference: u16,
    /// `s`: the replacement is the name of SRV records.
    pub flags: String,
    /// The service, such as `SIP+D2U`.
    pub service: String,
    /// The next name to ask for.
    pub replacement: String,
}

/// An SRV record (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Srv {
    /// Lower ones come first.
    pub priority: u16,
    /// How often it is drawn among those of its priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host; `.` says that there is no such service.
    pub target: String,
}

/// The names of SRV records to ask for, best first, from NAPTR records (RFC 3263 §4.1). Services we do not speak are left out, and
/// those that are not secure where `secure` is asked for.
pub(super) fn services(mut records: Vec<Naptr>, secure: bool) -> Vec<(Transport, String)> {
    records.truncate(MAX_RECORDS);
    records.sort_by_key(|record| (record.order, record.preference));
    records
        .into_iter()
        .filter(|record| record.flags.eq_ignore_ascii_case("s"))
        .filter_map(|record| Some((transport_of(&record.service)?, record.replacement)))
        .filter(|(transport, _)| !secure || transport.is_secure())
        .collect()
}

/// RFC 3263 §4.1, §9. WebSocket services (RFC 7118 §8.3) are left out: we do not connect to them.
fn transport_of(service: &str) -> Option<Transport> {
    match service.to_ascii_uppercase().as_str() {
        "SIP+D2U" => Some(Transport::Udp),
        "SIP+D2T" => Some(Transport::Tcp),
        "SIPS+D2T" => Some(Transport::Tls),
        _ => None,
    }
}

/// The name of the SRV records of a transport (RFC 3263 §4.1); `None` for WebSockets, which have none.
pub(super) fn service_name(transport: Transport, host: &str) -> Option<String> {
    match transport {
        Transport::Udp => Some(format!("_sip._udp.{host}")),
        Transport::Tcp => Some(format!("_sip._tcp.{host}")),
        Transport::Tls => Some(format!("_sips._tcp.{host}")),
        Transport::Ws | Transport::Wss => None,
    }
}

/// SRV records in the order in which they are to be tried (RFC 2782): by priority; within one, drawn by weight. `draw(n)` is a random
/// number from 0 to n, both included.
pub(super) fn order(mut records: Vec<Srv>, draw: &mut dyn FnMut(u32) -> u32) -> Vec<Srv> {
    records.truncate(MAX_RECORDS);
    records.retain(|record| record.target != "." && record.port != 0);
    // Those of weight 0 stand first, so that they are drawn by 0 only.
    records.sort_by_key(|record| (record.priority, record.weight != 0));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(first) = records.first() {
        let priority = first.priority;
        let equal = records
            .iter()
            .take_while(|record| record.priority == priority)
            .count();
        let weights = records[..equal]
            .iter()
            .map(|record| u32::from(record.weight));
        let drawn = draw(weights.clone().sum());
        let chosen = weights
            .scan(0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            })
            .position(|sum| sum >= drawn);
        // A draw beyond what was asked for is the last one.
        ordered.push(records.remove(chosen.unwrap_or(equal - 1)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naptr(order: u16, preference: u16, flags: &str, service: &str) -> Naptr {
        Naptr {
            order,
            preference,
            flags: flags.to_owned(),
            service: service.to_owned(),
            replacement: format!("{order}.{preference}.example"),
        }
    }

    fn srv(priority: u16, weight: u16, target: &str) -> Srv {
        Srv {
            priority,
            weight,
            port: 5060,
            target: target.to_owned(),
        }
    }

    #[test]
    fn services_we_speak_by_order_then_preference() {
        let records = vec![
            naptr(20, 1, "s", "SIP+D2U"),
            naptr(10, 9, "S", "SIPS+D2T"),
            naptr(10, 2, "s", "sip+d2t"),
            naptr(1, 1, "s", "SIP+D2S"),
            naptr(1, 2, "s", "SIP+D2W"),
            naptr(1, 3, "u", "SIP+D2U"),
        ];
        let all = [
            (Transport::Tcp, "10.2.example".to_owned()),
            (Transport::Tls, "10.9.example".to_owned()),
            (Transport::Udp, "20.1.example".to_owned()),
        ];
        assert_eq!(services(records.clone(), false), all);
        assert_eq!(services(records, true), all[1..2]);
    }

    #[test]
    fn priorities_come_in_order_and_weights_are_drawn() {
        let records = vec![
            srv(20, 0, "backup"),
            srv(10, 60, "big"),
            srv(10, 20, "small"),
            srv(10, 0, "zero"),
        ];
        // RFC 2782: running sums of those of priority 10 are zero 0, big 60, small 80.
        for (draws, expected) in [
            ([0, 0, 0, 0], ["zero", "big", "small", "backup"]),
            ([1, 0, 0, 0], ["big", "zero", "small", "backup"]),
            ([60, 20, 0, 0], ["big", "small", "zero", "backup"]),
            ([61, 60, 0, 0], ["small", "big", "zero", "backup"]),
            ([80, 0, 0, 0], ["small", "zero", "big", "backup"]),
        ] {
            let mut draws = draws.into_iter();
            let mut asked = Vec::new();
            let mut draw = |limit| {
                asked.push(limit);
                draws.next().unwrap()
            };
            let ordered = order(records.clone(), &mut draw);
            let targets: Vec<_> = ordered.iter().map(|srv| srv.target.as_str()).collect();
            assert_eq!(targets, expected);
            assert_eq!(asked[0], 80);
        }
    }

    #[test]
    fn a_service_that_says_it_does_not_exist_is_none() {
        assert!(order(vec![srv(0, 0, ".")], &mut |_| 0).is_empty());
    }

    #[test]
    fn a_long_answer_is_cut_and_a_wild_draw_harmless() {
        let records = vec![srv(1, 1, "a"); 5000];
        assert_eq!(order(records, &mut |_| u32::MAX).len(), MAX_RECORDS);
    }
}
