//! RTP, RTCP, RFC 4733 events and the jitter buffer: sans-IO.
