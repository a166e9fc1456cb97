//! `instructions WORK COUNT` does one piece of work COUNT times; without arguments it lists the pieces.
//!
//! `cargo xtask bench --instructions` runs it under valgrind with two counts: what the second run needs beyond the first
//! is what the work costs, whatever starting the program costs. Unlike times, instructions hardly depend on the machine.

#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, ensure};
use webpubsub_emulator::driven::{ConnectSpec, DrivenHub, DrivenSettings, To};
use webpubsub_protocol::access::{
    AccessKey, ClientTokenOptions, sign_client_token, sign_rest_token,
};
use webpubsub_protocol::bytes::Bytes;
use webpubsub_protocol::bytestring::ByteString;
use webpubsub_protocol::frame::{AckId, ServerFrame, json, protobuf};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::session::{
    Acknowledge, Action, Attempt, Event, Input, Now, Request, Session, SessionConfig, WireFrame,
};
use webpubsub_protocol::subprotocol::Subprotocol;

mod client;
mod frames;
mod server;

use frames::{group, message, send};

/// Does a piece of work so many times.
type Work = fn(u64) -> Result<()>;

const WORKS: [(&str, Work); 19] = [
    ("decode-message-json", decode_message_json),
    ("encode-message-json", encode_message_json),
    ("decode-message-protobuf", decode_message_protobuf),
    ("encode-message-protobuf", encode_message_protobuf),
    ("decode-send-json", decode_send_json),
    ("encode-send-json", encode_send_json),
    ("session-receive", session_receive),
    ("session-send-ack", session_send_ack),
    ("session-send-forget", session_send_forget),
    ("client-receive", client::receive),
    ("client-send-ack", client::send_acknowledged),
    ("client-send-forget", client::send_and_forget),
    ("rest-send-to-all", server::send_to_all),
    ("webhook-user-event", server::user_event),
    ("client-token", client_token),
    ("rest-token", rest_token),
    ("hub-publish-json", |count| {
        hub_publish(Subprotocol::Json, count)
    }),
    ("hub-publish-reliable-json", |count| {
        hub_publish(Subprotocol::ReliableJson, count)
    }),
    ("hub-publish-protobuf", |count| {
        hub_publish(Subprotocol::Protobuf, count)
    }),
];

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let Some(name) = args.next() else {
        WORKS.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    };
    let count = args.next().context("usage: instructions WORK COUNT")?;
    let (_, work) = WORKS
        .iter()
        .find(|(known, _)| *known == name)
        .with_context(|| format!("there is no work `{name}`"))?;
    work(count.parse()?)
}

fn repeat<T>(count: u64, mut work: impl FnMut() -> T) {
    for _ in 0..count {
        black_box(work());
    }
}

fn decode_message_json(count: u64) -> Result<()> {
    let frame = Bytes::from(json::encode_server(&message(123_456)?));
    repeat(count, || json::decode_server(frame.clone()).is_ok());
    Ok(())
}

fn encode_message_json(count: u64) -> Result<()> {
    let frame = message(123_456)?;
    repeat(count, || json::encode_server(&frame));
    Ok(())
}

fn decode_message_protobuf(count: u64) -> Result<()> {
    let frame = protobuf::encode_server(&message(123_456)?);
    repeat(count, || protobuf::decode_server(frame.clone()).is_ok());
    Ok(())
}

fn encode_message_protobuf(count: u64) -> Result<()> {
    let frame = message(123_456)?;
    repeat(count, || protobuf::encode_server(&frame));
    Ok(())
}

fn decode_send_json(count: u64) -> Result<()> {
    let frame = Bytes::from(json::encode_client(&send()?));
    repeat(count, || json::decode_client(frame.clone()).is_ok());
    Ok(())
}

fn encode_send_json(count: u64) -> Result<()> {
    let frame = send()?;
    repeat(count, || json::encode_client(&frame));
    Ok(())
}

/// A session with an open connection.
struct Client {
    session: Session,
    now: Now,
    attempt: Attempt,
}

