//! Sans-IO SIP: bytes and time in; bytes, events and the next deadline out.
