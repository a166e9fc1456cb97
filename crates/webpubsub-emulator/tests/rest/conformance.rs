//! The conformance list: every operation of the description, with success, absence and bad input.

use webpubsub_protocol::access::ClientTokenOptions;

use crate::rest::{BAD_REQUEST, VERSIONS, assert_error, assert_error_head, error_body};
use crate::support::operations::{OPERATIONS, Operation};
use crate::support::world::Call;
use crate::support::{Reply, World, encode};

/// What the paths of a row name.
#[derive(Debug, Clone, Copy)]
struct Names<'a> {
    connection: &'a str,
    user: &'a str,
    group: &'a str,
}

const ABSENT: Names<'_> = Names {
    connection: "xxxx",
    user: "nobody",
    group: "empty",
};

/// How an operation answers when what it names is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absence {
    /// As if it were there.
    Succeeds,
    /// Status and code; the code is empty when the answer has no body.
    Fails(u16, &'static str),
}

/// One row for each operation; a new operation without one fails.
fn absence(operation: &Operation) -> Absence {
    use Absence::{Fails, Succeeds};
    match operation.id {
        "WebPubSub_ConnectionExists" => Fails(404, "Warning.Connection.NotExisted"),
        "WebPubSub_UserExists" => Fails(404, "Warning.User.NotExisted"),
        "WebPubSub_GroupExists" => Fails(404, "Warning.Group.NotExisted"),
        "WebPubSub_CheckPermission" | "WebPubSub_GrantPermission" => {
            Fails(404, "Info.Connection.NotExisted")
        }
        "WebPubSub_AddConnectionToGroup" => Fails(404, "Error.Connection.NotExisted"),
        "WebPubSub_AddUserToGroup" => Fails(404, ""),
        "HealthApi_GetServiceStatus"
        | "WebPubSub_AddConnectionsToGroups"
        | "WebPubSub_CloseAllConnections"
        | "WebPubSub_CloseConnection"
        | "WebPubSub_CloseGroupConnections"
        | "WebPubSub_CloseUserConnections"
        | "WebPubSub_GenerateClientToken"
        | "WebPubSub_ListConnectionsInGroup"
        | "WebPubSub_RemoveConnectionFromAllGroups"
        | "WebPubSub_RemoveConnectionFromGroup"
        | "WebPubSub_RemoveConnectionsFromGroups"
        | "WebPubSub_RemoveUserFromAllGroups"
        | "WebPubSub_RemoveUserFromGroup"
        | "WebPubSub_RevokePermission"
        | "WebPubSub_SendToAll"
        | "WebPubSub_SendToConnection"
        | "WebPubSub_SendToGroup"
        | "WebPubSub_SendToUser" => Succeeds,
        other => panic!("{other} needs a row in the conformance list"),
    }
}

/// The target of a good call, with `replace` in place of what stands there.
fn target(operation: &Operation, names: Names<'_>, replace: Option<(&str, &str)>) -> String {
    let mut path = operation.path.to_owned();
    let mut query = Vec::new();
    for parameter in operation.parameters {
        let given = match parameter.name {
            "hub" => "chat",
            "connectionId" => names.connection,
            "userId" if parameter.in_path => names.user,
            "group" if parameter.in_path => names.group,
            "targetName" => names.group,
            _ => parameter.valid,
        };
        let replaced = replace
            .filter(|(name, _)| *name == parameter.name)
            .map(|(_, value)| value);
        let value = encode(replaced.unwrap_or(given));
        if parameter.in_path {
            path = path.replace(&format!("{{{}}}", parameter.name), &value);
        } else if parameter.required || replaced.is_some() {
            query.push(format!("{}={value}", parameter.name));
        }
    }
    format!("{path}?{}", query.join("&"))
}

fn call<'w>(world: &'w World, operation: &Operation, target: &str) -> Call<'w> {
    let call = world.call(operation.method, target);
    match operation.content_types {
        [] => call,
        ["application/json"] => call.json(r#"{"groups":["room"],"filter":"userId eq 'ana'"}"#),
        _ => call.text("hi"),
    }
}

#[track_caller]
fn assert_success(operation: &Operation, reply: &Reply) {
    let id = operation.id;
    assert_eq!(reply.status, operation.success, "{id}: {reply:?}");
    assert_eq!(reply.header("x-ms-error-code"), None, "{id}");
    assert_eq!(
        reply.header("api-supported-versions"),
        Some(VERSIONS),
        "{id}"
    );
    let document = matches!(
        id,
        "WebPubSub_ListConnectionsInGroup" | "WebPubSub_GenerateClientToken"
    );
    let json = document.then_some("application/json; charset=utf-8");
    assert_eq!(reply.header("content-type"), json, "{id}");
    assert_eq!(reply.body.is_empty(), !document, "{id}");
    if operation.method == "HEAD" {
        return;
    }
    let length = reply.body.len().to_string();
    let length = (operation.success != 204).then_some(length.as_str());
    assert_eq!(reply.header("content-length"), length, "{id}");
}

