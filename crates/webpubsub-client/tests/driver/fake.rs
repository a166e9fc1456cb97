//! A service that the test plays: it answers dials, reads what the client writes, and says what it likes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use futures_util::{Sink, Stream};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use webpubsub_client::connector::{Connector, Dial, Transport};
use webpubsub_client::{Closure, DialFailure, Events, WebPubSubClient, WebPubSubClientBuilder};
use webpubsub_protocol::session::WireFrame;

/// Where the client believes to connect to.
pub(crate) const URL: &str = "wss://service.test/client/hubs/chat?access_token=the-token";

type Answer = Result<FakeTransport, DialFailure>;

/// Hands dials to the test.
pub(crate) struct FakeConnector(mpsc::UnboundedSender<(Dial, oneshot::Sender<Answer>)>);

impl Connector for FakeConnector {
    type Transport = FakeTransport;

    async fn connect(&self, dial: Dial) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.0.send((dial, answer)).expect("the test lives");
        match answered.await {
            Ok(answer) => answer,
            // The test lets the dial hang.
            Err(_) => std::future::pending().await,
        }
    }
}

/// The test's side.
pub(crate) struct Service(mpsc::UnboundedReceiver<(Dial, oneshot::Sender<Answer>)>);

/// A dial that waits for its answer. Dropping it lets it hang.
pub(crate) struct Dialled {
    pub(crate) dial: Dial,
    answer: oneshot::Sender<Answer>,
}

pub(crate) fn service() -> (FakeConnector, Service) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (FakeConnector(sender), Service(receiver))
}

/// A client of a fake service, with fixed delays.
pub(crate) fn client(
    build: impl FnOnce(WebPubSubClientBuilder) -> WebPubSubClientBuilder,
) -> (WebPubSubClient, Service) {
    let (connector, service) = service();
    let second = webpubsub_client::Backoff::Fixed(Duration::from_secs(1));
    let builder = WebPubSubClient::builder(URL)
        .connector(connector)
        .reconnect_backoff(second)
        .recovery_backoff(second)
        .request_retries(3, second)
        .seed(1);
    let client = build(builder).build();
    (client.expect("no TLS is needed"), service)
}

/// A started client, its events after `connected`, and its socket.
pub(crate) async fn connected(
    build: impl FnOnce(WebPubSubClientBuilder) -> WebPubSubClientBuilder,
) -> (WebPubSubClient, Events, Service, Socket) {
    let (client, mut service) = client(build);
    let mut events = client.events();
    let (started, socket) = tokio::join!(client.start(), async {
        let socket = service.dialled().await.accept();
        socket.say(&connected_frame("c1", "t1"));
        socket
    });
    started.expect("started");
    loop {
        let event = events.next().await.expect("an event");
        if matches!(event, webpubsub_client::Event::Connected { .. }) {
            break;
        }
    }
    (client, events, service, socket)
}

pub(crate) fn connected_frame(id: &str, token: &str) -> String {
    format!(
        r#"{{"type":"system","event":"connected","userId":"ana","connectionId":"{id}","reconnectionToken":"{token}"}}"#
    )
}

impl Service {
    pub(crate) async fn dialled(&mut self) -> Dialled {
        let (dial, answer) = self.0.recv().await.expect("the client dials");
        Dialled { dial, answer }
    }

    /// The next dial, if there is one now.
    pub(crate) fn try_dialled(&mut self) -> Option<Dialled> {
        let (dial, answer) = self.0.try_recv().ok()?;
        Some(Dialled { dial, answer })
    }
}

impl Dialled {
    pub(crate) fn accept(self) -> Socket {
        let (down, from_service) = mpsc::unbounded_channel();
        let (to_service, up) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        let transport = FakeTransport {
            from_service,
            to_service,
            shared: Arc::clone(&shared),
            written: VecDeque::new(),
            has_failed: false,
        };
        assert!(
            self.answer.send(Ok(transport)).is_ok(),
            "the dial was given up"
        );
        Socket { down, up, shared }
    }

    pub(crate) fn refuse(self, failure: DialFailure) {
        assert!(
            self.answer.send(Err(failure)).is_ok(),
            "the dial was given up"
        );
    }

    pub(crate) fn refuse_with(self, status: u16) {
        self.refuse(DialFailure::Refused {
            status,
            retry_after: None,
            body: String::new(),
        });
    }

    /// Whether the client does not wait for the answer any more.
    pub(crate) fn is_given_up(&self) -> bool {
        self.answer.is_closed()
    }
}

#[derive(Default)]
struct Shared {
    is_jammed: AtomicBool,
    writer: AtomicWaker,
    flushes: AtomicUsize,
    is_deaf: AtomicBool,
    is_broken: AtomicBool,
    /// What can be read once writing has failed.
    last_words: Mutex<VecDeque<Result<WireFrame, Closure>>>,
    panics: AtomicBool,
    /// How many times a flush spins before it is done, as a system call takes its time.
    spins: AtomicUsize,
}

/// The service's end of a socket.
pub(crate) struct Socket {
    down: mpsc::UnboundedSender<Result<WireFrame, Closure>>,
    up: mpsc::UnboundedReceiver<Up>,
    shared: Arc<Shared>,
}

