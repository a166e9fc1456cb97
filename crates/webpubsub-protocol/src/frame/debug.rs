//! How frames look in logs: without secrets, and without what applications say.

use std::fmt::{Debug, Formatter, Result};

use super::{ClientFrame, GroupStateItem, ServerFrame};

/// Stands for a text that is not shown.
struct Redacted;

impl Debug for Redacted {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("[redacted]")
    }
}

/// Stands for a state that is not shown: how many entries it has.
struct Entries(usize);

impl Entries {
    fn of(state: Option<&Vec<(String, String)>>) -> Option<Self> {
        state.map(|state| Self(state.len()))
    }
}

impl Debug for Entries {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "[{} entries]", self.0)
    }
}

macro_rules! show {
    ($f:ident, $name:literal, $($field:ident),+) => {
        $f.debug_struct($name)$(.field(stringify!($field), $field))+.finish()
    };
}

/// Hides reconnection tokens; payloads hide themselves.
impl Debug for ServerFrame {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Connected {
                connection_id,
                user_id,
                reconnection_token,
            } => {
                let reconnection_token = &reconnection_token.as_ref().map(|_| Redacted);
                show!(f, "Connected", connection_id, user_id, reconnection_token)
            }
            Self::Disconnected { message } => show!(f, "Disconnected", message),
            Self::Ack { ack_id, error } => show!(f, "Ack", ack_id, error),
            Self::Message(message) => f.debug_tuple("Message").field(message).finish(),
            Self::Pong => f.write_str("Pong"),
            Self::InvokeResponse {
                invocation_id,
                result,
                metadata,
            } => show!(f, "InvokeResponse", invocation_id, result, metadata),
            Self::StreamAck {
                stream_id,
                expected_sequence_id,
            } => show!(f, "StreamAck", stream_id, expected_sequence_id),
            Self::StreamNack {
                stream_id,
                error,
                expected_sequence_id,
            } => show!(f, "StreamNack", stream_id, error, expected_sequence_id),
            Self::StreamClosed { stream_id, error } => show!(f, "StreamClosed", stream_id, error),
            Self::GroupStateSnapshot {
                sequence_id,
                group,
                items,
            } => show!(f, "GroupStateSnapshot", sequence_id, group, items),
            Self::GroupStateUpdate {
                sequence_id,
                group,
                items,
            } => show!(f, "GroupStateUpdate", sequence_id, group, items),
        }
    }
}

/// Hides the state; how many entries it has is shown.
impl Debug for GroupStateItem {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self {
            connection_id,
            user_id,
            state,
            updated_at,
        } = self;
        let state = &Entries::of(state.as_ref());
        show!(
            f,
            "GroupStateItem",
            connection_id,
            user_id,
            state,
            updated_at
        )
    }
}

/// Hides states; payloads hide themselves.
impl Debug for ClientFrame {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::JoinGroup { group, ack_id } => show!(f, "JoinGroup", group, ack_id),
            Self::LeaveGroup { group, ack_id } => show!(f, "LeaveGroup", group, ack_id),
            Self::SendToGroup {
                group,
                ack_id,
                no_echo,
                ttl_seconds,
                metadata,
                payload,
            } => show!(
                f,
                "SendToGroup",
                group,
                ack_id,
                no_echo,
                ttl_seconds,
                metadata,
                payload
            ),
            Self::OpenStream { stream_id, start } => show!(f, "OpenStream", stream_id, start),
            Self::StreamData {
                stream_id,
                fragment,
            } => show!(f, "StreamData", stream_id, fragment),
            Self::EndStream { stream_id, error } => show!(f, "EndStream", stream_id, error),
            Self::Event {
                event,
                ack_id,
                metadata,
                payload,
            } => show!(f, "Event", event, ack_id, metadata, payload),
            Self::Invoke {
                invocation_id,
                call,
            } => show!(f, "Invoke", invocation_id, call),
            Self::CancelInvocation { invocation_id } => {
                show!(f, "CancelInvocation", invocation_id)
            }
            Self::SequenceAck { sequence_id } => show!(f, "SequenceAck", sequence_id),
            Self::SetGroupState {
                group,
                ack_id,
                state,
            } => {
                let state = &Entries::of(state.as_ref());
                show!(f, "SetGroupState", group, ack_id, state)
            }
            Self::SubscribeGroupState { group, ack_id } => {
                show!(f, "SubscribeGroupState", group, ack_id)
            }
            Self::UnsubscribeGroupState { group, ack_id } => {
                show!(f, "UnsubscribeGroupState", group, ack_id)
            }
            Self::Ping => f.write_str("Ping"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::GroupName;

    #[test]
    fn neither_tokens_nor_states_are_shown() {
        let connected = ServerFrame::Connected {
            connection_id: "c1".into(),
            user_id: Some("ann".into()),
            reconnection_token: Some("s3cret".into()),
        };
        assert_eq!(
            format!("{connected:?}"),
            r#"Connected { connection_id: "c1", user_id: Some("ann"), reconnection_token: Some([redacted]) }"#
        );
        let state = vec![("mood".to_owned(), "s3cret".to_owned())];
        let group = GroupName::new("g").expect("a name");
        let item = GroupStateItem {
            connection_id: "c1".into(),
            user_id: None,
            state: Some(state.clone()),
            updated_at: 1,
        };
        let snapshot = ServerFrame::GroupStateSnapshot {
            sequence_id: None,
            group: group.clone(),
            items: vec![item],
        };
        let set = ClientFrame::SetGroupState {
            group,
            ack_id: None,
            state: Some(state),
        };
        for shown in [format!("{snapshot:?}"), format!("{set:?}")] {
            assert!(shown.contains("[1 entries]"), "{shown}");
            assert!(
                !shown.contains("s3cret") && !shown.contains("mood"),
                "{shown}"
            );
        }
    }
}
