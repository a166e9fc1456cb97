//! The HTTP side: takes connections, refuses requests for foreign hosts, and hands the others to REST or to the WebSocket
//! endpoint.

mod answer;
mod connection;
mod dispatch;
mod hosts;
mod listener;
mod origins;
mod pending;
mod server;

pub(crate) use answer::error_body;
pub(crate) use connection::Watch;
pub(crate) use listener::{LOCALHOST, Listeners, bind};
pub(crate) use origins::{AllowedOrigin, Origins};
pub(crate) use server::Server;
