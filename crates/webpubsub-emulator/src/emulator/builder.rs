//! Configures an emulator and starts it.

use std::{collections::BTreeMap, io, net::SocketAddr, time::Duration};

use webpubsub_protocol::access::{AccessKey, Token, parse_endpoint};
use webpubsub_protocol::name::HubName;

use super::{
    Emulator,
    error::{KeyRole, StartError, check_access_key},
    host::Host,
    limits,
    user_events::{UserEvent, UserEventFailed, UserEventHandler, UserEventReply},
};
use crate::{
    admin::{Access, InvalidToken},
    clock::Clock,
    handlers::HubOptions,
    http::{self, AllowedOrigin, Listeners, Origins},
    settings::Settings,
};

/// Settings of an emulator that is to be [started](Self::start). `Debug` shows no key.
///
/// ```
/// use webpubsub_emulator::Emulator;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let emulator = Emulator::builder()
///     .access_key("only for this test, and long enough")
///     .public_endpoint("https://pubsub.example.com")
///     .manual_clock()
///     .seed(7)
///     .start()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "an emulator runs after `start`"]
pub struct EmulatorBuilder {
    host: Option<String>,
    port: u16,
    listener: Option<std::net::TcpListener>,
    public_endpoints: Vec<String>,
    allowed_origins: Vec<String>,
    allow_well_known_key: bool,
    admin: bool,
    admin_token: Option<Token>,
    /// Checked when the emulator starts, without public endpoints and allowed origins, which are added then.
    pub(super) settings: Settings,
    clock: Clock,
    seed: Option<u64>,
    user_events: Option<UserEventHandler>,
    hubs: BTreeMap<String, HubOptions>,
}

impl Default for EmulatorBuilder {
    fn default() -> Self {
        Self {
            host: None,
            port: 0,
            listener: None,
            public_endpoints: Vec::new(),
            allowed_origins: Vec::new(),
            allow_well_known_key: false,
            admin: false,
            admin_token: None,
            settings: Settings::default(),
            clock: Clock::real(),
            seed: None,
            user_events: None,
            hubs: BTreeMap::new(),
        }
    }
}

impl EmulatorBuilder {
    /// Listens on this IP address, or on `localhost`: 127.0.0.1 and, where the machine has it, ::1. Default: 127.0.0.1.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Listens on this port. Default: 0, a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Serves this listener; host and port are then not used. For a tokio listener: `listener.into_std()?`.
    pub fn listener(mut self, listener: std::net::TcpListener) -> Self {
        self.listener = Some(listener);
        self
    }

    /// The key of the resource: at least 32 bytes, without white space at its ends, `;` and control characters. Default:
    /// the [well-known key](crate::WELL_KNOWN_KEY).
    pub fn access_key(mut self, key: impl Into<String>) -> Self {
        self.settings.set_access_key(AccessKey::new(key));
        self
    }

    /// A second key whose signatures are valid too. Default: none.
    pub fn secondary_access_key(mut self, key: impl Into<String>) -> Self {
        self.settings.set_secondary_access_key(AccessKey::new(key));
        self
    }