/// What the client did to its socket.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Up {
    Text(String),
    CloseFrame(u16),
}

impl Socket {
    pub(crate) fn say(&self, frame: &str) {
        // The client may have dropped the socket.
        let _ = self.down.send(Ok(WireFrame::Text(frame.to_owned().into())));
    }

    pub(crate) fn close(&self, code: u16, reason: &str) {
        let _ = self.down.send(Err(closure(code, reason)));
    }

    /// The connection breaks without a close frame.
    pub(crate) fn cut(&self) {
        let _ = self.down.send(Err(Closure::default()));
    }

    /// The next thing that the client writes; `None` when it dropped the socket.
    pub(crate) async fn heard(&mut self) -> Option<Up> {
        self.up.recv().await
    }

    pub(crate) async fn text(&mut self) -> String {
        match self.heard().await {
            Some(Up::Text(text)) => text,
            other => panic!("no text but {other:?}"),
        }
    }

    /// What was written until now, once the client has nothing to do.
    pub(crate) async fn texts(&mut self) -> Vec<String> {
        settle().await;
        let mut texts = Vec::new();
        while let Ok(Up::Text(text)) = self.up.try_recv() {
            texts.push(text);
        }
        texts
    }

    /// Takes no more frames, or takes them again.
    pub(crate) fn jam(&self, jammed: bool) {
        self.shared.is_jammed.store(jammed, Ordering::SeqCst);
        self.shared.writer.wake();
    }

    /// Does not answer a close frame.
    pub(crate) fn ignore_close_frame(&self) {
        self.shared.is_deaf.store(true, Ordering::SeqCst);
    }

    /// Writing fails from now on, and what arrived meanwhile is this frame and a close frame.
    pub(crate) fn break_writes(&self, frame: &str, code: u16, reason: &str) {
        let frame = Ok(WireFrame::Text(frame.to_owned().into()));
        *self.shared.last_words.lock() = VecDeque::from([frame, Err(closure(code, reason))]);
        self.shared.is_broken.store(true, Ordering::SeqCst);
    }

    /// Writing panics from now on.
    pub(crate) fn panic_on_write(&self) {
        self.shared.panics.store(true, Ordering::SeqCst);
    }

    /// Writing takes a while.
    pub(crate) fn write_slowly(&self, spins: usize) {
        self.shared.spins.store(spins, Ordering::SeqCst);
    }

    pub(crate) fn flushes(&self) -> usize {
        self.shared.flushes.load(Ordering::SeqCst)
    }
}

/// Lets all tasks run until they wait. The clock of the test is paused, so it costs no time; it moves by a
/// millisecond.
pub(crate) async fn settle() {
    pass(Duration::from_millis(1)).await;
}

/// Lets so much time pass on the paused clock of a test, with everything that happens meanwhile.
pub(crate) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// The client's end of a socket.
pub(crate) struct FakeTransport {
    from_service: mpsc::UnboundedReceiver<Result<WireFrame, Closure>>,
    to_service: mpsc::UnboundedSender<Up>,
    shared: Arc<Shared>,
    written: VecDeque<Up>,
    has_failed: bool,
}

fn closure(code: u16, reason: &str) -> Closure {
    Closure {
        code: Some(code),
        reason: reason.to_owned(),
        ..Closure::default()
    }
}

impl Stream for FakeTransport {
    type Item = Result<WireFrame, Closure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_failed
            && let Some(word) = self.shared.last_words.lock().pop_front()
        {
            return Poll::Ready(Some(word));
        }
        self.from_service.poll_recv(cx)
    }
}

impl Sink<WireFrame> for FakeTransport {
    type Error = Closure;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Closure>> {
        self.shared.writer.register(cx.waker());
        if self.shared.is_jammed.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, frame: WireFrame) -> Result<(), Closure> {
        let WireFrame::Text(text) = frame else {
            panic!("the tests speak JSON");
        };
        self.written.push_back(Up::Text(text.to_string()));
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Closure>> {
        self.shared.flushes.fetch_add(1, Ordering::SeqCst);
        assert!(
            !self.shared.panics.load(Ordering::SeqCst),
            "the test asked for it"
        );
        if self.shared.is_broken.load(Ordering::SeqCst) {
            self.has_failed = true;
            return Poll::Ready(Err(Closure {
                error: Some("broken pipe".to_owned()),
                ..Closure::default()
            }));
        }
        for _ in 0..self.shared.spins.load(Ordering::SeqCst) {
            std::hint::spin_loop();
        }
        while let Some(up) = self.written.pop_front() {
            // The test may have dropped its end.
            let _ = self.to_service.send(up);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Closure>> {
        self.poll_flush(cx)
    }
}

impl Transport for FakeTransport {
    fn poll_close_with(mut self: Pin<&mut Self>, cx: &mut Context<'_>, code: u16) -> Poll<()> {
        if self.as_mut().poll_flush(cx).is_ready() {
            let _ = self.to_service.send(Up::CloseFrame(code));
        }
        if self.shared.is_deaf.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}
