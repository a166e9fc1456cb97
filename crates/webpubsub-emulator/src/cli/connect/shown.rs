//! What `connect` prints: for people a line of text, for scripts a line of JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;
use webpubsub_client::{Event, MemberState, Payload, StateChange};

/// Something to print.
#[derive(Serialize)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    tag = "event"
)]
pub(super) enum Shown {
    Connecting {
        attempt: u32,
    },
    Connected {
        connection_id: String,
        user_id: Option<String>,
    },
    Recovering {
        cause: String,
    },
    Recovered {
        replayed: u64,
    },
    Disconnected {
        connection_id: String,
        cause: String,
        message: Option<String>,
    },
    Stopped {
        reason: String,
    },
    GroupMessage {
        group: String,
        from_user_id: Option<String>,
        #[serde(flatten)]
        data: Data,
    },
    ServerMessage {
        #[serde(flatten)]
        data: Data,
    },
    GroupState {
        group: String,
        connection_id: String,
        user_id: Option<String>,
        /// `None` when there is none any more.
        state: Option<serde_json::Map<String, serde_json::Value>>,
    },
    /// What a command asked for was done.
    Done {
        command: &'static str,
    },
    Failed {
        command: &'static str,
        error: String,
    },
    Answer {
        #[serde(flatten)]
        data: Option<Data>,
    },
    StreamOpened {
        stream_id: String,
    },
    Fragment {
        group: String,
        stream_id: String,
        number: u64,
        #[serde(flatten)]
        data: Data,
    },
    StreamEnded {
        group: String,
        stream_id: String,
        error: Option<String>,
    },
    Info {
        state: String,
        connection_id: Option<String>,
        user_id: Option<String>,
    },
    /// What goes on and is worth a word.
    Note {
        text: String,
    },
}

/// A payload: JSON as it is, text as text, the rest as base64.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Data {
    data_type: &'static str,
    data: Content,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content {
    Json(Box<RawValue>),
    Text(String),
}

impl Data {
    pub(super) fn of(payload: &Payload) -> Self {
        let text = |text: &str| Content::Text(text.to_owned());
        let (data_type, data) = match payload {
            Payload::Text(it) => ("text", text(it)),
            Payload::Json(json) => (
                "json",
                RawValue::from_string(json.to_string()).map_or_else(|_| text(json), Content::Json),
            ),
            Payload::Binary(bytes) => ("binary", Content::Text(STANDARD.encode(bytes))),
            other => ("protobuf", Content::Text(STANDARD.encode(other.as_bytes()))),
        };
        Self { data_type, data }
    }

    fn text(&self) -> String {
        match &self.data {
            Content::Json(json) => json.get().to_owned(),
            Content::Text(text) if matches!(self.data_type, "binary" | "protobuf") => {
                format!("({}) {text}", self.data_type)
            }
            Content::Text(text) => text.clone(),
        }
    }
}

impl Shown {
    /// What to print of an event, one or more lines.
    pub(super) fn of(event: Event) -> Vec<Self> {
        let owned = |text: Option<bytestring::ByteString>| text.map(|text| text.to_string());
        vec![match event {
            Event::Connecting { attempt } => Self::Connecting { attempt },
            Event::Connected {
                connection_id,
                user_id,
            } => Self::Connected {
                connection_id: connection_id.to_string(),
                user_id: owned(user_id),
            },
            Event::Recovering { cause } => Self::Recovering {
                cause: cause.to_string(),
            },
            Event::Recovered { replayed } => Self::Recovered { replayed },
            Event::Disconnected {
                connection_id,
                cause,
                message,
            } => Self::Disconnected {
                connection_id: connection_id.to_string(),
                cause: cause.to_string(),
                message,
            },
            Event::Stopped { reason } => Self::Stopped {
                reason: reason.to_string(),
            },
            // The fragments of streams are for whoever asks for streams.
            Event::GroupMessage(message) if message.stream.is_some() => return Vec::new(),
            Event::GroupMessage(message) => Self::GroupMessage {
                group: message.group.to_string(),
                data: Data::of(&message.payload),
                from_user_id: owned(message.from_user_id),
            },
            Event::ServerMessage(message) => Self::ServerMessage {
                data: Data::of(&message.payload),
            },
            Event::GroupStateChanged { group, changes } => {
                let changes = changes.into_iter();
                return changes
                    .map(|change| Self::state(group.to_string(), change))
                    .collect();
            }
            Event::RejoinGroupFailed { group, error } => Self::Note {
                text: format!("could not join group {group} again: {}", error.name),
            },
            Event::GroupStateRestoreFailed { group, error } => Self::Note {
                text: format!(
                    "could not restore the state in group {group}: {}",
                    error.name
                ),
            },
            Event::Dropped { messages } => Self::Note {
                text: format!(
                    "{messages} messages were dropped: they came faster than they are printed"
                ),
            },
            // The enum may grow.
            _ => return Vec::new(),
        }]
    }

