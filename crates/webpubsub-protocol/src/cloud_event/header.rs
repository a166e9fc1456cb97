//! Names of the headers, in lower case as HTTP libraries want them. They compare without regard to case.

/// The host of the service, without a port; on probes and events.
pub const WEBHOOK_REQUEST_ORIGIN: &str = "webhook-request-origin";
/// Whom a handler takes events from: the answer to the probe.
pub const WEBHOOK_ALLOWED_ORIGIN: &str = "webhook-allowed-origin";
/// Always [`SPEC_VERSION`](super::SPEC_VERSION).
pub const CE_SPECVERSION: &str = "ce-specversion";
/// The [`EventType`](super::EventType).
pub const CE_TYPE: &str = "ce-type";
/// `/hubs/{hub}/client/{connectionId}`.
pub const CE_SOURCE: &str = "ce-source";
/// Counts the events of a connection, in decimal; repeated on retries.
pub const CE_ID: &str = "ce-id";
/// RFC 3339 in UTC, whole seconds.
pub const CE_TIME: &str = "ce-time";
/// See [`signature`](super::signature).
pub const CE_SIGNATURE: &str = "ce-signature";
/// The user of the connection, as raw UTF-8; absent for an anonymous one.
pub const CE_USER_ID: &str = "ce-userid";
/// The connection.
pub const CE_CONNECTION_ID: &str = "ce-connectionid";
/// The hub.
pub const CE_HUB: &str = "ce-hub";
/// The name of the event.
pub const CE_EVENT_NAME: &str = "ce-eventname";
/// The subprotocol of the client; absent on `connect`, but for MQTT.
pub const CE_SUBPROTOCOL: &str = "ce-subprotocol";
/// The [`ConnectionState`](super::ConnectionState), in requests and in answers to blocking events.
pub const CE_CONNECTION_STATE: &str = "ce-connectionstate";
/// Always [`AWPS_VERSION`](super::AWPS_VERSION).
pub const CE_AWPS_VERSION: &str = "ce-awpsversion";
/// The network connection of an MQTT session.
pub const CE_PHYSICAL_CONNECTION_ID: &str = "ce-physicalconnectionid";
/// The MQTT session; absent on `connect`.
pub const CE_SESSION_ID: &str = "ce-sessionid";
/// New for each event, repeated on retries.
pub const CLIENT_REQUEST_ID: &str = "x-ms-client-request-id";
/// The prefix under which user properties of an MQTT message travel.
pub const MQTT_PROPERTY_PREFIX: &str = "mqtt-";
