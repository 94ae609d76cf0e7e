//! Offer/answer (RFC 3264) for one audio stream with telephone events (RFC 4733) over RTP or SRTP.
//!
//! **Which codec.** The answer names one codec, so that no peer switches in mid-call: the first of *our* preference list
//! that the offer holds; when the offer names that codec under two numbers, the first in the offerer's order. The answer
//! uses the offer's payload type numbers. **Which stream.** The first usable audio line, an encrypted one before a plain
//! one; every other line is refused with port 0, its protocol and formats repeated. **Encryption**: `srtp`.
//! **ICE** is answered as a lite agent where it is offered, and never offered: [`crate::ice`]. DTLS and bundling are not
//! offered and not accepted here.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

mod description;
mod formats;
mod opus;
mod srtp;

use self::description::{accepted, audio_line, description, finish_audio, refused};
use self::formats::{Formats, add_codec, offer_events};
pub use self::opus::OpusFormat;
pub use self::srtp::{LocalSrtp, NegotiatedSrtp, Profile};
pub use crate::direction::Direction;
pub use crate::encoding::Encoding;
use crate::ice::{IceCredentials, OfferedIce};
use crate::sdes::SrtpPolicy;
use crate::sdp::{Attribute, Connection, MediaDescription, Sdp};

/// Our side of a negotiation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalMedia {
    /// The address media is received on.
    pub address: IpAddr,
    /// The RTP port; RTCP is the next one.
    pub port: u16,
    /// `o=` session id; constant for a leg.
    pub session_id: u64,
    /// `o=` session version; one more for each description that differs from the last (RFC 3264 section 8).
    pub session_version: u64,
    /// Codecs in order of preference.
    pub codecs: Vec<Encoding>,
    /// Whether telephone events are offered and accepted.
    pub telephone_event: bool,
    /// Whether comfort noise is accepted where it is offered.
    pub comfort_noise: bool,
    /// Packet duration in ms when the peer has no wish.
    pub ptime_ms: u8,
    /// What we want to do; the answer never allows more than the offer.
    pub direction: Direction,
    /// Whether the audio is encrypted, and our keys.
    pub srtp: LocalSrtp,
    /// What we answer where the peer offers ICE; `None`: as if it had not.
    pub ice: Option<IceCredentials>,
}

/// What both sides agreed on, from our side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The codec, both ways.
    pub encoding: Encoding,
    /// Payload type we send.
    pub payload_send: u8,
    /// Payload type we receive.
    pub payload_recv: u8,
    /// Other codecs that both sides have named, with the payload types we receive them with: a peer may switch.
    pub also: Vec<(Encoding, u8)>,
    /// What the peer wants of Opus, where that is the codec.
    pub opus: OpusFormat,
    /// Payload type of comfort noise (RFC 3389) at the codec's clock, both ways; `None` when not agreed.
    pub comfort_noise: Option<u8>,
    /// Payload type of telephone events we send; `None` when not agreed.
    pub telephone_event_send: Option<u8>,
    /// Payload type of telephone events we receive.
    pub telephone_event_recv: Option<u8>,
    /// What the durations of telephone events count in, in Hz: the codec's clock, or 8000 where the peer has no other.
    pub telephone_event_clock: u32,
    /// Where RTP goes; an unspecified address while held in the manner of RFC 2543.
    pub remote_rtp: SocketAddr,
    /// Where RTCP goes; `None` when the peer has no port for it, or holds in the manner of RFC 2543.
    pub remote_rtcp: Option<SocketAddr>,
    /// RTCP shares the RTP port (RFC 5761).
    pub rtcp_mux: bool,
    /// What we do.
    pub direction: Direction,
    /// Packet duration to send, in ms: a multiple of 10 from 10 to 60.
    pub ptime_ms: u8,
    /// The peer does not want to hear us: `sendonly`, `inactive`, or the address 0.0.0.0 or `::`.
    pub held: bool,
    /// The profile of the `m=` line.
    pub profile: Profile,
    /// The keys; `None` for plain RTP.
    pub srtp: Option<NegotiatedSrtp>,
    /// What the peer offered of ICE; we answer its checks when it makes some.
    pub ice: OfferedIce,
}