    fn state(group: String, change: StateChange) -> Self {
        match change {
            StateChange::Set(MemberState {
                connection_id,
                user_id,
                state,
                ..
            }) => {
                let state = state.into_iter().map(|(key, value)| (key, value.into()));
                Self::GroupState {
                    group,
                    connection_id: connection_id.to_string(),
                    user_id: user_id.map(|user| user.to_string()),
                    state: Some(state.collect()),
                }
            }
            StateChange::Cleared { connection_id } => Self::GroupState {
                group,
                connection_id: connection_id.to_string(),
                user_id: None,
                state: None,
            },
        }
    }

    /// Whether it counts for `wait`.
    pub(super) const fn is_message(&self) -> bool {
        matches!(
            self,
            Self::GroupMessage { .. } | Self::ServerMessage { .. } | Self::Fragment { .. }
        )
    }

    pub(super) fn line(&self, json: bool) -> String {
        match json {
            true => serde_json::to_string(self).unwrap_or_default(),
            false => self.text(),
        }
    }

    fn text(&self) -> String {
        let by = |user: &Option<String>| user.as_deref().unwrap_or("somebody").to_owned();
        match self {
            Self::Connecting { attempt: 1 } => "connecting ..".to_owned(),
            Self::Connecting { attempt } => format!("connecting .. (attempt {attempt})"),
            Self::Connected {
                connection_id,
                user_id,
            } => match user_id {
                Some(user) => format!("connected as {user}, connection {connection_id}"),
                None => format!("connected, connection {connection_id}"),
            },
            Self::Recovering { cause } => format!("recovering: {cause}"),
            Self::Recovered { replayed } => format!("recovered, {replayed} messages replayed"),
            Self::Disconnected { cause, message, .. } => match message {
                Some(message) => format!("disconnected: {cause}; the service says: {message}"),
                None => format!("disconnected: {cause}"),
            },
            Self::Stopped { reason } => format!("stopped: {reason}"),
            Self::GroupMessage {
                group,
                from_user_id,
                data,
            } => format!("[{group}] {}: {}", by(from_user_id), data.text()),
            Self::ServerMessage { data } => format!("server: {}", data.text()),
            Self::GroupState {
                group,
                connection_id,
                user_id,
                state,
            } => {
                let who = user_id.as_deref().unwrap_or(connection_id);
                match state {
                    Some(state) => {
                        let pairs = state.iter().map(|(key, value)| {
                            format!("{key}={}", value.as_str().unwrap_or_default())
                        });
                        let pairs: Vec<String> = pairs.collect();
                        format!("[{group}] state of {who}: {}", pairs.join(" "))
                    }
                    None => format!("[{group}] state of {who}: none"),
                }
            }
            Self::Done { command } => format!("{command}: ok"),
            Self::Failed { command, error } => format!("{command}: {error}"),
            Self::Answer { data } => match data {
                Some(data) => format!("answer: {}", data.text()),
                None => "answer without data".to_owned(),
            },
            Self::StreamOpened { stream_id } => format!("stream {stream_id} is open"),
            Self::Fragment {
                group,
                stream_id,
                number,
                data,
            } => format!("[{group}] stream {stream_id} #{number}: {}", data.text()),
            Self::StreamEnded {
                group,
                stream_id,
                error,
            } => match error {
                Some(error) => format!("[{group}] stream {stream_id} failed: {error}"),
                None => format!("[{group}] stream {stream_id} ended"),
            },
            Self::Info {
                state,
                connection_id,
                user_id,
            } => format!(
                "{state}; connection {}; user {}",
                connection_id.as_deref().unwrap_or("none"),
                user_id.as_deref().unwrap_or("none")
            ),
            Self::Note { text } => text.clone(),
        }
    }
}
