//! What applications and servers do.

use std::time::Duration;

use rand::Rng as _;
use rand::seq::{IndexedRandom as _, IteratorRandom as _};
use webpubsub_emulator::driven::To;
use webpubsub_protocol::frame::{AckId, StreamEndError};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::{ConnectionId, EventName};
use webpubsub_protocol::session::{Acknowledge, Request, SubmitError};

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
                let request = Request::JoinGroup { group, acknowledge };
                self.submit(client, &request, What::Join, None)
            }
            4..6 => {
                let request = Request::LeaveGroup { group, acknowledge };
                self.submit(client, &request, What::Leave(index), None)
            }
            6..15 => self.publish(client, index, acknowledge),
            15..18 => self.raise(client, acknowledge),
            18..21 => self.invoke(client),
            21..24 => {
                let value = self.clients[client].next_number();
                let value = self.rng.random_ratio(3, 4).then_some(value);
                let state = value.map(|value| vec![("n".to_owned(), value.to_string())]);
                let request = Request::SetGroupState {
                    group,
                    state,
                    acknowledge,
                };
                self.submit(client, &request, What::SetState(index, value), None)
            }
            24..26 => {
                let request = Request::SubscribeGroupState { group, acknowledge };
                self.submit(client, &request, What::Subscribe, None)
            }
            26 => {
                let request = Request::UnsubscribeGroupState { group, acknowledge };
                self.submit(client, &request, What::Subscribe, None)
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
        let request = Request::SendToGroup {
            group: self.scenario.groups[group].clone(),
            payload: mark.payload(),
            no_echo,
            ttl_seconds,
            metadata: Metadata::default(),
            acknowledge,
        };
        self.ledger.expect(mark, no_echo);
        self.submit(client, &request, What::Publish, Some(mark))?;
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
        self.submit(client, &request, What::Publish, Some(mark))
    }

    fn raise(&mut self, client: usize, acknowledge: Acknowledge) -> Check {
        let number = self.clients[client].next_number();
        let mark = Mark::new(Kind::Raise, client as u64, number);
        let request = Request::SendEvent {
            event: event(),
            payload: mark.payload(),
            metadata: Metadata::default(),
            acknowledge,
        };
        self.ledger.expect(mark, false);
        self.submit(client, &request, What::Raise, Some(mark))
    }

    fn invoke(&mut self, client: usize) -> Check {
        let number = self.clients[client].next_number();
        let mark = Mark::new(Kind::Invoke, client as u64, number);
        let own = self.rng.random_ratio(1, 4);
        let request = Request::Invoke {
            event: event(),
            payload: Some(mark.payload()),
            metadata: Metadata::default(),
            invocation_id: own.then(|| format!("own-{number}").into()),
        };
        self.ledger.expect(mark, false);
        self.submit(client, &request, What::Invoke, Some(mark))
    }

    fn cancel(&mut self, client: usize) -> Check {
        let open = self.clients[client].requests.iter();
        let open = open.filter(|(_, asked)| !asked.is_settled);
        let Some((&request, asked)) = open.choose(&mut self.rng) else {
            return Ok(());
        };
        let asked = asked.clone();
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
        self.pump(client)
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
                let stream_id = stream.id;
                let request = Request::KeepStreamAlive { stream_id };
                self.submit(client, &request, What::KeepAlive, None)
            }
            Some(stream) => self.write_stream(client, &stream),
            None => self.open_stream(client, group),
        }
    }

    fn open_stream(&mut self, client: usize, group: usize) -> Check {
        let serial = self.ledger.serial();
        let id: bytestring::ByteString = format!("s{serial}").into();
        let idle = self.rng.random_ratio(1, 4);
        let request = Request::OpenStream {
            group: self.scenario.groups[group].clone(),
            stream_id: Some(id.clone()),
            no_echo: self.rng.random(),
            idle_timeout: idle.then_some(Duration::from_secs(20)),
        };
        self.clients[client].streams.push(Script {
            serial,
            id,
            is_idle: idle,
            submitted: 0,
            stage: Stage::Opening,
        });
        self.submit(client, &request, What::Open(serial), None)
    }

    fn write_stream(&mut self, client: usize, stream: &Script) -> Check {
        let number = stream.submitted + 1;
        let request = Request::WriteStream {
            stream_id: stream.id.clone(),
            payload: Mark::new(Kind::Fragment, stream.serial, number).payload(),
        };
        self.submit(client, &request, What::Write(stream.serial), None)
    }

    fn end_stream(&mut self, client: usize, stream: &Script, may_fail: bool) -> Check {
        let aborts = may_fail && self.rng.random_ratio(1, 4);
        let request = Request::EndStream {
            stream_id: stream.id.clone(),
            error: aborts.then(|| StreamEndError {
                message: Some("enough".to_owned()),
                user_error_code: None,
            }),
        };
        self.submit(client, &request, What::End(stream.serial), None)
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

    fn submit(
        &mut self,
        client: usize,
        request: &Request,
        what: What,
        mark: Option<Mark>,
    ) -> Check {
        self.note(|| format!("client {client} asks for {request:?}"));
        let now = self.now_at(client);
        let state = &mut self.clients[client];
        if state.conduct.is_stopped {
            return Ok(());
        }
        match state.session.submit(now, request) {
            Ok(id) => {
                match what {
                    What::Write(serial) => {
                        self.ledger.submit_fragment(serial);
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

fn event() -> EventName {
    EventName::new("work").expect("an event name")
}
