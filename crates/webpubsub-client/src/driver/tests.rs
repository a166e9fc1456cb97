//! Every interleaving of handles and driver, as far as they meet under the session's lock.
//!
//! loom runs each scenario again and again, once for each order in which its threads can take the lock, with a few switches
//! away from a thread that could have gone on. A thread that waits for ever is a failure.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use futures_util::{Sink, Stream};
use loom::future::block_on;
use loom::thread::{self, JoinHandle};
use parking_lot::Mutex;
use webpubsub_protocol::name::EventName;
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::session::{
    Closure, DialFailure, Outcome, Request, RequestId, Session, SessionConfig, State, StopReason,
    WireFrame,
};
use webpubsub_protocol::subprotocol::Subprotocol;

use super::*;
use crate::connector::{Connector, Dial, Transport};
use crate::error::SendError;
use crate::event::Event;
use crate::inbox::{Events, Inbox, Overflow};
use crate::metrics::NoMetrics;
use crate::pending;
use crate::shared::{Settled, Shared};

#[test]
fn a_stop_beside_a_request_settles_it_and_closes_the_socket() {
    explore(2, || {
        let world = World::connected(1_000);
        let sender = world.send();
        world.stop();
        assert!(is_settled(&sender.join().unwrap()));
        world.end(1);
    });
}

#[test]
fn a_stop_before_the_connection_stands_ends_the_start() {
    explore(2, || {
        let world = World::new(1_000);
        let started = world.shared.start().unwrap();
        world.run(started.seat);
        let shared = Arc::clone(&world.shared);
        let stopper = thread::spawn(move || {
            if let Some(stopped) = shared.stop() {
                block_on(stopped).unwrap();
            }
        });
        let connected = block_on(started.connected).unwrap();
        assert!(matches!(connected, Ok(()) | Err(StopReason::Requested)));
        stopper.join().unwrap();
        world.end_at_least(0);
    });
}

#[test]
fn a_start_right_after_a_stop_is_driven() {
    explore(1, || {
        let world = World::connected(1_000);
        world.stop();
        world.restart();
        let settled = block_on(pending::submit_within(&world.shared, None, request()));
        assert!(is_settled(&settled));
        world.stop();
        world.end(2);
    });
}

#[test]
fn a_start_beside_a_stop_is_driven_or_refused() {
    explore(2, || {
        let world = World::connected(1_000);
        let shared = Arc::clone(&world.shared);
        let stopper = thread::spawn(move || drop(shared.stop()));
        if let Ok(started) = world.shared.start() {
            world.run(started.seat);
            assert_eq!(block_on(started.connected).unwrap(), Ok(()));
        }
        stopper.join().unwrap();
        world.stop();
        world.end_at_least(1);
    });
}

#[test]
fn a_driver_that_is_dropped_harms_no_driver_that_comes_later() {
    explore(2, || {
        let world = World::new(1_000);
        let started = world.shared.start().unwrap();
        let mut driver = Box::pin(Driver::new(started.seat.unwrap(), world.link()));
        assert!(poll_once(driver.as_mut()).is_pending());
        let sender = world.send();
        let dropper = thread::spawn(move || drop(driver));
        let mut was_restarted = false;
        if let Ok(started) = world.shared.start() {
            was_restarted = true;
            world.run(Some(started.seat.expect("the driver before is gone")));
            assert_eq!(block_on(started.connected).unwrap(), Ok(()));
        }
        dropper.join().unwrap();
        assert!(is_settled(&sender.join().unwrap()) || !was_restarted);
        world.stop();
        world.end_at_least(0);
    });
}

#[test]
fn callers_that_wait_for_room_are_woken_by_room_and_by_a_stop() {
    explore(1, || {
        let world = World::connected(1);
        let senders = [world.send(), world.send()];
        world.stop();
        for sender in senders {
            assert!(is_settled(&sender.join().unwrap()));
        }
        world.end(1);
    });
}

#[test]
fn a_caller_that_gives_up_passes_its_turn_on() {
    explore(2, || {
        let (world, driver) = World::waiting(1);
        let submit = || {
            let shared = Arc::clone(&world.shared);
            Box::pin(async move { pending::submit_within(&shared, None, request()).await })
        };
        let mut in_outbox = submit();
        assert!(poll_once(in_outbox.as_mut()).is_pending());
        let mut waiting = submit();
        assert!(poll_once(waiting.as_mut()).is_pending());
        let sender = world.send();
        world.spawn(driver);
        // It may have been woken by then, and has not tried.
        drop(waiting);
        let settled = sender.join().unwrap();
        assert!(matches!(settled, Ok((_, settled)) if accepted(&settled)));
        // The rest is the same in whatever order.
        loom::stop_exploring();
        drop(in_outbox);
        world.stop();
        world.end(1);
    });
}

#[test]
fn a_consumer_hears_the_end_whatever_blocks_it() {
    explore(2, || {
        let world = World::new(1_000);
        // Full with the first event.
        let inbox = Inbox::new(0, Overflow::Pause);
        world.shared.add_inbox(Arc::clone(&inbox));
        let mut events = Events::new(inbox, Arc::clone(&world.shared));
        let started = world.shared.start().unwrap();
        world.run(started.seat);
        let reader = thread::spawn(move || {
            block_on(async {
                while let Some(event) = events.next().await {
                    if matches!(event, Event::Stopped { .. }) {
                        return;
                    }
                }
                panic!("the last event is missing");
            });
        });
        world.stop();
        reader.join().unwrap();
        world.end_at_least(0);
    });
}

