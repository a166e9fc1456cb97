//! What applications and servers do.

use std::time::Duration;

use rand::Rng as _;
use rand::seq::{IndexedRandom as _, IteratorRandom as _};
use webpubsub_emulator::driven::To;
use webpubsub_protocol::frame::{AckId, StreamEndError};
use webpubsub_protocol::name::{ConnectionId, EventName};
use webpubsub_protocol::session::{Acknowledge, Request, RequestId, SubmitError};

use super::client::{Asked, Script, Stage, What};
use super::mark::{Kind, Mark};
use super::scenario::GROUPS;
use super::world::{Event, Phase, World};
use crate::coverage::Happening;
use crate::failure::{Check, Finding};

impl World {
    // Applications.

    pub(super) fn act(&mut self, client: usize) -> Check {
        let pause = match self.phase {
            Phase::Busy => self.scenario.pause.clone(),
            Phase::Healing => 3000..6000,
            Phase::Ending => return Ok(()),
        };
        self.schedule_in(pause, Event::Act(client));
        if self.clients[client].asleep {
            return Ok(());
        }
        if self.clients[client].conduct.is_stopped {
            return self.maybe_start(client);
        }
        if self.phase == Phase::Healing {
            return self.end_streams(client);
        }
        let times = if self.rng.random_ratio(1, 12) {
            self.rng.random_range(2..12)
        } else {
            1
        };
        let kind = self.rng.random_range(0..40);
        for _ in 0..times {
            self.do_one(client, kind)?;
        }
        Ok(())
    }

    fn maybe_start(&mut self, client: usize) -> Check {
        if self.phase == Phase::Busy && self.rng.random_ratio(1, 3) {
            self.clients[client].wanted = true;
        }
        if !self.clients[client].wanted {
            return Ok(());
        }
        if !self.clients[client].requests.is_empty() {
            self.saw(Happening::SessionRestarted);
        }
        self.note(|| format!("client {client} is started"));
        let now = self.now_at(client);
        let state = &mut self.clients[client];
        state.conduct.started();
        let started = state.session.start(now);
        Finding::unless_same("what is stopped can be started", &Ok(()), &started)?;
        self.pump(client)
    }

    fn do_one(&mut self, client: usize, kind: u32) -> Check {
        let index = self.rng.random_range(0..GROUPS);
        let group = self.scenario.groups[index].clone();
        let acknowledge = if self.rng.random_ratio(1, 6) {
            Acknowledge::Forget
        } else {
            Acknowledge::Auto
        };
        match kind {
            0..4 => {
                let request = Request::join_group(group);
                self.submit(client, request.acknowledge(acknowledge), What::Join, None)
            }
            4..6 => {
                let request = Request::leave_group(group);
                self.submit(
                    client,
                    request.acknowledge(acknowledge),
                    What::Leave(index),
                    None,
                )
            }
            6..15 => self.publish(client, index, acknowledge),
            15..18 => self.raise(client, acknowledge),
            18..21 => self.invoke(client),
            21..24 => {
                let value = self.clients[client].next_number();
                let value = self.rng.random_ratio(3, 4).then_some(value);
                let state = value.map(|value| vec![("n".to_owned(), value.to_string())]);
                let request = Request::set_group_state(group, state);
                self.submit(
                    client,
                    request.acknowledge(acknowledge),
                    What::SetState(index, value),
                    None,
                )
            }
            24..26 => {
                let request = Request::subscribe_group_state(group);
                self.submit(
                    client,
                    request.acknowledge(acknowledge),
                    What::Subscribe,
                    None,
                )
            }
            26 => {
                let request = Request::unsubscribe_group_state(group);
                self.submit(
                    client,
                    request.acknowledge(acknowledge),
                    What::Subscribe,
                    None,
                )
            }
            27..35 => self.stream(client, index),
            35..38 => self.cancel(client),
            38 => self.publish_again(client),
            _ if self.rng.random_ratio(1, 4) => self.stop(client),
            _ => Ok(()),
        }
    }

