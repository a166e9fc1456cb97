use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};
use webpubsub_protocol::name::{ConnectionId, GroupName, HubName, UserId};
use webpubsub_protocol::permission::Permission;

use super::{
    super::{
        generated::{API_VERSIONS, ClientType, NEWEST_VERSION, OPERATIONS, SUPPORTED_VERSIONS},
        table::Access,
    },
    *,
};
use crate::route::{Route, route};

/// A parameter as JSON.
pub(crate) trait Describe {
    fn describe(&self) -> Value;
}

macro_rules! describe {
    ($($type:ty: $this:ident => $value:expr,)*) => {
        $(impl Describe for $type {
            fn describe(&self) -> Value {
                let $this = self;
                json!($value)
            }
        })*
    };
}

describe! {
    HubName: it => it.to_string(),
    GroupName: it => it.to_string(),
    UserId: it => it.to_string(),
    ConnectionId: it => it.to_string(),
    Permission: it => it.to_string(),
    ClientType: it => format!("{it:?}").to_lowercase(),
    String: it => it,
    u32: it => it,
}

impl<T: Describe> Describe for Option<T> {
    fn describe(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::describe)
    }
}

impl<T: Describe> Describe for Vec<T> {
    fn describe(&self) -> Value {
        self.iter().map(T::describe).collect()
    }
}

fn parse_with(method: &str, target: &str, slash: EncodedSlash) -> Result<Parsed, BadParameter> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    match route(OPERATIONS, &verb(method), path) {
        Route::Found(operation, captures) => parse(operation.id, &captures, query, slash),
        other => panic!("{method} {target}: {other:?}"),
    }
}

fn verb(method: &str) -> Method {
    method.parse().unwrap()
}

fn call(method: &str, target: &str) -> Result<Value, (&'static str, String)> {
    parse_with(method, target, EncodedSlash::Keep)
        .map(|parsed| parsed.call.describe())
        .map_err(|bad| (bad.target, bad.message.into_owned()))
}

fn refused(method: &str, target: &str) -> (&'static str, String) {
    call(method, target).expect_err(target)
}

/// Request lines of the official package arrive as what its caller gave.
#[test]
fn recorded_request_lines_are_understood() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../tests/vectors/rest-targets.json")).unwrap();
    let vectors = vectors["vectors"].as_array().unwrap();
    assert!(vectors.len() > 100, "{}", vectors.len());
    for vector in vectors {
        let name = vector["operation"].as_str().unwrap();
        let info = OPERATIONS.iter().find(|info| info.name == name).unwrap();
        let target = vector["target"].as_str().unwrap();
        let found = call(info.method.as_str(), target).unwrap();
        for (name, value) in found.as_object().unwrap() {
            let absent = match name.as_str() {
                "excluded" | "role" | "group" => json!([]),
                "messageTtlSeconds" => json!(0),
                "minutesToExpire" => json!(60),
                "maxpagesize" => json!(200),
                "clientType" => json!("default"),
                _ => Value::Null,
            };
            let given = vector["received"]
                .get(name)
                .or(vector["parameters"].get(name));
            assert_eq!(value, given.unwrap_or(&absent), "{name} in {target}");
        }
    }
}

#[test]
fn versions() {
    for version in API_VERSIONS {
        let target = format!("/api/hubs/chat/users/u?api-version={version}");
        assert!(call("HEAD", &target).is_ok(), "{target}");
    }
    for query in [
        "",
        "?",
        "?other=1",
        "?API-Version=2024-12-01",
        "?api%2Dversion=2024-12-01",
    ] {
        assert!(
            call("HEAD", &format!("/api/health{query}")).is_ok(),
            "{query}"
        );
    }
    let expected = (
        "api-version",
        "The specified API version is not supported.".to_owned(),
    );
    for query in [
        "api-version=2024-12-02",
        "api-version=2026-02-01-preview",
        "api-version=",
        "api-version",
        "api-version=2024-12-01&api-version=2024-12-01",
        "api-version=2024-12-01&Api-Version=2024-12-01",
    ] {
        assert_eq!(
            refused("HEAD", &format!("/api/health?{query}")),
            expected,
            "{query}"
        );
        let before_names = format!("/api/hubs/1/users/%20?{query}");
        assert_eq!(refused("HEAD", &before_names), expected, "{query}");
    }
    assert_eq!(
        SUPPORTED_VERSIONS,
        "2021-10-01, 2022-11-01, 2023-07-01, 2024-01-01, 2024-12-01"
    );
    assert_eq!(API_VERSIONS.last(), Some(&NEWEST_VERSION));
}