    /// Adds a URL under which callers know the emulator besides its address, as behind a proxy: its host is served, and
    /// tokens may name it. `https` is assumed without a scheme. Default: none.
    pub fn public_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.public_endpoints.push(endpoint.into());
        self
    }

    /// Adds an origin whose pages may open WebSockets while the key is the [well-known one](crate::WELL_KNOWN_KEY), such
    /// as `https://app.example.com`; `*` stands for all of them, `null` for pages without an origin, such as files.
    /// Pages of this machine and of the public endpoints always may, and so may clients that send no `Origin`, as only
    /// browsers do. Default: none.
    pub fn allowed_origin(mut self, origin: impl Into<String>) -> Self {
        self.allowed_origins.push(origin.into());
        self
    }

    /// Lets the well-known key be used on addresses that others can reach. Default: no.
    pub fn allow_well_known_key(mut self, allow: bool) -> Self {
        self.allow_well_known_key = allow;
        self
    }

    /// Serves the admin API below [`Emulator::admin_url`] to whoever has [`Emulator::admin_token`]: the clock, what is
    /// connected, and more, as `GET openapi.json` there describes. Only where no other machine can reach the emulator,
    /// unless there is an [`admin_token`](Self::admin_token) of your own. Default: no.
    pub fn admin(mut self, serve: bool) -> Self {
        self.admin = serve;
        self
    }

    /// Serves the admin API with this token in place of one that is drawn at the start: at least 16 characters, all of them
    /// visible ASCII.
    pub fn admin_token(mut self, token: impl Into<String>) -> Self {
        self.admin_token = Some(Token::new(token));
        self.admin(true)
    }

    /// Whether the traffic log keeps frames even while nobody follows it. Then every frame to every client is copied in part,
    /// which slows large fan-outs down. Default: no, frames are logged only for those who
    /// [follow](Emulator::traffic).
    pub fn traffic_frames(mut self, keep: bool) -> Self {
        self.settings.traffic.keeps_frames = keep;
        self
    }

    /// Whether the traffic log shows how payloads begin, and keeps events to be sent again. Default: yes. Tokens and keys are
    /// never in it.
    pub fn traffic_payloads(mut self, show: bool) -> Self {
        self.settings.traffic.payloads = show;
        self
    }

    /// Lets tokens for `https://webpubsub.azure.com` pass on REST calls when their lifetime is right. **Anybody can make
    /// such a token**: neither signature nor issuer is looked at. Default: no.
    pub fn accept_unvalidated_entra_tokens(mut self, accept: bool) -> Self {
        self.settings.accept_unvalidated_entra_tokens = accept;
        self
    }

    /// Decodes `%2F` in names of REST paths to `/`. Default: no, since the service keeps the three characters.
    pub fn decode_slashes(mut self, decode: bool) -> Self {
        self.settings.decode_slashes = decode;
        self
    }

    /// Closes connections whose request head takes longer, counted from the accept or the last answer. Default: 30 s.
    pub fn header_read_timeout(mut self, timeout: Duration) -> Self {
        self.settings.limits.header_read_timeout = timeout;
        self
    }

    /// Connections that may be open without having sent a request; more wait to be accepted. One that has been silent for
    /// 5 s gives way to the next. Default: 512.
    pub fn max_pending_connections(mut self, connections: usize) -> Self {
        self.settings.limits.pending_connections = connections;
        self
    }

    /// Groups that one client token may name. Default: 1000.
    pub fn max_groups_per_token(mut self, groups: usize) -> Self {
        self.settings.limits.groups_per_token = groups;
        self
    }

    /// How long a reliable connection can be recovered after its socket was lost. Default: 30 s, as the service.
    pub fn recovery_window(mut self, window: Duration) -> Self {
        self.settings.limits.recovery_window = window;
        self
    }

    /// Whether a recovered socket begins with a `connected` frame that brings a fresh reconnection token. Default: yes,
    /// since the official JavaScript client resumes its streams only then. Microsoft's emulator sends none.
    pub fn connected_on_recovery(mut self, send: bool) -> Self {
        self.settings.connected_on_recovery = send;
        self
    }

    /// Whether a reliable connection ends at once when its client closes without a status, as the official JavaScript
    /// client does in `stop()`. Default: no, it can be recovered, as in Microsoft's emulator.
    pub fn end_on_close_without_status(mut self, end: bool) -> Self {
        self.settings.end_on_close_without_status = end;
        self
    }

    /// Whether a simple client whose event failed is closed with 1000 and no reason, as the service was once seen to
    /// do. Default: no, with 1011, as in Microsoft's emulator.
    pub fn close_failed_events_normally(mut self, normally: bool) -> Self {
        self.settings.close_failed_events_normally = normally;
        self
    }

    /// Gives the emulator a clock that stands still until [`Emulator::clock`] is advanced. The time limits of HTTP keep
    /// following the machine.
    pub fn manual_clock(mut self) -> Self {
        self.clock = Clock::manual();
        self
    }

    /// Makes connection ids and the like repeat from run to run. Default: random ones. For tests: ids that can be
    /// guessed protect nothing.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Answers the events and invocations of all hubs with this closure, in place of a server's event handler. Default:
    /// none, so that they fail as on a hub without event handler. A later handler replaces an earlier one.
    ///
    /// A connection has at most one call under way: what it sends meanwhile waits, except pings, and after 64 such frames
    /// it is not read any more. The calls of different connections run at the same time, each as a tokio task. The future
    /// is dropped when its invocation is cancelled or its connection ends, so it has to be safe to drop at any `.await`.
    /// There is no time limit.
    ///
    /// ```
    /// use webpubsub_emulator::{Emulator, UserEvent, UserEventFailed, UserEventReply};
    /// # use futures_util::{SinkExt, StreamExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let emulator = Emulator::builder()
    ///     .on_user_event(|event: UserEvent| async move {
    ///         match event.event_name.as_str() {
    ///             "echo" => Ok(UserEventReply::new(event.payload).metadata(event.metadata)),
    ///             "add" => {
    ///                 let numbers: Vec<i64> = serde_json::from_slice(event.payload.as_bytes())?;
    ///                 Ok(UserEventReply::json(&numbers.iter().sum::<i64>())?)
    ///             }
    ///             "message" => Ok(UserEventReply::text("hello, simple client")),
    ///             other => Err(UserEventFailed::new(format!("no such event: {other}"))),
    ///         }
    ///     })
    ///     .start()
    ///     .await?;
    ///
    /// let url = emulator.client_access_url("chat", "ana", &[]);
    /// let (mut client, _) = tokio_tungstenite::connect_async(url).await?;
    /// client.send("hi".into()).await?;
    /// let answer = client.next().await.expect("an answer")?;
    /// assert_eq!(answer.to_text()?, "hello, simple client");
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_user_event<H, F>(mut self, handler: H) -> Self
    where
        H: Fn(UserEvent) -> F + Send + Sync + 'static,
        F: Future<Output = Result<UserEventReply, UserEventFailed>> + Send + 'static,
    {
        self.user_events = Some(UserEventHandler::new(handler));
        self
    }

    /// Sets up a hub: its event handlers, and whether anonymous clients may connect. The last call for a name counts;
    /// names are not case-sensitive. Other hubs work as well, without handlers.
    pub fn hub(mut self, name: impl Into<String>, options: HubOptions) -> Self {
        self.hubs.insert(name.into().to_ascii_lowercase(), options);
        self
    }

    /// Starts the emulator. It serves requests when this returns.
    ///
    /// # Errors
    ///
    /// A setting that cannot be used, or an address that cannot be bound.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with its IO and time drivers on.
    // Async although nothing waits yet: starting may probe event handlers one day, and callers are in a runtime anyway.
    #[expect(clippy::unused_async, reason = "the public contract")]
    pub async fn start(self) -> Result<Emulator, StartError> {
        let mut settings = self.settings()?;
        let access = self.access(&settings)?;
        let hubs = self.hub_options()?;
        let host = match &self.host {
            Some(host) => Host::parse(host).ok_or(StartError::InvalidHost)?,
            None => Host::default(),
        };
        let public_key = settings.has_well_known_key() && !self.allow_well_known_key;
        let (listeners, host) = match self.listener {
            Some(listener) => adopt(listener, public_key)?,
            None => bind(host, self.port, public_key)?,
        };
        // A token that was chosen shows that the API is wanted there; one that was drawn would be a surprise.
        settings.admin = access.filter(|_| host.is_loopback() || self.admin_token.is_some());
        let traffic = &mut settings.traffic;
        traffic.keeps = settings.admin.is_some() || traffic.keeps_frames;
        let upstream = self.user_events.map(UserEventHandler::into_upstream);
        Emulator::serve(
            listeners,
            &host.in_urls(),
            settings,
            self.clock,
            self.seed,
            upstream,
            hubs,
        )
        .map_err(StartError::Listener)
    }

    /// Who may use the admin API, if it is wanted.
    fn access(&self, settings: &Settings) -> Result<Option<Access>, StartError> {
        if !self.admin {
            return Ok(None);
        }
        let token = self.admin_token.clone().map(Token::into_string);
        Access::new(token, Origins::of_admin(settings))
            .map(Some)
            .map_err(|InvalidToken| StartError::InvalidAdminToken)
    }

    fn hub_options(&self) -> Result<BTreeMap<HubName, HubOptions>, StartError> {
        let named = self.hubs.iter().map(|(name, options)| {
            let hub = HubName::new(name.clone()).map_err(|source| StartError::InvalidHub {
                name: name.clone(),
                source,
            })?;
            Ok((hub, options.clone()))
        });
        named.collect()
    }

    fn settings(&self) -> Result<Settings, StartError> {
        let mut settings = self.settings.clone();
        for (key, role) in settings
            .keys()
            .iter()
            .zip([KeyRole::Primary, KeyRole::Secondary])
        {
            check_access_key(key.expose())
                .map_err(|source| StartError::InvalidAccessKey { role, source })?;
        }
        limits::check(&settings.limits)?;
        for (endpoint, number) in self.public_endpoints.iter().zip(1..) {
            let endpoint = parse_endpoint(endpoint)
                .map_err(|source| StartError::InvalidPublicEndpoint { number, source })?;
            settings.public_endpoints.push(endpoint);
        }
        for (origin, number) in self.allowed_origins.iter().zip(1..) {
            let origin =
                AllowedOrigin::parse(origin).ok_or(StartError::InvalidAllowedOrigin { number })?;
            settings.allowed_origins.push(origin);
        }
        Ok(settings)
    }
}

fn adopt(
    listener: std::net::TcpListener,
    public_key: bool,
) -> Result<(Listeners, Host), StartError> {
    let address = listener.local_addr().map_err(StartError::Listener)?;
    let host = Host::Address(address.ip());
    refuse_public_key(public_key && !host.is_loopback(), address)?;
    let listeners = Listeners::adopt(listener).map_err(StartError::Listener)?;
    Ok((listeners, host))
}

fn bind(host: Host, port: u16, public_key: bool) -> Result<(Listeners, Host), StartError> {
    for &address in host.addresses() {
        let address = SocketAddr::new(address, port);
        refuse_public_key(public_key && !host.is_loopback(), address)?;
    }
    let listeners =
        http::bind(host.addresses(), port).map_err(|(address, source)| match source.kind() {
            io::ErrorKind::AddrInUse => StartError::AddressInUse { address },
            _ => StartError::Bind { address, source },
        })?;
    Ok((listeners, host))
}

fn refuse_public_key(refuse: bool, address: SocketAddr) -> Result<(), StartError> {
    match refuse {
        true => Err(StartError::WellKnownKey { address }),
        false => Ok(()),
    }
}
