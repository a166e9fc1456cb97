//! Sockets in virtual time: the real tasks, on transports of the caller's, polled one at a time in an order that a seed
//! chooses.
//!
//! For the simulations of this workspace, behind a private feature. Nothing here decides anything: the hub, the tasks and
//! the REST sends are those of the emulator. Its other tasks, which keep the hub's deadlines, run on a tokio runtime of
//! one thread.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use webpubsub_protocol::access::verify_reconnection_token;
use webpubsub_protocol::name::{ConnectionId, HubName};
use webpubsub_protocol::payload::Payload;

use super::endpoint::NOT_RECOVERABLE;
use super::guard::SocketGuard;
use super::task::{Holds, SocketTask};
use crate::clock::Clock;
use crate::hub::driven::{ConnectSpec, DrivenSettings, Held, Refused, To};
use crate::hub::{
    Attachment, HandlerFailed, Hub, OpenRequest, Outgoing, Overrides, Reply, Selection, Target,
    Upstream, UpstreamCall,
};
use crate::service::Service;
use crate::settings::Settings;

/// How often the runtime's tasks may take turns until they are done with whatever woke them: a deadline that moves and
/// passes takes two.
const TURNS: usize = 8;

/// A socket or a REST call that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Task(u64);

/// A service whose sockets run on transports of the caller's.
pub struct DrivenSockets {
    runtime: Runtime,
    clock: Clock,
    service: Arc<Service>,
    hub: Arc<Hub>,
    tasks: BTreeMap<Task, Pin<Box<dyn Future<Output = ()>>>>,
    sockets: BTreeMap<Task, Weak<dyn Holds>>,
    /// Whether the handler of user events answers.
    answers: watch::Sender<bool>,
    woken: Arc<Mutex<BTreeSet<Task>>>,
    tasks_made: u64,
    rng: SmallRng,
}

impl DrivenSockets {
    /// A service whose ids, tokens and order of tasks `seed` repeats.
    ///
    /// # Panics
    ///
    /// When the machine has no resources for a runtime.
    #[must_use]
    pub fn new(driven: &DrivenSettings, seed: u64) -> Self {
        let runtime = Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime of one thread starts");
        let mut settings = Settings::default();
        settings.connected_on_recovery = driven.connected_on_recovery;
        settings.limits.outbox_frames = driven.outbox_frames;
        settings.limits.outbox_bytes = driven.outbox_bytes;
        settings.limits.replay_messages = driven.outbox_frames;
        settings.limits.replay_bytes = driven.outbox_bytes;
        settings.limits.recovery_window = driven.recovery_window;
        let clock = Clock::manual();
        let entered = runtime.enter();
        let answers = watch::Sender::new(true);
        let handler: Arc<dyn Upstream> = Arc::new(Handler(answers.subscribe()));
        let handler = driven.has_handler.then_some(handler);
        let service = Service::new(
            settings,
            clock.clone(),
            Some(seed),
            handler,
            BTreeMap::new(),
        );
        let hub = service.hub(&HubName::new("driven").expect("a name"));
        drop(entered);
        Self {
            runtime,
            clock,
            service,
            hub,
            tasks: BTreeMap::new(),
            sockets: BTreeMap::new(),
            answers,
            woken: Arc::default(),
            tasks_made: 0,
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    // What comes from outside.

    /// Opens a connection whose first socket is at the near end of `io`.
    ///
    /// # Panics
    ///
    /// Never: a new connection with an id of its own is accepted.
    pub fn connect<T>(&mut self, spec: ConnectSpec, io: T) -> (Task, ConnectionId)
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (ticket, id) = self.hub.open(OpenRequest::from(spec));
        let attachment = self.hub.accept(ticket, Overrides::default());
        let attachment = attachment.expect("a fresh ticket and a fresh id are accepted");
        (self.attach(attachment, io), id)
    }

    /// Gives a connection its next socket, if the token is the one it was given.
    ///
    /// # Errors
    ///
    /// The close that a client gets instead.
    pub fn recover<T>(&mut self, id: &str, token: &str, io: T) -> Result<Task, Refused>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let refused = Refused {
            code: 1008,
            reason: NOT_RECOVERABLE,
        };
        let (keys, now) = (self.service.settings().keys(), self.clock.now().wall);
        if verify_reconnection_token(token, keys, id, now).is_err() {
            return Err(refused);
        }
        let attachment = self.hub.recover(id).map_err(|_| refused)?;
        Ok(self.attach(attachment, io))
    }

