//! `watch`: the traffic of a running emulator, as it happens.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::builder::styling::{AnsiColor, Style};
use clap::{CommandFactory as _, Parser, ValueEnum};
use http::Method;
use serde_json::Value;

use super::admin::{self, Place, shown, text};
use super::output::line;
use super::service::{self, block_on, variable};
use super::stop::chain;
use super::{Call, Stop};

const EXAMPLES: &str = "\
Examples:
  webpubsub-emulator watch --user ana
  webpubsub-emulator watch --kind denied,event --last 20 --no-follow
  webpubsub-emulator watch --hub chat --json | jq 'select(.kind == \"event\" and .succeeded == false)'";

/// Print what passes through an emulator: REST calls, connections, frames, events of handlers, and why something was refused
#[derive(Parser)]
#[command(name = "watch", max_term_width = 120, after_help = format!("{}\n\n{EXAMPLES}", admin::WHERE))]
struct Cli {
    /// Only what is about this hub
    #[arg(long, value_name = "HUB")]
    hub: Option<String>,

    /// Only what is about connections of this user
    #[arg(long, value_name = "ID")]
    user: Option<String>,

    /// Only what is about this connection
    #[arg(long, value_name = "ID")]
    connection: Option<String>,

    /// Only what is about this group
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,

    /// Only these kinds, such as `request`, `opened`, `ended`, `frame`, `event`, `denied`, `filtered`
    #[arg(long, value_name = "KIND,..", value_delimiter = ',')]
    kind: Vec<String>,

    /// Only what has failed or was refused
    #[arg(long)]
    failed: bool,

    /// Begin with so many of the entries that are kept [default: none, without following all]
    #[arg(long, value_name = "NUMBER")]
    last: Option<u32>,

    /// Print what is kept, and end
    #[arg(long)]
    no_follow: bool,

    /// Print each entry as one JSON object, as the emulator writes it
    #[arg(long)]
    json: bool,

    /// When to use colours
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Colour,

