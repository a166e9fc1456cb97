//! `bench` measures an endpoint: how fast messages get through, and how long each takes.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::{CommandFactory as _, Parser};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use webpubsub::WebPubSubServiceClient;
use webpubsub_client::{Event, Events, WebPubSubClient};
use webpubsub_protocol::access::ClientTokenOptions;

use super::connect::signing;
use super::output::{self, line};
use super::service::{self, Service, Target, refused};
use super::stop::{FAILED, chain};
use super::{Call, Stop};

/// How many clients connect at a time.
const CONNECTING: usize = 32;

/// After the last message was sent and none has come for this long, those that are missing are lost.
const SILENCE: Duration = Duration::from_secs(5);

const NOTES: &str = "\
Clients join a group of their own, one more publishes to it and waits for each acknowledgement, with `--window` messages under
way at a time; with --rest a server sends instead. Latency is from before the send until a client has the message, both on
this machine's clock. A first tenth of the messages warms up and is not counted for latency. Mind that each message to each
client counts as traffic of a resource in Azure.

Exit status: 0 when every message reached every client, 1 when some did not, or the service refused something.

Examples:
  webpubsub-emulator bench --hub bench --connections 100 --messages 10000
  webpubsub-emulator bench --hub bench --rate 100 --window 8 --size 1000 --json
  webpubsub-emulator bench --hub bench --rest --context staging";

/// Measure how fast messages get through a service, and how long each takes
#[derive(Parser)]
#[command(name = "bench", max_term_width = 120, after_help = format!("{}\n\n{NOTES}", service::WHERE))]
struct Cli {
    /// Clients that receive
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: u32,

    /// Messages that are sent, each to all clients
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    messages: u32,

    /// Size of a message
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = clap::value_parser!(u32).range(16..=900_000))]
    size: u32,

    /// Messages that are sent but not yet acknowledged, at most
    #[arg(long, value_name = "NUMBER", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    window: u16,

    /// Messages a second [default: as fast as they are acknowledged]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,

    /// Group that the clients are in
    #[arg(long, value_name = "GROUP", default_value = "bench")]
    group: String,

    /// Send by REST calls in place of a client
    #[arg(long)]
    rest: bool,

    /// Print one JSON document
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    target: Target,
}

pub(super) fn command() -> clap::Command {
    Cli::command()
}

pub(super) fn run(call: Call) -> Result<ExitCode, Stop> {
    let (cli, variables) = service::parse::<Cli>("bench", call)?;
    let service = cli.target.service(&variables)?;
    service.hub()?;
    // All cores: what is measured should be the service.
    let runtime = Runtime::new()
        .map_err(|error| Stop::failed(format!("cannot start the runtime: {error}")))?;
    let report = runtime.block_on(measure(&cli, &service));
    runtime.shutdown_background();
    let report = report?;
    match cli.json {
        true => output::json(&report)?,
        false => report.print()?,
    }
    Ok(match report.lost {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(FAILED),
    })
}

/// What was measured. Rates are per second, latencies in milliseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    connections: u32,
    messages: u32,
    size: u32,
    seconds: f64,
    /// Messages that were sent.
    sent_per_second: f64,
    received: u64,
    /// Messages that clients have received, all together.
    received_per_second: f64,
    lost: u64,
    /// From the send to the acknowledgement.
    acknowledged: Percentiles,
    /// From the send to a client.
    delivered: Percentiles,
}

/// Milliseconds.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Percentiles {
    min: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    #[serde(rename = "p99.9")]
    p999: f64,
    max: f64,
}

/// What senders and receivers share.
struct Run {
    begun: Instant,
    /// When each message was sent, in microseconds since the beginning; 0 for not yet.
    sent: Vec<AtomicU64>,
    received: AtomicU64,
    /// Told at each message that comes.
    arrived: Notify,
}

enum Publisher {
    Client(WebPubSubClient),
    Server(WebPubSubServiceClient),
}

