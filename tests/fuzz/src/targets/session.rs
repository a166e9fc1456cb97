//! The session: whatever happens in whatever order, its contract holds.

mod inputs;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use arbitrary::{Arbitrary as _, Unstructured};
use inputs::{Settings, Step};
use webpubsub_protocol::frame::{json, protobuf};
use webpubsub_protocol::session::{
    Action, Attempt, Event, Input, Now, Request, RequestId, Session, SessionConfig, State,
    StreamOptions, SubmitError, SubscriptionId, WireFrame,
};
use webpubsub_protocol::subprotocol::Subprotocol;

/// Where every run begins: only differences count.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Steps of one run, so that long inputs do not only make runs slow.
const STEPS: usize = 200;

pub(super) fn run(input: &[u8]) {
    let mut bytes = Unstructured::new(input);
    let Ok(settings) = Settings::arbitrary(&mut bytes) else {
        return;
    };
    let mut world = World::new(&settings);
    world.take(Step::Start);
    for _ in 0..STEPS {
        if bytes.is_empty() {
            break;
        }
        let Ok(step) = Step::arbitrary(&mut bytes) else {
            break;
        };
        world.take(step);
    }
    world.take(Step::Stop);
    assert_eq!(world.session.state(), State::Stopped);
}

/// What the application has been told about its connection.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Connected,
    Recovering,
}

struct World {
    session: Session,
    subprotocol: Subprotocol,
    now: Now,
    attempt: Attempt,
    submitted: Vec<RequestId>,
    unsettled: BTreeSet<RequestId>,
    subscriptions: Vec<SubscriptionId>,
    told: Told,
    stopped: bool,
    freed: u64,
    /// The largest sequence ack, and the connection it belongs to.
    acknowledged: Option<(String, u64)>,
}

impl World {
    fn new(settings: &Settings) -> Self {
        let config = SessionConfig::default()
            .retry_initial_connect(settings.retries)
            .auto_reconnect(settings.reconnects)
            .max_in_flight(usize::from(settings.in_flight % 8))
            .outbox_frames(usize::from(settings.outbox % 8))
            .outbox_bytes(400)
            .max_send_message_bytes(200)
            .stream_window(3)
            .sequence_ack_lag(4);
        let subprotocol = settings.subprotocol.into();
        Self {
            session: Session::new(config, Arc::new(subprotocol), 42),
            subprotocol,
            now: Now {
                mono: *START,
                wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
            },
            attempt: Attempt::default(),
            submitted: Vec::new(),
            unsettled: BTreeSet::new(),
            subscriptions: Vec::new(),
            told: Told::Nothing,
            stopped: true,
            freed: 0,
            acknowledged: None,
        }
    }

    fn take(&mut self, step: Step<'_>) {
        let now = self.now;
        match step {
            Step::Start => {
                let stopped = self.session.state() == State::Stopped;
                assert_eq!(self.session.start(now).is_ok(), stopped);
                if stopped {
                    self.stopped = false;
                }
            }
            Step::Stop => self.session.stop(now),
            Step::Submit(asked) => self.submit(asked.request(&self.submitted)),
            Step::Cancel(nth) => {
                if let Some(id) = inputs::pick(&self.submitted, nth) {
                    self.session.cancel(now, *id);
                }
            }
            Step::Opened => self.input(Input::Opened),
            Step::Connect => {
                self.input(Input::Opened);
                self.observe();
                self.input(Input::Frame(inputs::connected(self.subprotocol)));
            }
            Step::DialFailed(failure) => self.input(Input::DialFailed(failure.failure())),
            Step::Closed(closed) => self.input(Input::Closed(closed.closure())),
            Step::Heard(heard) => self.input(Input::Frame(heard.frame(self.subprotocol))),
            Step::HeardText(text) => self.input(Input::Frame(WireFrame::Text(text.into()))),
            Step::HeardBytes(bytes) => {
                self.input(Input::Frame(WireFrame::Binary(bytes.to_vec().into())));
            }
            Step::Stale(heard) => {
                let before = (self.session.state(), self.session.poll_action());
                assert_eq!(before.1, None, "actions are taken after each step");
                let frame = Input::Frame(heard.frame(self.subprotocol));
                let attempt = Attempt(self.attempt.0.wrapping_add(7));
                self.session.handle_input(now, attempt, frame);
                assert_eq!(
                    self.session.poll_event(),
                    None,
                    "abandoned sockets are ignored"
                );
            }
            Step::Advance(ms) => self.advance(Duration::from_millis(u64::from(ms) * 10)),
            Step::Sleep(seconds) => {
                // The monotonic clock stood still meanwhile.
                self.now.wall += Duration::from_secs(u64::from(seconds));
                self.session.handle_timeout(self.now);
            }
            Step::Write(most) => self.write(most % 16),
            Step::Stall(stalled) => self.session.set_stalled(now, stalled),
            Step::Subscribe(from_start) => {
                let mut options = StreamOptions::default();
                options.from_start = from_start;
                options.idle_timeout = Duration::from_secs(60);
                self.subscriptions
                    .push(self.session.subscribe_streams(options));
            }
            Step::Unsubscribe(nth) => {
                if let Some(id) = inputs::pick(&self.subscriptions, nth) {
                    self.session.unsubscribe_streams(*id);
                }
            }
        }
        self.observe();
    }

