//! The encryption of a channel's stream: what descriptions do to it, and where packets meet it.
//!
//! A packet is authentic before anything else is concluded from it: neither the latch nor the RTP timeout nor any statistics of the stream
//! see one that is not. A wrong tag is counted and ends nothing. Keys that stay the same over a description keep their roll-over counters
//! and replay windows; other keys begin anew, and the former receiving key is good until the first packet under the new one.

use super::channel::Stream;
use super::command::SrtpParams;
use super::stats::Dropped;
use crate::rtp::srtp::{Receiver, Sender, SrtpError};

/// The state of both directions.
#[derive(Debug)]
pub(crate) struct Secure {
    keys: SrtpParams,
    sender: Sender,
    receiver: Receiver,
    /// Of the key before, until the present one is heard.
    former: Option<Receiver>,
}

impl Secure {
    /// The state of a stream that begins with these keys.
    pub(crate) fn new(keys: SrtpParams) -> Secure {
        Secure {
            sender: Sender::new(&keys.send),
            receiver: Receiver::new(&keys.receive),
            former: None,
            keys,
        }
    }

    /// What a description, whose keys are those of `next`, makes of the state before it; and what is to be freed.
    pub(crate) fn follow(
        before: Option<Box<Secure>>,
        next: Option<Box<Secure>>,
    ) -> (Option<Box<Secure>>, Option<Box<Secure>>) {
        let (mut secure, mut next) = match (before, next) {
            (Some(before), Some(next)) => (before, next),
            (before, None) => return (None, before),
            (None, next) => return (next, None),
        };
        if secure.keys.send != next.keys.send {
            std::mem::swap(&mut secure.sender, &mut next.sender);
        }
        if secure.keys.receive != next.keys.receive {
            let receiver = Receiver::after(&next.keys.receive, &secure.receiver);
            secure.former = Some(std::mem::replace(&mut secure.receiver, receiver));
        }
        std::mem::swap(&mut secure.keys, &mut next.keys);
        (Some(secure), Some(next))
    }

    fn open(
        &mut self,
        datagram: &mut [u8],
        unprotect: fn(&mut Receiver, &mut [u8]) -> Result<usize, SrtpError>,
    ) -> Result<usize, SrtpError> {
        let result = unprotect(&mut self.receiver, datagram);
        match (&mut self.former, result) {
            (Some(former), Err(SrtpError::Authentication)) => unprotect(former, datagram),
            (former, result) => {
                if result.is_ok() && former.is_some() {
                    *former = None;
                }
                result
            }
        }
    }
}

impl Stream {
    /// Authenticates and decrypts a received RTP packet in place, where the stream is encrypted; returns its length. `None`: drop it.
    pub(crate) fn open_rtp(&mut self, dropped: &Dropped, datagram: &mut [u8]) -> Option<usize> {
        let Some(secure) = &mut self.secure else {
            return Some(datagram.len());
        };
        counted(dropped, secure.open(datagram, Receiver::unprotect_rtp))
    }

    /// The same for RTCP.
    pub(crate) fn open_rtcp(&mut self, dropped: &Dropped, datagram: &mut [u8]) -> Option<usize> {
        let Some(secure) = &mut self.secure else {
            return Some(datagram.len());
        };
        counted(dropped, secure.open(datagram, Receiver::unprotect_rtcp))
    }

    /// Protects the RTP packet in the first `length` octets, where the stream is encrypted; returns the new length. `None`: do not send it.
    pub(crate) fn seal_rtp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        match &mut self.secure {
            Some(secure) => secure.sender.protect_rtp(buffer, length).ok(),
            None => Some(length),
        }
    }

    /// The same for RTCP.
    pub(crate) fn seal_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        match &mut self.secure {
            Some(secure) => secure.sender.protect_rtcp(buffer, length).ok(),
            None => Some(length),
        }
    }
}

