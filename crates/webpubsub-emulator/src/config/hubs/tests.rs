//! The settings of hubs from every source, and the mistakes in each.

use std::fs;

use super::super::{Config, ConfigError, DEFAULT_PORT, tests::config};

/// What the command line, the environment and a file come to. The file's folder is left out of errors.
fn read(
    arguments: &[&str],
    variables: &[(&str, &str)],
    file: Option<(&str, &str)>,
) -> Result<Config, String> {
    let Some((name, text)) = file else {
        return config(arguments, variables).map_err(|error| error.to_string());
    };
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join(name);
    fs::write(&path, text).map_err(|error| error.to_string())?;
    let path = path.to_string_lossy();
    let arguments: Vec<&str> = arguments
        .iter()
        .copied()
        .chain(["--config", &path])
        .collect();
    let shortened = |error: ConfigError| {
        let folder = format!("{}/", folder.path().display());
        error.to_string().replace(&folder, "")
    };
    config(&arguments, variables).map_err(shortened)
}

fn shown(config: &Config) -> Vec<String> {
    let hubs = config.hubs();
    let lines = hubs.iter().flat_map(|hub| {
        let anonymous = hub
            .anonymous_connect
            .then(|| format!("{}: anonymous", hub.hub));
        let handlers = hub.event_handlers.iter();
        anonymous
            .into_iter()
            .chain(handlers.map(move |handler| format!("{}: {handler}", hub.hub)))
    });
    lines.collect()
}

const ALL: &str = "(user events: *; system events: connect, connected, disconnected)";

#[test]
fn flags_add_handlers_in_their_order() {
    let config = read(
        &[
            "--event-handler",
            "Chat=http://127.0.0.1:3000/{event}?code=sEcReT=",
            "--anonymous-connect",
            "lobby=allow",
            "--event-handler=chat=https://example.com/{hub}",
            "--anonymous-connect=chat=deny",
        ],
        &[],
        None,
    );
    let config = config.unwrap();
    assert_eq!(
        shown(&config),
        [
            format!("chat: http://127.0.0.1:3000/{{event}}?.. {ALL}"),
            format!("chat: https://example.com/{{hub}} {ALL}"),
            "lobby: anonymous".to_owned(),
        ]
    );
    assert!(!format!("{config:?} {:?}", config.builder_on(DEFAULT_PORT)).contains("sEcReT"));
}

#[test]
fn variables_separate_handlers_by_blanks() {
    let config = read(
        &[],
        &[
            (
                "WEBPUBSUB_EMULATOR_EVENT_HANDLER",
                "chat=http://a/{event}?x=1,2;3\n  chat=http://b/ news=http://c/",
            ),
            (
                "WEBPUBSUB_EMULATOR_ANONYMOUS_CONNECT",
                "chat=allow, news=allow",
            ),
        ],
        None,
    );
    assert_eq!(
        shown(&config.unwrap()),
        [
            "chat: anonymous".to_owned(),
            format!("chat: http://a/{{event}}?.. {ALL}"),
            format!("chat: http://b/ {ALL}"),
            "news: anonymous".to_owned(),
            format!("news: http://c/ {ALL}"),
        ]
    );
}

#[test]
fn our_file_says_everything_about_a_handler() {
    let toml = r#"
        [hubs.chat]
        anonymous_connect = "allow"
        [[hubs.chat.event_handlers]]
        url = "http://a/{event}"
        user_events = "order, pay"
        system_events = ["connect", "groupJoined"]
        timeout = 7
        validate = false
        [[hubs.chat.event_handlers]]
        url = "http://b/"
        user-events = ["x", "y"]
        system-events = []
        [[hubs.chat.event_handlers]]
        url = "http://c/"
        [hubs.empty]
    "#;
    let json = r#"{ "hubs": { "empty": {}, "chat": { "anonymous-connect": "allow", "event_handlers": [
        { "url": "http://a/{event}", "user_events": "order, pay", "system_events": ["connect", "groupJoined"],
          "timeout": 7, "validate": false },
        { "url": "http://b/", "user_events": ["x", "y"], "system_events": [] },
        { "url": "http://c/" } ] } } }"#;
    for file in [("a.toml", toml), ("a.json", json)] {
        let config = read(&[], &[], Some(file)).unwrap();
        assert_eq!(
            shown(&config),
            [
                "chat: anonymous".to_owned(),
                "chat: http://a/{event} (user events: order, pay; system events: connect, groupJoined)".to_owned(),
                "chat: http://b/ (user events: x, y; system events: none)".to_owned(),
                format!("chat: http://c/ {ALL}"),
            ]
        );
        let builder = format!("{:?}", config.builder_on(DEFAULT_PORT));
        for expected in [
            "anonymous_connect: Allow",
            "timeout: 7s, validated: false",
            "timeout: 100s, validated: true",
            "\"empty\"",
        ] {
            assert!(builder.contains(expected), "{expected} {builder}");
        }
    }
}

