//! Sans-IO SIP: bytes and time in; bytes, events and the next deadline out.

pub mod build;
pub mod header;
mod lex;
pub mod limits;
pub mod message;
pub mod method;
pub mod name_addr;
pub mod params;
pub mod typed;
pub mod uri;
pub mod validate;
pub mod via;

pub use build::{BuildError, MessageBuilder};
pub use header::HeaderId;
pub use message::{Frame, FrameError, Message, StartLine};
pub use method::Method;
pub use name_addr::NameAddr;
pub use typed::HeaderError;
pub use uri::{Host, Scheme, Uri};
pub use validate::Rejection;
pub use via::Via;