/// Why nothing could be agreed; answered with 488 and this warning (RFC 3261 section 20.43).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The warn-code: 300 network protocol, 301 address format, 302 transport, 304 media type, 305 format, 330 multicast,
    /// 399 other.
    pub warning: u16,
    /// The warn-text, without quotes.
    pub text: &'static str,
    /// A short, fixed name: `offer-refused`, or one that begins with `srtp-` where it is about encryption.
    pub rule: &'static str,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.warning)
    }
}

impl std::error::Error for Refusal {}

const fn refusal(warning: u16, text: &'static str) -> Refusal {
    Refusal {
        warning,
        text,
        rule: "offer-refused",
    }
}

/// One that is about encryption.
const fn srtp_refusal(rule: &'static str, text: &'static str) -> Refusal {
    Refusal {
        warning: 302,
        text,
        rule,
    }
}

/// Shortest and longest packet duration we send, in ms.
const PTIME_RANGE: (u8, u8) = (10, 60);

/// Answers an offer: the session description to send, and what was agreed. A [`Refusal`] when no audio stream of the
/// offer can be used.
pub fn answer(offer: &Sdp, local: &LocalMedia) -> Result<(Sdp, Negotiated), Refusal> {
    let mut first_refusal = None;
    let mut agreed: Option<(usize, Negotiated)> = None;
    for (index, media) in offer.media.iter().enumerate() {
        match negotiate_offered(offer, media, local) {
            Ok(negotiated) => {
                let secure = negotiated.srtp.is_some();
                if agreed.is_none() || secure {
                    agreed = Some((index, negotiated));
                }
                if secure || local.srtp.policy == SrtpPolicy::Never {
                    break;
                }
            }
            Err(refusal) => {
                let worth = |refusal: &Refusal| refusal.warning != NOT_AUDIO.warning;
                first_refusal = first_refusal.filter(worth).or(Some(refusal));
            }
        }
    }
    let Some((chosen, negotiated)) = agreed else {
        return Err(first_refusal.unwrap_or(NOT_AUDIO));
    };
    let mut sdp = description(local);
    if local.ice.is_some() && matches!(negotiated.ice, OfferedIce::Checks(_)) {
        sdp.attributes.push(Attribute::flag("ice-lite"));
    }
    // RFC 3264 section 6: the t= line of the answer equals that of the offer.
    sdp.lines = offer
        .lines
        .iter()
        .filter(|(letter, _)| *letter == 't')
        .cloned()
        .collect();
    sdp.media = offer
        .media
        .iter()
        .enumerate()
        .map(|(index, media)| {
            if index == chosen {
                accepted(media, local, &negotiated)
            } else {
                refused(media)
            }
        })
        .collect();
    Ok((sdp, negotiated))
}

/// Offers our codecs in order of preference, telephone events, and our keys where SRTP is allowed.
pub fn offer(local: &LocalMedia) -> Sdp {
    let mut media = audio_line(local.port, local.srtp.offered_profile().name());
    for &encoding in &local.codecs {
        add_codec(&mut media, encoding.payload_type(), encoding);
    }
    if local.telephone_event {
        offer_events(&mut media, &local.codecs);
    }
    finish_audio(&mut media, local.ptime_ms, local.direction);
    local.srtp.offer(&mut media);
    let mut sdp = description(local);
    sdp.media.push(media);
    sdp
}

/// Reads the answer to our offer. `policy` is that of our side; an answer in the clear is refused where it requires SRTP.
pub fn accept(our_offer: &Sdp, answer: &Sdp, policy: SrtpPolicy) -> Result<Negotiated, Refusal> {
    let index = our_offer
        .media
        .iter()
        .position(is_active_audio)
        .ok_or(NOT_AUDIO)?;
    let ours = &our_offer.media[index];
    let theirs = answer
        .media
        .get(index)
        .ok_or(refusal(399, "The answer has fewer m= lines than the offer"))?;
    let profile = check_kept(ours, theirs)?;
    let srtp = srtp::of_answer(ours, theirs, profile, policy)?;
    let mine = Formats::of(ours);
    let local = offered(our_offer, ours, &mine)?;
    // RFC 3264 section 6.1: the answerer lists what it will use in its own order, so its first codec counts.
    let chosen = Formats::of(theirs)
        .codecs
        .into_iter()
        .find(|(encoding, _)| local.codecs.contains(encoding));
    let (encoding, _) = chosen.ok_or(refusal(305, "The answer holds no codec of the offer"))?;
    let mut negotiated = negotiate(
        answer,
        theirs,
        &LocalMedia {
            codecs: vec![encoding],
            ..local
        },
    )?;
    negotiated.srtp = srtp;
    // We receive on the numbers of our own offer.
    negotiated.payload_recv = mine.number(encoding).unwrap_or(negotiated.payload_recv);
    let others = mine.codecs.iter();
    negotiated.also = others
        .filter(|(offered, _)| *offered != encoding)
        .copied()
        .collect();
    negotiated.telephone_event_recv = negotiated
        .telephone_event_send
        .and_then(|_| mine.events_at(negotiated.telephone_event_clock));
    if negotiated.rtcp_mux && ours.attribute("rtcp-mux").is_none() {
        negotiated.rtcp_mux = false;
        negotiated.remote_rtcp = next_port(negotiated.remote_rtp);
    }
    Ok(negotiated)
}