fn counted(dropped: &Dropped, result: Result<usize, SrtpError>) -> Option<usize> {
    match result {
        Ok(length) => return Some(length),
        Err(SrtpError::Replayed) => dropped.srtp_replayed.add(1),
        Err(_) => dropped.srtp_auth_failed.add(1),
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::srtp::{MAX_TRAILER, MasterKey, Suite};

    fn follow(before: Option<Box<Secure>>, keys: Option<&SrtpParams>) -> Option<Box<Secure>> {
        let next = keys.map(|keys| Box::new(Secure::new(keys.clone())));
        Secure::follow(before, next).0
    }

    fn keys(send: u8, receive: u8) -> SrtpParams {
        let key = |octet| MasterKey::new(Suite::AesCm128HmacSha1_80, &[octet; 30]).unwrap();
        SrtpParams {
            send: key(send),
            receive: key(receive),
        }
    }

    fn packet(sender: &mut Sender, sequence: u16) -> Vec<u8> {
        let [high, low] = sequence.to_be_bytes();
        let mut packet = [&[0x80, 0, high, low][..], &[0; 8 + 20 + MAX_TRAILER]].concat();
        let length = sender.protect_rtp(&mut packet, 32).unwrap();
        packet.truncate(length);
        packet
    }

    fn open(secure: &mut Secure, packet: &[u8]) -> Result<usize, SrtpError> {
        secure.open(&mut packet.to_vec(), Receiver::unprotect_rtp)
    }

    #[test]
    fn the_same_keys_keep_counters_and_windows() {
        let mut peer = Sender::new(&keys(2, 1).send);
        let mut secure = follow(None, Some(&keys(1, 2))).unwrap();
        let first = packet(&mut peer, 1);
        assert!(open(&mut secure, &first).is_ok());
        for sequence in (2..=70_000u32).step_by(20_000) {
            assert!(open(&mut secure, &packet(&mut peer, sequence as u16)).is_ok());
        }
        let mut secure = follow(Some(secure), Some(&keys(1, 2))).unwrap();
        assert_eq!(open(&mut secure, &packet(&mut peer, 60_010)), Ok(32));
        for sequence in [10_000, 30_000u16] {
            assert_eq!(open(&mut secure, &packet(&mut peer, sequence)), Ok(32));
        }
        assert_eq!(open(&mut secure, &first), Err(SrtpError::Authentication));
        assert!(follow(Some(secure), None).is_none());
    }

    #[test]
    fn other_keys_begin_anew_and_the_former_is_good_until_they_are_heard() {
        let (mut old, mut new) = (Sender::new(&keys(2, 1).send), Sender::new(&keys(3, 1).send));
        let mut secure = follow(None, Some(&keys(1, 2))).unwrap();
        assert!(open(&mut secure, &packet(&mut old, 1)).is_ok());
        let mut secure = follow(Some(secure), Some(&keys(1, 3))).unwrap();
        assert!(open(&mut secure, &packet(&mut old, 2)).is_ok());
        assert!(open(&mut secure, &packet(&mut new, 3)).is_ok());
        assert_eq!(
            open(&mut secure, &packet(&mut old, 4)),
            Err(SrtpError::Authentication)
        );
    }

    #[test]
    fn a_peer_that_keeps_its_roll_over_counter_over_new_keys_is_heard() {
        let mut secure = follow(None, Some(&keys(1, 2))).unwrap();
        let mut old = Sender::new(&keys(2, 1).send);
        let mut new = Sender::new(&keys(3, 1).send);
        for sequence in [40_000, 65_000, 20_000, 50_000, 10_000] {
            assert!(open(&mut secure, &packet(&mut old, sequence)).is_ok());
            packet(&mut new, sequence);
        }
        let mut secure = follow(Some(secure), Some(&keys(1, 3))).unwrap();
        assert!(open(&mut secure, &packet(&mut new, 10_001)).is_ok());
        assert!(open(&mut secure, &packet(&mut new, 10_002)).is_ok());
        // And one that begins anew is heard, too.
        let mut other = Sender::new(&keys(4, 1).send);
        let mut secure = follow(Some(secure), Some(&keys(1, 4))).unwrap();
        assert!(open(&mut secure, &packet(&mut other, 10_003)).is_ok());
    }

    #[test]
    fn our_own_key_goes_on_when_only_the_peers_changes() {
        let mut secure = follow(None, Some(&keys(1, 2))).unwrap();
        let mut peer = Receiver::new(&keys(1, 2).send);
        for sequence in [40_000, 65_000, 20_000] {
            let mut sent = packet(&mut secure.sender, sequence);
            assert!(peer.unprotect_rtp(&mut sent).is_ok());
        }
        let mut secure = follow(Some(secure), Some(&keys(1, 3))).unwrap();
        let mut sent = packet(&mut secure.sender, 20_001);
        assert!(peer.unprotect_rtp(&mut sent).is_ok());
        let mut secure = follow(Some(secure), Some(&keys(5, 3))).unwrap();
        let mut sent = packet(&mut secure.sender, 20_002);
        assert!(peer.unprotect_rtp(&mut sent).is_err());
    }
}