#[test]
fn names_in_the_path() {
    let group = "Invalid group name. Valid group name should be in between 1 and 1024 characters \
                 long.";
    let long = "g".repeat(1025);
    let cases = [
        ("/api/hubs/1chat/users/u".to_owned(), "Invalid hub name."),
        ("/api/hubs/a-b/users/u".to_owned(), "Invalid hub name."),
        (
            format!("/api/hubs/{}/users/u", "h".repeat(129)),
            "Invalid hub name.",
        ),
        ("/api/hubs/chat/users/%20%09".to_owned(), "Invalid user ID."),
        (
            "/api/hubs/chat/connections/%20".to_owned(),
            "Invalid connection ID.",
        ),
        ("/api/hubs/chat/groups/%20".to_owned(), group),
        (format!("/api/hubs/chat/groups/{long}"), group),
        (
            "/api/hubs/chat/permissions/readGroup/connections/c?targetName=g".to_owned(),
            "Invalid permission.",
        ),
        (
            "/api/hubs/chat/permissions/3/connections/c?targetName=g".to_owned(),
            "Invalid permission.",
        ),
        (
            "/api/hubs/chat/permissions/sendToGroup/connections/c".to_owned(),
            group,
        ),
        (
            "/api/hubs/chat/permissions/sendToGroup/connections/c?targetName=+".to_owned(),
            group,
        ),
        (
            format!("/api/hubs/chat/permissions/sendToGroup/connections/c?targetName={long}"),
            group,
        ),
    ];
    for (target, message) in cases {
        assert_eq!(
            refused("HEAD", &target),
            ("Request", message.to_owned()),
            "{target}"
        );
    }
    for (permission, name) in [
        ("SENDTOGROUP", "sendToGroup"),
        ("1", "sendToGroup"),
        ("2", "joinLeaveGroup"),
    ] {
        let target = format!(
            "/api/hubs/CHAT/permissions/{permission}/connections/c?targetName=*&targetName=b"
        );
        let found = call("PUT", &target).unwrap();
        let expected = json!({
            "hub": "chat", "permission": name, "connectionId": "c", "targetName": "*"
        });
        assert_eq!(found, expected);
    }
}

#[test]
fn paths_are_decoded_once_and_keep_encoded_slashes() {
    for (raw, kept, decoded) in [
        ("a", "a", "a"),
        ("a%2Fb", "a%2Fb", "a/b"),
        ("a%2fb", "a%2fb", "a/b"),
        ("a%252Fb", "a%2Fb", "a%2Fb"),
        ("a%2541", "a%41", "a%41"),
        ("a%20b+c", "a b+c", "a b+c"),
        ("%C3%A9%F0%9F%98%80", "é😀", "é😀"),
        ("é", "é", "é"),
    ] {
        let target = format!("/api/hubs/chat/users/{raw}");
        for (slash, expected) in [(EncodedSlash::Keep, kept), (EncodedSlash::Decode, decoded)] {
            let parsed = parse_with("HEAD", &target, slash).unwrap();
            assert_eq!(parsed.call.describe()["userId"], expected, "{raw}");
            let seen = slash == EncodedSlash::Keep && kept != decoded;
            assert_eq!(parsed.kept_slash, seen, "{raw}");
        }
    }
    for raw in [
        "%",
        "a%",
        "a%2",
        "%zz",
        "%+1",
        "%FF",
        "%C3",
        "%C3x",
        "%ED%A0%80",
    ] {
        let (target, message) = refused("HEAD", &format!("/api/hubs/chat/users/{raw}"));
        assert_eq!(target, "Request");
        assert!(
            message.starts_with("Invalid percent-encoding in 'userId'"),
            "{raw}: {message}"
        );
    }
}

#[test]
fn the_query_is_decoded_once() {
    for (raw, filter) in [
        ("filter=a+b%20c%2Bd%2Fe", json!("a b c+d/e")),
        ("filter=%2541", json!("%41")),
        ("filter=", json!("")),
        ("filter", json!("")),
        ("filter=a=b", json!("a=b")),
        ("filter=a&filter=b", json!("a")),
        ("FILTER=a", json!("a")),
        ("%66ilter=a", json!("a")),
        ("&&x=%zz&%zz=1&=2&filter=a&", json!("a")),
        ("filters=a", Value::Null),
    ] {
        let found = call("POST", &format!("/api/hubs/chat/:send?{raw}")).unwrap();
        assert_eq!(found["filter"], filter, "{raw}");
    }
    for raw in [
        "filter=50%",
        "filter=%FF",
        "excluded=a&excluded=%zz",
        "messageTtlSeconds=%",
    ] {
        let (target, message) = refused("POST", &format!("/api/hubs/chat/:send?{raw}"));
        assert_eq!(target, "Request");
        assert!(
            message.starts_with("Invalid percent-encoding in '"),
            "{raw}: {message}"
        );
    }
}

#[test]
fn arrays_are_repeated_parameters() {
    let found = call(
        "POST",
        "/api/hubs/chat/:send?excluded=a,b&excluded=+c&excluded=a,b&excluded=",
    );
    assert_eq!(found.unwrap()["excluded"], json!(["a,b", " c", "a,b", ""]));
    let token = "/api/hubs/chat/:generateToken?role=r&role=&group=g&group=h";
    let found = call("POST", token).unwrap();
    assert_eq!(
        (&found["role"], &found["group"]),
        (&json!(["r", ""]), &json!(["g", "h"]))
    );
    let (target, _) = refused("POST", "/api/hubs/chat/:generateToken?group=g&group=+");
    assert_eq!(target, "group");
}

