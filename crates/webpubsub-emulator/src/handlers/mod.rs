//! Event handlers: whom a hub tells about its clients, and who answers them.
//!
//! [`settings`] says which handler takes which event, [`template`] and [`pattern`] are its parts. [`dispatch`] finds the
//! handler of an event, [`exchange`] sends it and takes the answer: [`request`] writes the request and [`answer`] reads
//! the response, both without IO; [`client`] sends and tries again, [`probe`] asks first whether a handler wants events, [`session`] and [`cookies`] are what handlers
//! leave with a connection. [`doctor`] finds out what is wrong with a handler.

mod answer;
mod client;
mod cookies;
mod dispatch;
mod doctor;
mod exchange;
mod pattern;
mod probe;
mod request;
mod session;
mod settings;
mod template;

pub(crate) use answer::Accepted;
pub(crate) use dispatch::{ConnectRefused, Connecting, Context, Handlers};

pub use doctor::{Check, Code, Diagnosis, Doctor, Status};
pub use pattern::{EventPattern, InvalidPattern};
pub(crate) use session::{Session, Turn};
pub use settings::{
    AnonymousConnectPolicy, EventHandler, HubOptions, InvalidPolicy, SystemEvent,
    UnknownSystemEvent,
};
pub use template::{InvalidTemplate, UrlTemplate};
