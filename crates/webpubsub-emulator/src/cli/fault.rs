//! `fault`: rules by which things go wrong in a running emulator.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use super::admin::{self, Place, shown, text};
use super::output::{self, line};
use super::service::{self, block_on};
use super::{Call, Stop};

/// As the admin API names them, with dashes.
const KINDS: [&str; 13] = [
    "refuse-upgrade",
    "refuse-operation",
    "lose-answer",
    "drop-connection",
    "reset-peer",
    "close",
    "half-open",
    "latency",
    "bandwidth",
    "lose-frame",
    "duplicate-frame",
    "handler-timeout",
    "handler-error",
];

const EXAMPLES: &str = "\
Examples:
  webpubsub-emulator fault add refuse-upgrade --status 503 --retry-after 2 --hit-count 3
  webpubsub-emulator fault add drop-connection --user ana --after 5s
  webpubsub-emulator fault add lose-frame --frame ack --direction out --probability 0.1 --seed 7
  webpubsub-emulator fault list
  webpubsub-emulator fault clear";

/// Make things go wrong by rules: connections that drop, answers that get lost, latency and so on
#[derive(Parser)]
#[command(name = "fault", max_term_width = 120, after_help = format!("{}\n\n{EXAMPLES}", admin::WHERE))]
struct Cli {
    #[command(subcommand)]
    verb: Verb,

    /// Print JSON: a rule per line
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

#[derive(Subcommand)]
enum Verb {
    /// Add a rule and print it with its id
    Add(Box<Rule>),
    /// Print the rules and how often each has hit
    List,
    /// Remove a rule; what it disturbs works again
    Remove {
        /// Id of the rule
        id: u64,
    },
    /// Remove all rules
    Clear,
    /// Have the service vanish and come back: all connections break without a close frame
    Restart {
        /// Whether connections can be recovered afterwards, or are over
        #[arg(value_parser = ["keep", "lose"])]
        state: String,
    },
}

#[derive(Args)]
struct Rule {
    /// What goes wrong
    #[arg(value_parser = KINDS)]
    kind: String,

    /// Status of an answer
    #[arg(long, value_name = "STATUS")]
    status: Option<u16>,
    /// `Retry-After` of an answer
    #[arg(long, value_name = "SECONDS")]
    retry_after: Option<u64>,
    /// Code of a close frame
    #[arg(long, value_name = "CODE")]
    code: Option<u16>,
    /// Reason in a close frame
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// How much later things happen, such as `200ms`
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    latency: Option<Duration>,
    /// So much more or less of it, evenly drawn
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    jitter: Option<Duration>,
    /// Bandwidth, in bytes a second
    #[arg(long, value_name = "BYTES")]
    rate: Option<u64>,

    /// Only this hub
    #[arg(long, value_name = "HUB", help_heading = "Scope")]
    hub: Option<String>,
    /// Only this user
    #[arg(long, value_name = "ID", help_heading = "Scope")]
    user: Option<String>,
    /// Only this connection
    #[arg(long, value_name = "ID", help_heading = "Scope")]
    connection: Option<String>,
    /// Only what has to do with this group
    #[arg(long, value_name = "GROUP", help_heading = "Scope")]
    group: Option<String>,
    /// Only this operation of the REST API, such as `SendToAll`
    #[arg(long, value_name = "OPERATION", help_heading = "Scope")]
    operation: Option<String>,
    /// Only this event, such as `connect`
    #[arg(long, value_name = "EVENT", help_heading = "Scope")]
    handler: Option<String>,
    /// From clients (`in`) or to them (`out`)
    #[arg(long, value_name = "DIRECTION", value_parser = ["in", "out"], help_heading = "Scope")]
    direction: Option<String>,
    /// Only frames of this kind, such as `ack` or `sendToGroup`
    #[arg(long, value_name = "KIND", help_heading = "Scope")]
    frame: Option<String>,

