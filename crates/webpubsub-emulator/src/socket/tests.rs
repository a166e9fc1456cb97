//! The task of a socket on transports that no network gives.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::ws::Message;
use futures_util::{Sink, Stream};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::HubName;
use webpubsub_protocol::payload::Payload;

use super::task::{self, SocketGuard};
use crate::clock::Clock;
use crate::hub::{
    Hub, OPEN_TIMEOUT, OpenRequest, Outgoing, Overrides, RawMode, Selection, Target, WireForm,
};
use crate::service::Service;
use crate::settings::Settings;

/// A client that neither sends nor reads.
struct Stalled;

impl Stream for Stalled {
    type Item = Result<Message, axum::Error>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Pending
    }
}

impl Sink<Message> for Stalled {
    type Error = axum::Error;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Pending
    }

    fn start_send(self: Pin<&mut Self>, _: Message) -> Result<(), Self::Error> {
        unreachable!("it is never ready")
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Pending
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn a_close_that_does_not_drain_is_aborted_on_time() {
    // req: S-8-6
    let overflow = |hub: &Hub| {
        for _ in 0..1001 {
            let outgoing = Outgoing {
                payload: Payload::text("x"),
                metadata: Metadata::default(),
                ttl_seconds: 0,
            };
            hub.send(&Target::All, &Selection::default(), outgoing);
        }
    };
    let by_server = |hub: &Hub| hub.close(&Target::All, &[], Some("bye"));
    for (ending, seconds) in [(&overflow as &dyn Fn(&Hub), 1), (&by_server, 5)] {
        for (form, reliable) in [
            (WireForm::Raw, false),
            (WireForm::Json, false),
            (WireForm::Json, true),
            (WireForm::Protobuf, true),
        ] {
            let clock = Clock::manual();
            let service = Service::new(
                Settings::default(),
                clock.clone(),
                Some(1),
                None,
                BTreeMap::new(),
            );
            let hub = service.hub(&HubName::new("chat").expect("a name"));
            let guard = connect(&service, &hub, form, reliable);
            let task = tokio::spawn(task::run(Stalled, guard));
            settle().await;

            ending(&hub);
            assert!(
                hub.snapshot().connections.is_empty(),
                "gone for everybody else"
            );
            clock.advance(Duration::from_millis(seconds * 1000 - 1));
            settle().await;
            assert!(!task.is_finished(), "{form:?}: it may still drain");
            clock.advance(Duration::from_millis(1));
            let patience = Duration::from_secs(20);
            let aborted = tokio::time::timeout(patience, task).await;
            aborted.expect("in time").expect("no panic");
            assert_eq!(service.counters().counts().connections_closed, 1);
        }
    }
}

fn connect(service: &Arc<Service>, hub: &Arc<Hub>, form: WireForm, reliable: bool) -> SocketGuard {
    let request = OpenRequest {
        id: None,
        user: None,
        roles: Vec::new(),
        groups: Vec::new(),
        form,
        reliable,
        protocol: None,
        raw_mode: RawMode::SendEvent,
        patience: OPEN_TIMEOUT,
        session: Arc::default(),
    };
    let (ticket, _) = hub.open(request);
    let attachment = hub.accept(ticket, Overrides::default()).expect("accepted");
    SocketGuard::new(Arc::clone(service), Arc::clone(hub), attachment)
}

/// Lets every task run until it waits.
async fn settle() {
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
}