/// What an answer may not change about the stream it takes (RFC 3264 section 6). Returns its profile.
fn check_kept(ours: &MediaDescription, theirs: &MediaDescription) -> Result<Profile, Refusal> {
    if !theirs.kind.eq_ignore_ascii_case(&ours.kind) {
        return Err(refusal(304, "The answer changed the media type"));
    }
    if theirs.port == 0 {
        return Err(refusal(305, "The answer refuses the audio stream"));
    }
    Profile::of(&theirs.protocol)
        .filter(|_| theirs.protocol.eq_ignore_ascii_case(&ours.protocol))
        .ok_or(refusal(302, "The answer changed the transport protocol"))
}

/// Our side, as our own offer states it.
fn offered(sdp: &Sdp, ours: &MediaDescription, mine: &Formats) -> Result<LocalMedia, Refusal> {
    let address = sdp.connection_of(ours).and_then(Connection::ip);
    Ok(LocalMedia {
        address: address.ok_or(refusal(301, "Our offer has no address"))?,
        port: ours.port,
        session_id: 0,
        session_version: 0,
        codecs: mine.codecs.iter().map(|(encoding, _)| *encoding).collect(),
        telephone_event: mine.has_events(),
        comfort_noise: false,
        ptime_ms: ptime_attribute(ours, "ptime").unwrap_or(20),
        direction: direction_of(sdp, ours),
        srtp: LocalSrtp::default(),
        ice: None,
    })
}

const NOT_AUDIO: Refusal = refusal(304, "No active audio stream");

fn is_active_audio(media: &MediaDescription) -> bool {
    media.kind.eq_ignore_ascii_case("audio") && media.port != 0
}

/// What `theirs`, one line of an offer, and we can do together.
fn negotiate_offered(
    offer: &Sdp,
    theirs: &MediaDescription,
    local: &LocalMedia,
) -> Result<Negotiated, Refusal> {
    let mut negotiated = negotiate(offer, theirs, local)?;
    negotiated.srtp = srtp::of_offer(theirs, negotiated.profile, &local.srtp)?;
    negotiated.ice = OfferedIce::of(offer, theirs, negotiated.remote_rtp);
    Ok(negotiated)
}

/// What `theirs`, offer or answer, and we can do together, encryption and ICE aside.
fn negotiate(
    sdp: &Sdp,
    theirs: &MediaDescription,
    local: &LocalMedia,
) -> Result<Negotiated, Refusal> {
    if !is_active_audio(theirs) {
        return Err(NOT_AUDIO);
    }
    let profile = Profile::of(&theirs.protocol).ok_or(refusal(
        302,
        "Only RTP/AVP, AVPF, SAVP and SAVPF are spoken here",
    ))?;
    let formats = Formats::of(theirs);
    let by_preference = local
        .codecs
        .iter()
        .find_map(|ours| formats.codecs.iter().find(|(codec, _)| codec == ours));
    let &(encoding, payload) = by_preference.ok_or(refusal(305, "No common audio codec"))?;
    let address = usable_address(sdp, theirs, local)?;
    let peer = direction_of(sdp, theirs);
    let held = address.is_unspecified() || !peer.receives();
    let remote_rtp = SocketAddr::new(address, theirs.port);
    let rtcp_mux = theirs.attribute("rtcp-mux").is_some();
    let events = formats
        .events_for(encoding)
        .filter(|_| local.telephone_event);
    let telephone_event = events.map(|events| events.number);
    let comfort_noise = formats.comfort_noise_for(encoding);
    let common = |(codec, _): &&(Encoding, u8)| *codec != encoding && local.codecs.contains(codec);
    Ok(Negotiated {
        encoding,
        payload_send: payload,
        payload_recv: payload,
        also: formats.codecs.iter().filter(common).copied().collect(),
        opus: OpusFormat::of(theirs, payload),
        comfort_noise: comfort_noise.filter(|_| local.comfort_noise),
        telephone_event_clock: events.map_or(encoding.clock_rate(), |events| events.clock_rate),
        telephone_event_send: telephone_event,
        telephone_event_recv: telephone_event,
        remote_rtp,
        remote_rtcp: match rtcp_mux {
            // RFC 3264 section 8.4: neither RTP nor RTCP goes to the unspecified address.
            _ if address.is_unspecified() => None,
            true => Some(remote_rtp),
            false => rtcp_address(theirs, remote_rtp),
        },
        rtcp_mux,
        direction: Direction::new(
            local.direction.sends() && !held,
            local.direction.receives() && peer.sends(),
        ),
        ptime_ms: packet_duration(theirs, local.ptime_ms),
        held,
        profile,
        srtp: None,
        ice: OfferedIce::None,
    })
}

