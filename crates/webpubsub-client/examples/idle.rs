//! What idle clients cost: opens many in this process, against an emulator in another one, and prints the memory that
//! each of them takes and how long it took to connect them all.
//!
//! ```sh
//! cargo run --release -p webpubsub-client --example idle -- 1000
//! ```
//!
//! Memory is what the process has resident; it is read from `/proc`, so this runs on Linux.

#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use webpubsub_client::WebPubSubClient;
use webpubsub_emulator::Emulator;

/// Clients, unless the first argument says otherwise.
const CLIENTS: usize = 1_000;

/// The argument with which this program is the emulator.
const SERVE: &str = "serve";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    match std::env::args().nth(1) {
        Some(argument) if argument == SERVE => runtime.block_on(serve()),
        Some(argument) => runtime.block_on(measure(argument.parse()?)),
        None => runtime.block_on(measure(CLIENTS)),
    }
}

/// Prints a URL, and runs until the other process closes its end of the input.
async fn serve() -> Result<()> {
    let emulator = Emulator::start().await?;
    println!("{}", emulator.client_access_url("chat", "idle", &[]));
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()))
        .await??;
    Ok(())
}

async fn measure(count: usize) -> Result<()> {
    let (_service, url) = Service::start()?;
    // What the first client brings along is not a cost of each.
    let _first = WebPubSubClient::connect(url.as_str()).await?;

    let before = resident_kib()?;
    let begin = Instant::now();
    let mut connecting: FuturesUnordered<_> = (0..count)
        .map(|_| WebPubSubClient::connect(url.as_str()))
        .collect();
    let mut clients = Vec::with_capacity(count);
    while let Some(client) = connecting.next().await {
        clients.push(client?);
    }
    drop(connecting);
    let took = begin.elapsed();
    let each = (resident_kib()?.saturating_sub(before)) as f64 / count as f64;
    println!(
        "{count} clients: {each:.1} KiB each, connected in {} ms",
        took.as_millis()
    );
    Ok(())
}

/// The emulator in a process of its own. Dropping it ends the process.
struct Service(Child);

impl Service {
    fn start() -> Result<(Self, String)> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(SERVE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().ok_or("the emulator has no output")?;
        let mut url = String::new();
        BufReader::new(output).read_line(&mut url)?;
        Ok((Self(process), url.trim().to_owned()))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// The resident memory of this process.
fn resident_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(number.ok_or("the kernel does not say it")?.parse()?)
}
