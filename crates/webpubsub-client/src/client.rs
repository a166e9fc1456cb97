//! The client's handle.

mod group_state;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use webpubsub_protocol::name::{EventName, GroupName, InvalidName};
use webpubsub_protocol::payload::{IntoPayload, Payload, PayloadError};
use webpubsub_protocol::session::{Request, State, StopReason};

use crate::action::{
    Action, InvokeEvent, JoinGroup, LeaveGroup, OpenGroupStream, SendEvent, SendToGroup,
};
use crate::call::Call;
use crate::driver::{self, Link};
use crate::error::{SendError, StartError};
use crate::events::Events;
use crate::group_streams::SubscribeGroupStreams;
use crate::inbox::{Inbox, Overflow};
use crate::shared::{Run, Shared};

/// What an inbox holds unless you say otherwise.
const INBOX_BYTES: usize = 16 * 1024 * 1024;

/// A real-time client of a hub. Clones are handles of the same client.
///
/// [`connect`](Self::connect) creates a client that only sends, and [`connect_with_events`](Self::connect_with_events) one that
/// also receives. You can also do it step by step: [`builder`](Self::builder), [`events`](Self::events),
/// [`start`](Self::start).
///
/// The client runs in one task of the tokio runtime on which it is started, until it is [stopped](Self::stop) or its last
/// handle is dropped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let emulator = webpubsub_emulator::Emulator::start().await?;
/// # let url = emulator.client_access_url("chat", "ana", &["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"]);
/// use webpubsub_client::{Event, WebPubSubClient};
///
/// let (client, mut events) = WebPubSubClient::connect_with_events(url).await?;
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
    request_timeout: Option<Duration>,
}

impl WebPubSubClient {
    pub(crate) fn new(
        shared: Arc<Shared>,
        link: Arc<Link>,
        request_timeout: Option<Duration>,
    ) -> Self {
        let handle = Handle {
            shared,
            link,
            request_timeout,
        };
        Self {
            handle: Arc::new(handle),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    fn call<A: Action, E: Into<SendError>>(
        &self,
        request: Result<Request, E>,
        action: A,
    ) -> Call<'_, A> {
        let request = request.map_err(Into::into);
        Call::new(self.shared(), self.handle.request_timeout, request, action)
    }

    /// A request that is about a group.
    fn call_for_group<A: Action>(
        &self,
        group: impl Into<ByteString>,
        request: impl FnOnce(GroupName) -> Request,
        action: A,
    ) -> Call<'_, A> {
        self.call(GroupName::new(group).map(request), action)
    }

    // Life.

    /// Connects. Completes when the service has confirmed the connection; dropping the future before that stops the client.
    ///
    /// # Errors
    ///
    /// If the client is already running, if this is not called on a tokio runtime, or if the client stops before it is
    /// connected, which by default it does as soon as the first dial fails.
    pub async fn start(&self) -> Result<(), StartError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(StartError::NoRuntime);
        }
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

    /// Stops the client: closes the connection, so that the service forgets it at once, and fails all requests that are
    /// waiting. Completes when the socket is closed, after 2 s at most. The client can be started again.
    pub async fn stop(&self) {
        if let Some(stopped) = self.shared().stop() {
            // Fails when the driver is gone, and its sockets with it.
            let _ = stopped.await;
        }
    }

    /// The state of the client.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared().lock().session.state()
    }

    /// Completes when the client is in this state, or at once if it already is. A state that lasts only for a moment can be
    /// missed: use [`events`](Self::events) to see all of them.
    pub async fn wait_for(&self, state: State) {
        let mut current = self.shared().state();
        // Fails when the sender is gone, but we hold it.
        let _ = current.wait_for(|current| *current == state).await;
    }

    /// The id of the connection, if there is one. A connection that is being recovered keeps its id.
    #[must_use]
    pub fn connection_id(&self) -> Option<ByteString> {
        self.shared().lock().session.connection_id().cloned()
    }

    /// The user of the connection, if there is a connection and it has a user.
    #[must_use]
    pub fn user_id(&self) -> Option<ByteString> {
        self.shared().lock().session.user_id().cloned()
    }

    // Events.

    /// Subscribes to everything that happens from now on. There can be several consumers, and each receives all events. When
    /// 16 MiB of events are waiting for one, nothing more is read from the socket ([`Overflow::Pause`]).
    #[must_use]
    pub fn events(&self) -> Events {
        self.events_with(INBOX_BYTES, Overflow::default())
    }

    /// Subscribes like [`events`](Self::events), with another limit in bytes and another reaction when it is reached.
    #[must_use]
    pub fn events_with(&self, max_bytes: usize, overflow: Overflow) -> Events {
        let inbox = Inbox::new(max_bytes, overflow);
        self.shared().add_inbox(Arc::clone(&inbox));
        Events::new(inbox, Arc::clone(self.shared()))
    }

    /// Subscribes to streams that others publish to groups of this client.
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
        SubscribeGroupStreams::new(self.shared())
    }

    // Requests.

    /// Joins a group. Requires the role `webpubsub.joinLeaveGroup`. New connections join the group again.
    pub fn join_group(&self, group: impl Into<ByteString>) -> Call<'_, JoinGroup> {
        self.call_for_group(group, Request::join_group, JoinGroup)
    }

    /// Leaves a group. Requires the role `webpubsub.joinLeaveGroup`.
    pub fn leave_group(&self, group: impl Into<ByteString>) -> Call<'_, LeaveGroup> {
        self.call_for_group(group, Request::leave_group, LeaveGroup)
    }

    /// Publishes a message to a group. Requires the role `webpubsub.sendToGroup`, but not membership of the group.
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
    ) -> Call<'_, SendToGroup> {
        let group = GroupName::new(group).map_err(SendError::from);
        let request =
            group.and_then(|group| Ok(Request::send_to_group(group, payload.into_payload()?)));
        self.call(request, SendToGroup)
    }

    /// Sends a user event to the server. Requires no role.
    pub fn send_event(
        &self,
        event: impl Into<ByteString>,
        payload: impl IntoPayload,
    ) -> Call<'_, SendEvent> {
        let event = EventName::new(event).map_err(SendError::from);
        let request =
            event.and_then(|event| Ok(Request::send_event(event, payload.into_payload()?)));
        self.call(request, SendEvent)
    }

    /// Sends a user event to the server and waits for its answer. Fails if the connection is lost in the meantime, and is
    /// never repeated. Dropping the future cancels the invocation at the service.
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
    ) -> Call<'_, InvokeEvent> {
        self.invoke(EventName::new(event), payload.into_payload().map(Some))
    }

    /// Invokes an event like [`invoke_event`](Self::invoke_event), but without data.
    pub fn invoke_event_without_data(&self, event: impl Into<ByteString>) -> Call<'_, InvokeEvent> {
        self.invoke(EventName::new(event), Ok(None))
    }

    fn invoke(
        &self,
        event: Result<EventName, InvalidName>,
        payload: Result<Option<Payload>, PayloadError>,
    ) -> Call<'_, InvokeEvent> {
        let event = event.map_err(SendError::from);
        let request = event.and_then(|event| Ok(Request::invoke(event, payload?)));
        self.call(request, InvokeEvent)
    }

    /// Opens a stream to a group, whose fragments arrive exactly once and in order. Requires the role
    /// `webpubsub.sendToGroup`.
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
    pub fn open_group_stream(&self, group: impl Into<ByteString>) -> Call<'_, OpenGroupStream> {
        let write_timeout = self.handle.request_timeout;
        let action = OpenGroupStream { write_timeout };
        self.call_for_group(group, Request::open_stream, action)
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