#[test]
fn what_microsofts_settings_do_not_name_is_not_taken() {
    let file = r#"{ "WebPubSub": { "Hubs": { "Chat": { "EventListeners": [], "EventHandlers": [
        { "UrlTemplate": "http://a/{hub}", "SystemEvents": ["Connect", "connected"], "EventPattern": "*" },
        { "UrlTemplate": "http://b/", "SystemEvents": [], "Auth": null } ] } } } }"#;
    let from_file = read(&[], &[], Some(("appsettings.json", file))).unwrap();
    let from_variables = read(
        &[],
        &[
            (
                "WebPubSub__Hubs__Chat__EventHandlers__1__UrlTemplate",
                "http://b/",
            ),
            (
                "WebPubSub__Hubs__Chat__EventHandlers__0__UrlTemplate",
                "http://a/{hub}",
            ),
            (
                "WebPubSub__Hubs__Chat__EventHandlers__0__SystemEvents__0",
                "Connect",
            ),
            (
                "webpubsub__hubs__chat__eventhandlers__0__systemevents__1",
                "connected",
            ),
            ("WebPubSub__Hubs__Chat__EventHandlers__0__EventPattern", "*"),
        ],
        None,
    );
    for config in [from_file, from_variables.unwrap()] {
        assert_eq!(
            shown(&config),
            [
                "chat: http://a/{hub} (user events: *; system events: connect, connected)",
                "chat: http://b/ (user events: none; system events: none)",
            ]
        );
    }
}

#[test]
fn the_handlers_of_a_hub_come_from_one_source() {
    let file = (
        "a.toml",
        "[hubs.chat]\nanonymous_connect = 'allow'\n[[hubs.chat.event_handlers]]\nurl = 'http://file/'\n\
         [[hubs.news.event_handlers]]\nurl = 'http://file/'",
    );
    let variable = ("WEBPUBSUB_EMULATOR_EVENT_HANDLER", "chat=http://variable/");
    let microsofts = (
        "WebPubSub__Hubs__chat__EventHandlers__0__UrlTemplate",
        "http://microsoft/",
    );
    let flag = ["--event-handler", "chat=http://flag/"];
    let urls = |config: &Config| -> Vec<String> {
        let hubs = config.hubs();
        let handlers = hubs.iter().flat_map(|hub| &hub.event_handlers);
        handlers.map(|handler| handler.url.clone()).collect()
    };
    for (arguments, variables, expected) in [
        (&flag[..], &[variable, microsofts][..], "http://flag/"),
        (&[], &[variable, microsofts], "http://variable/"),
        (&[], &[microsofts], "http://microsoft/"),
        (&[], &[], "http://file/"),
    ] {
        let config = read(arguments, variables, Some(file)).unwrap();
        assert_eq!(urls(&config), [expected, "http://file/"]);
        assert!(config.hubs()[0].anonymous_connect);
    }
}

