//! The tables of hubs in a file with our own names.

use super::{
    super::{
        error::{ConfigError, did_you_mean},
        hubs::{Field, Form, Hubs, NO_AUTH, NO_LISTENERS},
        setting::Origin,
    },
    Value,
};

/// The name of the table that holds the hubs.
pub(super) const SECTION: &str = "hubs";

const HUB: [&str; 2] = ["anonymous_connect", "event_handlers"];
const HANDLER: [&str; 5] = ["url", "user_events", "system_events", "timeout", "validate"];

/// Takes one value; `path` is what follows `hubs`.
pub(super) fn take(
    hubs: &mut Hubs,
    path: &[String],
    value: Value,
    origin: &Origin,
) -> Result<(), ConfigError> {
    let wrong = |problem: &str| Err(ConfigError::new(origin, problem));
    let no_table = "expected a table for each hub, such as `[hubs.chat]`";
    let (hub, path) = match (path, &value) {
        ([], Value::Empty) => return Ok(()),
        ([], _) => return wrong(no_table),
        ([hub, path @ ..], _) => (hub, path),
    };
    hubs.check_name(hub, origin)?;
    let names: Vec<String> = path.iter().map(|name| name.replace('-', "_")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match (names.as_slice(), value) {
        (_, Value::Null) => wrong("a value is missing"),
        ([] | ["event_handlers"], Value::Empty) => Ok(()),
        ([], Value::Text(_)) => wrong(no_table),
        (["event_handlers", number, path @ ..], value) => match number.parse() {
            Ok(number) => take_of_handler(hubs, hub, number, path, value, origin),
            Err(_) => wrong(
                "expected a list of tables: `[[hubs.NAME.event_handlers]]`, in double brackets",
            ),
        },
        (["event_handlers"], Value::Text(_)) => {
            wrong("expected a list of tables: `[[hubs.NAME.event_handlers]]`")
        }
        (["event_listeners" | "eventListeners", ..], _) => wrong(NO_LISTENERS),
        (["anonymous_connect"], Value::Text(policy)) => {
            hubs.set_anonymous_of(hub, &policy, origin.clone())
        }
        (["anonymous_connect", ..], _) => wrong("expected `allow` or `deny`"),
        ([name, ..], _) => {
            let suggestion = did_you_mean(name, HUB, str::to_owned);
            wrong(&format!("there is no such setting of a hub{suggestion}"))
        }
    }
}

fn take_of_handler(
    hubs: &mut Hubs,
    hub: &str,
    number: usize,
    path: &[&str],
    value: Value,
    origin: &Origin,
) -> Result<(), ConfigError> {
    let handler = hubs.handler(hub, Form::Ours, number, origin)?;
    let wrong = |problem: &str| Err(ConfigError::new(origin, problem));
    let item = |text: &str| text.parse::<usize>().ok();
    let field = match path {
        [] if value == Value::Empty => return Ok(()),
        [] => return wrong("expected a table: `[[hubs.NAME.event_handlers]]`"),
        ["auth", ..] => return wrong(NO_AUTH),
        ["url"] => Field::Url,
        ["timeout"] => Field::Timeout,
        ["validate"] => Field::Validate,
        ["user_events"] => Field::UserEvents(None),
        ["user_events", number] => Field::UserEvents(item(number)),
        ["system_events"] => Field::SystemEvents(None),
        ["system_events", number] => Field::SystemEvents(item(number)),
        [name, ..] => {
            let suggestion = did_you_mean(name, HANDLER, str::to_owned);
            return wrong(&format!(
                "there is no such setting of an event handler{suggestion}"
            ));
        }
    };
    let text = match (value, field) {
        (Value::Text(text), _) => text,
        // No event.
        (Value::Empty, Field::UserEvents(None) | Field::SystemEvents(None)) => String::new(),
        (Value::Empty | Value::Null, _) => return wrong("a value is missing"),
    };
    handler
        .set(field, &text)
        .map_err(|problem| ConfigError::new(origin, problem))
}
