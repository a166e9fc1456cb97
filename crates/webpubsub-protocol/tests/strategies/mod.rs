//! Frames that tests draw: every kind, with texts that are hard to write.

use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use webpubsub_protocol::bytestring::ByteString;
use webpubsub_protocol::frame::{
    AckId, ClientFrame, FrameError, GroupStateItem, Invocation, Message, Sender, SequenceId,
    ServerFrame, StreamEndError, StreamError, StreamInfo, StreamStart,
};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::{EventName, GroupName};
use webpubsub_protocol::payload::Payload;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,12}", r#"["\\/\n\r\t\x00-\x1f<>&'é漢😀]{0,8}"#]
}

fn shared() -> impl Strategy<Value = ByteString> {
    text().prop_map(ByteString::from)
}

fn group() -> impl Strategy<Value = GroupName> {
    text().prop_filter_map("blank", |text| GroupName::new(text).ok())
}

fn event() -> impl Strategy<Value = EventName> {
    "[A-Za-z][A-Za-z0-9_.-]{0,12}".prop_map(|name| EventName::new(name).expect("a name"))
}

fn metadata() -> impl Strategy<Value = Metadata> {
    btree_map("[a-zA-Z0-9!#$.^_`|~-]{1,8}", "[ -~]{0,16}", 0..4)
        .prop_map(|entries| Metadata::new(entries).expect("within the limits"))
}

pub(crate) fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        text().prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            vec((text(), inner), 0..4)
                .prop_map(|entries| serde_json::Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        shared().prop_map(Payload::Text),
        json_value().prop_map(|value| Payload::json(&value).expect("JSON")),
        vec(any::<u8>(), 0..40).prop_map(Payload::binary),
        Just(Payload::protobuf(&b"\x0a\x01t\x12\x02\x08\x01"[..]).expect("an Any")),
    ]
}

fn ack_id() -> impl Strategy<Value = Option<AckId>> {
    option::of(any::<u64>().prop_map(AckId))
}

fn state() -> impl Strategy<Value = Option<Vec<(String, String)>>> {
    option::of(btree_map(text(), text(), 0..4).prop_map(|map| map.into_iter().collect()))
}

pub(crate) fn client_frame() -> impl Strategy<Value = ClientFrame> {
    let id = || shared().prop_filter("empty", |id| !id.is_empty());
    prop_oneof![
        (group(), ack_id()).prop_map(|(group, ack_id)| ClientFrame::JoinGroup { group, ack_id }),
        (group(), ack_id()).prop_map(|(group, ack_id)| ClientFrame::LeaveGroup { group, ack_id }),
        (
            group(),
            ack_id(),
            any::<bool>(),
            0..=300_u32,
            metadata(),
            payload()
        )
            .prop_map(|(group, ack_id, no_echo, ttl_seconds, metadata, payload)| {
                ClientFrame::SendToGroup {
                    group,
                    ack_id,
                    no_echo,
                    ttl_seconds,
                    metadata,
                    payload,
                }
            }),
        (id(), group(), any::<bool>(), option::of(1..1_000_000_u64)).prop_map(
            |(stream_id, group, no_echo, timeout)| ClientFrame::OpenStream {
                stream_id,
                start: Ok(StreamStart {
                    group,
                    no_echo,
                    idle_timeout: timeout.map(Duration::from_millis)
                }),
            }
        ),
        (id(), option::of((any::<u64>(), payload()))).prop_map(|(stream_id, fragment)| {
            ClientFrame::StreamData {
                stream_id,
                fragment: Ok(fragment),
            }
        }),
        (id(), option::of((option::of(text()), option::of(text())))).prop_map(
            |(stream_id, error)| ClientFrame::EndStream {
                stream_id,
                error: error.map(|(message, user_error_code)| StreamEndError {
                    message,
                    user_error_code
                }),
            }
        ),
        (event(), ack_id(), metadata(), payload()).prop_map(
            |(event, ack_id, metadata, payload)| ClientFrame::Event {
                event,
                ack_id,
                metadata,
                payload
            }
        ),
        (shared(), event(), metadata(), option::of(payload())).prop_map(
            |(invocation_id, event, metadata, payload)| ClientFrame::Invoke {
                invocation_id,
                call: Ok(Invocation {
                    event,
                    metadata,
                    payload
                }),
            }
        ),
        shared().prop_map(|invocation_id| ClientFrame::CancelInvocation { invocation_id }),
        any::<u64>().prop_map(|id| ClientFrame::SequenceAck {
            sequence_id: SequenceId(id)
        }),
        (group(), ack_id(), state()).prop_map(|(group, ack_id, state)| {
            ClientFrame::SetGroupState {
                group,
                ack_id,
                state,
            }
        }),
        (group(), ack_id())
            .prop_map(|(group, ack_id)| ClientFrame::SubscribeGroupState { group, ack_id }),
        (group(), ack_id())
            .prop_map(|(group, ack_id)| ClientFrame::UnsubscribeGroupState { group, ack_id }),
        Just(ClientFrame::Ping),
    ]
}

