//! How each event handler is doing: what came of the events that it was sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use webpubsub_protocol::name::HubName;

use super::dispatch::Handlers;
use super::settings::{EventHandler, HubOptions, Target};
use crate::inspect::{HandlerHealth, HandlerInfo};
use crate::metrics::Latency;

/// The handlers that were sent events, as long as they are set up.
#[derive(Debug, Default)]
pub(super) struct Healths(Mutex<BTreeMap<Handler, Arc<Health>>>);

/// A handler of a hub, whatever else its settings are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Handler {
    hub: HubName,
    /// A service in this process.
    service: Option<u64>,
    template: String,
}

/// What came of the events that one handler was sent.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    health: HandlerHealth,
    latency: Latency,
}

impl Healths {
    pub(super) fn of(&self, hub: &HubName, target: &Target) -> Arc<Health> {
        let handler = Handler::new(hub, target);
        Arc::clone(self.0.lock().entry(handler).or_default())
    }

    /// Forgets the handlers that are not set up any more.
    pub(super) fn retain(&self, options: &BTreeMap<HubName, HubOptions>) {
        self.0.lock().retain(|handler, _| {
            options.get(&handler.hub).is_some_and(|options| {
                let mut known = options.event_handlers.iter();
                known.any(|it| Handler::new(&handler.hub, &it.target) == *handler)
            })
        });
    }
}

impl Handler {
    fn new(hub: &HubName, target: &Target) -> Self {
        let (service, template) = match target {
            Target::Url(template) => (None, template.fill("{hub}", "{event}").into()),
            Target::Service { id, .. } => (Some(*id), String::new()),
        };
        Self {
            hub: hub.clone(),
            service,
            template,
        }
    }
}

impl Health {
    /// An event was answered or given up at this time. `failure` is why it failed, if it did.
    pub(super) fn note(&self, at: SystemTime, took: Duration, failure: Option<String>) {
        let mut known = self.0.lock();
        known.latency.add(took);
        let health = &mut known.health;
        health.events += 1;
        health.healthy = Some(failure.is_none());
        health.last_took = Some(took);
        match failure {
            None => health.last_success_at = Some(at),
            Some(failure) => {
                health.failures += 1;
                health.last_failure = Some(failure);
                health.last_failure_at = Some(at);
            }
        }
    }
}

impl Handlers {
    /// The handlers of all hubs, each hub's in the order in which they are asked.
    pub(crate) fn infos(&self) -> Vec<HandlerInfo> {
        let options = self.options();
        let handlers = options.iter().flat_map(|(hub, options)| {
            let handlers = options.event_handlers.iter();
            handlers.map(move |handler| (hub, handler))
        });
        handlers
            .map(|(hub, handler)| self.info(hub, handler))
            .collect()
    }

    /// Failures and latencies by hub.
    pub(crate) fn measured(&self) -> Vec<(HubName, u64, Latency)> {
        let mut hubs = BTreeMap::<HubName, (u64, Latency)>::new();
        for (handler, health) in self.0.healths.0.lock().iter() {
            let (failures, latency) = hubs.entry(handler.hub.clone()).or_default();
            let known = health.0.lock();
            *failures += known.health.failures;
            latency.merge(&known.latency);
        }
        let hubs = hubs.into_iter();
        hubs.map(|(hub, (failures, latency))| (hub, failures, latency))
            .collect()
    }

    fn info(&self, hub: &HubName, handler: &EventHandler) -> HandlerInfo {
        let health = self.0.healths.of(hub, &handler.target);
        let system_events = handler.system_events.iter();
        HandlerInfo {
            hub: hub.clone(),
            url: match &handler.target {
                Target::Url(template) => Some(template.to_string()),
                Target::Service { .. } => None,
            },
            user_events: handler.user_events.to_string(),
            system_events: system_events.map(ToString::to_string).collect(),
            timeout: handler.timeout,
            validated: handler.validated,
            health: health.0.lock().health.clone(),
        }
    }
}
