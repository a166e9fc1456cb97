//! Makes every call of a table with the `webpubsub` crate against a recorder, and prints one JSON
//! line per call: what the caller got, and what arrived.
//!
//! ```text
//! wire-driver CALLS.json HOST:PORT
//! ```

#![allow(clippy::print_stdout, reason = "the results go to standard output")]

use std::error::Error;
use std::{env, fs};

use azure_core::error::ErrorKind;
use serde::Serialize;
use serde_json::{Value, json};

use table::Call;

mod calls;
mod client;
mod stream;
mod table;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(table), Some(address)) = (arguments.next(), arguments.next()) else {
        return Err("usage: wire-driver CALLS.json HOST:PORT".into());
    };
    let calls: Vec<Call> = serde_json::from_str(&fs::read_to_string(table)?)?;
    let recordings = Recordings::new(&address);
    for call in calls {
        let outcome = outcome(&call, &address).await;
        let line = Line {
            id: &call.id,
            outcome,
            requests: recordings.take().await?,
        };
        println!("{}", serde_json::to_string(&line)?);
    }
    Ok(())
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    outcome: Value,
    requests: Value,
}

/// What came of a call: `{ value }`, `{ status }` when the service refused, `{ refused, why }` when
/// the client did.
async fn outcome(call: &Call, address: &str) -> Value {
    let result = async {
        let client = client::connect(&call.client, address)?;
        calls::make(&client, &call.operation).await
    };
    match result.await {
        Ok(value) => json!({ "value": value }),
        Err(error) => match error.kind() {
            ErrorKind::HttpResponse { status, .. } => json!({ "status": u16::from(*status) }),
            _ => json!({ "refused": true, "why": error.to_string() }),
        },
    }
}

/// The requests that arrived since the last time.
struct Recordings {
    client: reqwest::Client,
    url: String,
}

impl Recordings {
    fn new(address: &str) -> Self {
        Self {
            client: reqwest::Client::new(),
            url: format!("http://{address}/-/take"),
        }
    }

    async fn take(&self) -> Result<Value, Box<dyn Error>> {
        let response = self
            .client
            .post(&self.url)
            .send()
            .await?
            .error_for_status()?;
        Ok(serde_json::from_str(&response.text().await?)?)
    }
}
