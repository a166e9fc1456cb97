//! What the operations do. Each is a function with the name of its operation in snake case; what it gets besides the
//! context are its parameters and, if it has one, its body.

mod clock;
mod inspect;
mod status;

use std::sync::Arc;

use super::answer::{AdminError, Answer};
use crate::service::Service;

pub(super) use clock::{advance_clock, get_clock};
pub(super) use inspect::{
    get_connection, get_group, get_hub, list_connections, list_groups, list_handlers, list_hubs,
};
pub(super) use status::{get_description, get_status};

/// What a call may look at besides its parameters.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) service: &'a Arc<Service>,
}

type Outcome = Result<Answer, AdminError>;
