//! The calls that scripts make, and their outcomes.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use webpubsub_client::{GroupStream, GroupStreamWriter, SendError, WebPubSubClient};
use webpubsub_client::{Payload, StreamEndError};

use crate::order::{Call, Operation};
use crate::report::{Reporter, acknowledged, data, failure};

/// Open streams by the call that opened them; a call takes one out while it uses it.
#[derive(Clone, Default)]
pub(crate) struct Streams(Arc<Mutex<BTreeMap<String, SharedWriter>>>);

type SharedWriter = Arc<tokio::sync::Mutex<Option<GroupStreamWriter>>>;

/// Makes the call and waits for its outcome.
pub(crate) async fn make(
    client: &WebPubSubClient,
    streams: &Streams,
    reporter: &Reporter,
    call: &Call,
) -> Value {
    match call.operation {
        Operation::Start => match client.start().await {
            Ok(()) => outcome("started"),
            Err(_) => outcome("failed"),
        },
        Operation::Stop => {
            client.stop().await;
            outcome("stopped")
        }
        Operation::JoinGroup => {
            let mut join = client.join_group(call.group.clone());
            if let Some(id) = call.ack_id {
                join = join.ack_id(id);
            }
            acknowledged(join.await)
        }
        Operation::LeaveGroup => {
            let mut leave = client.leave_group(call.group.clone());
            if let Some(id) = call.ack_id {
                leave = leave.ack_id(id);
            }
            acknowledged(leave.await)
        }
        Operation::SendToGroup => {
            let mut send = client.send_to_group(call.group.clone(), payload(call));
            if let Some(id) = call.ack_id {
                send = send.ack_id(id);
            }
            if call.no_echo {
                send = send.no_echo();
            }
            if call.fire_and_forget {
                send = send.fire_and_forget();
            }
            acknowledged(send.await)
        }
        Operation::SendEvent => {
            let mut send = client.send_event(call.event.clone(), payload(call));
            if let Some(id) = call.ack_id {
                send = send.ack_id(id);
            }
            if call.fire_and_forget {
                send = send.fire_and_forget();
            }
            acknowledged(send.await)
        }
        Operation::Invoke => invoke(client, call).await,
        Operation::OpenStream => open_stream(client, streams, reporter, call).await,
        Operation::Write => match streams.get(call).lock().await.as_mut() {
            Some(writer) => done("written", writer.write(payload(call)).await),
            None => outcome("failed"),
        },
        Operation::End => match streams.get(call).lock().await.take() {
            Some(writer) => done("ended", writer.end().await),
            None => outcome("failed"),
        },
        Operation::Abort => match streams.get(call).lock().await.take() {
            Some(writer) => done("ended", writer.abort(end_error(call)).await),
            None => outcome("failed"),
        },
        Operation::ReceiveStreams => receive_streams(client, reporter, call),
        Operation::SetGroupState => {
            let state = call.state.clone();
            acknowledged(client.set_group_state(call.group.clone(), state).await)
        }
        Operation::ClearGroupState => {
            acknowledged(client.clear_group_state(call.group.clone()).await)
        }
        Operation::SubscribeGroupState => {
            acknowledged(client.subscribe_group_state(call.group.clone()).await)
        }
        Operation::UnsubscribeGroupState => {
            acknowledged(client.unsubscribe_group_state(call.group.clone()).await)
        }
    }
}

impl Streams {
    fn get(&self, call: &Call) -> SharedWriter {
        Arc::clone(self.0.lock().entry(call.stream.clone()).or_default())
    }

    fn insert(&self, call: &Call, writer: GroupStreamWriter) {
        let writer = Arc::new(tokio::sync::Mutex::new(Some(writer)));
        self.0.lock().insert(call.id.clone(), writer);
    }
}

async fn invoke(client: &WebPubSubClient, call: &Call) -> Value {
    let mut invoke = match call.data {
        Some(_) => client.invoke_event(call.event.clone(), payload(call)),
        None => client.invoke_event_without_data(call.event.clone()),
    };
    if let Some(id) = &call.invocation_id {
        invoke = invoke.invocation_id(id.clone());
    }
    match invoke.await {
        Ok(answer) => {
            let mut told = answer.payload.as_ref().map(data).unwrap_or_default();
            told.insert("outcome".into(), "answered".into());
            told.into()
        }
        Err(error) => failure(&error),
    }
}

async fn open_stream(
    client: &WebPubSubClient,
    streams: &Streams,
    reporter: &Reporter,
    call: &Call,
) -> Value {
    let mut open = client.open_group_stream(call.group.clone());
    if let Some(id) = &call.stream_id {
        open = open.stream_id(id.clone());
    }
    if call.no_echo {
        open = open.no_echo();
    }
    if let Some(timeout) = call.idle_timeout() {
        open = open.idle_timeout(timeout);
    }
    let writer = match open.await {
        Ok(writer) => writer,
        Err(error) => return failure(&error),
    };
    let stream_id = writer.stream_id().to_owned();
    let opened = json!({ "outcome": "opened", "streamId": stream_id });
    tokio::spawn({
        let (failed, reporter) = (writer.failed(), reporter.clone());
        async move {
            let error = failed.await;
            reporter.stream_failed(&stream_id, &error);
        }
    });
    streams.insert(call, writer);
    opened
}

fn receive_streams(client: &WebPubSubClient, reporter: &Reporter, call: &Call) -> Value {
    let mut subscription = client.group_streams();
    if let Some(groups) = &call.groups {
        subscription = match subscription.groups(groups.iter().map(String::as_str)) {
            Ok(subscription) => subscription,
            Err(_) => return outcome("failed"),
        };
    }
    if call.from_start {
        subscription = subscription.from_start();
    }
    if let Some(timeout) = call.idle_timeout() {
        subscription = subscription.idle_timeout(timeout);
    }
    let mut streams = subscription.subscribe();
    let reporter = reporter.clone();
    tokio::spawn(async move {
        while let Some(stream) = streams.next().await {
            tokio::spawn(follow(stream, reporter.clone()));
        }
    });
    outcome("subscribed")
}

async fn follow(mut stream: GroupStream, reporter: Reporter) {
    let name = format!("{}/{}", stream.group(), stream.stream_id());
    reporter.stream_opened(&name);
    let mut failed = false;
    while let Some(fragment) = stream.next().await {
        reporter.fragment(&name, &fragment);
        failed = fragment.is_err();
    }
    if !failed {
        reporter.stream_ended(&name);
    }
}

fn payload(call: &Call) -> Payload {
    let data = call.data.as_ref().expect("the script says what to send");
    data.payload().expect("the script's data can be sent")
}

fn end_error(call: &Call) -> StreamEndError {
    StreamEndError {
        message: call.message.clone(),
        user_error_code: call.user_error_code.clone(),
    }
}

fn done(what: &str, result: Result<(), SendError>) -> Value {
    match result {
        Ok(()) => outcome(what),
        Err(error) => failure(&error),
    }
}

fn outcome(what: &str) -> Value {
    json!({ "outcome": what })
}
