//! An event, read once and shared by the extractors.

use std::sync::Arc;

use bytes::Bytes;
use http::{Extensions, HeaderMap, header::CONTENT_TYPE};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use webpubsub_protocol::{
    cloud_event::{ConnectData, DisconnectedData, EventType, GroupData, data_type},
    metadata::{HEADER_PREFIX, Metadata},
    payload::{DataType, Payload},
};

use crate::{
    context::ConnectionContext,
    header,
    rejection::{BodyRejection, ExtractRejection, HeaderProblem, HeaderRejection, Rejection},
};

/// An event that passed all checks. It is in the extensions of the request that a handler receives.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) context: ConnectionContext,
    pub(crate) data: EventData,
}

/// The body of an event.
#[derive(Debug)]
pub(crate) enum EventData {
    Connect(Arc<ConnectData>),
    Connected,
    Disconnected(DisconnectedData),
    GroupJoined(GroupData),
    GroupLeft(GroupData),
    User(UserEvent),
}

/// The body of a user event.
#[derive(Debug, Clone)]
pub(crate) struct UserEvent {
    pub(crate) payload: Payload,
    pub(crate) content_type: Option<String>,
    pub(crate) metadata: Metadata,
}

impl Event {
    /// Reads the body, after the type of the event and the headers.
    pub(crate) fn read(
        event: &EventType,
        context: ConnectionContext,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Self, Rejection> {
        let data = match event {
            EventType::Connect => EventData::Connect(Arc::new(connect(&body, &context)?)),
            EventType::Connected => json(&body).map(|Empty {}| EventData::Connected)?,
            EventType::Disconnected => EventData::Disconnected(json(&body)?),
            EventType::GroupJoined => EventData::GroupJoined(json(&body)?),
            EventType::GroupLeft => EventData::GroupLeft(json(&body)?),
            EventType::User(_) => EventData::User(user_event(&context, headers, body)?),
        };
        Ok(Self { context, data })
    }

    /// The event of the request that a handler received.
    pub(crate) fn current(
        extensions: &Extensions,
        extractor: &'static str,
    ) -> Result<Arc<Self>, ExtractRejection> {
        let event = extensions.get::<Arc<Self>>();
        event
            .cloned()
            .ok_or(ExtractRejection::NoEvent { extractor })
    }
}

/// An object whose members are ignored.
#[derive(Deserialize)]
struct Empty {}

fn connect(body: &[u8], context: &ConnectionContext) -> Result<ConnectData, BodyRejection> {
    let data: ConnectData = json(body)?;
    match context.mqtt().is_some() && data.mqtt.is_none() {
        true => Err(BodyRejection::NoMqtt),
        false => Ok(data),
    }
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyRejection> {
    let text = std::str::from_utf8(body).map_err(|_| BodyRejection::NotUtf8)?;
    serde_json::from_str(text).map_err(|error| BodyRejection::json(&error))
}

fn user_event(
    context: &ConnectionContext,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<UserEvent, Rejection> {
    let content_type = header::text(headers, &CONTENT_TYPE)?.map(str::to_owned);
    let kind = match content_type.as_deref() {
        None => return Err(BodyRejection::MissingContentType.into()),
        Some(text) => match data_type(text) {
            Some(kind) => kind,
            // An MQTT publisher chooses any content type.
            None if context.mqtt().is_some() => DataType::Binary,
            None => return Err(BodyRejection::ContentType.into()),
        },
    };
    Ok(UserEvent {
        payload: payload(kind, body)?,
        content_type,
        metadata: metadata(headers)?,
    })
}

fn payload(kind: DataType, body: Bytes) -> Result<Payload, BodyRejection> {
    let text = |body: Bytes| body.try_into().map_err(|_| BodyRejection::NotUtf8);
    match kind {
        DataType::Text => text(body).map(Payload::Text),
        DataType::Json => {
            json::<IgnoredAny>(&body)?;
            text(body).map(Payload::Json)
        }
        DataType::Binary => Ok(Payload::Binary(body)),
        DataType::Protobuf => Payload::protobuf(body).ok_or(BodyRejection::NotProtobuf),
    }
}

fn metadata(headers: &HeaderMap) -> Result<Metadata, Rejection> {
    let mut entries = Vec::new();
    for (name, value) in headers {
        if let Some(key) = name.as_str().strip_prefix(HEADER_PREFIX) {
            let value = std::str::from_utf8(value.as_bytes()).map_err(|_| HeaderRejection {
                name: "x-webpubsub-metadata-*",
                problem: HeaderProblem::NotUtf8,
            })?;
            entries.push((key, value));
        }
    }
    Ok(Metadata::new(entries)?)
}
