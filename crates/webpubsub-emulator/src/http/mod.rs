//! The HTTP side: takes connections, refuses requests for foreign hosts, and hands the others to REST or to the
//! WebSocket endpoint.

mod answer;
mod dispatch;
mod hosts;
mod listener;
mod pending;
mod server;

pub(crate) use hosts::Hosts;
pub(crate) use listener::{LOCALHOST, Listeners, bind};
pub(crate) use server::Server;
