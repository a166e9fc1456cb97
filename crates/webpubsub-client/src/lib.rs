#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod acknowledged;
pub mod action;
mod builder;
mod call;
mod client;
pub mod connector;
mod credential;
mod driver;
mod error;
mod event;
mod events;
mod group_state;
mod group_streams;
mod inbound;
mod inbox;
mod invoke;
mod message;
mod metrics;
mod outbound;
mod pending;
mod queue;
mod router;
mod shared;
mod sync;

#[doc = include_str!("../docs/limits.md")]
pub mod limits {}

#[cfg(feature = "__simulation")]
#[doc(hidden)]
pub mod driven;

pub use acknowledged::Acknowledged;
pub use builder::WebPubSubClientBuilder;
pub use call::{Call, Sending};
pub use client::WebPubSubClient;
#[cfg(feature = "websocket")]
pub use connector::WebSocketConnector;
pub use credential::WebPubSubClientCredential;
pub use error::{BuildError, ConnectError, NotSubscribed, SendError, StartError};
pub use event::Event;
pub use events::Events;
pub use group_state::GroupStateView;
pub use group_streams::{GroupStreams, SubscribeGroupStreams};
pub use inbound::{GroupStream, GroupStreamError};
pub use inbox::Overflow;
pub use invoke::{AnswerError, InvokeEventResult};
pub use message::{GroupMessage, ReadError, ServerMessage};
pub use metrics::Metrics;
pub use outbound::GroupStreamWriter;
pub use router::{MessageContext, MessageRouter};

pub use webpubsub_protocol::frame::{
    AckId, FrameError, SequenceId, StreamEndError, StreamError, StreamInfo,
};
pub use webpubsub_protocol::metadata::{InvalidMetadata, Metadata};
pub use webpubsub_protocol::name::{EventName, GroupName, InvalidName};
pub use webpubsub_protocol::payload::{self, DataType, IntoPayload, Payload, PayloadError};
pub use webpubsub_protocol::session::{
    Backoff, Closure, DialFailure, Fragment, Loss, MemberState, Protocol, SessionConfig,
    State as ClientState, StateChange, StopReason,
};
pub use webpubsub_protocol::subprotocol::Subprotocol;

// Their types are in the public API, so applications can name them without depending on the right versions.
#[doc(no_inline)]
pub use {bytes, bytestring, url, webpubsub_protocol};

#[cfg(feature = "native-tls")]
#[doc(no_inline)]
pub use native_tls;
#[cfg(feature = "rustls")]
#[doc(no_inline)]
pub use rustls;
