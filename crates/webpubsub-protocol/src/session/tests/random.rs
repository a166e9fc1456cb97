//! Random inputs in random order: whatever happens, the contract holds.

use std::time::Duration;

use proptest::prelude::*;

use super::world::*;
use crate::frame::AckId;
use crate::payload::Payload;
use crate::session::*;
use crate::subprotocol::Subprotocol;

#[derive(Debug, Clone)]
enum Step {
    Start,
    Stop,
    Submit(Request),
    /// Cancels one of the requests so far.
    Cancel(usize),
    Input(Input),
    /// The same, from an attempt before.
    Stale(Input),
    /// Dials succeed.
    Connect(bool),
    Advance(u64),
    Jump(u64),
    Sleep(u64),
    Timeout,
    Write(usize),
    Stall(bool),
    Subscribe,
}

fn acknowledge() -> impl Strategy<Value = Acknowledge> {
    prop_oneof![
        3 => Just(Acknowledge::Auto),
        1 => (0..12_u64).prop_map(|id| Acknowledge::Id(AckId(id))),
        1 => Just(Acknowledge::Forget),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let stream = prop_oneof![Just("s"), Just("t")];
    let opener = (1..12_u64).prop_map(RequestId);
    prop_oneof![
        acknowledge().prop_map(|acknowledge| send("x", acknowledge)),
        Just(join("g")),
        Just(leave("g")),
        Just(send_payload(
            Payload::Json("null".into()),
            Acknowledge::Auto
        )),
        acknowledge().prop_map(|acknowledge| {
            Request::subscribe_group_state(group("g")).acknowledge(acknowledge)
        }),
        acknowledge().prop_map(|acknowledge| {
            Request::set_group_state(group("g"), Some(vec![])).acknowledge(acknowledge)
        }),
        Just(invoke(None)),
        Just(invoke(Some("2"))),
        stream.prop_map(open),
        opener.clone().prop_map(|stream| write(stream, "x")),
        opener.clone().prop_map(end),
        opener.prop_map(Request::keep_stream_alive),
    ]
}

fn frame() -> impl Strategy<Value = String> {
    let id = 0..12_u64;
    let name = prop_oneof![
        Just("Forbidden"),
        Just("Duplicate"),
        Just("Timeout"),
        Just("TransientError"),
        Just("InvalidSequenceId"),
        Just("StreamNotFound")
    ];
    let stream = prop_oneof![Just("s"), Just("t")];
    prop_oneof![
        4 => id.clone().prop_map(|id| format!(r#"{{"type":"ack","ackId":{id},"success":true}}"#)),
        2 => (id.clone(), name.clone()).prop_map(|(id, name)| format!(
            r#"{{"type":"ack","ackId":{id},"success":false,"error":{{"name":"{name}"}}}}"#
        )),
        2 => (id.clone(), any::<bool>()).prop_map(|(id, success)| format!(
            r#"{{"type":"invokeResponse","invocationId":"{id}","success":{success},"error":{{"name":"X"}}}}"#
        )),
        3 => (stream.clone(), 0..5_u64).prop_map(|(stream, id)| format!(
            r#"{{"type":"streamAck","streamId":"{stream}","expectedSequenceId":{id}}}"#
        )),
        2 => (stream.clone(), name.clone(), 0..5_u64).prop_map(|(stream, name, id)| format!(
            r#"{{"type":"streamNack","streamId":"{stream}","name":"{name}","expectedSequenceId":{id}}}"#
        )),
        1 => stream.clone().prop_map(|stream| format!(
            r#"{{"type":"streamClosed","streamId":"{stream}"}}"#
        )),
        1 => (stream.clone(), name).prop_map(|(stream, name)| format!(
            r#"{{"type":"streamClosed","streamId":"{stream}","error":{{"name":"{name}"}}}}"#
        )),
        3 => prop_oneof![0..20_u64, any::<u64>()].prop_map(|id| format!(
            r#"{{"sequenceId":{id},"type":"message","from":"server","dataType":"text","data":""}}"#
        )),
        2 => (stream, 0..5_u64, any::<bool>()).prop_map(|(stream, id, end)| format!(
            r#"{{"type":"message","from":"group","group":"g","dataType":"text","data":"","stream":{{"streamId":"{stream}","streamSequenceId":{id},"endOfStream":{end}}}}}"#
        )),
        1 => id.prop_map(|id| format!(
            r#"{{"type":"groupStateSnapshot","group":"g","items":[{{"connectionId":"c","state":{{}},"updatedAt":{id}}}]}}"#
        )),
        1 => prop_oneof![Just("c1"), Just("c2")].prop_map(|id| CONNECTED.replace("c1", id)),
        1 => Just(r#"{"type":"system","event":"disconnected","message":"bye"}"#.to_owned()),
        2 => Just(r#"{"type":"pong"}"#.to_owned()),
        1 => Just("?".to_owned()),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let status = prop_oneof![Just(400), Just(401), Just(403), Just(429), Just(503)];
    let retry_after = prop_oneof![
        Just(None),
        any::<u64>().prop_map(|s| Some(Duration::from_secs(s)))
    ];
    let code = prop_oneof![Just(None), Just(Some(1000)), Just(Some(1008))];
    prop_oneof![
        1 => Just(Input::Opened),
        1 => (status, retry_after).prop_map(|(status, after)| Input::DialFailed(refused(status, after))),
        1 => code.prop_map(|code| Input::Closed(Closure { code, ..Closure::default() })),
        12 => frame().prop_map(|frame| Input::Frame(WireFrame::Text(frame.into()))),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::Start),
        1 => (0..8_u8).prop_map(|die| if die == 0 { Step::Stop } else { Step::Timeout }),
        12 => request().prop_map(Step::Submit),
        2 => (0..30_usize).prop_map(Step::Cancel),
        12 => input().prop_map(Step::Input),
        1 => input().prop_map(Step::Stale),
        6 => any::<bool>().prop_map(Step::Connect),
        2 => (0..40_000_u64).prop_map(Step::Advance),
        1 => (0..40_000_u64).prop_map(Step::Jump),
        1 => (0..40_000_u64).prop_map(Step::Sleep),
        8 => (0..20_usize).prop_map(Step::Write),
        1 => any::<bool>().prop_map(Step::Stall),
        1 => Just(Step::Subscribe),
    ]
}

/// The world, and what its conduct was so far.
struct Watched {
    w: World,
    open: Vec<RequestId>,
    settled: usize,
    submitted: usize,
    connected: usize,
    largest_ack: (String, u64),
}

impl Watched {
    fn take(&mut self, step: &Step) {
        let w = &mut self.w;
        match step {
            Step::Start => {
                let _ = w.session.start(w.now);
            }
            Step::Stop => w.stop(),
            Step::Submit(request) => {
                if let Ok(id) = w.try_submit(request) {
                    self.open.push(id);
                    self.submitted += 1;
                }
            }
            Step::Cancel(nth) => {
                if let Some(id) = self.open.get(*nth) {
                    w.cancel(*id);
                }
            }
            Step::Input(input) => w.input(input.clone()),
            Step::Stale(input) => {
                let before = w.session.state();
                w.input_of(Attempt(w.attempt.0 + 7), input.clone());
                assert_eq!(w.session.state(), before);
            }
            Step::Connect(with_frame) => {
                w.input(Input::Opened);
                if *with_frame {
                    w.receive(CONNECTED);
                }
            }
            Step::Advance(ms) => w.advance(Duration::from_millis(*ms)),
            Step::Jump(ms) => w.jump(Duration::from_millis(*ms)),
            Step::Sleep(ms) => w.sleep(Duration::from_millis(*ms)),
            Step::Timeout => w.timeout(),
            Step::Write(frames) => {
                for _ in 0..*frames {
                    let Some(frame) = self.w.write_one() else {
                        break;
                    };
                    self.written(&frame);
                }
            }
            Step::Stall(stalled) => w.stall(*stalled),
            Step::Subscribe => {
                w.session.subscribe_streams(StreamOptions::default());
            }
        }
        self.observe();
    }

    fn written(&mut self, frame: &str) {
        let session = &self.w.session;
        assert_ne!(session.state(), State::Stopped, "{frame}");
        crate::frame::json::decode_client(frame.to_owned()).expect("the service reads it");
        let Some(id) = frame.strip_prefix(r#"{"type":"sequenceAck","sequenceId":"#) else {
            return;
        };
        let id = id.trim_end_matches('}').parse().expect("a number");
        let connection = session.connection_id().expect("a connection").to_string();
        let (last_connection, last) = &self.largest_ack;
        assert!(
            self.connected > 1 || *last_connection != connection || *last <= id,
            "sequence acks go back"
        );
        self.largest_ack = (connection, id);
    }

    fn observe(&mut self) {
        for action in self.w.actions() {
            if let Action::Dial { attempt, .. } = action {
                assert_eq!(attempt.0, self.w.attempt.0 + 1);
                self.w.attempt = attempt;
            }
        }
        for event in self.w.events() {
            match event {
                Event::Settled { .. } => self.settled += 1,
                Event::Connected { .. } => self.connected += 1,
                _ => {}
            }
        }
        if self.w.session.state() == State::Stopped {
            assert_eq!(self.settled, self.submitted, "all are settled on a stop");
            assert_eq!(self.w.session.poll_timeout(), None);
            assert!(!self.w.session.has_pending_requests());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_contract_holds(
        reliable in prop::bool::weighted(0.8),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut config = SessionConfig::default();
        config.retry_initial_connect = true;
        config.max_in_flight = 4;
        config.outbox_frames = 8;
        config.stream_window = 3;
        let protocol = if reliable { Subprotocol::ReliableJson } else { Subprotocol::Json };
        let mut watched = Watched {
            w: World::of(protocol, config),
            open: Vec::new(),
            settled: 0,
            submitted: 0,
            connected: 0,
            largest_ack: (String::new(), 0),
        };
        watched.take(&Step::Start);
        for step in &steps {
            watched.take(step);
        }
        watched.take(&Step::Stop);
    }
}
