//! A running emulator, for programs and tests.

mod builder;
mod error;
mod host;
mod limits;
mod user_events;

use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc, time::Duration};

use tokio::runtime::Handle;
use url::Url;
use webpubsub_protocol::access::{self, ClientTokenOptions, ConnectionString, Token};
use webpubsub_protocol::name::HubName;

pub use builder::EmulatorBuilder;
pub use error::{AccessKeyError, KeyRole, StartError};
pub use limits::Limit;
pub use user_events::{UserEvent, UserEventFailed, UserEventReply};

use crate::{
    admin::{Access, SEGMENT},
    clock::Clock,
    counters::Counts,
    faults::Faults,
    handlers::HubOptions,
    http::{Listeners, Server},
    hub::{State, Upstream},
    inspect::{ConnectionInfo, GroupInfo, HandlerInfo, HubInfo},
    saved::{Imported, InvalidState, SavedState},
    service::Service,
    settings::Settings,
    traffic::{NotSeen, Traffic, TrafficEntry},
};

/// An emulated Web PubSub resource that serves REST calls and WebSocket clients.
///
/// It runs on the tokio runtime that started it, of either flavour. Several emulators in one process share nothing.
/// [`shutdown`](Self::shutdown) stops it in an orderly way; dropping it stops it too, without waiting. A started
/// emulator serves as long as it is kept, so bind it to a name (`let _ = ..` drops it at once).
///
/// ```
/// use webpubsub_emulator::Emulator;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let emulator = Emulator::start().await?;
/// let for_servers = emulator.connection_string();
/// let for_a_client = emulator.client_access_url("chat", "ana", &["webpubsub.joinLeaveGroup"]);
/// # assert!(for_servers.starts_with("Endpoint=http://127.0.0.1:"));
/// # assert!(for_a_client.starts_with("ws://127.0.0.1:"));
/// emulator.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub struct Emulator {
    service: Arc<Service>,
    server: Server,
    connection: ConnectionString,
    endpoint: String,
    admin_url: Option<String>,
    /// As it stands in URLs.
    host: String,
    addresses: Vec<SocketAddr>,
    runtime: Handle,
}

