//! The admin API of a running emulator, which `watch`, `clock`, `fault`, `inspect`, `state` and `resend` are made of.

use std::ffi::OsString;

use clap::Args;
use http::{Method, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Response;
use serde_json::Value;
use url::Url;

use super::Stop;
use super::service::{of_application, of_emulator, variable};
use super::stop::chain;

/// Where the token is looked for, and where `exec` leaves it.
pub(super) const TOKEN: &str = "WEBPUBSUB_EMULATOR_ADMIN_TOKEN";

/// What the help of commands that use the admin API says about where it is.
pub(super) const WHERE: &str = "\
It talks to an emulator, by the admin API: that of `--admin-url`, or of the connection string in WebPubSubConnectionString, or
else the one on this machine. The emulator prints the token of the API when it starts, or is given it in
WEBPUBSUB_EMULATOR_ADMIN_TOKEN, where it is also looked for; `exec` sets both.

Exit status: 0 when it worked, 1 when the emulator refused it or cannot be reached, 2 when the command cannot be understood.";

/// The flags that say where the admin API is.
#[derive(Args)]
#[command(next_help_heading = "Emulator")]
pub(super) struct Place {
    /// URL of the admin API, as the emulator prints it [default: the emulator's, see below]
    #[arg(long, value_name = "URL", global = true)]
    admin_url: Option<Url>,

    /// Token of the admin API; prefer WEBPUBSUB_EMULATOR_ADMIN_TOKEN, since others on this machine can see the arguments of a
    /// program
    #[arg(long, value_name = "TOKEN", global = true, allow_hyphen_values = true)]
    admin_token: Option<String>,
}

/// A client of the admin API.
pub(super) struct Admin {
    http: reqwest::Client,
    url: Url,
    token: String,
}

impl Place {
    pub(super) fn admin(self, variables: &[(OsString, OsString)]) -> Result<Admin, Stop> {
        let mut url = match self.admin_url {
            Some(url) => url,
            None => {
                let service = match of_application(variables)? {
                    Some(service) => service,
                    None => of_emulator(variables)?,
                };
                let url = service.endpoint().join("/_emulator");
                url.map_err(|error| Stop::usage(error.to_string()))?
            }
        };
        url.set_query(None);
        let token = match self.admin_token {
            Some(token) => Some(token),
            None => variable(variables, TOKEN)?,
        };
        let token = token.ok_or_else(|| {
            Stop::usage(format!(
                "the token of the admin API is missing: set {TOKEN} to what the emulator printed when it started"
            ))
        })?;
        // It is on this machine, or near it: no proxy knows it.
        let http = reqwest::Client::builder().no_proxy().build();
        let http = http.map_err(|error| Stop::failed(chain(&error)))?;
        Ok(Admin { http, url, token })
    }
}

impl Admin {
    /// The answer to a call of a path below the API's, with the parameters in its query.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Response, Stop> {
        let mut url = self.url.clone();
        let segments = path.iter().map(|segment| encode(segment));
        let segments: Vec<String> = segments.collect();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{}", segments.join("/")));
        if !query.is_empty() {
            let pairs = query.iter().map(|(name, value)| (*name, value.as_str()));
            url.query_pairs_mut().extend_pairs(pairs);
        }
        let mut request = self.http.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await;
        let answer = answer.map_err(|error| Stop::failed(chain(&error.without_url())))?;
        match answer.status().is_success() {
            true => Ok(answer),
            false => Err(refused(answer).await),
        }
    }

    /// As [`call`](Self::call), for answers that are JSON.
    pub(super) async fn json(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Value, Stop> {
        let answer = self.call(method, path, query, body).await?;
        let bytes = answer.bytes().await;
        let bytes = bytes.map_err(|error| Stop::failed(chain(&error.without_url())))?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Stop::failed(format!("the answer of the emulator is not JSON: {error}"))
        })
    }

    pub(super) async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, Stop> {
        self.json(Method::GET, path, query, None).await
    }
}

async fn refused(answer: Response) -> Stop {
    let status = answer.status();
    let body = answer.bytes().await.unwrap_or_default();
    let error: Value = serde_json::from_slice(&body).unwrap_or_default();
    Stop::failed(match error["message"].as_str() {
        Some(message) => format!("the emulator refused: {message} ({status})"),
        None => format!("this is no admin API of an emulator, or it is off: {status}"),
    })
}

fn encode(segment: &str) -> String {
    utf8_percent_encode(segment, NON_ALPHANUMERIC).to_string()
}

/// A text member of an answer; empty when there is none.
pub(super) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

/// A member of an answer as people read it: `-` when there is none.
pub(super) fn shown(value: &Value, member: &str) -> String {
    match &value[member] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items = items.iter().map(|item| item.as_str().unwrap_or("?"));
            items.collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}
