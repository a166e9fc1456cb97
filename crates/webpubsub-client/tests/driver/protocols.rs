//! A subprotocol of the application's own.

use webpubsub_client::{Event, Protocol, Subprotocol};
use webpubsub_protocol::frame::{ClientFrame, DecodeError, ServerFrame};
use webpubsub_protocol::session::WireFrame;

use crate::fake::connected;

/// JSON whose frames are written backwards.
#[derive(Debug)]
struct Backwards;

fn backwards(frame: WireFrame) -> WireFrame {
    match frame {
        WireFrame::Text(text) => WireFrame::Text(text.chars().rev().collect::<String>().into()),
        binary => binary,
    }
}

impl Protocol for Backwards {
    fn name(&self) -> &str {
        "backwards.test.v1"
    }

    fn is_reliable(&self) -> bool {
        true
    }

    fn encode(&self, frame: &ClientFrame) -> WireFrame {
        backwards(Subprotocol::ReliableJson.encode(frame))
    }

    fn decode(&self, frame: WireFrame) -> Result<ServerFrame, DecodeError> {
        // The fake service speaks forwards in its first frame.
        match &frame {
            WireFrame::Text(text) if text.starts_with('{') => {
                Subprotocol::ReliableJson.decode(frame)
            }
            _ => Subprotocol::ReliableJson.decode(backwards(frame)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_protocol_can_be_plugged_in() {
    let (client, mut events, _service, mut socket) =
        connected(|builder| builder.protocol(Backwards)).await;
    client
        .send_event("e", "x")
        .fire_and_forget()
        .await
        .expect("written");
    let text: String = socket.text().await.chars().rev().collect();
    assert_eq!(
        text,
        r#"{"type":"event","event":"e","dataType":"text","data":"x"}"#
    );
    let message =
        r#"{"sequenceId":1,"type":"message","from":"server","dataType":"text","data":"y"}"#;
    socket.say(&message.chars().rev().collect::<String>());
    match events.next().await.expect("an event") {
        Event::ServerMessage(message) => assert_eq!(message.text(), Some("y")),
        other => panic!("{other:?}"),
    }
}
