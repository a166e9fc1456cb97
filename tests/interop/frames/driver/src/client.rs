//! A client that does what it is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::{AbortHandle, yield_now};
use webpubsub_client::{
    Backoff, BuildError, Subprotocol, WebPubSubClient, WebPubSubClientCredential,
};

use crate::calls::{self, Streams};
use crate::order::{Call, Protocol, Settings};
use crate::report::Reporter;

/// Delays between tries.
const RETRY: Backoff = Backoff::Fixed(Duration::from_millis(10));

/// More than enough turns of the runtime for tasks that wait for each other.
const TURNS: usize = 20;

pub(crate) struct Client {
    client: WebPubSubClient,
    reporter: Reporter,
    streams: Streams,
    calls: BTreeMap<String, AbortHandle>,
}

impl Client {
    pub(crate) fn new(settings: &Settings, reporter: Reporter) -> Result<Self, BuildError> {
        let client = build(settings)?;
        let mut events = client.events();
        tokio::spawn({
            let reporter = reporter.clone();
            async move {
                while let Some(event) = events.next().await {
                    reporter.event(&event);
                }
            }
        });
        Ok(Self {
            client,
            reporter,
            streams: Streams::default(),
            calls: BTreeMap::new(),
        })
    }

    /// Makes a call; its outcome is reported when there is one.
    pub(crate) fn call(&mut self, call: Call) {
        let id = call.id.clone();
        let (client, reporter) = (self.client.clone(), self.reporter.clone());
        let streams = self.streams.clone();
        let task = tokio::spawn(async move {
            let outcome = calls::make(&client, &streams, &reporter, &call).await;
            reporter.result(&call.id, &outcome);
        });
        self.calls.insert(id, task.abort_handle());
    }

    /// Gives a call up that has no outcome yet.
    pub(crate) fn cancel(&self, id: &str) {
        if let Some(task) = self.calls.get(id)
            && !task.is_finished()
        {
            task.abort();
            self.reporter.result(id, &cancelled());
        }
    }

    /// Answers when the tasks of this client have told what they know.
    pub(crate) fn sync(&self, number: u64) {
        let reporter = self.reporter.clone();
        tokio::spawn(async move {
            for _ in 0..TURNS {
                yield_now().await;
            }
            reporter.synced(number);
        });
    }
}

fn cancelled() -> Value {
    json!({ "outcome": "cancelled" })
}

fn build(settings: &Settings) -> Result<WebPubSubClient, BuildError> {
    let (url, asked) = (settings.url.clone(), Arc::new(AtomicU64::new(0)));
    let credential = WebPubSubClientCredential::provider(move || {
        let number = asked.fetch_add(1, Ordering::Relaxed) + 1;
        let url = url.replace("{n}", &number.to_string());
        async move { Ok::<_, std::convert::Infallible>(url) }
    });
    let options = &settings.options;
    let mut builder = WebPubSubClient::builder(credential)
        .protocol(match settings.protocol {
            Protocol::Json => Subprotocol::Json,
            Protocol::Reliable => Subprotocol::ReliableJson,
        })
        .keep_alive_interval(Duration::from_millis(options.keep_alive_interval))
        .keep_alive_timeout(Duration::from_millis(options.keep_alive_timeout))
        .request_retries(options.retries, RETRY)
        .reconnect_backoff(RETRY)
        .recovery_backoff(RETRY);
    if let Some(on) = options.auto_reconnect {
        builder = builder.auto_reconnect(on);
    }
    if let Some(on) = options.auto_rejoin_groups {
        builder = builder.auto_rejoin_groups(on);
    }
    if let Some(reconnects) = options.reconnects {
        builder = builder.max_reconnect_attempts(reconnects + 1);
    }
    builder.build()
}
