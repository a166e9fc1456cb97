//! The hubs of a service, by name. Every valid name works without being set up, so those that are used no more are
//! forgotten: otherwise whoever has a key could fill the memory with names.

use std::collections::BTreeMap;
use std::sync::Arc;

use webpubsub_protocol::name::HubName;

use crate::hub::Hub;

/// Hubs that are kept without looking whether they are still used.
const FEW: usize = 64;

pub(crate) struct Hubs {
    by_name: BTreeMap<HubName, Arc<Hub>>,
    /// Whether a hub would draw its ids from the beginning again if it were forgotten and made anew.
    is_seeded: bool,
    /// How many there were after the last look.
    in_use: usize,
}

impl Hubs {
    /// No hubs yet. With a seed none is ever forgotten, since its ids would come again.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self {
            by_name: BTreeMap::new(),
            is_seeded: seed.is_some(),
            in_use: 0,
        }
    }

    pub(crate) fn get(&self, name: &HubName) -> Option<Arc<Hub>> {
        self.by_name.get(name).map(Arc::clone)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Hub>> {
        self.by_name.values()
    }

    /// Adds a hub that was made, and forgets unused ones when their number has doubled, so that adding stays cheap.
    pub(crate) fn insert(&mut self, hub: &Arc<Hub>) {
        if !self.is_seeded && self.by_name.len() >= FEW.max(2 * self.in_use) {
            self.forget_unused();
        }
        self.by_name.insert(hub.name().clone(), Arc::clone(hub));
    }

    fn forget_unused(&mut self) {
        // Nobody else has it, and nobody gets it meanwhile: that needs the lock around us.
        self.by_name
            .retain(|_, hub| Arc::strong_count(hub) > 1 || !hub.is_unused());
        self.in_use = self.by_name.len();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::watch;
    use webpubsub_protocol::access::AccessKey;

    use super::*;
    use crate::clock::Clock;
    use crate::hub::{HubSettings, OutboxLimits};
    use crate::traffic::Log;

    fn hub(name: &str) -> Arc<Hub> {
        let limits = OutboxLimits {
            frames: 10,
            bytes: 1000,
        };
        let settings = HubSettings {
            outbox: limits,
            replay: limits,
            recovery_window: Duration::from_secs(30),
            connected_on_recovery: true,
            access_key: AccessKey::new("key"),
            ack_ids: 10,
            open_streams: 10,
            close_failed_events_normally: false,
            has_handler: false,
        };
        let name = HubName::new(name).expect("a name");
        let changes = watch::Sender::new(0);
        Hub::new(
            name,
            Clock::manual(),
            settings,
            None,
            changes,
            None,
            Log::unread(),
        )
    }

    #[tokio::test]
    async fn hubs_that_nobody_uses_are_forgotten_and_others_stay() {
        let mut hubs = Hubs::new(None);
        let used: Vec<_> = (0..100).map(|n| hub(&format!("used{n}"))).collect();
        used.iter().for_each(|hub| hubs.insert(hub));
        for n in 0..1000 {
            hubs.insert(&hub(&format!("once{n}")));
            assert!(hubs.all().count() <= 2 * used.len() + 1);
        }
        for hub in &used {
            assert!(
                hubs.get(hub.name())
                    .is_some_and(|kept| Arc::ptr_eq(&kept, hub))
            );
        }
    }

    #[tokio::test]
    async fn seeded_hubs_stay() {
        let mut hubs = Hubs::new(Some(7));
        (0..200).for_each(|n| hubs.insert(&hub(&format!("once{n}"))));
        assert_eq!(hubs.all().count(), 200);
    }
}
