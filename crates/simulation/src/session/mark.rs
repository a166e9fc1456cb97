//! What payloads say: who sent what, numbered.

use webpubsub_protocol::payload::Payload;

/// What a payload belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A client's message to a group.
    Publish,
    /// A client's event.
    Raise,
    /// A client's invocation.
    Invoke,
    /// The handler's answer to either of them.
    Answer,
    /// A part of a stream.
    Fragment,
    /// A message of a server to a group.
    ToGroup,
    /// … with a time to live.
    ToGroupForAWhile,
    /// … to one connection.
    ToConnection,
}

/// One payload: no two are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) kind: Kind,
    /// The client, the stream, the group or the connection.
    pub(super) of: u64,
    /// Counts from 1.
    pub(super) number: u64,
}

impl Kind {
    const LETTERS: [(Self, &'static str); 8] = [
        (Self::Publish, "publish"),
        (Self::Raise, "raise"),
        (Self::Invoke, "invoke"),
        (Self::Answer, "answer"),
        (Self::Fragment, "fragment"),
        (Self::ToGroup, "group"),
        (Self::ToGroupForAWhile, "ttl"),
        (Self::ToConnection, "connection"),
    ];

    fn word(self) -> &'static str {
        let found = Self::LETTERS.iter().find(|(kind, _)| *kind == self);
        found.expect("every kind has a word").1
    }
}

impl Mark {
    pub(super) const fn new(kind: Kind, of: u64, number: u64) -> Self {
        Self { kind, of, number }
    }

    /// As text or JSON, whichever the number's turn is.
    pub(super) fn payload(self) -> Payload {
        let Self { kind, of, number } = self;
        let text = format!("{} {of} {number}", kind.word());
        if number.is_multiple_of(3) {
            Payload::Json(format!("\"{text}\"").into())
        } else {
            Payload::text(text)
        }
    }

    pub(super) fn read(payload: &Payload) -> Option<Self> {
        let text = std::str::from_utf8(payload.as_bytes()).ok()?;
        let mut words = text.trim_matches('"').split(' ');
        let word = words.next()?;
        let (kind, _) = Kind::LETTERS.iter().find(|(_, known)| *known == word)?;
        let (of, number) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Self::new(*kind, of, number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_tells_its_mark() {
        for number in [1, 2, 3, 300] {
            let mark = Mark::new(Kind::Fragment, 7, number);
            assert_eq!(Mark::read(&mark.payload()), Some(mark));
        }
        assert_eq!(Mark::read(&Payload::text("fragment 7")), None);
        assert_eq!(Mark::read(&Payload::text("")), None);
    }
}