#[test]
fn microsofts_variables_complete_microsofts_file_as_in_dotnet() {
    let file = r#"{ "WebPubSub": { "Hubs": { "chat": { "EventHandlers": [
        { "UrlTemplate": "http://file/", "SystemEvents": ["connect", "connected"], "EventPattern": "a" } ] } } } }"#;
    let variables = [
        (
            "WebPubSub__Hubs__chat__EventHandlers__0__UrlTemplate",
            "http://variable/",
        ),
        (
            "WebPubSub__Hubs__chat__EventHandlers__0__SystemEvents__1",
            "disconnected",
        ),
        (
            "WebPubSub__Hubs__chat__EventHandlers__1__UrlTemplate",
            "http://more/",
        ),
    ];
    let config = read(&[], &variables, Some(("appsettings.json", file))).unwrap();
    assert_eq!(
        shown(&config),
        [
            "chat: http://variable/ (user events: a; system events: connect, disconnected)",
            "chat: http://more/ (user events: none; system events: none)",
        ]
    );
}

#[test]
fn mistakes_in_flags_and_variables_are_named() {
    let url = "`--event-handler`: hub `chat`: ";
    let relative = format!(
        "{url}expected a URL such as `http://localhost:3000/eventhandler/{{event}}`: relative URL without a base"
    );
    let place = "environment variable `WebPubSub__Hubs__chat__EventHandlers__0__";
    let auth = format!("{place}Auth__Type`: {}", super::NO_AUTH);
    let listener = "WebPubSub__Hubs__chat__EventListeners__0__EventHubEndpoint__EventHubName";
    let no_listener = format!("environment variable `{listener}`: {}", super::NO_LISTENERS);
    let no_url = format!("{place}EventPattern`: this event handler has no URL: add `UrlTemplate`");
    let no_event = format!(
        "{place}SystemEvents__0`: there is no such system event: expected `connect`, `connected`, `disconnected`, \
         `groupJoined` or `groupLeft`"
    );
    for (arguments, variables, expected) in [
        (
            vec!["--event-handler", "http://127.0.0.1:3000/?code=sEcReT"],
            vec![],
            "`--event-handler`: expected a hub and `=`, as in `chat=http://127.0.0.1:3000/eventhandler/{event}`",
        ),
        (
            vec!["--event-handler", "chat=sEcReT"],
            vec![],
            relative.as_str(),
        ),
        (
            vec!["--event-handler", "my-hub=http://h/"],
            vec![],
            "`--event-handler`: this cannot be the name of a hub; expected a letter, then up to 127 of \
             `A-Z a-z 0-9 _ ` , . [ ]`",
        ),
        (
            vec!["--event-handler", "chat=tunnel:///eventhandler/{event}"],
            vec![],
            "`--event-handler`: hub `chat`: `tunnel:` URLs need Azure's tunnel, which nothing goes through here: name \
             the server at its other end, as in `--tunnel http://127.0.0.1:3000`, or write the URL at which the handler \
             itself listens",
        ),
        (
            vec!["--event-handler", "chat=tunnel://host/x"],
            vec![],
            "`--event-handler`: hub `chat`: a `tunnel:` URL names no host: expected `tunnel:///path`",
        ),
        (
            vec!["--tunnel", "http://h/sEcReT"],
            vec![],
            "`--tunnel`: expected scheme, host and port of a server, as in `http://127.0.0.1:3000`",
        ),
        (
            vec![
                "--event-handler",
                "chat=http://h/?c={@Microsoft.KeyVault(SecretUri=sEcReT)}",
            ],
            vec![],
            "`--event-handler`: hub `chat`: Key Vault references are not resolved here: write the value itself",
        ),
        (
            vec!["--event-handler", "chat=http://h/{evnt?code=sEcReT}"],
            vec![],
            "`--event-handler`: hub `chat`: `{evnt}` is not known: only `{hub}` and `{event}` are filled in",
        ),
        (
            vec!["--anonymous-connect", "chat"],
            vec![],
            "`--anonymous-connect`: expected a hub and `=`, as in `chat=allow`",
        ),
        (
            vec!["--anonymous-connect", "chat=yes"],
            vec![],
            "`--anonymous-connect`: hub `chat`: expected `allow` or `deny`",
        ),
        (
            vec![
                "--anonymous-connect",
                "chat=allow",
                "--anonymous-connect",
                "CHAT=allow",
            ],
            vec![],
            "`--anonymous-connect`: hub `CHAT`: given more than once",
        ),
        (
            vec![],
            vec![(
                "WEBPUBSUB_EMULATOR_EVENT_HANDLER",
                "chat=http://h/ http://i/",
            )],
            "environment variable `WEBPUBSUB_EMULATOR_EVENT_HANDLER`: expected a hub and `=`, as in \
             `chat=http://127.0.0.1:3000/eventhandler/{event}`",
        ),
        (
            vec![],
            vec![(
                "WebPubSub__Hubs__chat__EventHandlers__0__Auth__Type",
                "None",
            )],
            auth.as_str(),
        ),
        (vec![], vec![(listener, "x")], no_listener.as_str()),
        (
            vec![],
            vec![("WebPubSub__Hubs__chat__EventHandlers__0__EventPattern", "*")],
            no_url.as_str(),
        ),
        (
            vec![],
            vec![(
                "WebPubSub__Hubs__chat__EventHandlers__0__SystemEvents__0",
                "join",
            )],
            no_event.as_str(),
        ),
        (
            vec![],
            vec![(
                "WebPubSub__Hubs__chat__EventHandlers__UrlTemplate",
                "http://h/",
            )],
            "environment variable `WebPubSub__Hubs__chat__EventHandlers__UrlTemplate`: expected a list: its items have \
             numbers, which start with 0",
        ),
    ] {
        let error = read(&arguments, &variables, None).unwrap_err();
        assert_eq!(error, expected, "{arguments:?} {variables:?}");
    }
}

