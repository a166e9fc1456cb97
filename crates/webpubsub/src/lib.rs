#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod action;
pub mod bulk;
mod call;
mod client;
mod delivery;
mod error;
#[rustfmt::skip]
mod generated;
mod group;
mod invalid_input;
mod list;
mod message;
mod name;
mod operation;
mod options;
mod pipeline;
mod policy;
mod request;
mod service;
mod token;
mod transport;

pub use call::Call;
pub use client::WebPubSubServiceClient;
pub use error::{ServiceError, ServiceErrorDetail, ServiceErrorExt};
pub use group::WebPubSubGroup;
pub use invalid_input::InvalidInput;
pub use list::{
    ConnectionPage, ConnectionPageStream, ConnectionStream, GroupConnection, ListConnections,
};
pub use message::{Message, Streamed};
pub use options::WebPubSubServiceClientOptions;
pub use token::GetClientAccessToken;

pub use azure_core;
pub use webpubsub_protocol::{
    access::{AccessKey, ClientAccessToken, ClientProtocol, ConnectionString, Token},
    odata,
    payload::{self, IntoPayload, Payload},
    permission::{Permission, Role, RolePattern},
};