/// Where the peer wants its media: one host of our address family.
fn usable_address(
    sdp: &Sdp,
    theirs: &MediaDescription,
    local: &LocalMedia,
) -> Result<IpAddr, Refusal> {
    let connection = sdp.connection_of(theirs);
    let address = connection
        .ok_or(refusal(301, "No c= line"))?
        .ip()
        .ok_or(refusal(301, "Host names in c= are not resolved"))?;
    // An unspecified address is hold in the manner of RFC 2543 whatever its family (RFC 3264 section 8.4).
    if !address.is_unspecified() && address.is_ipv6() != local.address.is_ipv6() {
        return Err(refusal(301, "Incompatible network address formats"));
    }
    if is_many_hosts(address) {
        return Err(refusal(330, "Multicast is not spoken here"));
    }
    Ok(address)
}

/// What is sent there would reach hosts that never asked for it.
fn is_many_hosts(address: IpAddr) -> bool {
    address.is_multicast() || matches!(address, IpAddr::V4(v4) if v4.is_broadcast())
}

/// The direction stated at the media, else at the session, else both ways.
fn direction_of(sdp: &Sdp, media: &MediaDescription) -> Direction {
    Direction::from_attributes(&media.attributes)
        .or_else(|| Direction::from_attributes(&sdp.attributes))
        .unwrap_or(Direction::SendRecv)
}

/// `a=rtcp:port [IN IP4 address]` (RFC 3605), else the port after RTP.
fn rtcp_address(media: &MediaDescription, rtp: SocketAddr) -> Option<SocketAddr> {
    let Some(Some(value)) = media.attribute("rtcp") else {
        return next_port(rtp);
    };
    let mut fields = value.split_ascii_whitespace();
    let port = fields
        .next()?
        .parse()
        .ok()
        .filter(|&port: &u16| port != 0)?;
    let address = match fields.nth(2) {
        Some(address) => address
            .parse()
            .ok()
            .filter(|address: &IpAddr| address.is_ipv6() == rtp.is_ipv6())
            .filter(|address| !address.is_unspecified() && !is_many_hosts(*address))?,
        None => rtp.ip(),
    };
    Some(SocketAddr::new(address, port))
}

fn next_port(rtp: SocketAddr) -> Option<SocketAddr> {
    rtp.port()
        .checked_add(1)
        .map(|port| SocketAddr::new(rtp.ip(), port))
}

fn ptime_attribute(media: &MediaDescription, name: &str) -> Option<u8> {
    // Some peers write "20.0".
    let value = media.attribute(name).flatten()?;
    value.split('.').next()?.parse().ok()
}

/// The peer's ptime when we can packetise it, else ours; never above its maxptime.
fn packet_duration(media: &MediaDescription, ours: u8) -> u8 {
    let (shortest, longest) = PTIME_RANGE;
    let usable = |ms: &u8| (shortest..=longest).contains(ms) && ms.is_multiple_of(10);
    let wished = ptime_attribute(media, "ptime")
        .filter(usable)
        .unwrap_or(ours);
    match ptime_attribute(media, "maxptime") {
        Some(limit) if limit < wished => (limit / 10 * 10).max(shortest),
        _ => wished,
    }
}
