//! The client's handle.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use webpubsub_protocol::name::{GroupName, InvalidName};
use webpubsub_protocol::payload::IntoPayload;
use webpubsub_protocol::session::{MemberState, Request, State, StopReason};

use crate::builder::WebPubSubClientBuilder;
use crate::connector::TlsConfigError;
use crate::credential::WebPubSubClientCredential;
use crate::driver::{self, Link};
use crate::error::{NotSubscribed, SendError, StartError};
use crate::group_state::GroupStateView;
use crate::inbound::SubscribeGroupStreams;
use crate::inbox::{Events, Inbox, Overflow};
use crate::invoke::InvokeEvent;
use crate::outbound::OpenGroupStream;
use crate::send::{self, Acknowledged, JoinGroup, LeaveGroup, SendEvent, SendToGroup};
use crate::shared::{Run, Shared};

/// What an inbox holds unless you say otherwise.
const INBOX_BYTES: usize = 16 * 1024 * 1024;

/// A real-time client of a hub. Clones are handles of the same client.
///
/// Subscribe to [`events`](Self::events), then [`start`](Self::start), or do both with [`connect`](Self::connect).
/// The client lives in one task on the tokio runtime that started it. It stops with [`stop`](Self::stop), or when the
/// last handle is dropped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let emulator = webpubsub_emulator::Emulator::start().await?;
/// # let url = emulator.client_access_url("chat", "ana", &["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"]);
/// use webpubsub_client::{Event, WebPubSubClient};
///
/// let (client, mut events) = WebPubSubClient::connect(url).await?;
/// client.join_group("room-7").await?;
/// client.send_to_group("room-7", "hello").await?;
/// while let Some(event) = events.next().await {
///     if let Event::GroupMessage(message) = event {
///         assert_eq!(message.text(), Some("hello"));
///         break;
///     }
/// }
/// client.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct WebPubSubClient {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    link: Arc<Link>,
}

impl WebPubSubClient {
    /// Connects with default settings: makes the client, subscribes to its events and starts it.
    ///
    /// `credential` is a URL with an access token, or a [`WebPubSubClientCredential`] that asks your server for one.
    ///
    /// # Errors
    ///
    /// When there is no connection.
    pub async fn connect(
        credential: impl Into<WebPubSubClientCredential>,
    ) -> Result<(Self, Events), ConnectError> {
        Self::builder(credential).connect().await
    }

    /// A client with other settings.
    pub fn builder(credential: impl Into<WebPubSubClientCredential>) -> WebPubSubClientBuilder {
        WebPubSubClientBuilder::new(credential.into())
    }

    pub(crate) fn new(shared: Arc<Shared>, link: Arc<Link>) -> Self {
        Self {
            handle: Arc::new(Handle { shared, link }),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    // Life.

    /// Connects; completes when the service has confirmed the connection. Dropping the future before stops the client.
    ///
    /// # Errors
    ///
    /// When it runs already, or stops before there is a connection: by default when the first dial fails.
    pub async fn start(&self) -> Result<(), StartError> {
        let started = self
            .shared()
            .start()
            .map_err(|_| StartError::AlreadyStarted)?;
        let unfinished = GiveUpOnDrop(self.shared(), Some(started.run));
        if let Some(seat) = started.seat {
            driver::spawn(seat, Arc::clone(&self.handle.link));
        }
        let connected = started.connected.await;
        unfinished.forget();
        // The driver says how it went before it ends, unless it ends by a panic.
        connected
            .unwrap_or(Err(StopReason::Requested))
            .map_err(StartError::Stopped)
    }

    /// Stops: closes the connection so that the service forgets it at once, and fails what waits. Completes when the
    /// socket is closed, after at most 2 s. The client can be started again.
    pub async fn stop(&self) {
        if let Some(stopped) = self.shared().stop() {
            // Fails when the driver is gone, and its sockets with it.
            let _ = stopped.await;
        }
    }

    /// What the client is doing.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared().lock().session.state()
    }

    /// Completes when the client is in this state; at once when it is. A state that lasts a moment only may be missed:
    /// use [`events`](Self::events) to see all.
    pub async fn wait_for(&self, state: State) {
        let mut status = self.shared().status();
        // Fails when the sender is gone, but we hold it.
        let _ = status.wait_for(|status| status.state == state).await;
    }

    /// The id of the connection, while there is one; also while it is being recovered.
    #[must_use]
    pub fn connection_id(&self) -> Option<ByteString> {
        self.shared().lock().session.connection_id().cloned()
    }

    /// The user of the connection, while there is one and it has one.
    #[must_use]
    pub fn user_id(&self) -> Option<ByteString> {
        self.shared().lock().session.user_id().cloned()
    }

    // Events.

    /// Everything that happens from now on. Several consumers may listen; each gets everything. Holds 16 MiB that were
    /// not taken yet, then nothing is read from the socket ([`Overflow::Pause`]).
    #[must_use]
    pub fn events(&self) -> Events {
        self.events_with(INBOX_BYTES, Overflow::default())
    }

    /// As [`events`](Self::events), with another limit in bytes and another reaction when it is reached.
    #[must_use]
    pub fn events_with(&self, max_bytes: usize, overflow: Overflow) -> Events {
        let inbox = Inbox::new(max_bytes, overflow);
        self.shared().add_inbox(Arc::clone(&inbox));
        Events::new(inbox, Arc::clone(self.shared()))
    }

    /// Streams that others publish to groups of this client.
    ///
    /// ```
    /// # async fn example(client: webpubsub_client::WebPubSubClient) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut streams = client.group_streams().groups(["room-7"])?.from_start().subscribe();
    /// while let Some(mut stream) = streams.next().await {
    ///     while let Some(fragment) = stream.next().await {
    ///         println!("{:?}", fragment?.payload);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn group_streams(&self) -> SubscribeGroupStreams<'_> {
        SubscribeGroupStreams::new(self)
    }