async fn measure(cli: &Cli, service: &Service) -> Result<Report, Stop> {
    let run = Arc::new(Run {
        begun: now(),
        sent: (0..cli.messages).map(|_| AtomicU64::new(0)).collect(),
        received: AtomicU64::new(0),
        arrived: Notify::new(),
    });
    let groups = [cli.group.as_str()];
    let receivers = (0..cli.connections).map(|_| connect(service, &groups, &[]));
    let receivers: Vec<_> = stream::iter(receivers)
        .buffer_unordered(CONNECTING)
        .try_collect()
        .await?;
    let publisher = match cli.rest {
        true => Publisher::Server(service.client()?),
        false => {
            let role = format!("webpubsub.sendToGroup.{}", cli.group);
            Publisher::Client(connect(service, &[], &[&role]).await?.0)
        }
    };
    let latencies = Arc::new(Mutex::new(Vec::new()));
    let mut clients = Vec::new();
    for (client, events) in receivers {
        clients.push(client);
        tokio::spawn(receive(Arc::clone(&run), events, Arc::clone(&latencies)));
    }
    let started = run.microseconds();
    let acknowledged = publish(cli, &run, &publisher).await?;
    let published = run.microseconds();
    let expected = u64::from(cli.connections) * u64::from(cli.messages);
    while run.received.load(Ordering::Acquire) < expected {
        let arrived = run.arrived.notified();
        if run.received.load(Ordering::Acquire) < expected
            && tokio::time::timeout(SILENCE, arrived).await.is_err()
        {
            break;
        }
    }
    let received = run.received.load(Ordering::Acquire);
    let last = match received == expected {
        true => run.microseconds(),
        // The silence is not part of it.
        false => run
            .microseconds()
            .saturating_sub(u64::try_from(SILENCE.as_micros()).unwrap_or(0)),
    };
    let seconds = |from: u64, to: u64| (to.saturating_sub(from).max(1)) as f64 / 1e6;
    let taken = seconds(started, last.max(published));
    let delivered = std::mem::take(&mut *latencies.lock());
    Ok(Report {
        connections: cli.connections,
        messages: cli.messages,
        size: cli.size,
        seconds: taken,
        sent_per_second: f64::from(cli.messages) / seconds(started, published),
        received,
        received_per_second: received as f64 / taken,
        lost: expected.saturating_sub(received),
        acknowledged: Percentiles::of(acknowledged),
        delivered: Percentiles::of(delivered),
    })
}

/// A client that is connected, and what happens to it.
async fn connect(
    service: &Service,
    groups: &[&str],
    roles: &[&str],
) -> Result<(WebPubSubClient, Events), Stop> {
    let mut options = ClientTokenOptions::default();
    options.groups = groups.iter().map(|&group| group.to_owned()).collect();
    options.roles = roles.iter().map(|&role| role.to_owned()).collect();
    let builder = WebPubSubClient::builder(signing(service, options)?);
    let connected = builder.connect_with_events().await;
    connected.map_err(|error| Stop::failed(chain(&error)))
}

/// Sends all messages, and returns how long each acknowledgement took, in microseconds.
async fn publish(cli: &Cli, run: &Run, publisher: &Publisher) -> Result<Vec<u32>, Stop> {
    let pace = cli.rate.map(|rate| {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        ticks
    });
    let numbers = stream::unfold((0..cli.messages, pace), |(mut numbers, mut pace)| async {
        let number = numbers.next()?;
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        Some((number, (numbers, pace)))
    });
    let group = &cli.group;
    let size = cli.size as usize;
    let acknowledged = numbers
        .map(|number| async move {
            let text = format!("{number:<size$}");
            let sent = run.microseconds().max(1);
            run.sent[number as usize].store(sent, Ordering::Release);
            match publisher {
                Publisher::Client(client) => {
                    let call = client.send_to_group(group.as_str(), text);
                    call.await.map_err(|error| Stop::failed(chain(&error)))?;
                }
                Publisher::Server(server) => {
                    let call = server.group(group.as_str()).send_to_all(text);
                    call.await.map_err(|error| refused(&error))?;
                }
            }
            Ok::<_, Stop>((number, since(run, sent)))
        })
        .buffer_unordered(usize::from(cli.window));
    let acknowledged: Vec<(u32, u32)> = acknowledged.try_collect().await?;
    let counted = acknowledged.into_iter();
    let counted = counted.filter(|(number, _)| *number >= warm_up(cli.messages));
    Ok(counted.map(|(_, latency)| latency).collect())
}

