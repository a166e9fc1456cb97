//! Which messages of a reliable connection arrived, and which of them the service knows about.

use crate::frame::SequenceId;

#[derive(Debug, Default)]
pub(super) struct Sequence {
    largest: u64,
    acknowledged: u64,
    /// Something arrived since the last acknowledgement, possibly a duplicate.
    unacknowledged: bool,
}

impl Sequence {
    /// Takes note of a message; whether it is new.
    pub(super) const fn receive(&mut self, id: SequenceId) -> bool {
        self.unacknowledged = true;
        let is_new = id.0 > self.largest;
        if is_new {
            self.largest = id.0;
        }
        is_new
    }

    /// Whether something waits to be acknowledged.
    pub(super) const fn is_unacknowledged(&self) -> bool {
        self.unacknowledged
    }

    /// How far the service's knowledge is behind.
    pub(super) const fn lag(&self) -> u64 {
        self.largest - self.acknowledged
    }

    /// The id to acknowledge now, when there is something to acknowledge.
    pub(super) fn acknowledge(&mut self) -> Option<SequenceId> {
        std::mem::take(&mut self.unacknowledged).then(|| {
            self.acknowledged = self.largest;
            SequenceId(self.largest)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: C-7.1-1
    // req: C-7.1-4
    // req: C-7.1-5
    #[test]
    fn the_largest_is_acknowledged_and_duplicates_are_acknowledged_again() {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.acknowledge(), None);
        assert!(sequence.receive(SequenceId(3)), "ids may begin anywhere");
        assert!(sequence.receive(SequenceId(9)), "and have gaps");
        assert!(!sequence.receive(SequenceId(9)));
        assert!(!sequence.receive(SequenceId(4)));
        assert_eq!(sequence.lag(), 9);
        assert_eq!(sequence.acknowledge(), Some(SequenceId(9)));
        assert_eq!((sequence.acknowledge(), sequence.lag()), (None, 0));
        assert!(!sequence.receive(SequenceId(2)));
        assert_eq!(
            sequence.acknowledge(),
            Some(SequenceId(9)),
            "it never goes back"
        );
    }
}