impl Emulator {
    /// Starts an emulator on a free port of 127.0.0.1 with the [well-known key](crate::WELL_KNOWN_KEY).
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with its IO and time drivers on.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// Prepares an emulator with other settings.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder::default()
    }

    fn serve(
        listeners: Listeners,
        host: &str,
        settings: Settings,
        clock: Clock,
        seed: Option<u64>,
        upstream: Option<Arc<dyn Upstream>>,
        hubs: BTreeMap<HubName, HubOptions>,
    ) -> std::io::Result<Self> {
        let addresses = listeners.addresses()?;
        let port = addresses.first().map_or(0, SocketAddr::port);
        let endpoint =
            Url::parse(&format!("http://{host}:{port}/")).map_err(std::io::Error::other)?;
        let connection = ConnectionString::new(endpoint, settings.access_key().clone());
        let service = Service::new(settings, clock, seed, upstream, hubs);
        service.handlers().try_out(host);
        let admin = service.settings().admin.as_ref();
        let admin_url = admin.map(|_| format!("http://{host}:{port}/{SEGMENT}"));
        let server = Server::start(listeners, &addresses, Arc::clone(&service));
        Ok(Self {
            service,
            server,
            host: host.to_owned(),
            admin_url,
            endpoint: format!("http://{host}:{port}"),
            connection,
            addresses,
            runtime: Handle::current(),
        })
    }

    /// `http://host:port` without a trailing slash, with the port that was bound. Names `localhost` when the emulator
    /// listens on all addresses.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// `Endpoint=..;AccessKey=..;Version=1.0;` as the SDKs take it, with the primary key. Do not log it when the key is
    /// your own.
    #[must_use]
    pub fn connection_string(&self) -> String {
        self.connection.expose()
    }

    /// The addresses that the emulator listens on; two for `localhost` where the machine has IPv6.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// A URL with which a WebSocket client can connect to `hub` during the next 60 minutes, signed here with the primary
    /// key. `user` is a name, or `None` for an anonymous client.
    ///
    /// The URL holds the token. Nothing is checked: a bad hub name or role gets its answer when the client connects.
    #[must_use]
    pub fn client_access_url<'a>(
        &self,
        hub: &str,
        user: impl Into<Option<&'a str>>,
        roles: &[&str],
    ) -> String {
        let mut options = ClientTokenOptions::default();
        options.user_id = user.into().map(str::to_owned);
        options.roles = roles.iter().map(|&role| role.to_owned()).collect();
        self.client_access_url_with(hub, &options)
    }

    /// As [`client_access_url`](Self::client_access_url), with groups, lifetime and kind of client as well.
    #[must_use]
    pub fn client_access_url_with(&self, hub: &str, options: &ClientTokenOptions) -> String {
        access::sign_client_token(
            self.connection.endpoint(),
            hub,
            self.connection.access_key(),
            options,
            self.service.clock().now().wall,
        )
        .url()
        .to_owned()
    }

    /// Where the admin API is, as `http://127.0.0.1:8080/_emulator`; `None` unless
    /// [`EmulatorBuilder::admin`] asked for it.
    #[must_use]
    pub fn admin_url(&self) -> Option<&str> {
        self.admin_url.as_deref()
    }

    /// The token that callers of the admin API need, in the header `Authorization: Bearer <token>`. Do not log it: whoever
    /// has it may see every payload and change everything.
    #[must_use]
    pub fn admin_token(&self) -> Option<&Token> {
        self.service.settings().admin.as_ref().map(Access::token)
    }

    /// The clock that all deadlines and token lifetimes follow. It can be [advanced](Clock::advance), whether it follows the
    /// machine or was made by [`manual_clock`](EmulatorBuilder::manual_clock).
    #[must_use]
    pub fn clock(&self) -> &Clock {
        self.service.clock()
    }

    /// The present connections and the groups that they are in.
    #[must_use]
    pub fn state(&self) -> State {
        self.service.snapshot()
    }

    /// The hubs that are in use or set up, in the order of their names.
    #[must_use]
    pub fn hubs(&self) -> Vec<HubInfo> {
        self.service.hub_infos()
    }

    /// The connections of a hub in the order of their ids, with all that is known of them; none for a hub that nobody uses.
    /// The name of the hub compares without regard to case.
    #[must_use]
    pub fn connections(&self, hub: &str) -> Vec<ConnectionInfo> {
        let hub = HubName::new(hub.to_owned());
        hub.map_or_else(
            |_| Vec::new(),
            |hub| self.service.connection_infos(&hub, None),
        )
    }

    /// The groups of a hub in the order of their names, with their members and the states of those; none for a hub that
    /// nobody uses. The name of the hub compares without regard to case.
    #[must_use]
    pub fn groups(&self, hub: &str) -> Vec<GroupInfo> {
        let hub = HubName::new(hub.to_owned());
        hub.map_or_else(|_| Vec::new(), |hub| self.service.group_infos(&hub))
    }

    /// The event handlers of all hubs, each hub's in the order in which they are asked, and how they are doing.
    #[must_use]
    pub fn handlers(&self) -> Vec<HandlerInfo> {
        self.service.handler_infos()
    }

    /// Waits until `condition` holds for the state of the hubs, and returns that state. Looks again after each change,
    /// without polling; a change that is undone at once may be missed.
    ///
    /// Waits forever when the condition never holds: put `tokio::time::timeout` around it where that can happen.
    /// Dropping the future is safe at any time.
    ///
    /// ```
    /// # use webpubsub_emulator::Emulator;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let emulator = Emulator::start().await?;
    /// emulator.wait_until(|state| state.connections("chat") == 0).await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn wait_until(&self, mut condition: impl FnMut(&State) -> bool) -> State {
        let mut changes = self.service.changes();
        loop {
            // Marked as seen before the look, so that no change between the two is lost.
            changes.borrow_and_update();
            let state = self.state();
            if condition(&state) {
                return state;
            }
            changes
                .changed()
                .await
                .expect("the service holds the sender as long as `self`");
        }
    }

    /// The groups, permissions and states of all connections, to be [imported](Self::import_state) into this or another
    /// emulator.
    #[must_use]
    pub fn export_state(&self) -> SavedState {
        self.service.export()
    }

    /// Makes open connections that are named be as they were saved, and gives each connection that a saved user opens later
    /// what was saved of it, besides what its token says. Other connections stay as they are. What waits from an earlier
    /// import is forgotten.
    ///
    /// # Errors
    ///
    /// A name cannot be one, or a state is of a group that its connection is not in. Nothing is changed then.
    pub fn import_state(&self, state: SavedState) -> Result<Imported, InvalidState> {
        self.service.import(state)
    }

    /// Replaces the options of all hubs, as a resource's settings are saved. Hubs that are not named are without event
    /// handlers from then on. Open connections stay; events that happen afterwards follow the new options.
    pub fn set_hubs(&self, hubs: BTreeMap<HubName, HubOptions>) {
        self.service.set_hub_options(hubs);
        self.service.handlers().try_out(&self.host);
    }

    /// What goes wrong on purpose, for tests of those who must bear it.
    #[must_use]
    pub fn faults(&self) -> Faults {
        Faults::new(Arc::clone(&self.service))
    }

    /// Counts of what passed through since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.service.counters().counts()
    }

    /// Everything that happens from now on: requests, connections, frames, events with what handlers answer, and why
    /// something is refused. Costs next to nothing while nobody follows.
    pub fn traffic(&self) -> Traffic {
        self.service.traffic().follow()
    }

    /// What the traffic log keeps, the oldest first: the last 5,000 entries. It keeps what somebody followed, and with the
    /// [admin API](EmulatorBuilder::admin) on everything but frames, which
    /// [`traffic_frames`](EmulatorBuilder::traffic_frames) adds.
    #[must_use]
    pub fn traffic_log(&self) -> Vec<Arc<TrafficEntry>> {
        self.service.traffic().kept()
    }

    /// Looks in the [log](Self::traffic_log), then waits until an entry is as `wanted` says, and returns it. `within` is by
    /// the machine's time. To see only what happens after some moment, take a [`traffic`](Self::traffic) at that moment and
    /// use [its `expect`](Traffic::expect).
    ///
    /// # Errors
    ///
    /// There was none in time. The error shows what there was instead, without payloads.
    pub async fn expect(
        &self,
        within: Duration,
        wanted: impl FnMut(&TrafficEntry) -> bool,
    ) -> Result<Arc<TrafficEntry>, NotSeen> {
        let mut traffic = self.service.traffic().follow_kept();
        traffic.expect(within, wanted).await
    }

    /// Stops in an orderly way: accepts no more, lets requests under way finish, tells every client that the service
    /// goes away (`disconnected` where the subprotocol has it, then close code 1001), tells event handlers of it, and
    /// waits for all three, for a few seconds at most.
    pub async fn shutdown(self) {
        tokio::join!(self.server.stop(), self.service.shutdown());
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // The server stops with its own drop. Sockets get their close frame from the runtime, unless that ends first:
        // then it drops their tasks, which closes them as well.
        let service = Arc::clone(&self.service);
        self.runtime.spawn(async move { service.shutdown().await });
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
