//! Runs clients of the `webpubsub-client` crate: each line of standard input is an order to one of them, each line
//! of standard output tells what came of it. Ends when its input ends.

#![allow(clippy::print_stdout, reason = "the reports go to standard output")]

use std::collections::BTreeMap;
use std::error::Error;

use tokio::io::{AsyncBufReadExt as _, BufReader};

use client::Client;
use order::Order;
use report::Reporter;

mod calls;
mod client;
mod order;
mod report;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut clients = BTreeMap::new();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let order: Order = serde_json::from_str(&line)?;
        let name = order.client;
        if let Some(settings) = &order.create {
            let client = Client::new(settings, Reporter::new(name.clone()))?;
            clients.insert(name, client);
        } else if order.dispose {
            clients.remove(&name);
        } else if let Some(client) = clients.get_mut(&name) {
            if let Some(call) = order.call {
                client.call(call);
            }
            if let Some(call) = order.cancel {
                client.cancel(&call);
            }
            if let Some(number) = order.sync {
                client.sync(number);
            }
        }
    }
    Ok(())
}
