//! What all listeners and connections share: settings, clock, hubs. Knows nothing of sockets.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use slotmap::{SlotMap, new_key_type};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use webpubsub_protocol::name::HubName;

use crate::clock::Clock;
use crate::counters::Counters;
use crate::faults::FaultStore;
use crate::gate::Gate;
use crate::handlers::{self, Handlers, HubOptions};
use crate::hub::{CLOSE_DRAIN, End, Hub, HubSettings, OutboxLimits, State, Upstream};
use crate::hubs::Hubs;
use crate::metrics::RestCounters;
use crate::saved::{Imported, InvalidState, SavedState};
use crate::settings::Settings;
use crate::traffic::Log;

pub(crate) struct Service {
    settings: Settings,
    clock: Clock,
    started_at: SystemTime,
    seed: Option<u64>,
    counters: Arc<Counters>,
    rest_counters: RestCounters,
    traffic: Arc<Log>,
    handlers: Handlers,
    hubs: Mutex<Hubs>,
    changes: watch::Sender<u64>,
    gate: Gate,
    sockets: Sockets,
    faults: Arc<FaultStore>,
}

new_key_type! {
    /// A socket among all.
    pub(crate) struct SocketKey;
}

/// The tasks of all sockets, for a shutdown. The tasks themselves do not use it while they run.
#[derive(Default)]
pub(crate) struct Sockets {
    tasks: Mutex<SlotMap<SocketKey, Option<AbortHandle>>>,
    /// Signalled when the last one is gone.
    all_gone: Notify,
}

impl Sockets {
    /// A socket whose task is to be started.
    pub(crate) fn add(&self) -> SocketKey {
        self.tasks.lock().insert(None)
    }

    /// The task of a socket runs; it may have ended already.
    pub(crate) fn started(&self, key: SocketKey, task: AbortHandle) {
        if let Some(place) = self.tasks.lock().get_mut(key) {
            *place = Some(task);
        }
    }

    pub(crate) fn remove(&self, key: SocketKey) {
        let mut tasks = self.tasks.lock();
        tasks.remove(key);
        if tasks.is_empty() {
            self.all_gone.notify_waiters();
        }
    }

    fn abort_all(&self) {
        // What is dropped with a task removes it here.
        let tasks: Vec<_> = self.tasks.lock().values().flatten().cloned().collect();
        tasks.iter().for_each(AbortHandle::abort);
    }

    async fn wait(&self) {
        let mut all_gone = pin!(self.all_gone.notified());
        loop {
            all_gone.as_mut().enable();
            if self.tasks.lock().is_empty() {
                return;
            }
            all_gone.as_mut().await;
            all_gone.set(self.all_gone.notified());
        }
    }
}

impl Service {
    pub(crate) fn new(
        settings: Settings,
        clock: Clock,
        seed: Option<u64>,
        user_events: Option<Arc<dyn Upstream>>,
        hub_options: BTreeMap<HubName, HubOptions>,
    ) -> Arc<Self> {
        let counters = Arc::new(Counters::default());
        let traffic = Log::new(clock.clone(), settings.traffic);
        let faults = Arc::new(FaultStore::new(clock.clone(), Arc::clone(&traffic), seed));
        let context = handlers::Context {
            clock: clock.clone(),
            concurrency: settings.limits.handler_requests,
            keys: settings.keys().to_vec(),
            seed,
            traffic: Arc::clone(&traffic),
            counters: Arc::clone(&counters),
            faults: Arc::clone(&faults),
            fallback: user_events,
        };
        let handlers = Handlers::new(context, hub_options);
        Arc::new(Self {
            gate: Gate::new(&settings),
            settings,
            started_at: clock.now().wall,
            clock,
            seed,
            counters,
            rest_counters: RestCounters::default(),
            traffic,
            handlers,
            hubs: Mutex::new(Hubs::new(seed)),
            changes: watch::Sender::new(0),
            sockets: Sockets::default(),
            faults,
        })
    }

    pub(crate) fn set_hub_options(&self, options: BTreeMap<HubName, HubOptions>) {
        self.handlers.set_options(options);
        // A hub that is made meanwhile reads them itself.
        for hub in self.all_hubs() {
            hub.set_group_events(self.handlers.group_events(hub.name()));
        }
    }