#[test]
fn mistakes_in_our_file_are_named_with_their_line() {
    let no_auth = format!(
        "a.toml:3: `hubs.chat.event_handlers.0.auth.type`: {}",
        super::NO_AUTH
    );
    let no_listeners = format!(
        "a.toml:2: `hubs.chat.event_listeners.0.x`: {}",
        super::NO_LISTENERS
    );
    for (text, expected) in [
        (
            "[hubs.chat]\nanonymous = 'allow'",
            "a.toml:2: `hubs.chat.anonymous`: there is no such setting of a hub",
        ),
        (
            "[hubs.chat]\nanonymous_conect = 'allow'",
            "a.toml:2: `hubs.chat.anonymous_conect`: there is no such setting of a hub; did you mean `anonymous_connect`?",
        ),
        (
            "[hubs.chat]\nanonymous_connect = true",
            "a.toml:2: `hubs.chat.anonymous_connect`: hub `chat`: expected `allow` or `deny`",
        ),
        (
            "[hubs.my-hub]\nanonymous_connect = 'allow'",
            "a.toml:2: `hubs.my-hub.anonymous_connect`: this cannot be the name of a hub; expected a letter, then up to \
             127 of `A-Z a-z 0-9 _ ` , . [ ]`",
        ),
        (
            "[[hubs.chat.event_handlers]]\nurl = 'http://h/'\n[[hubs.chat.event_handlers]]\nuser_events = '*'",
            "a.toml:4: `hubs.chat.event_handlers.1.user_events`: this event handler has no URL: add `url`",
        ),
        (
            "[[hubs.chat.event_handlers]]\nurl = 'ftp://h/'",
            "a.toml:2: `hubs.chat.event_handlers.0.url`: `ftp:` URLs are not called: use `http` or `https`",
        ),
        (
            "[[hubs.chat.event_handlers]]\nurll = 'http://h/'",
            "a.toml:2: `hubs.chat.event_handlers.0.urll`: there is no such setting of an event handler; did you mean `url`?",
        ),
        (
            "[[hubs.chat.event_handlers]]\nurl = 'http://h/'\ntimeout = 0",
            "a.toml:3: `hubs.chat.event_handlers.0.timeout`: expected a number of seconds from 1 to 86400",
        ),
        (
            "[[hubs.chat.event_handlers]]\nurl = 'http://h/'\nvalidate = 'maybe'",
            "a.toml:3: `hubs.chat.event_handlers.0.validate`: expected `true` or `false`",
        ),
        (
            "[[hubs.chat.event_handlers]]\nurl = 'http://h/'\nsystem_events = ['connect',\n'gone']",
            "a.toml:4: `hubs.chat.event_handlers.0.system_events.1`: there is no such system event: expected `connect`, \
             `connected`, `disconnected`, `groupJoined` or `groupLeft`",
        ),
        (
            "[[hubs.chat.event_handlers]]\nurl = 'http://h/'\nuser_events = 'a\\b'",
            "a.toml:3: `hubs.chat.event_handlers.0.user_events`: `a\\b` is no name of an event: use `*` for all events, or \
             names separated by commas",
        ),
        (
            "[[hubs.chat.event_handlers]]\nurl = []",
            "a.toml:2: `hubs.chat.event_handlers.0.url`: a value is missing",
        ),
        (
            "[[hubs.chat.event_handlers]]\nurl = 'http://h/'\nauth = { type = 'ManagedIdentity' }",
            no_auth.as_str(),
        ),
        (
            "[[hubs.chat.event_listeners]]\nx = 1",
            no_listeners.as_str(),
        ),
        (
            "[hubs.chat.event_handlers]\nurl = 'http://h/'",
            "a.toml:2: `hubs.chat.event_handlers.url`: expected a list of tables: `[[hubs.NAME.event_handlers]]`, in \
             double brackets",
        ),
        (
            "hubs = 1",
            "a.toml:1: `hubs`: expected a table for each hub, such as `[hubs.chat]`",
        ),
        (
            "[hubs]\nchat = 'http://h/'",
            "a.toml:2: `hubs.chat`: expected a table for each hub, such as `[hubs.chat]`",
        ),
        (
            "event-handler = 'chat=http://h/'",
            "a.toml:1: `event-handler`: in a file this stands in the table of a hub, such as `[hubs.chat]`",
        ),
        (
            "hub = 1",
            "a.toml:1: `hub`: there is no such setting; did you mean `hubs`?",
        ),
    ] {
        let error = read(&[], &[], Some(("a.toml", text))).unwrap_err();
        assert_eq!(error, expected, "{text}");
    }
}

