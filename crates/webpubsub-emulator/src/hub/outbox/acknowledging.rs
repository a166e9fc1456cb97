//! How clients acknowledge what they are sent. What is kept until then, and how much of it, is the same for all of them.

use webpubsub_protocol::frame::SequenceId;

/// How the client of a connection acknowledges messages. A protocol with another way adds it here, and to
/// [`Acknowledged`]; the compiler then names the places that have to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acknowledging {
    /// Not at all: what its socket has taken is forgotten.
    Never,
    /// By sequence ids, each of which stands for all messages up to it, as on the reliable subprotocols.
    Cumulative,
}

/// What a client says it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acknowledged {
    /// Everything up to this id. A lower id than before says nothing new.
    UpTo(SequenceId),
}