/// Counts what comes to a client, until it is stopped.
async fn receive(run: Arc<Run>, mut events: Events, latencies: Arc<Mutex<Vec<u32>>>) {
    let warm_up = warm_up(u32::try_from(run.sent.len()).unwrap_or(u32::MAX));
    while let Some(event) = events.next().await {
        let Event::GroupMessage(message) = event else {
            continue;
        };
        // Others may use the group, too.
        let number = message.text().and_then(|text| text.trim_end().parse().ok());
        let number: Option<u32> = number;
        let sent = number.and_then(|number| Some((number, run.sent.get(number as usize)?)));
        if let Some((number, sent)) = sent {
            let latency = since(&run, sent.load(Ordering::Acquire));
            if number >= warm_up {
                latencies.lock().push(latency);
            }
            run.received.fetch_add(1, Ordering::AcqRel);
            run.arrived.notify_one();
        }
    }
}

/// How many messages are not counted for latency.
const fn warm_up(messages: u32) -> u32 {
    messages / 10
}

/// Microseconds since a time of the run.
fn since(run: &Run, sent: u64) -> u32 {
    u32::try_from(run.microseconds().saturating_sub(sent)).unwrap_or(u32::MAX)
}

impl Run {
    fn microseconds(&self) -> u64 {
        let since = now().duration_since(self.begun);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a measurement is about the machine's time"
)]
fn now() -> Instant {
    Instant::now()
}

impl Percentiles {
    /// Of latencies in microseconds.
    fn of(mut latencies: Vec<u32>) -> Self {
        latencies.sort_unstable();
        let at = |share: f64| {
            // The smallest latency that this share of them does not exceed.
            let rank = (share * latencies.len() as f64).ceil() as usize;
            let latency = latencies.get(rank.saturating_sub(1));
            latency.map_or(0.0, |&latency| f64::from(latency) / 1e3)
        };
        Self {
            min: at(0.0),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: at(1.0),
        }
    }

    fn row(&self, name: &str) -> String {
        format!(
            "{name:<14}{:>9.2}{:>9.2}{:>9.2}{:>9.2}{:>9.2}{:>9.2}",
            self.min, self.p50, self.p90, self.p99, self.p999, self.max
        )
    }
}

impl Report {
    fn print(&self) -> Result<(), Stop> {
        line(format_args!(
            "{} messages of {} bytes to {} clients in {:.2} s",
            self.messages, self.size, self.connections, self.seconds
        ))?;
        line(format_args!(
            "sent          {:>9.0} a second",
            self.sent_per_second
        ))?;
        line(format_args!(
            "received      {:>9.0} a second, by all clients together",
            self.received_per_second
        ))?;
        line(format_args!("lost          {:>9}", self.lost))?;
        line("\nms                  min      p50      p90      p99    p99.9      max")?;
        line(self.acknowledged.row("acknowledged"))?;
        line(self.delivered.row("delivered"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_latencies_that_occurred() {
        let of_hundred = Percentiles::of((1..=100).rev().map(|n| n * 1_000).collect());
        assert_eq!(
            of_hundred,
            Percentiles {
                min: 1.0,
                p50: 50.0,
                p90: 90.0,
                p99: 99.0,
                p999: 100.0,
                max: 100.0,
            }
        );
        assert_eq!(Percentiles::of(vec![]), Percentiles::default());
        assert_eq!(Percentiles::of(vec![2_500]).p50, 2.5);
    }
}
