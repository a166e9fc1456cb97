//! Event handlers: whom a hub tells about its clients, and who answers them.
//!
//! [`settings`] says which handler takes which event, [`template`] and [`pattern`] are its parts.

mod pattern;
mod settings;
mod template;

pub use pattern::{EventPattern, InvalidPattern};
pub use settings::{
    AnonymousConnectPolicy, EventHandler, HubOptions, InvalidPolicy, SystemEvent,
    UnknownSystemEvent,
};
pub(crate) use settings::{HandlerService, Target};
pub use template::{InvalidTemplate, UrlTemplate};
