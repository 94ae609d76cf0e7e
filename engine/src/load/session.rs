//! The session descriptions of the load generator: one G.711 stream with telephone events, offered and understood. Nothing else is.

use std::net::SocketAddr;

use trunkline_sip::Sdp;

use super::Law;

/// Payload type of telephone events that we offer.
pub(super) const EVENTS: u8 = 101;

/// Where and how the far end wants its audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remote {
    /// Its RTP address.
    pub(super) audio: SocketAddr,
    /// Payload type of its telephone events.
    pub(super) events: Option<u8>,
}

/// An offer, or the answer to one: the same, since it holds one codec.
pub(super) fn describe(local: SocketAddr, law: Law) -> String {
    let (ip, port) = (local.ip(), local.port());
    let family = if ip.is_ipv6() { "IP6" } else { "IP4" };
    let (kind, name) = (law.payload_type(), law.name());
    format!(
        "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {kind} {EVENTS}\r\n\
         a=rtpmap:{kind} {name}/8000\r\na=rtpmap:{EVENTS} telephone-event/8000\r\na=fmtp:{EVENTS} 0-15\r\na=ptime:20\r\na=rtcp-mux\r\na=sendrecv\r\n"
    )
}

/// Reads the other side's description.
///
/// # Errors
/// Says what of it cannot be used.
pub(super) fn understand(body: &[u8], law: Law) -> Result<Remote, String> {
    let sdp = Sdp::parse(body)
        .map_err(|error| format!("its session description cannot be read: {error}"))?;
    let audio = sdp
        .media
        .iter()
        .find(|media| media.kind == "audio" && media.port != 0);
    let audio = audio.ok_or("it takes no audio")?;
    let ip = sdp
        .connection_of(audio)
        .and_then(|connection| connection.ip());
    let ip = ip.ok_or("its session description holds no IP address")?;
    if !audio.payload_types().any(|kind| kind == law.payload_type()) {
        return Err(format!("it does not take {}", law.name()));
    }
    let maps = audio.rtpmaps();
    let is_event = |kind: &u8| {
        let map = maps.get(usize::from(*kind)).and_then(Option::as_ref);
        map.is_some_and(|map| {
            map.name.eq_ignore_ascii_case("telephone-event") && map.clock_rate == 8000
        })
    };
    let events = audio.payload_types().find(is_event);
    Ok(Remote {
        audio: SocketAddr::new(ip, audio.port),
        events,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_described_is_understood() {
        for (local, law) in [("192.0.2.1:4000", Law::Mu), ("[2001:db8::1]:4002", Law::A)] {
            let local: SocketAddr = local.parse().unwrap();
            let expected = Remote {
                audio: local,
                events: Some(EVENTS),
            };
            assert_eq!(
                understand(describe(local, law).as_bytes(), law),
                Ok(expected)
            );
        }
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let local = "192.0.2.1:4000".parse().unwrap();
        let described = describe(local, Law::Mu);
        for (body, expected) in [
            ("", "cannot be read"),
            (&*described.replace("m=audio 4000", "m=audio 0"), "no audio"),
            (&*describe(local, Law::A), "does not take PCMU"),
            (
                &*described.replace("c=IN IP4 192.0.2.1", "c=IN IP4 somewhere"),
                "no IP address",
            ),
        ] {
            let said = understand(body.as_bytes(), Law::Mu).unwrap_err();
            assert!(said.contains(expected), "{said}");
        }
    }
}
