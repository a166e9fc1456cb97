//! What waits to be written, in order.

use super::RequestId;
use crate::session::growing_map::GrowingMap;

/// Where a request stands: in a lane, by its ticket.
pub(super) type Place = (Lane, u64);

/// What is written first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Written before a recovery, and unanswered.
    Again,
    /// What a new connection needs.
    Restore,
    Outbox,
}

impl Lane {
    const ALL: [Self; 3] = [Self::Again, Self::Restore, Self::Outbox];
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    lanes: [GrowingMap<u64, RequestId>; Lane::ALL.len()],
}

impl Queue {
    /// Who is next, and where it stands.
    pub(super) fn first(&self) -> Option<(Place, RequestId)> {
        Lane::ALL.into_iter().find_map(|lane| {
            let (ticket, request) = self.lanes[lane as usize].first()?;
            Some(((lane, ticket), *request))
        })
    }

    /// Lets a request wait. Its ticket is larger than those that stand in its lane.
    pub(super) fn insert(&mut self, (lane, ticket): Place, request: RequestId) {
        self.lanes[lane as usize].insert(ticket, request);
    }

    pub(super) fn remove(&mut self, (lane, ticket): Place) {
        self.lanes[lane as usize].remove(&ticket);
    }

    /// Lets these stand in a lane, and nobody else. Their tickets grow.
    pub(super) fn replace(
        &mut self,
        lane: Lane,
        requests: impl IntoIterator<Item = (u64, RequestId)>,
    ) {
        let lane = &mut self.lanes[lane as usize];
        *lane = GrowingMap::default();
        for (ticket, request) in requests {
            lane.insert(ticket, request);
        }
    }

    pub(super) fn shrink(&mut self) {
        for lane in &mut self.lanes {
            lane.shrink();
        }
    }
}