    pub(crate) fn handlers(&self) -> &Handlers {
        &self.handlers
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// By its clock.
    pub(crate) fn started_at(&self) -> SystemTime {
        self.started_at
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn rest_counters(&self) -> &RestCounters {
        &self.rest_counters
    }

    pub(crate) fn traffic(&self) -> &Arc<Log> {
        &self.traffic
    }

    pub(crate) fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// The hub with this name, made on first use: every valid name works without being set up.
    pub(crate) fn hub(&self, name: &HubName) -> Arc<Hub> {
        let mut hubs = self.hubs.lock();
        if let Some(hub) = hubs.get(name) {
            return hub;
        }
        let limits = &self.settings.limits;
        let settings = HubSettings {
            outbox: OutboxLimits {
                frames: limits.outbox_frames,
                bytes: limits.outbox_bytes,
            },
            replay: OutboxLimits {
                frames: limits.replay_messages,
                bytes: limits.replay_bytes,
            },
            ack_ids: limits.ack_ids,
            open_streams: limits.open_streams,
            close_failed_events_normally: self.settings.close_failed_events_normally,
            recovery_window: limits.recovery_window,
            connected_on_recovery: self.settings.connected_on_recovery,
            access_key: self.settings.access_key().clone(),
            has_handler: true,
        };
        let hub = Hub::new(
            name.clone(),
            self.clock.clone(),
            settings,
            self.seed,
            self.changes.clone(),
            Some(Arc::new(self.handlers.clone())),
            Arc::clone(&self.traffic),
        );
        hub.set_group_events(self.handlers.group_events(name));
        hubs.insert(&hub);
        hub
    }

    /// The hub with this name, if it was used and is not forgotten.
    pub(crate) fn existing_hub(&self, name: &HubName) -> Option<Arc<Hub>> {
        self.hubs.lock().get(name)
    }

    /// Who is connected where, now.
    pub(crate) fn snapshot(&self) -> State {
        let mut state = State::default();
        for hub in self.all_hubs() {
            state.hubs.insert(hub.name().clone(), hub.snapshot());
        }
        state
    }

    /// What can be imported again.
    pub(crate) fn export(&self) -> SavedState {
        let hubs = self.all_hubs().into_iter().filter_map(|hub| {
            let saved = hub.read(|state, _| state.export());
            (!saved.connections.is_empty()).then(|| (hub.name().to_string(), saved))
        });
        SavedState {
            hubs: hubs.collect(),
        }
    }

    /// Makes connections be as they were saved, now or when their users connect. What waited from an earlier import is
    /// forgotten.
    pub(crate) fn import(&self, state: SavedState) -> Result<Imported, InvalidState> {
        let mut entries = state.checked()?;
        for hub in self.all_hubs() {
            if !entries.contains_key(hub.name()) {
                entries.insert(hub.name().clone(), Vec::new());
            }
        }
        let mut result = Imported::default();
        for (name, entries) in entries {
            let of_hub = self.hub(&name).import(entries);
            result.applied += of_hub.applied;
            result.waiting += of_hub.waiting;
            result.ignored += of_hub.ignored;
        }
        Ok(result)
    }

    /// Counts the changes of all hubs.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Tells every client that the service goes away, and waits until their sockets are closed. Those
    /// that take longer than 5 s, by the machine's time even where our clock stands still, are aborted. Then waits as
    /// long until event handlers have heard of it.
    pub(crate) async fn shutdown(&self) {
        self.gate.stopping().cancel();
        for hub in self.all_hubs() {
            hub.end_all(&End::ServiceReload);
        }
        if tokio::time::timeout(CLOSE_DRAIN, self.sockets.wait())
            .await
            .is_err()
        {
            self.sockets.abort_all();
            self.sockets.wait().await;
        }
        self.handlers.shutdown().await;
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Breaks the connections of all sockets.
    pub(crate) fn break_connections(&self) {
        self.sockets.abort_all();
    }

    /// Ends all connections without telling their clients.
    pub(crate) fn end_connections(&self) {
        for hub in self.all_hubs() {
            hub.end_all(&End::NotRecovered);
        }
    }

    /// What goes wrong on purpose.
    pub(crate) fn faults(&self) -> &FaultStore {
        &self.faults
    }

    /// Has the tasks of all sockets look at what has changed.
    pub(crate) fn wake_sockets(&self) {
        for hub in self.all_hubs() {
            hub.wake_sockets();
        }
    }

    pub(crate) fn all_hubs(&self) -> Vec<Arc<Hub>> {
        self.hubs.lock().all().map(Arc::clone).collect()
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
