//! A client of a service that answers everything at once, for explorations.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bytestring::ByteString;
use futures_util::{Sink, Stream};
use loom::future::block_on;
use loom::thread::{self, JoinHandle};
use parking_lot::Mutex;
use webpubsub_protocol::name::{EventName, GroupName};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::session::{
    Closure, DialFailure, Outcome, Request, RequestId, Session, SessionConfig, State, WireFrame,
};
use webpubsub_protocol::subprotocol::Subprotocol;

use crate::connector::{Connector, Dial, Transport};
use crate::credential::WebPubSubClientCredential;
use crate::driver::{Driver, Link};
use crate::error::SendError;
use crate::metrics::NoMetrics;
use crate::outbound::GroupStreamWriter;
use crate::pending::Pending;
use crate::shared::{Lane, Seat, Settled, Shared};

pub(super) fn submit(shared: &Arc<Shared>) -> Pending<'_> {
    let event = EventName::new("e").unwrap();
    let request = Request::send_event(event, Payload::text("x"));
    Pending::new(shared, Lane::Outbox, None, request)
}

pub(super) const MESSAGE: &str =
    r#"{"type":"message","from":"server","dataType":"text","data":"x"}"#;

pub(super) const FRAGMENT: &str = r#"{"type":"message","from":"group","group":"g","dataType":"text","data":"x","stream":{"streamId":"s","streamSequenceId":1}}"#;

pub(super) const FRAGMENT_2: &str = r#"{"type":"message","from":"group","group":"g","dataType":"text","data":"y","stream":{"streamId":"s","streamSequenceId":2}}"#;

pub(super) type Sent = Result<(RequestId, Settled), SendError>;

/// Whether a request ended as one may that is stopped while it is under way.
pub(super) fn is_settled(result: &Sent) -> bool {
    match result {
        Ok((_, settled)) => accepted(settled) || matches!(settled.outcome, Outcome::Lost(_)),
        Err(error) => matches!(error, SendError::NotStarted),
    }
}

pub(super) const fn accepted(settled: &Settled) -> bool {
    matches!(settled.outcome, Outcome::Accepted { .. })
}

pub(super) fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A client of a service that answers everything at once.
pub(super) struct World {
    pub(super) shared: Arc<Shared>,
    closed: Arc<AtomicUsize>,
    drivers: Mutex<Vec<JoinHandle<()>>>,
    /// What the service says once a client is connected.
    says: &'static [&'static str],
}

impl World {
    pub(super) fn new(outbox_frames: usize) -> Self {
        let mut config = SessionConfig::default();
        config.outbox_frames = outbox_frames;
        let session = Session::new(config, Arc::new(Subprotocol::ReliableJson), 1);
        Self {
            shared: Shared::new(session, Arc::new(NoMetrics)),
            closed: Arc::default(),
            drivers: Mutex::default(),
            says: &[],
        }
    }