    fn publish(&mut self, client: usize, group: usize, acknowledge: Acknowledge) -> Check {
        let number = self.clients[client].next_number();
        let mark = Mark::new(Kind::Publish, client as u64, number);
        let has_own_id = self.rng.random_ratio(1, 5);
        let acknowledge = if has_own_id {
            self.clients[client].own_id += 1;
            Acknowledge::Id(AckId(self.clients[client].own_id))
        } else {
            acknowledge
        };
        let no_echo = self.rng.random();
        let ttl_seconds = *[0, 0, 0, 5, 300].choose(&mut self.rng).expect("some");
        let group = self.scenario.groups[group].clone();
        let mut request = Request::send_to_group(group, mark.payload())
            .ttl_seconds(ttl_seconds)
            .acknowledge(acknowledge);
        if no_echo {
            request = request.no_echo();
        }
        self.ledger.expect(mark, no_echo);
        self.submit(client, request.clone(), What::Publish, Some(mark))?;
        if has_own_id
            && self
                .ledger
                .sent(mark)
                .is_some_and(|sent| sent.submitted > 0)
        {
            self.clients[client].repeatable = Some((mark, request));
        }
        Ok(())
    }

    /// Tries a request again under the id that its application chose, as one may.
    fn publish_again(&mut self, client: usize) -> Check {
        let Some((mark, request)) = self.clients[client].repeatable.take() else {
            return Ok(());
        };
        self.submit(client, request, What::Publish, Some(mark))
    }

    fn raise(&mut self, client: usize, acknowledge: Acknowledge) -> Check {
        let number = self.clients[client].next_number();
        let mark = Mark::new(Kind::Raise, client as u64, number);
        let request = Request::send_event(event(), mark.payload()).acknowledge(acknowledge);
        self.ledger.expect(mark, false);
        self.submit(client, request, What::Raise, Some(mark))
    }

    fn invoke(&mut self, client: usize) -> Check {
        let number = self.clients[client].next_number();
        let mark = Mark::new(Kind::Invoke, client as u64, number);
        let own = self.rng.random_ratio(1, 4);
        let mut request = Request::invoke(event(), Some(mark.payload()));
        if own {
            request = request.invocation_id(format!("own-{number}"));
        }
        self.ledger.expect(mark, false);
        self.submit(client, request, What::Invoke, Some(mark))
    }

    fn cancel(&mut self, client: usize) -> Check {
        let open = self.clients[client].requests.iter();
        let open = open.filter(|(_, asked)| !asked.is_settled);
        let Some((&request, _)) = open.choose(&mut self.rng) else {
            return Ok(());
        };
        self.give_up(client, request)
    }

    fn give_up(&mut self, client: usize, request: RequestId) -> Check {
        let asked = self.clients[client].requests.get(&request).cloned();
        let Some(asked) = asked.filter(|asked| !asked.is_settled) else {
            return Ok(());
        };
        self.note(|| format!("client {client} cancels {request} {asked:?}"));
        let now = self.now_at(client);
        let state = &mut self.clients[client];
        if let (What::Invoke, Some(mark)) = (&asked.what, asked.mark)
            && state.transport.is_some_and(|t| t.is_open)
            && let Some(id) = state.conduct.invocation_ids.get(&mark)
        {
            state.conduct.owed_cancels.insert(id.clone());
        }
        state.session.cancel(now, request);
        if let What::End(serial) = asked.what
            && let Some(opened_by) = state.stream_mut(serial).and_then(|s| s.opened_by)
        {
            // Nobody owns the stream any more, so it must not stay open.
            state.session.cancel(now, opened_by);
        }
        self.pump(client)
    }

    /// Stops a client that may be about to repeat a request.
    pub(super) fn stop_after_failure(&mut self, client: usize) -> Check {
        let state = &self.clients[client];
        if self.phase == Phase::Busy && !state.asleep && !state.conduct.is_stopped {
            self.stop(client)?;
        }
        Ok(())
    }

    fn stop(&mut self, client: usize) -> Check {
        self.note(|| format!("client {client} is stopped"));
        self.clients[client].wanted = self.rng.random_ratio(3, 4);
        let now = self.now_at(client);
        self.clients[client].session.stop(now);
        self.pump(client)
    }

