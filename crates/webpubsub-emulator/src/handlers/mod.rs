//! Event handlers: who hears of a hub's clients, and who answers their events.
//!
//! [`settings`] says which handler takes which event; [`template`] and [`pattern`] are its parts. [`dispatch`] finds the
//! handler of an event, and [`exchange`] sends the event and takes the answer: [`request`] writes the request and [`answer`]
//! reads the response, both without IO. [`client`] sends and retries, [`probe`] first asks whether a handler wants events.
//! [`interception`] lets faults answer in place of a handler. [`session`] and [`cookies`] hold what handlers leave with a
//! connection. [`doctor`] finds out what is wrong with a handler, and [`trigger`] plays one event to it.

mod answer;
mod client;
mod cookies;
mod dispatch;
mod doctor;
mod exchange;
mod health;
mod interception;
mod pattern;
mod probe;
mod request;
mod resend;
mod session;
mod settings;
mod template;
mod trigger;

pub(crate) use answer::Accepted;
pub(crate) use dispatch::{ConnectRefused, Connecting, Context, Handlers};
pub(crate) use request::Event;

pub use doctor::{Check, Code, Diagnosis, Doctor, Status};
pub use pattern::{EventPattern, InvalidPattern};
pub(crate) use session::{Session, Turn};
pub use settings::{
    AnonymousConnectPolicy, EventHandler, HubOptions, InvalidPolicy, SystemEvent,
    UnknownSystemEvent,
};
pub use template::{InvalidTemplate, UrlTemplate};
pub use trigger::{Trigger, TriggerError, TriggerEvent, Triggered};
