//! The changes that a response makes to the state of the connection.

use axum::response::Response;
use serde::Serialize;
use webpubsub_protocol::cloud_event::ConnectionState;

use crate::rejection::AnswerError;

/// The values to set. They are passed in the extensions of the response, because only the caller of the handler knows the
/// state that they are merged into.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct StateChanges(pub(super) ConnectionState);

impl StateChanges {
    pub(super) fn set<T: Serialize + ?Sized>(
        &mut self,
        name: String,
        value: &T,
    ) -> Result<(), AnswerError> {
        if name.chars().any(char::is_control) {
            let name = name.escape_debug().to_string();
            return Err(AnswerError::State { name });
        }
        let set = self.0.set(name.as_str(), value);
        set.map_err(|_| AnswerError::State { name })
    }

    /// Sets each member of an object.
    pub(super) fn set_all<T: Serialize + ?Sized>(&mut self, values: &T) -> Result<(), AnswerError> {
        let invalid = |_| AnswerError::State {
            name: String::new(),
        };
        let json = serde_json::to_vec(values).map_err(invalid)?;
        self.0
            .merge(serde_json::from_slice(&json).map_err(invalid)?);
        Ok(())
    }

    pub(super) fn attach_to(self, mut response: Response) -> Response {
        if !self.0.is_empty() {
            response.extensions_mut().insert(self);
        }
        response
    }
}
