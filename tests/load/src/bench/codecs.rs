//! What it costs to read and to write one frame, in this process.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Result;
use webpubsub_protocol::bytes::Bytes;
use webpubsub_protocol::bytestring::ByteString;
use webpubsub_protocol::frame::{
    AckId, ClientFrame, Message, Sender, SequenceId, ServerFrame, json, protobuf,
};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::payload::Payload;

use super::{Group, Measure, Row, Sample, Settings, Side};
use crate::kind::send_to_group;

/// Does the work once.
type Work = Box<dyn Fn()>;

pub(super) fn group(_settings: &Settings) -> Group {
    Group {
        name: "codecs",
        title: "Frames",
        rows: rows().unwrap_or_default(),
    }
}

fn rows() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let server: [(&str, [&'static str; 4], ServerFrame); 3] = [
        (
            "a message of 100 B",
            [
                "decode-message-json",
                "encode-message-json",
                "decode-message-protobuf",
                "encode-message-protobuf",
            ],
            message(100)?,
        ),
        (
            "a message of 2 KB",
            [
                "decode-large-json",
                "encode-large-json",
                "decode-large-protobuf",
                "encode-large-protobuf",
            ],
            message(2_000)?,
        ),
        (
            "an acknowledgement",
            [
                "decode-ack-json",
                "encode-ack-json",
                "decode-ack-protobuf",
                "encode-ack-protobuf",
            ],
            ServerFrame::Ack {
                ack_id: AckId(42),
                error: None,
            },
        ),
    ];
    for (what, ids, frame) in server {
        let text = Bytes::from(json::encode_server(&frame));
        let binary = protobuf::encode_server(&frame);
        let (one, two) = (frame.clone(), frame);
        let (text_size, binary_size) = (text.len(), binary.len());
        let beneath = text.clone();
        rows.push(row(
            ids[0],
            format!("{what} read, JSON"),
            text_size,
            vec![
                (
                    "ours",
                    Box::new(move || drop(black_box(json::decode_server(text.clone())))),
                ),
                (
                    "`serde_json` alone, keeping nothing",
                    Box::new(move || {
                        black_box(
                            serde_json::from_slice::<serde::de::IgnoredAny>(&beneath).is_ok(),
                        );
                    }),
                ),
            ],
        ));
        rows.push(row(
            ids[1],
            format!("{what} written, JSON"),
            text_size,
            vec![(
                "ours",
                Box::new(move || drop(black_box(json::encode_server(&one)))),
            )],
        ));
        rows.push(row(
            ids[2],
            format!("{what} read, protobuf"),
            binary_size,
            vec![(
                "ours",
                Box::new(move || drop(black_box(protobuf::decode_server(binary.clone())))),
            )],
        ));
        rows.push(row(
            ids[3],
            format!("{what} written, protobuf"),
            binary_size,
            vec![(
                "ours",
                Box::new(move || drop(black_box(protobuf::encode_server(&two)))),
            )],
        ));
    }
    let send = send_to_group("g", "x".repeat(100), Some(42))?;
    rows.extend(client_rows(send));
    Ok(rows)
}

fn client_rows(frame: ClientFrame) -> [Row; 4] {
    let what = "a send of 100 B";
    let text = Bytes::from(json::encode_client(&frame));
    let binary = protobuf::encode_client(&frame);
    let (one, two) = (frame.clone(), frame);
    let (text_size, binary_size) = (text.len(), binary.len());
    [
        row(
            "decode-send-json",
            format!("{what} read, JSON"),
            text_size,
            vec![(
                "ours",
                Box::new(move || drop(black_box(json::decode_client(text.clone())))),
            )],
        ),
        row(
            "encode-send-json",
            format!("{what} written, JSON"),
            text_size,
            vec![(
                "ours",
                Box::new(move || drop(black_box(json::encode_client(&one)))),
            )],
        ),
        row(
            "decode-send-protobuf",
            format!("{what} read, protobuf"),
            binary_size,
            vec![(
                "ours",
                Box::new(move || drop(black_box(protobuf::decode_client(binary.clone())))),
            )],
        ),
        row(
            "encode-send-protobuf",
            format!("{what} written, protobuf"),
            binary_size,
            vec![(
                "ours",
                Box::new(move || drop(black_box(protobuf::encode_client(&two)))),
            )],
        ),
    ]
}

fn message(size: usize) -> Result<ServerFrame> {
    Ok(ServerFrame::Message(Message {
        sequence_id: Some(SequenceId(123_456)),
        from: Sender::Group {
            group: GroupName::new("g")?,
            from_user_id: Some(ByteString::from_static("u")),
        },
        payload: Payload::text("x".repeat(size)),
        metadata: Metadata::default(),
        stream: None,
    }))
}

fn row(id: &'static str, about: String, size: usize, sides: Vec<(&'static str, Work)>) -> Row {
    Row {
        id,
        about,
        aims: Vec::new(),
        sides: sides
            .into_iter()
            .map(|(name, work)| Side {
                name,
                round: Box::new(move |settings| Ok(measure(settings, &work, size))),
            })
            .collect(),
    }
}

fn measure(settings: &Settings, work: &Work, size: usize) -> Sample {
    let time = settings.pick(Duration::from_millis(20), Duration::from_millis(200));
    // The clock is read once for a thousand frames, which is less than a per mille of their time.
    let batch = |work: &Work| (0..1_000).for_each(|_| work());
    batch(work);
    let began = Instant::now();
    let mut count = 0.0;
    while began.elapsed() < time {
        batch(work);
        count += 1_000.0;
    }
    let each = began.elapsed().as_secs_f64() / count;
    Sample {
        values: vec![
            (Measure::Nanoseconds, each * 1e9),
            (Measure::Throughput, size as f64 / each / 1e6),
        ],
        generator_busy: None,
    }
}
