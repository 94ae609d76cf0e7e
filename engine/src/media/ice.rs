//! A channel whose peer makes ICE checks: answers them, and sends where the peer nominates.
//!
//! We are lite (RFC 8445 section 2.5): no checks of our own. Where ICE was not agreed on, and for whoever does not know our password, there
//! is no answer. The socket of such a channel is not connected: checks come from all the peer's addresses, and go on during the call
//! (RFC 7675).

use std::net::SocketAddr;

use super::channel::{ChannelState, Surroundings};
use super::latch::Verdict;
use crate::rtp::stun::{self, MAX_ANSWER};

impl ChannelState {
    /// Takes a STUN message of the RTP or the RTCP socket.
    pub(crate) fn receive_stun(
        &mut self,
        around: &Surroundings,
        datagram: &[u8],
        source: SocketAddr,
        on_rtcp: bool,
    ) {
        let checked = self.stream.as_mut().and_then(|stream| {
            let ours = stream.params.ice.as_ref()?;
            let check = stun::check(datagram, ours).ok()?;
            let mut answer = [0; MAX_ANSWER];
            let length = stun::answer(&check, source, ours, &mut answer);
            let nominates = !on_rtcp && check.nominates && check.succeeds();
            let verdict = nominates.then(|| stream.latch.nominate(source, check.priority));
            Some((answer, length, verdict))
        });
        let Some((answer, length, verdict)) = checked else {
            around.stats.dropped.stun.add(1);
            return;
        };
        let socket = match on_rtcp {
            true => &self.sockets.rtcp,
            false => &self.sockets.rtp,
        };
        if !self.sockets.send_to(socket, source, &answer[..length]) {
            around.stats.send_errors.add(1);
        }
        if verdict == Some(Verdict::Latched) {
            self.settle(source);
        }
    }
}