#[test]
fn mistakes_in_microsofts_file_are_named_with_their_line() {
    let place = "appsettings.json:2: `WebPubSub:Hubs:chat:EventHandlers";
    for (handlers, expected) in [
        (r#"[{"Auth": {"Type": "None"}}]"#, format!("{place}:0:Auth:Type`: {}", super::NO_AUTH)),
        (r#"[{"Auth": {}}]"#, format!("{place}:0:Auth`: {}", super::NO_AUTH)),
        ("[{}]", format!("{place}:0`: this event handler has no URL: add `UrlTemplate`")),
        (
            r#"[{"UrlTemplat": "http://h/"}]"#,
            format!("{place}:0:UrlTemplat`: there is no such setting; did you mean `UrlTemplate`?"),
        ),
        (
            r#"[{"UrlTemplate": "http://h/", "SystemEvents": "connect"}]"#,
            format!(
                "{place}:0:SystemEvents`: expected a list such as `[\"connect\", \"connected\"]`, as variables \
                 `..SystemEvents__0` and so on"
            ),
        ),
        (r#""http://h/""#, format!("{place}`: expected a list of event handlers")),
        (
            r#"[], "EventListeners": [{"EventHubEndpoint": {"ConnectionString": "sEcReT"}}]"#,
            format!(
                "appsettings.json:2: `WebPubSub:Hubs:chat:EventListeners:0:EventHubEndpoint:ConnectionString`: {}",
                super::NO_LISTENERS
            ),
        ),
        (
            r#"[], "EventHandler": []"#,
            String::new(),
        ),
        (
            r#"[], "EventHandler": [1]"#,
            "appsettings.json:2: `WebPubSub:Hubs:chat:EventHandler:0`: there is no such setting; did you mean \
             `EventHandlers`?"
                .to_owned(),
        ),
    ] {
        let text = format!("{{\"WebPubSub\": {{\"Hubs\": {{\"chat\":\n{{\"EventHandlers\": {handlers}}}}}}}}}");
        let error = read(&[], &[], Some(("appsettings.json", &text))).err();
        assert_eq!(error.unwrap_or_default(), expected, "{text}");
    }
}