#[test]
fn numbers_have_bounds() {
    for (method, path, name, good, bad, target) in [
        (
            "POST",
            ":send",
            "messageTtlSeconds",
            ["0", "300"],
            "301",
            "Request",
        ),
        (
            "POST",
            ":generateToken",
            "minutesToExpire",
            ["1", "2147483647"],
            "0",
            "minutesToExpire",
        ),
        (
            "GET",
            "groups/g/connections",
            "maxpagesize",
            ["1", "200"],
            "201",
            "maxpagesize",
        ),
        (
            "GET",
            "groups/g/connections",
            "maxpagesize",
            ["1", "200"],
            "0",
            "maxpagesize",
        ),
        (
            "GET",
            "groups/g/connections",
            "top",
            ["1", "2147483647"],
            "2147483648",
            "top",
        ),
        (
            "GET",
            "groups/g/connections",
            "top",
            ["1", "2147483647"],
            "0",
            "top",
        ),
    ] {
        for value in good {
            let found = call(method, &format!("/api/hubs/chat/{path}?{name}={value}")).unwrap();
            assert_eq!(found[name].to_string(), value);
        }
        for value in [
            bad,
            "-1",
            "",
            "+",
            "1.5",
            "1e1",
            "0x1",
            "a",
            "99999999999999999999",
            "1+",
        ] {
            let expected = (target, format!("Invalid {name}."));
            let line = format!("/api/hubs/chat/{path}?{name}={value}");
            assert_eq!(refused(method, &line), expected, "{line}");
        }
    }
    let found = call(
        "POST",
        "/api/hubs/chat/:send?messageTtlSeconds=1&messageTtlSeconds=x",
    );
    assert_eq!(found.unwrap()["messageTtlSeconds"], 1);
}

#[test]
fn listing_refuses_repeated_parameters() {
    let path = "/api/hubs/chat/groups/g/connections";
    for name in ["maxpagesize", "top", "continuationToken"] {
        let expected = (name, format!("Invalid {name}."));
        assert_eq!(
            refused("GET", &format!("{path}?{name}=1&{name}=1")),
            expected
        );
        assert_eq!(refused("GET", &format!("{path}?{name}=")), expected);
    }
    let token = |length| format!("{path}?continuationToken={}", "t".repeat(length));
    assert!(call("GET", &token(1)).is_ok());
    assert!(call("GET", &token(2048)).is_ok());
    let expected = ("continuationToken", "Invalid continuationToken.".to_owned());
    assert_eq!(refused("GET", &token(2049)), expected);
}

#[test]
fn client_types_compare_without_case() {
    let of = |value: &str| {
        call(
            "POST",
            &format!("/api/hubs/c/:generateToken?clientType={value}"),
        )
    };
    for (value, name) in [
        ("Default", "default"),
        ("default", "default"),
        ("mQtT", "mqtt"),
        ("SocketIO", "socketio"),
    ] {
        assert_eq!(of(value).unwrap()["clientType"], name);
    }
    for value in ["", "socket", "Default,MQTT", "0"] {
        assert_eq!(
            of(value).unwrap_err(),
            ("clientType", "Invalid clientType.".to_owned())
        );
    }
}

proptest! {
    /// No query and no name makes it panic.
    #[test]
    fn anything_is_parsed(
        name in r"(%|%2|%2F|%C3|[0-9a-fA-F]|\PC){1,12}",
        query in r"(&|=|\+|%|%zz|top|group|filter|api-version|excluded|targetName|\PC){0,24}",
    ) {
        let name = name.replace('/', "_");
        for info in OPERATIONS {
            let path = info.path.replace("{hub}", "chat");
            let path: Vec<_> =
                path.split('/').map(|part| if part.starts_with('{') { &name } else { part }).collect();
            let path = path.join("/");
            if let Route::Found(operation, captures) = route(OPERATIONS, &info.method, &path) {
                prop_assert_eq!(operation.id, info.id);
                for slash in [EncodedSlash::Keep, EncodedSlash::Decode] {
                    if let Ok(parsed) = parse(operation.id, &captures, Some(&query), slash) {
                        let has_hub = parsed.call.describe()["hub"] == "chat";
                        prop_assert_eq!(has_hub, info.access == Access::Token);
                    }
                }
            }
        }
    }

    /// What is percent-encoded arrives, in the path and in the query.
    #[test]
    fn names_survive_the_journey(name in r"\PC{1,40}", other in any::<String>()) {
        prop_assume!(!name.trim().is_empty() && name != "." && name != "..");
        let encode = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        let target = format!(
            "/api/hubs/chat/connections/{}?api-version=2024-12-01&reason={}",
            encode(&name),
            encode(&other),
        );
        let parsed = parse_with("DELETE", &target, EncodedSlash::Decode).unwrap();
        let expected = json!({ "hub": "chat", "connectionId": name, "reason": other });
        prop_assert_eq!(parsed.call.describe(), expected);
    }
}
