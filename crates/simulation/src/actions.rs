//! What clients and servers do in a run.

use std::time::Duration;

use bytestring::ByteString;
use rand::Rng as _;
use rand::seq::{IndexedMutRandom as _, IndexedRandom as _};
use webpubsub_emulator::driven::{Frame, To};
use webpubsub_protocol::frame::{AckId, ClientFrame, Invocation, StreamEndError, StreamStart};
use webpubsub_protocol::limits::MESSAGE_BYTES;
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::{ConnectionId, EventName, GroupName, UserId};
use webpubsub_protocol::permission::Permission;
use webpubsub_protocol::subprotocol::Subprotocol;

use crate::client::{OwnStream, Request};
use crate::coverage::Happening;
use crate::failure::Check;
use crate::world::{Event, Phase, World};

impl World {
    pub(crate) fn act(&mut self, client: usize) -> Check {
        if self.phase != Phase::Busy {
            return Ok(());
        }
        self.schedule_in(self.scenario.pause.clone(), Event::Act(client));
        if !self.clients[client].is_ready() {
            return Ok(());
        }
        if self.rng.random_ratio(1, self.scenario.trouble) {
            self.trouble(client);
        } else if self.rng.random_ratio(1, 150) {
            self.break_protocol(client);
        } else if self.clients[client].spec.subprotocol.is_none() {
            let payload = self.payload();
            self.say_raw(client, payload);
        } else {
            self.act_as_pubsub(client);
        }
        Ok(())
    }

    fn act_as_pubsub(&mut self, client: usize) {
        match self.rng.random_range(0..100) {
            0..40 => self.make_requests(client, 1),
            40..44 => self.retry(client),
            44..50 => self.raise(client),
            50..58 => self.invoke(client),
            58..62 => self.cancel(client),
            62..68 => self.open_stream(client),
            68..88 => self.feed_stream(client),
            88..96 => self.say(client, ClientFrame::Ping),
            96..98 => {
                // Much at once, behind a call.
                self.raise(client);
                self.make_requests(client, 70);
            }
            _ => self.make_requests(client, 10),
        }
    }

    /// Sends frames that ask for an answer, or could.
    pub(crate) fn make_requests(&mut self, client: usize, count: usize) {
        for _ in 0..count {
            let group = self.a_group();
            let kind = self.rng.random_range(0..20);
            let payload = self.payload();
            let no_echo = self.rng.random();
            let ttl_seconds = self.a_ttl();
            let state = self.a_state();
            self.request(client, |ack_id| match kind {
                0..3 => ClientFrame::JoinGroup { group, ack_id },
                3 => ClientFrame::LeaveGroup { group, ack_id },
                4..14 => ClientFrame::SendToGroup {
                    group,
                    ack_id,
                    no_echo,
                    ttl_seconds,
                    metadata: Metadata::default(),
                    payload,
                },
                14..17 => ClientFrame::SetGroupState {
                    group,
                    ack_id,
                    state,
                },
                17..19 => ClientFrame::SubscribeGroupState { group, ack_id },
                _ => ClientFrame::UnsubscribeGroupState { group, ack_id },
            });
        }
    }

    fn raise(&mut self, client: usize) {
        let payload = self.payload();
        self.request(client, |ack_id| ClientFrame::Event {
            event: event(),
            ack_id,
            metadata: Metadata::default(),
            payload,
        });
    }

    /// Sends a frame, with an ack id more often than not.
    fn request(&mut self, client: usize, make: impl FnOnce(Option<AckId>) -> ClientFrame) {
        let with_ack = self.rng.random_ratio(3, 4);
        let Some(session) = &mut self.clients[client].session else {
            return;
        };
        if !with_ack {
            return self.say(client, make(None));
        }
        let ack_id = session.next_ack;
        session.next_ack += 1;
        let frame = make(Some(AckId(ack_id)));
        let request = Request {
            frame: frame.clone(),
            sent: 1,
            answers: 0,
            succeeded: false,
        };
        session.requests.insert(ack_id, request);
        self.say(client, frame);
    }

    /// Sends a request again that was answered.
    fn retry(&mut self, client: usize) {
        let Some(session) = &mut self.clients[client].session else {
            return;
        };
        let answered: Vec<u64> = session
            .requests
            .iter()
            .rev()
            .filter(|(_, request)| request.answers > 0)
            .map(|(ack_id, _)| *ack_id)
            .take(8)
            .collect();
        let Some(ack_id) = answered.choose(&mut self.rng) else {
            return;
        };
        let Some(request) = session.requests.get_mut(ack_id) else {
            return;
        };
        request.sent += 1;
        let (frame, succeeded) = (request.frame.clone(), request.succeeded);
        if !succeeded {
            self.saw(Happening::AckRetried);
        }
        self.say(client, frame);
    }