fn frame_error() -> impl Strategy<Value = FrameError> {
    (shared(), option::of(shared())).prop_map(|(name, message)| FrameError { name, message })
}

fn stream_info() -> impl Strategy<Value = StreamInfo> {
    let error = (shared(), option::of(shared()), option::of(shared())).prop_map(
        |(name, message, user_error_code)| StreamError {
            name,
            message,
            user_error_code,
        },
    );
    (shared(), any::<u64>(), any::<bool>(), option::of(error)).prop_map(
        |(stream_id, stream_sequence_id, end_of_stream, error)| StreamInfo {
            stream_id,
            stream_sequence_id,
            end_of_stream,
            error,
        },
    )
}

pub(crate) fn message() -> impl Strategy<Value = Message> {
    let from = prop_oneof![
        Just(Sender::Server),
        (group(), option::of(shared())).prop_map(|(group, from_user_id)| Sender::Group {
            group,
            from_user_id
        }),
    ];
    let id = option::of(any::<u64>().prop_map(SequenceId));
    (id, from, payload(), metadata(), option::of(stream_info())).prop_map(
        |(sequence_id, from, payload, metadata, stream)| Message {
            sequence_id,
            from,
            payload,
            metadata,
            stream: stream.map(Box::new),
        },
    )
}

pub(crate) fn server_frame() -> impl Strategy<Value = ServerFrame> {
    let item = (shared(), option::of(shared()), state(), any::<i64>()).prop_map(
        |(connection_id, user_id, state, updated_at)| GroupStateItem {
            connection_id,
            user_id,
            state,
            updated_at,
        },
    );
    let items = (
        option::of(any::<u64>().prop_map(SequenceId)),
        group(),
        vec(item, 0..3),
    )
        .boxed();
    prop_oneof![
        (shared(), option::of(shared()), option::of(shared())).prop_map(
            |(connection_id, user_id, reconnection_token)| ServerFrame::Connected {
                connection_id,
                user_id,
                reconnection_token
            }
        ),
        text().prop_map(|message| ServerFrame::Disconnected { message }),
        (any::<u64>(), option::of(frame_error())).prop_map(|(id, error)| ServerFrame::Ack {
            ack_id: AckId(id),
            error
        }),
        message().prop_map(ServerFrame::Message),
        Just(ServerFrame::Pong),
        (shared(), option::of(payload()), metadata()).prop_map(
            |(invocation_id, payload, metadata)| ServerFrame::InvokeResponse {
                invocation_id,
                result: Ok(payload),
                metadata
            }
        ),
        (shared(), frame_error()).prop_map(|(invocation_id, error)| {
            ServerFrame::InvokeResponse {
                invocation_id,
                result: Err(error),
                metadata: Metadata::default(),
            }
        }),
        (shared(), any::<u64>()).prop_map(|(stream_id, expected_sequence_id)| {
            ServerFrame::StreamAck {
                stream_id,
                expected_sequence_id,
            }
        }),
        (shared(), frame_error(), any::<u64>()).prop_map(
            |(stream_id, error, expected_sequence_id)| ServerFrame::StreamNack {
                stream_id,
                error,
                expected_sequence_id
            }
        ),
        (shared(), option::of(frame_error()))
            .prop_map(|(stream_id, error)| ServerFrame::StreamClosed { stream_id, error }),
        items.clone().prop_map(
            |(sequence_id, group, items)| ServerFrame::GroupStateSnapshot {
                sequence_id,
                group,
                items
            }
        ),
        items.prop_map(
            |(sequence_id, group, items)| ServerFrame::GroupStateUpdate {
                sequence_id,
                group,
                items
            }
        ),
    ]
}