impl Client {
    fn connected() -> Result<Self> {
        let now = Now {
            mono: Instant::now(),
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        };
        let protocol = Arc::new(Subprotocol::ReliableJson);
        let mut session = Session::new(SessionConfig::default(), protocol, 42);
        session.start(now)?;
        let Some(Action::Dial { attempt, .. }) = session.poll_action() else {
            anyhow::bail!("a session that was started does not dial");
        };
        session.handle_input(now, attempt, Input::Opened);
        let mut client = Self {
            session,
            now,
            attempt,
        };
        client.hear(&ServerFrame::Connected {
            connection_id: ByteString::from_static("c"),
            user_id: None,
            reconnection_token: Some(ByteString::from_static("t")),
        });
        while client.session.poll_event().is_some() {}
        Ok(client)
    }

    fn hear(&mut self, frame: &ServerFrame) {
        let text = ByteString::from(json::encode_server(frame));
        let frame = Input::Frame(WireFrame::Text(text));
        self.session.handle_input(self.now, self.attempt, frame);
    }

    fn submit(&mut self, how: Acknowledge) -> Result<()> {
        let request = Request::send_to_group(group()?, Payload::text(frames::text()));
        let request = request.acknowledge(how);
        self.session.submit(self.now, request)?;
        let written = self.session.poll_transmit(self.now);
        ensure!(written.is_some(), "a request is not written");
        Ok(())
    }

    fn settled(&mut self) -> Result<()> {
        let event = self.session.poll_event();
        ensure!(
            matches!(event, Some(Event::Settled { .. })),
            "a request is not settled"
        );
        Ok(())
    }
}

fn session_receive(count: u64) -> Result<()> {
    let mut client = Client::connected()?;
    // Frames are encoded here as well; what that costs is counted by itself.
    for id in 1..=count {
        client.hear(&message(id)?);
        let event = client.session.poll_event();
        ensure!(event.is_some(), "message {id} is not handed out");
        while client.session.poll_transmit(client.now).is_some() {}
    }
    Ok(())
}

fn session_send_ack(count: u64) -> Result<()> {
    let mut client = Client::connected()?;
    for id in 1..=count {
        client.submit(Acknowledge::Auto)?;
        client.hear(&ServerFrame::Ack {
            ack_id: AckId(id),
            error: None,
        });
        client.settled()?;
    }
    Ok(())
}

fn session_send_forget(count: u64) -> Result<()> {
    let mut client = Client::connected()?;
    for _ in 0..count {
        client.submit(Acknowledge::Forget)?;
        client.settled()?;
    }
    Ok(())
}

fn client_token(count: u64) -> Result<()> {
    let endpoint = "https://example.webpubsub.azure.com".parse()?;
    let key = AccessKey::new("0123456789abcdefghijklmnopqrstuvwxyzABCDEFG=");
    let options = ClientTokenOptions::default()
        .user_id("ana")
        .role("webpubsub.sendToGroup.room")
        .group("room");
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    repeat(count, || {
        sign_client_token(&endpoint, "chat", &key, &options, now)
    });
    Ok(())
}

fn rest_token(count: u64) -> Result<()> {
    let url = "https://example.webpubsub.azure.com/api/hubs/chat/:send";
    let key = AccessKey::new("0123456789abcdefghijklmnopqrstuvwxyzABCDEFG=");
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    repeat(count, || {
        sign_rest_token(url, &key, Duration::from_secs(60), now)
    });
    Ok(())
}

/// A message to a hundred members, taken by each; reliable ones acknowledge nothing, for as long as they may.
fn hub_publish(subprotocol: Subprotocol, count: u64) -> Result<()> {
    let settings = DrivenSettings {
        outbox_frames: usize::MAX,
        outbox_bytes: usize::MAX,
        recovery_window: Duration::from_secs(30),
        connected_on_recovery: true,
        has_handler: false,
    };
    let mut hub = DrivenHub::new(&settings, 42);
    let now = Duration::from_secs(1);
    let sockets: Vec<_> = (0..100)
        .map(|_| {
            let spec = ConnectSpec {
                groups: vec![group()?],
                subprotocol: Some(subprotocol),
                ..ConnectSpec::default()
            };
            anyhow::Ok(hub.connect(now, spec).0)
        })
        .collect::<Result<_>>()?;
    for &socket in &sockets {
        hub.drain(now, socket, 1);
    }
    for _ in 0..count {
        hub.send(
            now,
            To::Group(group()?),
            &[],
            Payload::text(frames::text()),
            0,
        );
        for &socket in &sockets {
            let (frames, _) = hub.drain(now, socket, 1);
            ensure!(frames.len() == 1, "a member gets nothing");
        }
    }
    Ok(())
}