    fn input(&mut self, input: Input) {
        self.session.handle_input(self.now, self.attempt, input);
    }

    /// A check says what a submission would.
    fn submit(&mut self, request: Request) {
        let checked = self.session.check(&request);
        let taken = self.session.submit(self.now, request);
        match (checked, taken) {
            (Ok(()), Ok(id)) => {
                assert!(
                    self.unsettled.insert(id),
                    "each request has an id of its own"
                );
                self.submitted.push(id);
            }
            // How large it becomes shows when it is written.
            (Ok(()), Err(SubmitError::TooLarge { bytes, limit })) => assert!(bytes > limit),
            (checked, taken) => assert_eq!(checked.err(), taken.err()),
        }
    }

    /// Acts on each deadline when it comes, and none comes twice.
    fn advance(&mut self, time: Duration) {
        let until = self.now.mono + time;
        let mut rounds = 0;
        while let Some(due) = self.session.poll_timeout().filter(|due| *due <= until) {
            let passed = due.saturating_duration_since(self.now.mono);
            self.pass(passed);
            self.session.handle_timeout(self.now);
            self.observe();
            let next = self.session.poll_timeout();
            assert!(
                next.is_none_or(|next| next > self.now.mono),
                "it is still due"
            );
            rounds += 1;
            assert!(rounds < 10_000, "deadlines without end");
        }
        self.pass(until - self.now.mono);
    }

    fn pass(&mut self, time: Duration) {
        self.now.mono += time;
        self.now.wall += time;
    }

    fn write(&mut self, most: u8) {
        for _ in 0..most {
            let Some(frame) = self.session.poll_transmit(self.now) else {
                break;
            };
            self.written(frame);
            self.observe();
        }
    }

    /// What is written, the service can read; and what was acknowledged stays so.
    fn written(&mut self, frame: WireFrame) {
        assert_ne!(self.session.state(), State::Stopped);
        let frame = match frame {
            WireFrame::Text(text) => json::decode_client(text.into_bytes()),
            WireFrame::Binary(bytes) => protobuf::decode_client(bytes),
        };
        let frame = frame.expect("the service reads what a client writes");
        if let webpubsub_protocol::frame::ClientFrame::SequenceAck { sequence_id } = frame {
            let id = self
                .session
                .connection_id()
                .expect("a connection")
                .to_string();
            if let Some((connection, last)) = &self.acknowledged {
                assert!(*connection != id || *last <= sequence_id.0, "acks go back");
            }
            self.acknowledged = Some((id, sequence_id.0));
        }
    }

    fn observe(&mut self) {
        while let Some(action) = self.session.poll_action() {
            if let Action::Dial { attempt, .. } = action {
                assert!(attempt > self.attempt, "each dial has a number of its own");
                self.attempt = attempt;
            }
        }
        while let Some(event) = self.session.poll_event() {
            self.told(event);
        }
        let freed = self.session.room_freed();
        assert!(freed >= self.freed, "it only counts up");
        self.freed = freed;
        if self.session.state() == State::Stopped {
            assert!(self.unsettled.is_empty(), "a stop settles everything");
            assert!(self.stopped, "a stop is told");
            assert_eq!(self.session.poll_timeout(), None);
            assert_eq!(self.session.poll_transmit(self.now), None);
            assert!(!self.session.has_pending_requests());
        }
    }

    fn told(&mut self, event: Event) {
        assert!(!self.stopped, "nothing comes after the stop: {event:?}");
        match event {
            Event::Settled { request, .. } => {
                assert!(self.unsettled.remove(&request), "settled twice: {request}");
            }
            Event::Connected { .. } => {
                assert_eq!(self.told, Told::Nothing);
                self.told = Told::Connected;
                // A new connection numbers its messages anew, whatever its id is.
                self.acknowledged = None;
            }
            Event::Recovering { .. } => {
                assert_eq!(self.told, Told::Connected);
                self.told = Told::Recovering;
            }
            Event::Recovered { .. } => {
                assert_eq!(self.told, Told::Recovering);
                self.told = Told::Connected;
            }
            Event::Disconnected { .. } => {
                assert_ne!(self.told, Told::Nothing);
                self.told = Told::Nothing;
            }
            Event::Stopped { .. } => {
                assert_eq!(self.told, Told::Nothing);
                self.stopped = true;
            }
            _ => {}
        }
    }
}
