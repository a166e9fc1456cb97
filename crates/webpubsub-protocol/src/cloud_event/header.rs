//! The names of the headers, in lower case as HTTP libraries expect them. They are compared without regard to case.

/// The host of the service, without a port. Sent with preflight requests and events.
pub const WEBHOOK_REQUEST_ORIGIN: &str = "webhook-request-origin";
/// The hosts that a handler accepts events from: the response to a preflight request.
pub const WEBHOOK_ALLOWED_ORIGIN: &str = "webhook-allowed-origin";
/// Always [`SPEC_VERSION`](super::SPEC_VERSION).
pub const CE_SPECVERSION: &str = "ce-specversion";
/// The [`EventType`](super::EventType).
pub const CE_TYPE: &str = "ce-type";
/// `/hubs/{hub}/client/{connectionId}`.
pub const CE_SOURCE: &str = "ce-source";
/// The number of the event within its connection, in decimal. The same for repetitions of an event.
pub const CE_ID: &str = "ce-id";
/// The time of the event: RFC 3339 in UTC, whole seconds.
pub const CE_TIME: &str = "ce-time";
/// See [`signature`](super::signature).
pub const CE_SIGNATURE: &str = "ce-signature";
/// The id of the user, as raw UTF-8. Absent for an anonymous connection.
pub const CE_USER_ID: &str = "ce-userid";
/// The id of the connection.
pub const CE_CONNECTION_ID: &str = "ce-connectionid";
/// The name of the hub.
pub const CE_HUB: &str = "ce-hub";
/// The name of the event.
pub const CE_EVENT_NAME: &str = "ce-eventname";
/// The subprotocol of the client. Absent in `connect` events, except for MQTT.
pub const CE_SUBPROTOCOL: &str = "ce-subprotocol";
/// The [`ConnectionState`](super::ConnectionState), in requests and in responses to blocking events.
pub const CE_CONNECTION_STATE: &str = "ce-connectionstate";
/// Always [`AWPS_VERSION`](super::AWPS_VERSION).
pub const CE_AWPS_VERSION: &str = "ce-awpsversion";
/// The id of the network connection of an MQTT client.
pub const CE_PHYSICAL_CONNECTION_ID: &str = "ce-physicalconnectionid";
/// The id of the MQTT session. Absent in `connect` events.
pub const CE_SESSION_ID: &str = "ce-sessionid";
/// The id of the request: different for each event, the same for its repetitions.
pub const CLIENT_REQUEST_ID: &str = "x-ms-client-request-id";
/// The prefix of the headers that carry the user properties of an MQTT message.
pub const MQTT_PROPERTY_PREFIX: &str = "mqtt-";