    /// What the rule is called in lists and in the traffic log
    #[arg(long, value_name = "TEXT", help_heading = "When")]
    name: Option<String>,
    /// Probability with which it hits, from 0 to 1
    #[arg(long, value_name = "NUMBER", help_heading = "When")]
    probability: Option<f64>,
    /// The same seed draws the same hits
    #[arg(long, value_name = "NUMBER", help_heading = "When")]
    seed: Option<u64>,
    /// How often it hits at most
    #[arg(long, value_name = "NUMBER", help_heading = "When")]
    hit_count: Option<u64>,
    /// When it begins to hit
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, help_heading = "When")]
    after: Option<Duration>,
    /// Rules with a lower number are looked at first
    #[arg(
        long,
        value_name = "NUMBER",
        allow_hyphen_values = true,
        help_heading = "When"
    )]
    order: Option<i64>,
}

pub(super) fn command() -> clap::Command {
    Cli::command()
}

pub(super) fn run(call: Call) -> Result<ExitCode, Stop> {
    let (cli, variables) = service::parse::<Cli>("fault", call)?;
    let admin = cli.place.admin(&variables)?;
    let json = cli.json;
    block_on(async {
        match cli.verb {
            Verb::Add(rule) => {
                let body = rule.body();
                let path = ["faults"];
                let added = admin.json(Method::POST, &path, &[], Some(&body)).await?;
                print(&added, json)
            }
            Verb::List => {
                let found = admin.get(&["faults"], &[]).await?;
                let rules = found["faults"].as_array().into_iter().flatten();
                rules.into_iter().try_for_each(|rule| print(rule, json))
            }
            Verb::Remove { id } => {
                let id = id.to_string();
                let path = ["faults", id.as_str()];
                admin.json(Method::DELETE, &path, &[], None).await.map(drop)
            }
            Verb::Clear => {
                let path = ["faults"];
                admin.json(Method::DELETE, &path, &[], None).await.map(drop)
            }
            Verb::Restart { state } => {
                let body = json!({ "state": state });
                let call = admin.json(Method::POST, &["restart"], &[], Some(&body));
                call.await.map(drop)
            }
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

impl Rule {
    /// As the admin API takes it. Which members go together is its business.
    fn body(self) -> Value {
        let seconds = |duration: Option<Duration>| duration.map(|it| json!(it.as_secs_f64()));
        let members = [
            ("status", self.status.map(Value::from)),
            ("retryAfterSeconds", self.retry_after.map(Value::from)),
            ("code", self.code.map(Value::from)),
            ("reason", self.reason.map(Value::from)),
            ("latencySeconds", seconds(self.latency)),
            ("jitterSeconds", seconds(self.jitter)),
            ("bytesPerSecond", self.rate.map(Value::from)),
            ("hub", self.hub.map(Value::from)),
            ("user", self.user.map(Value::from)),
            ("connection", self.connection.map(Value::from)),
            ("group", self.group.map(Value::from)),
            ("operation", self.operation.map(Value::from)),
            ("handler", self.handler.map(Value::from)),
            ("direction", self.direction.map(Value::from)),
            ("frame", self.frame.map(Value::from)),
            ("name", self.name.map(Value::from)),
            ("probability", self.probability.map(Value::from)),
            ("seed", self.seed.map(Value::from)),
            ("hitCount", self.hit_count.map(Value::from)),
            ("afterSeconds", seconds(self.after)),
            ("order", self.order.map(Value::from)),
        ];
        let members = members.into_iter();
        let given = members.filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let mut body: Map<String, Value> = given.collect();
        body.insert("kind".to_owned(), self.kind.replace('-', "_").into());
        Value::Object(body)
    }
}

fn print(rule: &Value, json: bool) -> Result<(), Stop> {
    if json {
        return output::json(rule);
    }
    let members = rule.as_object().into_iter().flatten();
    let members = members.filter(|(name, value)| {
        !["id", "kind", "hits"].contains(&name.as_str()) && !value.is_null()
    });
    let members: Vec<String> = members
        .map(|(name, _)| format!(" {name}={}", shown(rule, name)))
        .collect();
    let kind = text(rule, "kind").replace('_', "-");
    let (id, hits) = (shown(rule, "id"), shown(rule, "hits"));
    line(format_args!(
        "{id}: {kind}{}, hits: {hits}",
        members.concat()
    ))
}
