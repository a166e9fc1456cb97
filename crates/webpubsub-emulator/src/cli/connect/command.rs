//! The lines that a user of `connect` writes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use webpubsub_client::Payload;

use super::super::message::DataType;

/// What `help` prints.
pub(super) const HELP: &str = "\
join GROUP                    receive what is sent to a group
leave GROUP
send GROUP MESSAGE            publish to a group
event NAME MESSAGE            send a user event to the server
invoke NAME [MESSAGE]         send one and print the server's answer
stream GROUP                  open a stream to a group; then `write MESSAGE`, and `end` or `abort`
streams [GROUP...]            print the streams that others open, of these groups or of all
state GROUP KEY=VALUE...      show others in a group a small state; `clear GROUP` takes it back
watch GROUP                   print the states of a group's members; `unwatch GROUP` no more
wait NUMBER                   go on when this many messages and fragments have come since the start
info                          connection, user and state
quit                          also Ctrl+D
A MESSAGE is text; after `--json` it is JSON, after `--binary` base64.";

/// What a line asks for.
#[derive(Clone, PartialEq)]
pub(super) enum Command {
    Join(String),
    Leave(String),
    Send(String, Payload),
    Event(String, Payload),
    Invoke(String, Option<Payload>),
    OpenStream(String),
    Write(Payload),
    EndStream,
    AbortStream,
    Streams(Vec<String>),
    SetState(String, Vec<(String, String)>),
    ClearState(String),
    Watch(String),
    Unwatch(String),
    Wait(u64),
    Info,
    Help,
    Quit,
    /// A line without words, or a comment.
    Nothing,
}

/// The first words of lines, for the editor.
pub(super) const VERBS: [&str; 18] = [
    "join", "leave", "send", "event", "invoke", "stream", "write", "end", "abort", "streams",
    "state", "clear", "watch", "unwatch", "wait", "info", "help", "quit",
];

/// Understands a line. Errors quote nothing of a message.
pub(super) fn parse(line: &str) -> Result<Command, String> {
    let (verb, rest) = word(line);
    let one = |what: &str| match word(rest) {
        ("", _) | (_, "") if rest.trim().is_empty() => Err(format!("`{verb}`: name {what}")),
        (name, "") => Ok(name.to_owned()),
        _ => Err(format!("`{verb}`: there is more than {what}")),
    };
    let named = |what: &str| match word(rest) {
        ("", _) => Err(format!("`{verb}`: name {what}, then write the message")),
        (name, message) => Ok((name.to_owned(), message)),
    };
    let group = || one("a group");
    match verb {
        "" => Ok(Command::Nothing),
        comment if comment.starts_with('#') => Ok(Command::Nothing),
        "join" => group().map(Command::Join),
        "leave" => group().map(Command::Leave),
        "send" => {
            let (group, message) = named("a group")?;
            Ok(Command::Send(group, payload(verb, message)?))
        }
        "event" => {
            let (event, message) = named("an event")?;
            Ok(Command::Event(event, payload(verb, message)?))
        }
        "invoke" => {
            let (event, message) = named("an event")?;
            let payload = match message {
                "" => None,
                message => Some(payload(verb, message)?),
            };
            Ok(Command::Invoke(event, payload))
        }
        "stream" => group().map(Command::OpenStream),
        "write" => payload(verb, rest).map(Command::Write),
        "end" => Ok(Command::EndStream),
        "abort" => Ok(Command::AbortStream),
        "streams" => Ok(Command::Streams(
            rest.split_whitespace().map(str::to_owned).collect(),
        )),
        "state" => {
            let (group, pairs) = named("a group")?;
            let pairs = pairs.split_whitespace().map(|pair| {
                let (key, value) = pair.split_once('=')?;
                Some((key.to_owned(), value.to_owned()))
            });
            let pairs: Option<Vec<_>> = pairs.collect();
            let pairs = pairs.filter(|pairs| !pairs.is_empty());
            let pairs =
                pairs.ok_or_else(|| "`state`: write KEY=VALUE after the group".to_owned())?;
            Ok(Command::SetState(group, pairs))
        }
        "clear" => group().map(Command::ClearState),
        "watch" => group().map(Command::Watch),
        "unwatch" => group().map(Command::Unwatch),
        "wait" => {
            let number = rest.trim().parse();
            number
                .map(Command::Wait)
                .map_err(|_| "`wait`: write a number of messages".to_owned())
        }
        "info" => Ok(Command::Info),
        "help" | "?" => Ok(Command::Help),
        "quit" | "exit" => Ok(Command::Quit),
        _ => Err("there is no such command; `help` lists them".to_owned()),
    }
}

/// The first word, and what follows it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim();
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

fn payload(verb: &str, message: &str) -> Result<Payload, String> {
    let (data_type, bytes) = match word(message) {
        ("--json", json) => (DataType::Json, json.into()),
        ("--binary", base64) => {
            let bytes = STANDARD.decode(base64);
            let bytes = bytes.map_err(|_| format!("`{verb}`: the message is not base64"))?;
            (DataType::Binary, bytes)
        }
        _ => (DataType::Text, message.into()),
    };
    data_type
        .payload(bytes)
        .map_err(|problem| format!("`{verb}`: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Payload {
        Payload::text(text)
    }

    #[test]
    fn lines_are_commands() {
        for (line, expected) in [
            ("", Command::Nothing),
            ("# a comment", Command::Nothing),
            ("join room-7", Command::Join("room-7".into())),
            (
                "send room-7 hello  world ",
                Command::Send("room-7".into(), text("hello  world")),
            ),
            (
                "event order --json {\"a\": 1}",
                Command::Event("order".into(), Payload::Json("{\"a\": 1}".into())),
            ),
            ("invoke sum", Command::Invoke("sum".into(), None)),
            (
                "invoke sum 1",
                Command::Invoke("sum".into(), Some(text("1"))),
            ),
            ("write --binary aGk=", Command::Write(Payload::binary("hi"))),
            (
                "state room typing=yes x=",
                Command::SetState(
                    "room".into(),
                    vec![("typing".into(), "yes".into()), ("x".into(), String::new())],
                ),
            ),
            (
                "streams a b",
                Command::Streams(vec!["a".into(), "b".into()]),
            ),
            ("  wait 3", Command::Wait(3)),
            ("exit", Command::Quit),
        ] {
            assert!(parse(line) == Ok(expected), "{line}");
        }
    }

    #[test]
    fn mistakes_say_what_is_missing_and_quote_no_message() {
        for (line, expected) in [
            ("join", "`join`: name a group"),
            ("join a b", "`join`: there is more than a group"),
            ("send", "`send`: name a group, then write the message"),
            (
                "send g --binary sEcReT!",
                "`send`: the message is not base64",
            ),
            ("state g", "`state`: write KEY=VALUE after the group"),
            ("wait x", "`wait`: write a number of messages"),
            ("sEcReT", "there is no such command; `help` lists them"),
        ] {
            assert_eq!(parse(line).err().unwrap(), expected);
        }
        let error = parse("send g --json sEcReT").err().unwrap();
        assert!(!error.contains("sEcReT"), "{error}");
    }

    #[test]
    fn every_verb_is_known_and_explained() {
        for verb in VERBS {
            let known = parse(verb)
                .map(|_| ())
                .map_err(|error| error.contains("no such"));
            assert_ne!(known, Err(true), "{verb}");
            assert!(HELP.contains(verb) || verb == "help", "{verb}");
        }
    }
}