#[tokio::test]
async fn every_operation_succeeds_on_what_is_there() {
    for operation in &OPERATIONS {
        let world = World::start().await;
        let options = ClientTokenOptions::default()
            .user_id("ana")
            .role("webpubsub.sendToGroup.room")
            .group("room");
        let client = world.client("chat", options).await;
        let names = Names {
            connection: &client.id,
            user: "ana",
            group: "room",
        };
        let reply = call(&world, operation, &target(operation, names, None))
            .send()
            .await;
        assert_success(operation, &reply);
        assert!(
            operation.statuses.contains(&reply.status),
            "{}",
            operation.id
        );
    }
}

#[tokio::test]
async fn every_operation_answers_for_what_is_not_there() {
    let used = World::start().await;
    // A hub that somebody is in answers as one that nobody ever used.
    let _bystander = used.user("chat", "bystander", &["elsewhere"]).await;
    let fresh = World::start().await;
    for operation in &OPERATIONS {
        for world in [&used, &fresh] {
            let target = target(operation, ABSENT, None);
            let reply = call(world, operation, &target).send().await;
            let id = operation.id;
            match absence(operation) {
                Absence::Succeeds => assert_success(operation, &reply),
                Absence::Fails(status, "") => {
                    assert_eq!((reply.status, reply.text()), (status, ""), "{id}");
                    assert_eq!(reply.header("x-ms-error-code"), None, "{id}");
                    assert_eq!(reply.header("content-length"), Some("0"), "{id}");
                }
                Absence::Fails(status, code) => {
                    assert_eq!(operation.no.unwrap_or(status), status, "{id}");
                    let (message, kind) = match code {
                        "Warning.User.NotExisted" => ("User `nobody` is not found.", "User"),
                        "Warning.Group.NotExisted" => ("Group `empty` is empty.", "Group"),
                        _ => ("Connection `xxxx` is not found.", "Connection"),
                    };
                    if operation.method == "HEAD" {
                        assert!(reply.body.is_empty(), "{id}");
                        let length = error_body(code, message, kind).len();
                        assert_error_head(&reply, status, code, length);
                    } else {
                        assert_error(&reply, status, code, kind, message);
                    }
                }
            }
            assert!(
                operation.statuses.contains(&reply.status),
                "{id}: {}",
                reply.status
            );
        }
    }
    assert!(
        fresh.emulator.state().hubs.is_empty(),
        "no call makes a hub"
    );
}

#[tokio::test]
async fn every_parameter_is_checked_before_the_token() {
    let world = World::start().await;
    let mut checked = 0;
    for operation in &OPERATIONS {
        for parameter in operation.parameters {
            let Some(invalid) = &parameter.invalid else {
                continue;
            };
            let mut targets = vec![target(
                operation,
                ABSENT,
                Some((parameter.name, invalid.value)),
            )];
            if parameter.refuse_repeated {
                let good = target(operation, ABSENT, Some((parameter.name, parameter.valid)));
                let valid = encode(parameter.valid);
                targets.push(format!("{good}&{}={valid}", parameter.name));
            }
            if parameter.required && !parameter.in_path && parameter.name != "api-version" {
                let good = target(operation, ABSENT, None);
                targets.push(good.replace(parameter.name, "unknown"));
            }
            for target in targets {
                let reply = call(&world, operation, &target).no_token().send().await;
                let id = operation.id;
                if operation.method == "HEAD" {
                    assert!(reply.body.is_empty(), "{id} {target}");
                    let length = error_body(BAD_REQUEST, invalid.message, invalid.target).len();
                    assert_error_head(&reply, 400, BAD_REQUEST, length);
                } else {
                    assert_error(&reply, 400, BAD_REQUEST, invalid.target, invalid.message);
                }
                assert!(operation.statuses.contains(&400), "{id}");
                checked += 1;
            }
        }
    }
    assert!(checked > 90, "{checked}");
}

#[tokio::test]
async fn every_operation_but_one_needs_a_token() {
    let world = World::start().await;
    for operation in &OPERATIONS {
        let target = target(operation, ABSENT, None);
        let reply = call(&world, operation, &target).no_token().send().await;
        let expected = if operation.authenticated {
            401
        } else {
            operation.success
        };
        assert_eq!(reply.status, expected, "{}", operation.id);
        assert!(operation.statuses.contains(&expected), "{}", operation.id);
        let challenge = operation.authenticated.then_some("Bearer");
        assert_eq!(
            reply.header("www-authenticate"),
            challenge,
            "{}",
            operation.id
        );
    }
}

#[tokio::test]
async fn every_operation_is_there_in_every_version_and_in_none() {
    let world = World::start().await;
    for operation in &OPERATIONS {
        let target = target(operation, ABSENT, None);
        let expected = call(&world, operation, &target).send().await.status;
        let versions = VERSIONS
            .split(", ")
            .map(|version| target.replace("2024-12-01", version));
        let none = target.replace("api-version=2024-12-01", "");
        for target in versions.chain([none, target.replace("api-version", "API-Version")]) {
            let reply = call(&world, operation, &target).send().await;
            assert_eq!(reply.status, expected, "{} {target}", operation.id);
        }
    }
}