    fn invoke(&mut self, client: usize) {
        let payload = self.payload();
        let Some(session) = &mut self.clients[client].session else {
            return;
        };
        let invocation_id = session.name("i");
        session.invocations.push(invocation_id.clone());
        let call = Ok(Invocation {
            event: event(),
            metadata: Metadata::default(),
            payload: Some(payload),
        });
        self.say(
            client,
            ClientFrame::Invoke {
                invocation_id,
                call,
            },
        );
    }

    fn cancel(&mut self, client: usize) {
        let session = self.clients[client].session.as_mut();
        if let Some(invocation_id) = session.and_then(|session| session.invocations.pop()) {
            self.say(client, ClientFrame::CancelInvocation { invocation_id });
        }
    }

    fn open_stream(&mut self, client: usize) {
        let idle = self.rng.random_range(500..6000);
        let start = StreamStart {
            group: self.a_group(),
            no_echo: self.rng.random(),
            idle_timeout: self
                .rng
                .random_ratio(3, 4)
                .then(|| Duration::from_millis(idle)),
        };
        let again = self.rng.random_ratio(1, 10);
        let Some(session) = &mut self.clients[client].session else {
            return;
        };
        let open = session
            .streams
            .first()
            .filter(|_| again)
            .map(|stream| stream.name.clone());
        let stream_id = open.unwrap_or_else(|| {
            let name = session.name("s");
            session.streams.push(OwnStream {
                name: name.clone(),
                next: 1,
            });
            name
        });
        self.say(
            client,
            ClientFrame::OpenStream {
                stream_id,
                start: Ok(start),
            },
        );
    }

    fn feed_stream(&mut self, client: usize) {
        let payload = self.payload();
        let choice = self.rng.random_range(0..20);
        let Some(session) = &mut self.clients[client].session else {
            return;
        };
        let Some(stream) = session.streams.choose_mut(&mut self.rng) else {
            return;
        };
        let stream_id = stream.name.clone();
        let number = match choice {
            0..12 => {
                // The service will say when it expects another one.
                stream.next += 1;
                stream.next - 1
            }
            12 => stream.next + 1,
            13 => stream.next.saturating_sub(1).max(1),
            14..18 => 0,
            _ => {
                session.streams.retain(|stream| stream.name != stream_id);
                let error = (choice == 18).then(|| StreamEndError {
                    message: Some("enough".to_owned()),
                    user_error_code: None,
                });
                return self.say(client, ClientFrame::EndStream { stream_id, error });
            }
        };
        let fragment = Ok((number > 0).then_some((number, payload)));
        self.say(
            client,
            ClientFrame::StreamData {
                stream_id,
                fragment,
            },
        );
    }

    /// Sends what ends the connection.
    pub(crate) fn break_protocol(&mut self, client: usize) {
        let Some(protocol) = self.clients[client].spec.subprotocol else {
            return;
        };
        let text = |text: &'static str| Frame::Text(ByteString::from_static(text));
        let is_json = matches!(protocol, Subprotocol::Json | Subprotocol::ReliableJson);
        let (frame, code, reason) = match (self.rng.random_range(0..9), is_json) {
            (0..5, true) => {
                let reason = "The client message is not a valid JSON protocol message.";
                (text("{"), 1007, reason)
            }
            (0..5, false) => {
                let reason = "The client message is not a valid protobuf.webpubsub.azure.v1 protocol message.";
                (Frame::Binary(vec![0xff].into()), 1007, reason)
            }
            (5..8, true) => {
                let reason = "The JSON subprotocol requires text messages.";
                (Frame::Binary(vec![1].into()), 1003, reason)
            }
            (5..8, false) => {
                let reason =
                    "The protobuf.webpubsub.azure.v1 subprotocol requires binary messages.";
                (text("{}"), 1003, reason)
            }
            _ => {
                let large = vec![b' '; MESSAGE_BYTES + 1];
                (
                    Frame::Binary(large.into()),
                    1009,
                    "The client message is too large.",
                )
            }
        };
        self.say_broken(client, frame, code, reason);
    }

    // Servers.