    pub(super) fn saying(says: &'static [&'static str]) -> Self {
        Self {
            says,
            ..Self::new(1_000)
        }
    }

    /// A client whose driver has connected it.
    pub(super) fn connected(outbox_frames: usize) -> Self {
        let (world, driver) = Self::waiting(outbox_frames);
        world.spawn(driver);
        world
    }

    /// A connected client, and its driver, which does nothing yet.
    pub(super) fn waiting(outbox_frames: usize) -> (Self, Pin<Box<Driver>>) {
        let world = Self::new(outbox_frames);
        let mut started = world.shared.start().unwrap();
        let mut driver = Box::pin(Driver::new(started.seat.take().unwrap(), world.link()));
        assert!(poll_once(driver.as_mut()).is_pending());
        assert_eq!(started.connected.try_recv(), Ok(Ok(())));
        (world, driver)
    }

    pub(super) fn spawn(&self, driver: Pin<Box<Driver>>) {
        let driver = thread::spawn(move || block_on(driver));
        self.drivers.lock().push(driver);
    }

    pub(super) fn link(&self) -> Arc<Link> {
        Arc::new(Link {
            credential: WebPubSubClientCredential::url("ws://service.test/client/hubs/chat"),
            connector: Arc::new(Service {
                closed: Arc::clone(&self.closed),
                says: self.says,
            }),
            protocol: Arc::new(Subprotocol::ReliableJson),
            max_message_bytes: 1 << 20,
        })
    }

    /// The writer of a stream that the service has accepted.
    pub(super) fn open_stream(&self, mut driver: Pin<&mut Driver>) -> GroupStreamWriter {
        let group = GroupName::new("g").unwrap();
        let request = Request::open_stream(group).stream_id("s");
        let mut open = Box::pin(Pending::new(&self.shared, Lane::Outbox, None, request));
        loop {
            if let Poll::Ready(opened) = poll_once(open.as_mut()) {
                let (stream, settled) = opened.unwrap();
                assert!(accepted(&settled));
                return GroupStreamWriter::new(&self.shared, stream, None).unwrap();
            }
            assert!(poll_once(driver.as_mut()).is_pending());
        }
    }

    /// Runs a driver when one is needed.
    pub(super) fn run(&self, seat: Option<Seat>) {
        if let Some(seat) = seat {
            self.spawn(Box::pin(Driver::new(seat, self.link())));
        }
    }

    pub(super) fn send(&self) -> JoinHandle<Sent> {
        let shared = Arc::clone(&self.shared);
        thread::spawn(move || block_on(submit(&shared)))
    }

    pub(super) fn stop(&self) {
        if let Some(stopped) = self.shared.stop() {
            block_on(stopped).unwrap();
        }
    }

    pub(super) fn restart(&self) {
        let started = self.shared.start().unwrap();
        self.run(started.seat);
        assert_eq!(block_on(started.connected).unwrap(), Ok(()));
    }

    /// A client that was stopped leaves nothing behind.
    pub(super) fn end(self, closed: usize) {
        assert_eq!(self.end_at_least(closed), closed);
    }

    pub(super) fn end_at_least(self, closed: usize) -> usize {
        for driver in self.drivers.into_inner() {
            driver.join().unwrap();
        }
        let mut inner = self.shared.lock();
        assert_eq!(inner.session.state(), State::Stopped);
        assert!(inner.is_at_rest());
        let seen = self.closed.load(Ordering::SeqCst);
        assert!(seen >= closed, "{seen} sockets were closed");
        seen
    }
}

struct Service {
    closed: Arc<AtomicUsize>,
    says: &'static [&'static str],
}

struct FakeSocket {
    closed: Arc<AtomicUsize>,
    incoming: VecDeque<WireFrame>,
    /// After so many frames nothing has arrived for a moment, so what comes then is read on an open connection.
    pauses_in: Option<usize>,
    reader: Option<Waker>,
}

/// What the service says to a frame.
fn answer(frame: &str) -> Option<ByteString> {
    if let Some(id) = frame.split(r#""ackId":"#).nth(1) {
        let id: String = id.chars().take_while(char::is_ascii_digit).collect();
        return Some(format!(r#"{{"type":"ack","ackId":{id},"success":true}}"#).into());
    }
    if frame.contains("streamEnd") {
        return Some(r#"{"type":"streamClosed","streamId":"s"}"#.into());
    }
    let is_start = frame.contains(r#""stream":"#);
    is_start.then(|| r#"{"type":"streamAck","streamId":"s","expectedSequenceId":1}"#.into())
}

impl Connector for Service {
    type Transport = FakeSocket;

    async fn connect(&self, _: Dial) -> Result<FakeSocket, DialFailure> {
        let connected = r#"{"type":"system","event":"connected","connectionId":"c1"}"#;
        let says = [connected].into_iter().chain(self.says.iter().copied());
        Ok(FakeSocket {
            closed: Arc::clone(&self.closed),
            incoming: says.map(|text| WireFrame::Text(text.into())).collect(),
            pauses_in: (!self.says.is_empty()).then_some(1),
            reader: None,
        })
    }
}

impl Stream for FakeSocket {
    type Item = Result<WireFrame, Closure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(frames) = self.pauses_in.take() {
            self.pauses_in = frames.checked_sub(1);
            if self.pauses_in.is_none() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        match self.incoming.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => {
                self.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Sink<WireFrame> for FakeSocket {
    type Error = Closure;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Closure>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, frame: WireFrame) -> Result<(), Closure> {
        let WireFrame::Text(text) = frame else {
            panic!("the tests speak JSON");
        };
        self.incoming.extend(answer(&text).map(WireFrame::Text));
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Closure>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Closure>> {
        Poll::Ready(Ok(()))
    }
}

impl Transport for FakeSocket {
    fn poll_close_with(self: Pin<&mut Self>, cx: &mut Context<'_>, _: u16) -> Poll<()> {
        self.closed.fetch_add(1, Ordering::SeqCst);
        cx.waker().wake_by_ref();
        Poll::Ready(())
    }
}