    #[command(flatten)]
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Colour {
    Auto,
    Always,
    Never,
}

pub(super) fn command() -> clap::Command {
    Cli::command()
}

pub(super) fn run(call: Call) -> Result<ExitCode, Stop> {
    let (cli, variables) = service::parse::<Cli>("watch", call)?;
    let is_coloured = match cli.color {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => io::stdout().is_terminal() && variable(&variables, "NO_COLOR")?.is_none(),
    };
    let texts = [
        ("hub", cli.hub),
        ("user", cli.user),
        ("connection", cli.connection),
        ("group", cli.group),
        (
            "kind",
            Some(cli.kind.join(",")).filter(|kinds| !kinds.is_empty()),
        ),
        ("limit", cli.last.map(|last| last.to_string())),
        ("follow", (!cli.no_follow).then(|| "true".to_owned())),
    ];
    let texts = texts.into_iter();
    let query = texts.filter_map(|(name, value)| Some((name, value?)));
    let query: Vec<_> = query.collect();
    let admin = cli.place.admin(&variables)?;
    block_on(async {
        let mut answer = admin.call(Method::GET, &["traffic"], &query, None).await?;
        let mut pending = Vec::new();
        loop {
            let chunk = answer.chunk().await;
            let chunk = chunk.map_err(|error| Stop::failed(chain(&error.without_url())))?;
            let Some(chunk) = chunk else {
                return Ok(());
            };
            pending.extend_from_slice(&chunk);
            while let Some(end) = pending.iter().position(|&byte| byte == b'\n') {
                let entry: Vec<u8> = pending.drain(..=end).collect();
                print(entry.trim_ascii(), cli.json, cli.failed, is_coloured)?;
            }
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

fn print(entry: &[u8], json: bool, failed: bool, is_coloured: bool) -> Result<(), Stop> {
    let text = String::from_utf8_lossy(entry);
    if text.is_empty() {
        return Ok(());
    }
    match serde_json::from_str::<Value>(&text) {
        Ok(entry) if failed && !has_failed(&entry) => Ok(()),
        Ok(entry) if !json => {
            let style = match is_coloured {
                true => style(&entry),
                false => Style::new(),
            };
            line(format_args!("{style}{}{style:#}", in_words(&entry)))
        }
        _ => line(text),
    }
}

fn has_failed(entry: &Value) -> bool {
    let is_refusal = ["denied", "missed"].contains(&text(entry, "kind"));
    is_refusal || entry["succeeded"] == false || entry["status"].as_u64() >= Some(400)
}

/// What went wrong is red, what is about connections green, and so on.
fn style(entry: &Value) -> Style {
    let colour = match text(entry, "kind") {
        _ if has_failed(entry) => AnsiColor::Red,
        "opened" | "ended" => AnsiColor::Green,
        "event" => AnsiColor::Magenta,
        "request" | "filtered" => AnsiColor::Cyan,
        _ => return Style::new(),
    };
    colour.on_default()
}

/// An entry on a line; why something was refused follows on lines of its own.
fn in_words(entry: &Value) -> String {
    let kind = text(entry, "kind");
    let at = text(entry, "at");
    let time = at.get(11..23).unwrap_or(at);
    let mut words = vec![shown(entry, "number"), time.to_owned(), kind.to_owned()];
    if entry["direction"].is_string() {
        let arrow = match text(entry, "direction") {
            "in" => "<-",
            _ => "->",
        };
        words.push(arrow.to_owned());
    }
    let members = ["method", "path", "frame", "event", "operation"];
    let given = members.iter().filter(|member| !entry[**member].is_null());
    words.extend(given.map(|member| shown(entry, member)));
    for (member, name) in [
        ("hub", "hub"),
        ("userId", "user"),
        ("connectionId", "connection"),
        ("group", "group"),
        ("subprotocol", "subprotocol"),
        ("filter", "filter"),
        ("fault", "fault"),
        ("entries", "entries"),
    ] {
        if !entry[member].is_null() {
            words.push(format!("{name}={}", shown(entry, member)));
        }
    }
    if entry["status"].is_u64() {
        words.push(format!("status={}", shown(entry, "status")));
    }
    if let Some(seconds) = entry["tookSeconds"].as_f64() {
        words.push(format!("{:.1}ms", seconds * 1e3));
    }
    let payload = text(&entry["payload"], "text");
    if !payload.is_empty() {
        words.push(format!("{payload:?}"));
    }
    if !text(entry, "reason").is_empty() {
        words.push(format!("({})", text(entry, "reason")));
    }
    let mut all = words.join(" ");
    all.push_str(&why(entry));
    all
}

/// What the emulator has looked at before it refused something or left somebody out.
fn why(entry: &Value) -> String {
    let mut lines = Vec::new();
    let token = &entry["token"];
    if token.is_object() {
        let (check, expected, found) = (
            shown(token, "check"),
            shown(token, "expected"),
            shown(token, "found"),
        );
        lines.push(format!("token: `{check}` is {found}, expected {expected}"));
    }
    let denied = &entry["denied"];
    if denied.is_object() {
        lines.push(text(denied, "reason").to_owned());
        lines.push(format!("it needs {}", text(denied, "needs")));
        let roles = denied["lookedAt"].as_array().into_iter().flatten();
        lines.extend(roles.map(|role| {
            format!(
                "looked at {}: {}",
                text(role, "role"),
                text(role, "because")
            )
        }));
    }
    let filtered = &entry["filtered"];
    if filtered.is_object() {
        lines.push(format!(
            "filter {}: {} matched, {} left out",
            text(filtered, "filter"),
            shown(filtered, "matched"),
            shown(filtered, "leftOut")
        ));
        let out = filtered["leftOutConnections"]
            .as_array()
            .into_iter()
            .flatten();
        lines.extend(out.map(|out| {
            format!(
                "left out {} (user {}): {}",
                text(out, "connectionId"),
                shown(out, "userId"),
                text(out, "because")
            )
        }));
    }
    let lines = lines.into_iter().map(|line| format!("\n      {line}"));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_are_lines_with_the_reasons_below() {
        let entry = json!({
            "number": 7, "at": "2026-01-02T03:04:05.678Z", "kind": "denied", "hub": "chat", "userId": "ana",
            "frame": "joinGroup", "group": "room",
            "denied": { "reason": "Forbidden", "needs": "webpubsub.joinLeaveGroup.room",
                "lookedAt": [{ "role": "webpubsub.sendToGroup", "because": "otherAction" }] },
        });
        assert_eq!(
            in_words(&entry),
            "7 03:04:05.678 denied joinGroup hub=chat user=ana group=room\n      \
             Forbidden\n      it needs webpubsub.joinLeaveGroup.room\n      looked at webpubsub.sendToGroup: otherAction"
        );
        assert_ne!(style(&entry), Style::new());
        let call = json!({
            "number": 8, "at": "x", "kind": "request", "method": "POST", "path": "/api", "status": 202,
            "tookSeconds": 0.0015,
        });
        assert_eq!(in_words(&call), "8 x request POST /api status=202 1.5ms");
    }
}