    pub(crate) fn serve(&mut self) -> Check {
        if self.phase != Phase::Busy {
            return Ok(());
        }
        self.schedule_in(10..600, Event::Serve);
        let now = self.now;
        let group = self.a_group();
        let user = self.a_user();
        let id = self.a_connection();
        match self.rng.random_range(0..100) {
            0..62 => {
                let (target, index) = (self.rng.random_range(0..4), self.rng.random_range(0..8));
                return self.burst(target, index, 1);
            }
            62..65 => {
                let limit = self.scenario.settings.outbox_frames;
                let often = limit < 500 || self.rng.random_ratio(1, 4);
                let left = u32::try_from(limit).unwrap_or(u32::MAX) * 5 / 4;
                let target = self.rng.random_range(0..4);
                let index = self.rng.random_range(0..8);
                return if often {
                    self.burst(target, index, left)
                } else {
                    Ok(())
                };
            }
            65..85 => {}
            85..88 => return self.service.audit(),
            88..92 => {
                let permission = *Permission::ALL.choose(&mut self.rng).expect("two");
                let grant = self.rng.random_ratio(3, 5);
                self.note(|| format!("REST permits {id:?} {permission} of {group}: {grant}"));
                return match id {
                    Some(id) => self.service.permit(now, &id, permission, &group, grant),
                    None => Ok(()),
                };
            }
            92..94 => {
                let to = self.a_target(self.rng.clone().random_range(1..4), 0);
                let reason = self.rng.random::<bool>().then_some("enough");
                self.note(|| format!("REST closes {to:?}"));
                return self.service.close(now, &to, reason);
            }
            _ => return Ok(()),
        }
        let from_all = self.rng.random_ratio(1, 10);
        let left = (!from_all).then_some(&group);
        let change = self.rng.random_range(0..6);
        self.note(|| format!("REST changes groups: {change} {id:?} {user} {group} {from_all}"));
        match (change, &id) {
            (0 | 1, Some(id)) => self.service.join(now, id, &group),
            (2, Some(id)) => self.service.leave(now, id, left),
            (3 | 4, _) => self.service.join_user(now, &user, &group),
            (5, _) => self.service.leave_user(now, &user, left),
            _ => Ok(()),
        }
    }

    /// Sends some messages at once, and the others soon.
    pub(crate) fn burst(&mut self, target: u8, index: usize, left: u32) -> Check {
        let to = self.a_target(target, index);
        let excluded: Vec<_> = self
            .a_connection()
            .filter(|_| self.rng.random_ratio(1, 6))
            .into_iter()
            .collect();
        let now_sent = left.min(16);
        for _ in 0..now_sent {
            let (payload, ttl_seconds) = (self.payload(), self.a_ttl());
            self.note(|| {
                format!("REST sends {payload:?} for {ttl_seconds} s to {to:?} but {excluded:?}")
            });
            self.service
                .send(self.now, &to, &excluded, payload, ttl_seconds)?;
        }
        let left = left - now_sent;
        if left > 0 && self.phase == Phase::Busy {
            self.schedule_in(
                0..3,
                Event::Burst {
                    target,
                    index,
                    left,
                },
            );
        }
        Ok(())
    }

    fn a_target(&mut self, target: u8, index: usize) -> To {
        let connection = || {
            let client = self.clients.get(index % self.clients.len())?;
            Some(client.session.as_ref()?.id.clone())
        };
        match target {
            0 => To::All,
            1 => To::User(self.scenario.users[index % 2].clone()),
            2 => To::Group(self.scenario.groups[index % 3].clone()),
            _ => connection().map_or(To::Group(self.scenario.groups[0].clone()), To::Connection),
        }
    }

    fn a_group(&mut self) -> GroupName {
        self.scenario
            .groups
            .choose(&mut self.rng)
            .expect("three")
            .clone()
    }

    fn a_user(&mut self) -> UserId {
        self.scenario
            .users
            .choose(&mut self.rng)
            .expect("two")
            .clone()
    }

    fn a_connection(&mut self) -> Option<ConnectionId> {
        let client = self.clients.choose(&mut self.rng)?;
        Some(client.session.as_ref()?.id.clone())
    }

    fn a_ttl(&mut self) -> u32 {
        if self.rng.random_ratio(1, 3) {
            self.rng.random_range(1..8)
        } else {
            0
        }
    }

    fn a_state(&mut self) -> Option<Vec<(String, String)>> {
        let size = if self.rng.random_ratio(1, 20) { 600 } else { 3 };
        let number = self.messages;
        let entry = || ("k".to_owned(), format!("{number:>size$}"));
        self.rng.random_ratio(3, 4).then(|| vec![entry()])
    }
}

fn event() -> EventName {
    EventName::new("e").expect("an event name")
}