    // Requests.

    /// Joins a group. Needs the role `webpubsub.joinLeaveGroup`. New connections join it again.
    pub fn join_group(&self, group: impl Into<ByteString>) -> JoinGroup<'_> {
        JoinGroup::new(self, group.into())
    }

    /// Leaves a group. Needs the role `webpubsub.joinLeaveGroup`.
    pub fn leave_group(&self, group: impl Into<ByteString>) -> LeaveGroup<'_> {
        LeaveGroup::new(self, group.into())
    }

    /// Publishes to a group. Needs the role `webpubsub.sendToGroup`, but not membership.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # async fn example(client: webpubsub_client::WebPubSubClient) -> Result<(), Box<dyn std::error::Error>> {
    /// use webpubsub_client::{Acknowledged, payload};
    ///
    /// let sent = client.send_to_group("room-7", payload::Json(["a", "b"])).no_echo().ttl(Duration::from_secs(60)).await?;
    /// assert!(matches!(sent, Acknowledged::Accepted { .. }));
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_to_group(
        &self,
        group: impl Into<ByteString>,
        payload: impl IntoPayload,
    ) -> SendToGroup<'_> {
        SendToGroup::new(self, group.into(), payload.into_payload())
    }

    /// Raises a user event at the server. Any client may.
    pub fn send_event(
        &self,
        event: impl Into<ByteString>,
        payload: impl IntoPayload,
    ) -> SendEvent<'_> {
        SendEvent::new(self, event.into(), payload.into_payload())
    }

    /// Raises a user event at the server and waits for its answer. Fails when the connection is lost meanwhile, and is
    /// never repeated. Dropping the future tells the service that nobody waits any more.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # async fn example(client: webpubsub_client::WebPubSubClient) -> Result<(), Box<dyn std::error::Error>> {
    /// use webpubsub_client::payload;
    ///
    /// let answer = client.invoke_event("sum", payload::Json([1, 2])).timeout(Duration::from_secs(5)).await?;
    /// let sum: i32 = answer.json()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn invoke_event(
        &self,
        event: impl Into<ByteString>,
        payload: impl IntoPayload,
    ) -> InvokeEvent<'_> {
        InvokeEvent::new(self, event.into(), payload.into_payload().map(Some))
    }

    /// As [`invoke_event`](Self::invoke_event), without data.
    pub fn invoke_event_without_data(&self, event: impl Into<ByteString>) -> InvokeEvent<'_> {
        InvokeEvent::new(self, event.into(), Ok(None))
    }

    /// Opens a stream to a group: fragments that arrive once and in order. Needs the role `webpubsub.sendToGroup`.
    ///
    /// ```
    /// # async fn example(client: webpubsub_client::WebPubSubClient) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut stream = client.open_group_stream("room-7").no_echo().await?;
    /// stream.write("one").await?;
    /// stream.write("two").await?;
    /// stream.end().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn open_group_stream(&self, group: impl Into<ByteString>) -> OpenGroupStream<'_> {
        OpenGroupStream::new(self, group.into())
    }

    // Group state.

    /// Replaces this connection's state in a group, which its subscribers see. At most 512 bytes. Needs the role
    /// `webpubsub.setGroupState` and membership. Set again on new connections.
    ///
    /// # Errors
    ///
    /// When the service refuses it, or cannot be asked.
    pub async fn set_group_state<K: Into<String>, V: Into<String>>(
        &self,
        group: impl Into<ByteString>,
        state: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Acknowledged, SendError> {
        let state = state
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()));
        let state = Some(state.collect());
        self.change_group_state(group.into(), state).await
    }

    /// Clears this connection's state in a group.
    ///
    /// # Errors
    ///
    /// When the service refuses it, or cannot be asked.
    pub async fn clear_group_state(
        &self,
        group: impl Into<ByteString>,
    ) -> Result<Acknowledged, SendError> {
        self.change_group_state(group.into(), None).await
    }

    async fn change_group_state(
        &self,
        group: ByteString,
        state: Option<Vec<(String, String)>>,
    ) -> Result<Acknowledged, SendError> {
        let request = Request::set_group_state(GroupName::new(group)?, state);
        send::acknowledged(self.shared(), request).await
    }

    /// Receives the states of a group's members from now on: [`group_states`](Self::group_states) knows them, and
    /// [`Event::GroupStateChanged`](crate::Event::GroupStateChanged) tells changes. Needs the role
    /// `webpubsub.getGroupState` and membership. Renewed on new connections.
    ///
    /// # Errors
    ///
    /// When the service refuses it, or cannot be asked.
    pub async fn subscribe_group_state(
        &self,
        group: impl Into<ByteString>,
    ) -> Result<Acknowledged, SendError> {
        let request = Request::subscribe_group_state(GroupName::new(group)?);
        send::acknowledged(self.shared(), request).await
    }

    /// Stops receiving the states of a group's members.
    ///
    /// # Errors
    ///
    /// When the service cannot be asked.
    pub async fn unsubscribe_group_state(
        &self,
        group: impl Into<ByteString>,
    ) -> Result<Acknowledged, SendError> {
        let request = Request::unsubscribe_group_state(GroupName::new(group)?);
        send::acknowledged(self.shared(), request).await
    }

    /// The states of a group's members as they are known now, ordered by connection id. After a subscription they
    /// arrive a moment later, by [`Event::GroupStateChanged`](crate::Event::GroupStateChanged). The service lists at
    /// most 200 when the subscription begins; others appear when they change.
    ///
    /// # Errors
    ///
    /// When the group's states are not subscribed to.
    pub fn group_states(
        &self,
        group: impl Into<ByteString>,
    ) -> Result<Vec<MemberState>, NotSubscribed> {
        let group = GroupName::new(group).map_err(|_| NotSubscribed)?;
        self.shared()
            .lock()
            .session
            .group_states(&group)
            .ok_or(NotSubscribed)
    }

    /// The state of one member of a group, if it has one.
    ///
    /// # Errors
    ///
    /// When the group's states are not subscribed to.
    pub fn group_state(
        &self,
        group: impl Into<ByteString>,
        connection_id: &str,
    ) -> Result<Option<MemberState>, NotSubscribed> {
        let states = self.group_states(group)?;
        Ok(states
            .into_iter()
            .find(|state| state.connection_id == connection_id))
    }

    /// A live view of the states of a group's members: what they are, and when they change. Subscribe with
    /// [`subscribe_group_state`](Self::subscribe_group_state) before or after.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let emulator = webpubsub_emulator::Emulator::start().await?;
    /// # let roles = ["webpubsub.joinLeaveGroup", "webpubsub.getGroupState", "webpubsub.setGroupState"];
    /// # let url = emulator.client_access_url("chat", "ana", &roles);
    /// # let (client, _events) = webpubsub_client::WebPubSubClient::connect(url).await?;
    /// client.join_group("room-7").await?;
    /// let mut view = client.group_state_view("room-7")?;
    /// client.subscribe_group_state("room-7").await?;
    /// client.set_group_state("room-7", [("typing", "yes")]).await?;
    /// while view.changed().await {
    ///     let states = view.current()?;
    ///     println!("{} members have a state", states.len());
    ///     # break;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When it is not the name of a group.
    pub fn group_state_view(
        &self,
        group: impl Into<ByteString>,
    ) -> Result<GroupStateView, InvalidName> {
        let group = GroupName::new(group)?;
        let changes = self.shared().lock().view(group.clone());
        Ok(GroupStateView::new(
            Arc::clone(self.shared()),
            group,
            changes,
        ))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.abandon();
    }
}

impl fmt::Debug for WebPubSubClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebPubSubClient")
            .field("session", &self.shared().lock().session)
            .finish_non_exhaustive()
    }
}

/// Stops a client whose start was given up, unless it has been started again since.
struct GiveUpOnDrop<'a>(&'a Shared, Option<Run>);

impl GiveUpOnDrop<'_> {
    fn forget(mut self) {
        self.1 = None;
    }
}

impl Drop for GiveUpOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(run) = self.1 {
            self.0.give_up(run);
        }
    }
}

/// There is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The client could not be made.
    #[error(transparent)]
    Tls(#[from] TlsConfigError),
    /// The client could not be started.
    #[error(transparent)]
    Start(StartError),
}

pub(crate) const fn ttl_seconds(ttl: Duration) -> u32 {
    // Too large values are refused later.
    let seconds = ttl.as_secs();
    if seconds > u32::MAX as u64 {
        u32::MAX
    } else {
        seconds as u32
    }
}
