//! Names in calls: checked, but sent in the spelling of the caller.

use webpubsub_protocol::name::{ConnectionId, GroupName, InvalidName, UserId};

use crate::invalid_input::InvalidInput;

pub(crate) fn group(name: &str) -> azure_core::Result<&str> {
    checked(name, GroupName::new(name).map(drop))
}

pub(crate) fn user(id: &str) -> azure_core::Result<&str> {
    checked(id, UserId::new(id).map(drop))
}

pub(crate) fn connection(id: &str) -> azure_core::Result<&str> {
    checked(id, ConnectionId::new(id).map(drop))
}

fn checked(name: &str, result: Result<(), InvalidName>) -> azure_core::Result<&str> {
    result
        .map(|()| name)
        .map_err(|error| InvalidInput::Name(error).into())
}
