#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod builder;
mod context;
mod event;
mod event_handler;
mod handler;
mod handlers;
mod header;
mod hub;
mod preflight;
mod queue;
mod rejection;
mod request;
mod response;
mod route;
mod service;
mod user_event;
mod user_event_handler;

pub use builder::{BuildError, MissingKeys, Ready, WebPubSubEventHandlerBuilder};
pub use context::{
    ConnectionContext, MqttConnectionContext, StateMismatch, WebPubSubClientProtocol,
};
pub use event_handler::EventHandler;
pub use handler::WebPubSubEventHandler;
pub use rejection::{
    AnswerError, BodyRejection, ExtractRejection, HeaderProblem, HeaderRejection, NotOurs,
    PayloadRejection, Rejection, SignatureRejection,
};
pub use request::{
    ConnectRequest, ConnectedRequest, DisconnectedRequest, GroupJoinedRequest, GroupLeftRequest,
};
pub use response::{ConnectResponse, UserEventResponse};
pub use service::WebPubSubEventService;
pub use user_event::UserEventRequest;
pub use user_event_handler::UserEventHandler;

pub use webpubsub_protocol::{
    access::ConnectionStringError,
    cloud_event::{
        Certificate, ConnectionState, Lists, MqttConnectData, MqttDisconnectedData, StateError,
        mqtt,
    },
    metadata::{InvalidMetadata, Metadata},
    name::InvalidName,
    payload::{self, DataType, FromPayload, IntoPayload, Payload},
};