#[test]
fn the_last_handle_ends_everything() {
    explore(2, || {
        let world = World::connected(1_000);
        let sender = world.send();
        world.shared.abandon();
        assert!(is_settled(&sender.join().unwrap()));
        world.end(1);
    });
}

/// Runs a scenario in every order with at most so many preemptions. With two, a run finds all races that this crate has
/// ever had; where more threads meet, one keeps it to a second.
fn explore(preemptions: usize, scenario: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(scenario);
}

fn request() -> Request {
    let event = EventName::new("e").unwrap();
    Request::send_event(event, Payload::text("x"))
}

type Sent = Result<(RequestId, Settled), SendError>;

/// Whether a request ended as one may that is stopped while it is under way.
fn is_settled(result: &Sent) -> bool {
    match result {
        Ok((_, settled)) => accepted(settled) || matches!(settled.outcome, Outcome::Lost(_)),
        Err(error) => matches!(error, SendError::NotStarted),
    }
}

const fn accepted(settled: &Settled) -> bool {
    matches!(settled.outcome, Outcome::Accepted { .. })
}

fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A client of a service that answers everything at once.
struct World {
    shared: Arc<Shared>,
    closed: Arc<AtomicUsize>,
    drivers: Mutex<Vec<JoinHandle<()>>>,
}

impl World {
    fn new(outbox_frames: usize) -> Self {
        let mut config = SessionConfig::default();
        config.outbox_frames = outbox_frames;
        let session = Session::new(config, Arc::new(Subprotocol::ReliableJson), 1);
        Self {
            shared: Shared::new(session, Arc::new(NoMetrics)),
            closed: Arc::default(),
            drivers: Mutex::default(),
        }
    }

    /// A client whose driver has connected it.
    fn connected(outbox_frames: usize) -> Self {
        let (world, driver) = Self::waiting(outbox_frames);
        world.spawn(driver);
        world
    }

    /// A connected client, and its driver, which does nothing yet.
    fn waiting(outbox_frames: usize) -> (Self, Pin<Box<Driver>>) {
        let world = Self::new(outbox_frames);
        let mut started = world.shared.start().unwrap();
        let mut driver = Box::pin(Driver::new(started.seat.take().unwrap(), world.link()));
        assert!(poll_once(driver.as_mut()).is_pending());
        assert_eq!(started.connected.try_recv(), Ok(Ok(())));
        (world, driver)
    }

    fn spawn(&self, driver: Pin<Box<Driver>>) {
        let driver = thread::spawn(move || block_on(driver));
        self.drivers.lock().push(driver);
    }

    fn link(&self) -> Arc<Link> {
        Arc::new(Link {
            credential: WebPubSubClientCredential::url("ws://service.test/client/hubs/chat"),
            connector: Arc::new(Service {
                closed: Arc::clone(&self.closed),
            }),
            protocol: Arc::new(Subprotocol::ReliableJson),
            max_message_bytes: 1 << 20,
        })
    }

    /// Runs a driver when one is needed.
    fn run(&self, seat: Option<Seat>) {
        if let Some(seat) = seat {
            self.spawn(Box::pin(Driver::new(seat, self.link())));
        }
    }

    fn send(&self) -> JoinHandle<Sent> {
        let shared = Arc::clone(&self.shared);
        thread::spawn(move || block_on(pending::submit_within(&shared, None, request())))
    }

    fn stop(&self) {
        if let Some(stopped) = self.shared.stop() {
            block_on(stopped).unwrap();
        }
    }

    fn restart(&self) {
        let started = self.shared.start().unwrap();
        self.run(started.seat);
        assert_eq!(block_on(started.connected).unwrap(), Ok(()));
    }

    /// A client that was stopped leaves nothing behind.
    fn end(self, closed: usize) {
        assert_eq!(self.end_at_least(closed), closed);
    }

    fn end_at_least(self, closed: usize) -> usize {
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
}

struct FakeSocket {
    closed: Arc<AtomicUsize>,
    incoming: VecDeque<WireFrame>,
    reader: Option<Waker>,
}

impl Connector for Service {
    type Transport = FakeSocket;

    async fn connect(&self, _: Dial) -> Result<FakeSocket, DialFailure> {
        let connected = r#"{"type":"system","event":"connected","connectionId":"c1"}"#;
        Ok(FakeSocket {
            closed: Arc::clone(&self.closed),
            incoming: VecDeque::from([WireFrame::Text(connected.into())]),
            reader: None,
        })
    }
}

impl Stream for FakeSocket {
    type Item = Result<WireFrame, Closure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
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
        let id = text.split(r#""ackId":"#).nth(1).expect("a request");
        let id: String = id.chars().take_while(char::is_ascii_digit).collect();
        let ack = format!(r#"{{"type":"ack","ackId":{id},"success":true}}"#);
        self.incoming.push_back(WireFrame::Text(ack.into()));
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
