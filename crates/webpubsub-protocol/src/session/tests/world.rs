use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::frame::AckId;
use crate::name::{EventName, GroupName};
use crate::payload::Payload;
use crate::session::{
    Acknowledge, Action, Attempt, Closure, DialFailure, Event, Input, Now, Outcome, Protocol,
    Recovery, Request, RequestId, Session, SessionConfig, State, SubmitError, WireFrame,
};
use crate::subprotocol::Subprotocol;

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) const CONNECTED: &str =
    r#"{"type":"system","event":"connected","connectionId":"c1","reconnectionToken":"t1"}"#;

/// A session of reliable JSON, and everything around it.
pub(super) struct World {
    pub(super) session: Session,
    pub(super) now: Now,
    pub(super) attempt: Attempt,
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
    settled: BTreeSet<RequestId>,
    streams: BTreeMap<String, RequestId>,
}

impl World {
    pub(super) fn new(config: SessionConfig) -> Self {
        Self::of(Subprotocol::ReliableJson, config)
    }

    pub(super) fn of(protocol: Subprotocol, config: SessionConfig) -> Self {
        Self::with(Arc::new(protocol), config)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant cannot be made from nothing; all time passes by calls from here on"
    )]
    pub(super) fn with(protocol: Arc<dyn Protocol>, config: SessionConfig) -> Self {
        Self {
            session: Session::new(config, protocol, 7),
            now: Now {
                mono: Instant::now(),
                wall: SystemTime::UNIX_EPOCH,
            },
            attempt: Attempt::default(),
            actions: VecDeque::new(),
            events: VecDeque::new(),
            settled: BTreeSet::new(),
            streams: BTreeMap::new(),
        }
    }

    /// Started, and connected as `c1` with the token `t1`.
    pub(super) fn connected(config: SessionConfig) -> Self {
        let mut world = Self::new(config);
        world.connect();
        world
    }

    pub(super) fn connect(&mut self) {
        self.start();
        assert_eq!(self.dialled(), None);
        self.input(Input::Opened);
        self.receive(CONNECTED);
        assert_eq!(self.session.state(), State::Connected);
        self.events();
    }

    // Inputs.

    pub(super) fn start(&mut self) {
        self.session.start(self.now).expect("it is stopped");
        self.drain();
    }

    pub(super) fn stop(&mut self) {
        self.session.stop(self.now);
        self.drain();
    }

    pub(super) fn input(&mut self, input: Input) {
        self.input_of(self.attempt, input);
    }

    pub(super) fn input_of(&mut self, attempt: Attempt, input: Input) {
        self.session.handle_input(self.now, attempt, input);
        self.drain();
    }

    pub(super) fn receive(&mut self, frame: &str) {
        self.input(Input::Frame(WireFrame::Text(frame.into())));
    }

    pub(super) fn ack(&mut self, id: u64) {
        self.receive(&format!(r#"{{"type":"ack","ackId":{id},"success":true}}"#));
    }

    pub(super) fn refuse(&mut self, id: u64, name: &str) {
        self.receive(&format!(
            r#"{{"type":"ack","ackId":{id},"success":false,"error":{{"name":"{name}","message":"m"}}}}"#
        ));
    }

    pub(super) fn message(&mut self, sequence_id: u64) {
        self.receive(&format!(
            r#"{{"sequenceId":{sequence_id},"type":"message","from":"server","dataType":"text","data":"x"}}"#
        ));
    }

    /// The socket breaks without a close frame.
    pub(super) fn cut(&mut self) {
        self.input(Input::Closed(Closure::default()));
    }

    pub(super) fn close(&mut self, code: u16) {
        self.input(Input::Closed(Closure {
            code: Some(code),
            ..Closure::default()
        }));
    }

    pub(super) fn refuse_dial(&mut self, status: u16) {
        self.input(Input::DialFailed(refused(status, None)));
    }

    pub(super) fn submit(&mut self, request: &Request) -> RequestId {
        self.try_submit(request).expect("the request is taken")
    }

    pub(super) fn try_submit(&mut self, request: &Request) -> Result<RequestId, SubmitError> {
        let result = self.session.submit(self.now, request.clone());
        if let Ok(id) = result
            && let Some(stream_id) = self.session.stream_id(id)
        {
            self.streams.insert(stream_id.to_string(), id);
        }
        self.drain();
        result
    }

    /// The stream that was opened last under this id; one that never was if there is none.
    pub(super) fn stream(&self, id: &str) -> RequestId {
        self.streams.get(id).copied().unwrap_or(RequestId(0))
    }

    pub(super) fn cancel(&mut self, request: RequestId) {
        self.session.cancel(self.now, request);
        self.drain();
    }

    pub(super) fn stall(&mut self, stalled: bool) {
        self.session.set_stalled(self.now, stalled);
        self.drain();
    }

    // Time.

    /// Time passes, and every deadline is met on the dot.
    pub(super) fn advance(&mut self, time: Duration) {
        let end = self.now.mono + time;
        let mut steps = 0;
        while let Some(due) = self.session.poll_timeout().filter(|due| *due <= end) {
            self.jump(due.saturating_duration_since(self.now.mono));
            self.timeout();
            steps += 1;
            assert!(steps < 10_000, "deadlines do not end");
        }
        self.jump(end.saturating_duration_since(self.now.mono));
    }

    /// Time passes, and the session is not told.
    pub(super) fn jump(&mut self, time: Duration) {
        self.now.mono += time;
        self.now.wall += time;
    }

    /// The machine sleeps: only the wall clock goes on.
    pub(super) fn sleep(&mut self, time: Duration) {
        self.now.wall += time;
    }

    pub(super) fn timeout(&mut self) {
        self.session.handle_timeout(self.now);
        self.drain();
    }

    // Outputs.

    fn drain(&mut self) {
        while let Some(action) = self.session.poll_action() {
            if let Action::Dial { recover, .. } = &action {
                let recovers = self.session.state() == State::Recovering;
                assert_eq!(
                    recover.is_some(),
                    recovers,
                    "only a lost connection is recovered"
                );
            }
            self.actions.push_back(action);
        }
        while let Some(event) = self.session.poll_event() {
            if let Event::Settled { request, .. } = &event {
                assert!(self.settled.insert(*request), "{request} is settled twice");
            }
            self.events.push_back(event);
        }
    }

    /// The next action, which must be a dial; what it wants to recover.
    pub(super) fn dialled(&mut self) -> Option<Recovery> {
        match self.actions.pop_front() {
            Some(Action::Dial { attempt, recover }) => {
                assert!(attempt > self.attempt, "attempts count upwards");
                self.attempt = attempt;
                recover
            }
            other => panic!("not a dial: {other:?}"),
        }
    }

    /// The next dial, which must come within a minute; nothing else may come before it.
    pub(super) fn redial(&mut self) -> Option<Recovery> {
        for _ in 0..600 {
            if !self.actions.is_empty() {
                return self.dialled();
            }
            self.advance(Duration::from_millis(100));
        }
        panic!("no dial within a minute");
    }

    /// Lets a lost connection be recovered: the socket opens, and the ping is answered.
    pub(super) fn recover(&mut self) {
        assert!(self.redial().is_some(), "a recovery");
        self.input(Input::Opened);
        assert_eq!(self.written(), [r#"{"type":"ping"}"#]);
        self.receive(r#"{"type":"pong"}"#);
        assert_eq!(self.session.state(), State::Connected);
    }

    /// Lets a new connection `id` be made.
    pub(super) fn reconnect(&mut self, id: &str) {
        assert_eq!(self.redial(), None);
        self.input(Input::Opened);
        self.receive(&format!(
            r#"{{"type":"system","event":"connected","connectionId":"{id}","reconnectionToken":"t"}}"#
        ));
        assert_eq!(self.session.state(), State::Connected);
    }

    pub(super) fn actions(&mut self) -> Vec<Action> {
        self.actions.drain(..).collect()
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    /// How requests were settled since events were asked for; other events are dropped.
    pub(super) fn settled(&mut self) -> Vec<(RequestId, Outcome)> {
        let settled = |event| match event {
            Event::Settled { request, outcome } => Some((request, outcome)),
            _ => None,
        };
        self.events.drain(..).filter_map(settled).collect()
    }

    /// Everything that a ready socket takes.
    pub(super) fn written(&mut self) -> Vec<String> {
        let frames = std::iter::from_fn(|| self.write_one()).collect();
        self.drain();
        frames
    }

    /// One frame.
    pub(super) fn write_one(&mut self) -> Option<String> {
        let frame = self.session.poll_transmit(self.now);
        self.drain();
        match frame? {
            WireFrame::Text(text) => Some(text.into()),
            WireFrame::Binary(_) => panic!("a binary frame"),
        }
    }
}

pub(super) fn refused(status: u16, retry_after: Option<Duration>) -> DialFailure {
    DialFailure::Refused {
        status,
        retry_after,
        body: String::new(),
    }
}

pub(super) fn group(name: &str) -> GroupName {
    GroupName::new(name).expect("a group name")
}

pub(super) fn join(name: &str) -> Request {
    Request::join_group(group(name))
}

pub(super) fn leave(name: &str) -> Request {
    Request::leave_group(group(name))
}

pub(super) fn send(text: &str, acknowledge: Acknowledge) -> Request {
    send_payload(Payload::text(text), acknowledge)
}

pub(super) fn send_payload(payload: Payload, acknowledge: Acknowledge) -> Request {
    Request::send_to_group(group("g"), payload).acknowledge(acknowledge)
}

/// How [`send`] looks on the wire.
pub(super) fn sent(text: &str, ack_id: u64) -> String {
    format!(
        r#"{{"type":"sendToGroup","group":"g","ackId":{ack_id},"noEcho":false,"dataType":"text","data":"{text}"}}"#
    )
}

pub(super) fn invoke(id: Option<&str>) -> Request {
    let event = EventName::new("sum").expect("an event name");
    let request = Request::invoke(event, Some(Payload::Json("[1,2]".into())));
    match id {
        Some(id) => request.invocation_id(id),
        None => request,
    }
}

pub(super) fn open(id: &str) -> Request {
    Request::open_stream(group("g")).stream_id(id)
}

pub(super) fn write(stream: RequestId, text: &str) -> Request {
    Request::write_stream(stream, Payload::text(text))
}

pub(super) fn end(stream: RequestId) -> Request {
    Request::end_stream(stream, None)
}

pub(super) fn accepted(ack_id: u64) -> Outcome {
    Outcome::Accepted {
        ack_id: Some(AckId(ack_id)),
    }
}

pub(super) const WRITTEN: Outcome = Outcome::Accepted { ack_id: None };
