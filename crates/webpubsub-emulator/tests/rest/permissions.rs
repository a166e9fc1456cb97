//! Granting, revoking and checking permissions.

use webpubsub_protocol::access::ClientTokenOptions;

use crate::rest::{BAD_REQUEST, assert_error, assert_error_head, error_body};
use crate::support::{Client, World, encode};

const GROUP_NAME: &str =
    "Invalid group name. Valid group name should be in between 1 and 1024 characters long.";

fn target(permission: &str, connection: &str, group: &str) -> String {
    let group = encode(group);
    format!("/api/hubs/chat/permissions/{permission}/connections/{connection}?targetName={group}")
}

async fn status(world: &World, method: &str, target: &str) -> u16 {
    world.call(method, target).send().await.status
}

/// Whether the client may send to the group, by its own word.
async fn may_send(client: &mut Client, ack: u64, group: &str) -> bool {
    client
        .send(&format!(
            r#"{{"type":"sendToGroup","group":"{group}","ackId":{ack},"data":1}}"#
        ))
        .await;
    let answer = client.json().await;
    assert_eq!(answer["ackId"], ack, "{answer}");
    answer["success"] == true
}

#[tokio::test]
async fn permissions_are_granted_and_revoked_at_once() {
    let world = World::start().await;
    let mut ana = world.user("chat", "ana", &[]).await;
    let room = target("sendToGroup", &ana.id, "room");
    assert_eq!(status(&world, "HEAD", &room).await, 404);
    assert!(!may_send(&mut ana, 1, "room").await);
    assert_eq!(status(&world, "PUT", &room).await, 200);
    assert_eq!(
        status(&world, "PUT", &room).await,
        200,
        "granting twice is fine"
    );
    assert_eq!(status(&world, "HEAD", &room).await, 200);
    assert!(may_send(&mut ana, 2, "room").await);
    assert!(!may_send(&mut ana, 3, "other").await);
    let join = target("joinLeaveGroup", &ana.id, "room");
    assert_eq!(
        status(&world, "HEAD", &join).await,
        404,
        "the other permission is another matter"
    );
    assert_eq!(status(&world, "DELETE", &room).await, 204);
    assert_eq!(status(&world, "DELETE", &room).await, 204);
    assert_eq!(status(&world, "HEAD", &room).await, 404);
    assert!(!may_send(&mut ana, 4, "room").await);
}

#[tokio::test]
async fn revoking_beats_roles_and_evicts_nobody() {
    let world = World::start().await;
    let options = ClientTokenOptions::default()
        .role("webpubsub.sendToGroup")
        .group("room");
    let mut ana = world.client("chat", options).await;
    let room = target("sendToGroup", &ana.id, "room");
    assert_eq!(status(&world, "HEAD", &room).await, 200);
    assert_eq!(status(&world, "DELETE", &room).await, 204);
    assert!(!may_send(&mut ana, 1, "room").await);
    assert_eq!(
        status(&world, "HEAD", &target("sendToGroup", &ana.id, "other")).await,
        200
    );
    assert_eq!(
        status(&world, "HEAD", "/api/hubs/chat/groups/room").await,
        200,
        "still a member"
    );
}

#[tokio::test]
async fn names_compare_without_case_and_have_numbers() {
    let world = World::start().await;
    let ana = world.user("chat", "ana", &[]).await;
    for (grant, check) in [("SENDTOGROUP", "1"), ("2", "joinleavegroup")] {
        assert_eq!(
            status(&world, "PUT", &target(grant, &ana.id, "g")).await,
            200
        );
        assert_eq!(
            status(&world, "HEAD", &target(check, &ana.id, "g")).await,
            200
        );
    }
    for unknown in ["0", "3", "sendToGroups", "01", "read"] {
        assert_eq!(
            status(&world, "PUT", &target(unknown, &ana.id, "g")).await,
            400,
            "{unknown}"
        );
    }
}

#[tokio::test]
async fn targets_are_literal_and_required() {
    let world = World::start().await;
    let ana = world.user("chat", "ana", &[]).await;
    assert_eq!(
        status(&world, "PUT", &target("sendToGroup", &ana.id, "*")).await,
        200
    );
    assert_eq!(
        status(&world, "HEAD", &target("sendToGroup", &ana.id, "*")).await,
        200
    );
    assert_eq!(
        status(&world, "HEAD", &target("sendToGroup", &ana.id, "room")).await,
        404
    );
    let bare = format!(
        "/api/hubs/chat/permissions/sendToGroup/connections/{}",
        ana.id
    );
    let long = "g".repeat(1025);
    for query in [
        "",
        "?targetName=",
        "?targetName=%20",
        &format!("?targetName={long}"),
    ] {
        for method in ["PUT", "DELETE"] {
            let reply = world.call(method, &format!("{bare}{query}")).send().await;
            assert_error(&reply, 400, BAD_REQUEST, "Request", GROUP_NAME);
        }
    }
    assert_eq!(
        status(&world, "PUT", &format!("{bare}?targetName={}", &long[1..])).await,
        200
    );
}

#[tokio::test]
async fn a_check_says_no_with_the_length_of_its_reason() {
    let world = World::start().await;
    let ana = world.user("chat", "ana", &[]).await;
    let reply = world
        .call("HEAD", &target("1", &ana.id, "room"))
        .send()
        .await;
    let message = format!(
        "Connection `{}` doesn't have the permission `sendToGroup`.",
        ana.id
    );
    let code = "Info.Connection.NotExisted";
    assert_error_head(
        &reply,
        404,
        code,
        error_body(code, &message, "Connection").len(),
    );
}

#[tokio::test]
async fn the_thousand_and_first_rule_is_a_conflict() {
    let world = World::start().await;
    let ana = world.user("chat", "ana", &[]).await;
    for n in 0..1000 {
        let group = target("sendToGroup", &ana.id, &format!("g{n}"));
        assert_eq!(status(&world, "PUT", &group).await, 200, "{n}");
    }
    let over = target("sendToGroup", &ana.id, "over");
    let reply = world.call("PUT", &over).send().await;
    let message = format!(
        "Connection `{}` has reached the limit of 1000 literal permissions for `sendToGroup`.",
        ana.id
    );
    assert_error(
        &reply,
        409,
        "Error.Connection.Conflict",
        "Connection",
        &message,
    );
    assert_eq!(status(&world, "HEAD", &over).await, 404, "nothing changed");
    assert_eq!(
        status(&world, "PUT", &target("joinLeaveGroup", &ana.id, "over")).await,
        200
    );
    assert_eq!(
        status(&world, "DELETE", &target("sendToGroup", &ana.id, "g7")).await,
        204
    );
    assert_eq!(
        status(&world, "PUT", &over).await,
        200,
        "a revoked grant makes room"
    );
}
