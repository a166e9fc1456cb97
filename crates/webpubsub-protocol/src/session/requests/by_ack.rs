//! Which request an acknowledgement answers.

use std::collections::BTreeMap;

use super::RequestId;
use crate::frame::AckId;
use crate::session::growing_map::GrowingMap;

/// Requests by their ack ids. The session counts these upwards; only callers that choose their own leave that order.
#[derive(Debug, Default)]
pub(super) struct ByAck {
    in_order: GrowingMap<AckId, RequestId>,
    others: BTreeMap<AckId, RequestId>,
}

impl ByAck {
    /// Adds a request whose id is not in use.
    pub(super) fn insert(&mut self, id: AckId, request: RequestId) {
        if self.in_order.can_grow_by(&id) {
            self.in_order.insert(id, request);
        } else {
            self.others.insert(id, request);
        }
    }

    pub(super) fn get(&self, id: AckId) -> Option<RequestId> {
        let found = self.in_order.get(&id).or_else(|| self.others.get(&id));
        found.copied()
    }

    pub(super) fn remove(&mut self, id: AckId) {
        if self.in_order.remove(&id).is_none() {
            self.others.remove(&id);
        }
    }

    pub(super) fn shrink(&mut self) {
        self.in_order.shrink();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_may_come_in_any_order() {
        let mut requests = ByAck::default();
        for id in [1, 9, 2, 3, 12, 10] {
            requests.insert(AckId(id), RequestId(100 + id));
        }
        requests.remove(AckId(9));
        requests.remove(AckId(2));
        requests.insert(AckId(2), RequestId(0));
        for (id, request) in [(1, 101), (2, 0), (3, 103), (12, 112), (10, 110)] {
            assert_eq!(requests.get(AckId(id)), Some(RequestId(request)), "{id}");
            requests.remove(AckId(id));
            assert_eq!(requests.get(AckId(id)), None, "{id}");
        }
    }
}
