//! Collects what the hubs and their handlers say.

use std::collections::BTreeSet;

use webpubsub_protocol::name::HubName;

use super::{ConnectionInfo, GroupInfo, HandlerInfo, HubInfo};
use crate::handlers::AnonymousConnectPolicy;
use crate::service::Service;

impl Service {
    /// The hubs that are in use or set up, in the order of their names.
    pub(crate) fn hub_infos(&self) -> Vec<HubInfo> {
        let options = self.handlers().options();
        let in_use = self.all_hubs();
        let in_use = in_use.iter().map(|hub| hub.name());
        let names: BTreeSet<HubName> = in_use.chain(options.keys()).cloned().collect();
        names
            .iter()
            .filter_map(|name| self.hub_info(name))
            .collect()
    }

    /// A hub, if it is in use or set up.
    pub(crate) fn hub_info(&self, name: &HubName) -> Option<HubInfo> {
        let options = self.handlers().options();
        let options = options.get(name);
        let hub = self.existing_hub(name);
        if hub.is_none() && options.is_none() {
            return None;
        }
        let in_use = hub.map(|hub| hub.read(|state, _| state.info(name)));
        let mut info = in_use.unwrap_or_else(|| HubInfo::unused(name.clone()));
        if let Some(options) = options {
            info.handlers = options.event_handlers.len();
            info.anonymous_connect = options.anonymous_connect == AnonymousConnectPolicy::Allow;
        }
        Some(info)
    }

    /// The connections of a hub, or those of a user, in the order of their ids.
    pub(crate) fn connection_infos(
        &self,
        hub: &HubName,
        user: Option<&str>,
    ) -> Vec<ConnectionInfo> {
        let hub = self.existing_hub(hub);
        hub.map_or_else(Vec::new, |hub| {
            hub.read(|state, now| state.connection_infos(now, hub.name(), user))
        })
    }

    /// One connection.
    pub(crate) fn connection_info(&self, hub: &HubName, id: &str) -> Option<ConnectionInfo> {
        let hub = self.existing_hub(hub)?;
        hub.read(|state, now| state.connection_info(now, hub.name(), id))
    }

    /// The groups of a hub with their members, in the order of their names.
    pub(crate) fn group_infos(&self, hub: &HubName) -> Vec<GroupInfo> {
        let hub = self.existing_hub(hub);
        hub.map_or_else(Vec::new, |hub| {
            hub.read(|state, _| state.group_infos(hub.name()))
        })
    }

    /// One group with its members.
    pub(crate) fn group_info(&self, hub: &HubName, group: &str) -> Option<GroupInfo> {
        let hub = self.existing_hub(hub)?;
        hub.read(|state, _| state.group_info(hub.name(), group))
    }

    /// The event handlers of all hubs, in the order in which they are asked.
    pub(crate) fn handler_infos(&self) -> Vec<HandlerInfo> {
        self.handlers().infos()
    }
}

impl HubInfo {
    fn unused(name: HubName) -> Self {
        Self {
            name,
            connections: 0,
            connecting: 0,
            users: 0,
            groups: 0,
            handlers: 0,
            anonymous_connect: false,
        }
    }
}