    // Streams.

    fn stream(&mut self, client: usize, group: usize) -> Check {
        let open = self.clients[client].streams.iter();
        let open = open.filter(|stream| stream.stage != Stage::Ending);
        match open.choose(&mut self.rng).cloned() {
            Some(stream) if self.rng.random_ratio(1, 8) => self.end_stream(client, &stream, true),
            Some(stream) if self.rng.random_ratio(1, 12) => {
                let request = Request::keep_stream_alive(opener(&stream)?);
                self.submit(client, request, What::KeepAlive, None)
            }
            Some(stream) if self.rng.random_ratio(1, 8) => {
                self.write_and_withdraw(client, stream.serial)
            }
            Some(stream) if self.rng.random_ratio(1, 8) => self.write_and_lose(client, &stream),
            Some(stream) => self.write_stream(client, &stream),
            None => self.open_stream(client, group),
        }
    }

    fn open_stream(&mut self, client: usize, group: usize) -> Check {
        let serial = self.ledger.serial();
        let idle = self.rng.random_ratio(1, 4);
        let group = self.scenario.groups[group].clone();
        let mut request = Request::open_stream(group).stream_id(format!("s{serial}"));
        if self.rng.random() {
            request = request.no_echo();
        }
        if idle {
            request = request.idle_timeout(Duration::from_secs(20));
        }
        self.clients[client].streams.push(Script {
            serial,
            opened_by: None,
            is_idle: idle,
            submitted: 0,
            stage: Stage::Opening,
        });
        self.submit(client, request, What::Open(serial), None)
    }

    fn write_stream(&mut self, client: usize, stream: &Script) -> Check {
        let number = stream.submitted + 1;
        let payload = Mark::new(Kind::Fragment, stream.serial, number).payload();
        let request = Request::write_stream(opener(stream)?, payload);
        self.submit(client, request, What::Write(stream.serial, number), None)
    }

    /// Writes two fragments and withdraws the first, if it has not gone out.
    fn write_and_withdraw(&mut self, client: usize, serial: u64) -> Check {
        let before = self.clients[client].requests.keys().next_back().copied();
        for _ in 0..2 {
            if let Some(stream) = self.clients[client].stream_mut(serial).cloned() {
                self.write_stream(client, &stream)?;
            }
        }
        let mut requests = self.clients[client].requests.iter();
        let first = requests.find(|(id, asked)| {
            Some(**id) > before && matches!(asked.what, What::Write(of, _) if of == serial)
        });
        match first.map(|(id, _)| *id) {
            Some(first) => self.give_up(client, first),
            None => Ok(()),
        }
    }

    /// Writes the last fragment, which is lost with its line, and ends the stream on the next one.
    fn write_and_lose(&mut self, client: usize, stream: &Script) -> Check {
        self.write_stream(client, stream)?;
        if let Some(line) = self.clients[client].transport.and_then(|t| t.line) {
            self.schedule(self.now, Event::Cut(line));
        }
        self.end_stream(client, stream, false)
    }

    fn end_stream(&mut self, client: usize, stream: &Script, may_fail: bool) -> Check {
        let aborts = may_fail && self.rng.random_ratio(1, 4);
        let error = aborts.then(|| StreamEndError {
            message: Some("enough".to_owned()),
            user_error_code: None,
        });
        let request = Request::end_stream(opener(stream)?, error);
        self.submit(client, request, What::End(stream.serial), None)
    }

    fn end_streams(&mut self, client: usize) -> Check {
        for stream in self.clients[client].streams.clone() {
            if stream.stage == Stage::Open {
                self.end_stream(client, &stream, false)?;
            }
        }
        Ok(())
    }

    // Submitting.

