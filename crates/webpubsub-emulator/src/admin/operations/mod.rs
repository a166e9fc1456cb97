//! What the operations do. Each is a function with the name of its operation in snake case; what it gets besides the
//! context are its parameters and, if it has one, its body.

mod clock;
mod faults;
mod inspect;
mod state;
mod status;
mod traffic;

use std::sync::Arc;

use super::answer::{AdminError, Answer};
use crate::http::Watch;
use crate::service::Service;

pub(super) use clock::{advance_clock, get_clock};
pub(super) use faults::{add_fault, clear_faults, list_faults, remove_fault, restart};
pub(super) use inspect::{
    get_connection, get_group, get_hub, list_connections, list_groups, list_handlers, list_hubs,
};
pub(super) use state::{get_state, put_state};
pub(super) use status::{get_description, get_metrics, get_status};
pub(super) use traffic::{get_traffic, get_traffic_entry, resend_event};

/// What a call may look at besides its parameters.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) service: &'a Arc<Service>,
    /// Sees whether the caller hangs up.
    pub(super) watch: Option<Watch>,
}

impl Context<'_> {
    /// Completes when an answer that goes on has to end: the caller hangs up, or the emulator stops.
    fn over(&self) -> impl Future<Output = ()> + Send + use<> {
        let (stopping, watch) = (self.service.gate().stopping().clone(), self.watch.clone());
        async move {
            let hung_up = async {
                match watch {
                    Some(watch) => watch.hung_up().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stopping.cancelled() => {}
                () = hung_up => {}
            }
        }
    }
}

type Outcome = Result<Answer, AdminError>;
