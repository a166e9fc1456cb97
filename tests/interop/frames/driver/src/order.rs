//! What scripts order.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Deserialize;
use serde_json::value::RawValue;
use webpubsub_client::{IntoPayload as _, Payload, payload::Json};

/// One line.
#[derive(Deserialize)]
pub(crate) struct Order {
    pub(crate) client: String,
    pub(crate) create: Option<Settings>,
    pub(crate) call: Option<Call>,
    /// The call to give up.
    pub(crate) cancel: Option<String>,
    /// To be answered with this number when all that was heard has been told.
    pub(crate) sync: Option<u64>,
    #[serde(default)]
    pub(crate) dispose: bool,
}

#[derive(Deserialize)]
pub(crate) struct Settings {
    /// `{n}` stands for how often the credential was asked.
    pub(crate) url: String,
    pub(crate) protocol: Protocol,
    pub(crate) options: Options,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    Json,
    Reliable,
}

/// Times are milliseconds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Options {
    pub(crate) auto_reconnect: Option<bool>,
    pub(crate) auto_rejoin_groups: Option<bool>,
    #[serde(default)]
    pub(crate) keep_alive_interval: u64,
    #[serde(default)]
    pub(crate) keep_alive_timeout: u64,
    /// Of requests that were refused.
    #[serde(default)]
    pub(crate) retries: u32,
    /// Tries of a new connection after the first one.
    pub(crate) reconnects: Option<u32>,
}

/// An operation with its arguments; each has those that it needs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Call {
    pub(crate) id: String,
    #[serde(rename = "do")]
    pub(crate) operation: Operation,
    #[serde(default)]
    pub(crate) group: String,
    #[serde(default)]
    pub(crate) event: String,
    pub(crate) data: Option<Data>,
    pub(crate) ack_id: Option<u64>,
    #[serde(default)]
    pub(crate) no_echo: bool,
    #[serde(default)]
    pub(crate) fire_and_forget: bool,
    pub(crate) invocation_id: Option<String>,
    pub(crate) stream_id: Option<String>,
    /// The call that opened the stream.
    #[serde(default)]
    pub(crate) stream: String,
    idle_timeout: Option<u64>,
    pub(crate) message: Option<String>,
    pub(crate) user_error_code: Option<String>,
    pub(crate) groups: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) state: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) from_start: bool,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Operation {
    Start,
    Stop,
    JoinGroup,
    LeaveGroup,
    SendToGroup,
    SendEvent,
    Invoke,
    OpenStream,
    Write,
    End,
    Abort,
    ReceiveStreams,
    SetGroupState,
    ClearGroupState,
    SubscribeGroupState,
    UnsubscribeGroupState,
}

impl Call {
    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        self.idle_timeout.map(Duration::from_millis)
    }
}

/// Bytes are base64.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Data {
    Text(String),
    Json(Box<RawValue>),
    Binary(String),
    /// An `Any`.
    Protobuf(String),
}

impl Data {
    /// The payload; an error is one of the script.
    pub(crate) fn payload(&self) -> Result<Payload, Box<dyn std::error::Error + Send + Sync>> {
        Ok(match self {
            Self::Text(text) => Payload::text(text.as_str()),
            Self::Json(document) => Json(document).into_payload()?,
            Self::Binary(base64) => Payload::binary(BASE64_STANDARD.decode(base64)?),
            Self::Protobuf(base64) => {
                Payload::protobuf(BASE64_STANDARD.decode(base64)?).ok_or("it is no `Any`")?
            }
        })
    }
}