    fn submit(&mut self, client: usize, request: Request, what: What, mark: Option<Mark>) -> Check {
        self.note(|| format!("client {client} asks for {request:?}"));
        let now = self.now_at(client);
        let state = &mut self.clients[client];
        if state.conduct.is_stopped {
            return Ok(());
        }
        let checked = state.session.check(&request);
        let freed = state.session.room_freed();
        let submitted = state.session.submit(now, request);
        let refusal = submitted.as_ref().err();
        Finding::unless_same(
            "a request is refused as it was checked",
            &checked.as_ref().err(),
            &refusal,
        )?;
        let is_for_the_outbox = !matches!(what, What::Write(..) | What::End(_) | What::KeepAlive);
        match refusal {
            Some(SubmitError::Full) if is_for_the_outbox => state.full_since = Some(freed),
            None if is_for_the_outbox => {
                let seen = (freed, state.full_since.take());
                let was_counted = seen.1.is_none_or(|full| full < freed);
                if !was_counted {
                    let seen = format!("a request was taken: {seen:?}");
                    return Err(Finding::new(
                        "room that was freed is counted",
                        "no room",
                        seen,
                    ));
                }
            }
            _ => {}
        }
        match submitted {
            Ok(id) => {
                match what {
                    What::Open(serial) => {
                        if let Some(stream) = state.stream_mut(serial) {
                            stream.opened_by = Some(id);
                        }
                    }
                    What::Write(serial, number) => {
                        self.ledger.submit_fragment(serial, number);
                        if let Some(stream) = state.stream_mut(serial) {
                            stream.submitted += 1;
                        }
                    }
                    What::End(serial) => {
                        if let Some(stream) = state.stream_mut(serial) {
                            stream.stage = Stage::Ending;
                        }
                    }
                    _ => {}
                }
                if let Some(mark) = mark {
                    self.ledger.submitted(mark);
                }
                let asked = Asked {
                    what,
                    mark,
                    is_settled: false,
                };
                let is_new = state.requests.insert(id, asked).is_none();
                Finding::unless_same("requests have their own ids", &true, &is_new)?;
            }
            Err(error) => {
                let is_allowed = match error {
                    SubmitError::Full | SubmitError::AckIdInUse(_) => true,
                    SubmitError::Stalled => state.stalled,
                    _ => false,
                };
                if !is_allowed {
                    let seen = format!("{error:?}");
                    return Err(Finding::new("requests are taken", "an id", seen));
                }
                if let What::Open(serial) = what {
                    state.forget_stream(serial);
                }
            }
        }
        self.pump(client)
    }

    // Servers.

    pub(super) fn serve(&mut self) -> Check {
        if self.phase != Phase::Busy {
            return Ok(());
        }
        let pause = self.scenario.pause.clone();
        self.schedule_in(pause, Event::Serve);
        let group = self.rng.random_range(0..GROUPS);
        match self.rng.random_range(0..4) {
            0 => self.send_to_group(Kind::ToGroup, group, 0),
            1 => {
                let seconds = self.rng.random_range(1..20);
                self.send_to_group(Kind::ToGroupForAWhile, group, seconds);
            }
            _ => {
                let times = if self.rng.random_ratio(1, 20) {
                    self.rng.random_range(20..140)
                } else {
                    1
                };
                let client = self.rng.random_range(0..self.clients.len());
                for _ in 0..times {
                    self.send_to_connection(client);
                }
            }
        }
        Ok(())
    }

    fn send_to_group(&mut self, kind: Kind, group: usize, ttl_seconds: u32) {
        let payload = self.server_mark(kind, group).payload();
        let to = To::Group(self.scenario.groups[group].clone());
        self.service
            .hub
            .send(self.now, to, &[], payload, ttl_seconds);
    }

    fn send_to_connection(&mut self, client: usize) {
        if let Some(id) = self.clients[client].conduct.connection.clone()
            && self.service.hub.connection_exists(&id)
            && let Ok(to) = ConnectionId::new(id.clone())
        {
            let payload = self.ledger.next_to_connection(&id).payload();
            self.service
                .hub
                .send(self.now, To::Connection(to), &[], payload, 0);
        }
    }
}

/// The request that stands for a stream whose opening was taken.
fn opener(stream: &Script) -> Result<RequestId, Finding> {
    stream
        .opened_by
        .ok_or_else(|| Finding::new("a stream was opened", "a request", "none"))
}

fn event() -> EventName {
    EventName::new("work").expect("an event name")
}
