//! What goes wrong with event handlers on purpose.

use axum::body::Body;
use http::{Response, StatusCode};
use webpubsub_protocol::name::{ConnectionId, HubName, UserId};

use super::client::NoAnswer;
use crate::faults::{FaultStore, Kind, Place, Subject};

/// Who is asked about what, for the rules that may answer in place of a handler.
#[derive(Debug, Clone, Copy)]
pub(super) struct Interception<'a> {
    pub(super) faults: &'a FaultStore,
    pub(super) hub: &'a HubName,
    pub(super) connection_id: &'a ConnectionId,
    pub(super) user_id: Option<&'a UserId>,
    pub(super) event: &'a str,
}

impl Interception<'_> {
    /// What comes in place of the handler's answer, if something does. Never completes when the handler is not to answer.
    pub(super) async fn answer(&self) -> Option<Result<Response<Body>, NoAnswer>> {
        let subject = Subject {
            hub: Some(self.hub),
            user: self.user_id,
            connection: Some(self.connection_id),
            event: Some(self.event),
            ..Subject::default()
        };
        let hit = self.faults.disturb(Place::Handler, &subject).await?;
        match hit.kind {
            Kind::HandlerError { status } => {
                let mut response = Response::new(Body::empty());
                // Checked when the rule was added.
                *response.status_mut() =
                    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Some(Ok(response))
            }
            Kind::HandlerTimeout => std::future::pending().await,
            _ => None,
        }
    }
}
