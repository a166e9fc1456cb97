//! The protobuf subprotocols over real sockets.

use tokio_tungstenite::tungstenite::Message;
use webpubsub_protocol::frame::{AckId, ClientFrame, Sender, SequenceId, ServerFrame, protobuf};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::payload::Payload;

use super::{ALL_GROUPS, Client, emulator, json_client, request};

const PLAIN: &str = "protobuf.webpubsub.azure.v1";
const RELIABLE: &str = "protobuf.reliable.webpubsub.azure.v1";

impl Client {
    async fn say_protobuf(&mut self, frame: &ClientFrame) {
        self.send(Message::Binary(protobuf::encode_client(frame)))
            .await;
    }

    async fn protobuf(&mut self) -> ServerFrame {
        match self.next().await {
            Message::Binary(bytes) => protobuf::decode_server(bytes).expect("a frame"),
            other => panic!("not binary: {other:?}"),
        }
    }
}

fn room() -> GroupName {
    GroupName::new("room").expect("a name")
}

#[tokio::test]
async fn protobuf_and_json_clients_understand_each_other() {
    // req: S-3-7, S-3.1-3, S-12-3, S-12-4
    let emulator = emulator().await;
    let mut json = json_client(&emulator, "json").await;
    json.say(r#"{"type":"joinGroup","group":"room","ackId":1}"#)
        .await;
    json.text().await;
    for (subprotocol, reliable) in [(PLAIN, false), (RELIABLE, true)] {
        let url = emulator.client_access_url("chat", "pb", &ALL_GROUPS);
        let mut client = Client::open(request(&url, Some(subprotocol))).await;
        let ServerFrame::Connected {
            user_id,
            reconnection_token,
            ..
        } = client.protobuf().await
        else {
            panic!("not connected");
        };
        assert_eq!(user_id.as_deref(), Some("pb"));
        assert_eq!(reconnection_token.is_some(), reliable);

        let ack_id = Some(AckId(1));
        client
            .say_protobuf(&ClientFrame::JoinGroup {
                group: room(),
                ack_id,
            })
            .await;
        assert_eq!(
            client.protobuf().await,
            ServerFrame::Ack {
                ack_id: AckId(1),
                error: None
            }
        );

        json.say(r#"{"type":"sendToGroup","group":"room","noEcho":true,"metadata":{"k":"v"},"data":{"a":1}}"#)
            .await;
        let ServerFrame::Message(message) = client.protobuf().await else {
            panic!("no message")
        };
        assert_eq!(message.payload, Payload::Json(r#"{"a":1}"#.into()));
        assert_eq!(message.metadata.value("k"), Some("v"));
        assert_eq!(message.sequence_id, reliable.then_some(SequenceId(1)));
        assert_eq!(
            message.from,
            Sender::Group {
                group: room(),
                from_user_id: None
            }
        );

        let frame = ClientFrame::SendToGroup {
            group: room(),
            ack_id: None,
            no_echo: true,
            ttl_seconds: 0,
            metadata: Metadata::default(),
            payload: Payload::protobuf(&b"\x0a\x01t"[..]).expect("an Any"),
        };
        client.say_protobuf(&frame).await;
        assert!(
            json.text()
                .await
                .ends_with(r#""dataType":"protobuf","data":"CgF0"}"#)
        );
        client.say_protobuf(&ClientFrame::Ping).await;
        assert_eq!(client.protobuf().await, ServerFrame::Pong);
        client
            .say_protobuf(&ClientFrame::LeaveGroup {
                group: room(),
                ack_id: None,
            })
            .await;
    }
}

#[tokio::test]
async fn wrong_frames_close_with_their_own_texts() {
    // req: S-12-5, S-8-11
    let emulator = emulator().await;
    let url = emulator.client_access_url("chat", "pb", &ALL_GROUPS);
    for subprotocol in [PLAIN, RELIABLE] {
        for (message, code, text) in [
            (
                Message::text("{}"),
                1003,
                "The protobuf.webpubsub.azure.v1 subprotocol requires binary messages.",
            ),
            (
                Message::binary(vec![0xff]),
                1007,
                "The client message is not a valid protobuf.webpubsub.azure.v1 protocol message.",
            ),
        ] {
            let mut client = Client::open(request(&url, Some(subprotocol))).await;
            client.protobuf().await;
            client.send(message).await;
            assert_eq!(
                client.closed().await,
                (code, text.to_owned()),
                "{subprotocol}"
            );
        }
    }
}
