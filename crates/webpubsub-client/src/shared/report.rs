//! What is logged and counted.
//!
//! The driver does it, after it has released the session's lock: neither a subscriber of logs nor the application's
//! metrics are called under it, and they hear everything in order.

use webpubsub_protocol::session::{Event, State};

use crate::metrics::Metrics;

/// Something to log or to count.
#[derive(Debug)]
pub(crate) enum Report {
    /// The client's state changed.
    State(State),
    /// Something happened.
    Event(Box<Event>),
    /// A consumer blocks the connection.
    Stalled,
    /// A consumer that was never read will block the connection.
    Neglected,
    /// Too many streams wait to be taken.
    StreamMissed,
}

impl Report {
    /// Logs and counts it.
    pub(crate) fn emit(self, metrics: &dyn Metrics) {
        match self {
            Self::State(state) => metrics.state_changed(state),
            Self::Event(event) => emit(*event, metrics),
            Self::Stalled => tracing::warn!(
                "a consumer of events does not keep up; requests fail because answers cannot arrive"
            ),
            Self::Neglected => tracing::warn!(
                "a consumer of events has never been read and is half full; when it is full, nothing more is received"
            ),
            Self::StreamMissed => tracing::warn!(
                "a stream is not shown because too many wait to be taken from their subscription"
            ),
        }
    }

    /// What is worth a report of an event.
    pub(super) fn of(event: &Event) -> Option<Self> {
        let is_reported = matches!(
            event,
            Event::Connecting { .. }
                | Event::Connected { .. }
                | Event::Recovering { .. }
                | Event::Recovered { .. }
                | Event::Disconnected { .. }
                | Event::Stopped { .. }
                | Event::RejoinFailed { .. }
                | Event::StateRestoreFailed { .. }
        );
        is_reported.then(|| Self::Event(Box::new(event.clone())))
    }
}

fn emit(event: Event, metrics: &dyn Metrics) {
    match event {
        Event::Connecting { attempt } => tracing::debug!(attempt, "connecting"),
        Event::Connected { connection_id, .. } => tracing::info!(%connection_id, "connected"),
        Event::Recovering { cause } => {
            tracing::info!(%cause, "the socket was lost; recovering the connection");
            metrics.recovering(&cause);
        }
        Event::Recovered { replayed } => {
            tracing::info!(replayed, "recovered");
            metrics.recovered(replayed);
        }
        Event::Disconnected {
            connection_id,
            cause,
            ..
        } => {
            tracing::info!(%connection_id, %cause, "disconnected");
            metrics.disconnected(&cause);
        }
        Event::Stopped { reason } => tracing::info!(%reason, "stopped"),
        Event::RejoinFailed { group, error } => {
            tracing::warn!(%group, name = %error.name, "the group could not be joined again");
        }
        Event::StateRestoreFailed { group, error } => {
            tracing::warn!(%group, name = %error.name, "group state could not be restored");
        }
        Event::StreamFailed { error, .. } => {
            tracing::debug!(name = %error.name, "an outbound stream failed");
        }
        Event::Ignored(why) => {
            tracing::debug!("{why}");
            metrics.frame_ignored();
        }
        _ => {}
    }
}