    fn attach<T>(&mut self, attachment: Attachment, io: T) -> Task
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (service, hub) = (Arc::clone(&self.service), Arc::clone(&self.hub));
        let guard = SocketGuard::new(service, hub, attachment, None);
        let socket = SocketTask::new(io, guard);
        let holds = socket.holds();
        let task = self.spawn(socket);
        self.sockets.insert(task, holds);
        task
    }

    /// A REST call that sends a message. It is over when it is answered.
    pub fn send(&mut self, to: To, payload: Payload) -> Task {
        let (hub, target) = (Arc::clone(&self.hub), Target::from(to));
        self.spawn(async move {
            let message = Outgoing {
                payload,
                metadata: Default::default(),
                ttl_seconds: 0,
            };
            hub.send(&target, &Selection::default(), message).await;
        })
    }

    /// A REST call that closes a connection.
    pub fn close(&mut self, id: ConnectionId) {
        let _entered = self.runtime.enter();
        self.hub.close(&Target::Connection(id), &[], None);
    }

    /// Has the handler of user events answer, or keep those that wait waiting.
    pub fn let_handler_answer(&mut self, answers: bool) {
        self.answers.send_replace(answers);
    }

    // Running.

    fn spawn(&mut self, task: impl Future<Output = ()> + 'static) -> Task {
        self.tasks_made += 1;
        let key = Task(self.tasks_made);
        self.tasks.insert(key, Box::pin(task));
        self.woken.lock().insert(key);
        key
    }

    /// Moves time on. What waited for a moment that has passed is woken.
    pub fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
    }

    /// Polls whatever was woken, until nothing is woken any more. Whether that was so after so many polls for each task.
    pub fn run(&mut self, polls: usize) -> bool {
        for _ in 0..polls {
            let mut woken: Vec<_> = std::mem::take(&mut *self.woken.lock())
                .into_iter()
                .collect();
            if woken.is_empty() {
                self.runtime.block_on(async {
                    for _ in 0..TURNS {
                        tokio::task::yield_now().await;
                    }
                });
                if self.woken.lock().is_empty() {
                    return true;
                }
                continue;
            }
            woken.shuffle(&mut self.rng);
            for key in woken {
                self.poll(key);
            }
        }
        false
    }

    fn poll(&mut self, key: Task) {
        let Some(task) = self.tasks.get_mut(&key) else {
            return;
        };
        let woken = Arc::clone(&self.woken);
        let waker = Waker::from(Arc::new(WakeTask { key, woken }));
        let _entered = self.runtime.enter();
        let ended = task.as_mut().poll(&mut Context::from_waker(&waker));
        if ended.is_ready() {
            self.tasks.remove(&key);
            self.sockets.remove(&key);
        }
    }

    // What is there.

    /// Whether a task still runs.
    #[must_use]
    pub fn is_running(&self, task: Task) -> bool {
        self.tasks.contains_key(&task)
    }

    /// How many tasks still run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.tasks.len()
    }

    /// What a socket and its connection hold; nothing when the socket's task has ended.
    #[must_use]
    pub fn held(&self, socket: Task) -> Held {
        let socket = self.sockets.get(&socket).and_then(Weak::upgrade);
        socket.map_or_else(Held::default, |socket| socket.held())
    }

    /// Whether a connection exists, with or without a socket.
    #[must_use]
    pub fn connection_exists(&self, id: &str) -> bool {
        self.hub.connection_exists(id)
    }
}

impl Drop for DrivenSockets {
    fn drop(&mut self) {
        // The guards of sockets and the timers of REST calls are used in a runtime.
        let _entered = self.runtime.enter();
        self.tasks.clear();
    }
}

impl fmt::Debug for DrivenSockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrivenSockets")
            .field("tasks", &self.tasks.len())
            .finish_non_exhaustive()
    }
}

/// Handles user events, when it may.
struct Handler(watch::Receiver<bool>);

impl Upstream for Handler {
    fn call(
        &self,
        _: &HubName,
        _: UpstreamCall,
    ) -> BoxFuture<'static, Result<Reply, HandlerFailed>> {
        let mut answers = self.0.clone();
        async move {
            let may_answer = answers.wait_for(|answers| *answers).await;
            may_answer
                .map(|_| Reply::default())
                .map_err(|_| HandlerFailed)
        }
        .boxed()
    }
}

/// Notes that a task was woken.
struct WakeTask {
    key: Task,
    woken: Arc<Mutex<BTreeSet<Task>>>,
}

impl Wake for WakeTask {
    fn wake(self: Arc<Self>) {
        self.woken.lock().insert(self.key);
    }
}
