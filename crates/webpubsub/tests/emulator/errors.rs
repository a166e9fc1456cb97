//! What the service refuses, and how it says so.

use futures_util::TryStreamExt as _;
use webpubsub::{AccessKey, Permission, ServiceErrorExt, WebPubSubServiceClient};

use super::world::World;

#[track_caller]
fn assert_refused(error: &azure_core::Error, status: u16, code: &str, target: Option<&str>) {
    let reason = error.service_error().expect("the service answered");
    assert_eq!(u16::from(reason.status()), status, "{error}");
    assert_eq!((reason.code(), reason.target()), (code, target), "{error}");
    assert!(error.to_string().contains(code), "{error}");
}

#[tokio::test]
async fn what_is_absent_is_named() {
    let world = World::start().await;
    let service = &world.service;
    let room = service.group("room");

    let error = room.add_connection("nobody").await.unwrap_err();
    assert_refused(
        &error,
        404,
        "Error.Connection.NotExisted",
        Some("Connection"),
    );
    let error = service
        .grant_permission("nobody", Permission::JoinLeaveGroup, "room")
        .await
        .unwrap_err();
    assert_refused(
        &error,
        404,
        "Info.Connection.NotExisted",
        Some("Connection"),
    );
    let error = room.add_user("nobody").await.unwrap_err();
    assert_refused(&error, 404, "Not Found", None);
}

#[tokio::test]
async fn absence_is_no_error_where_nothing_is_left_to_do() {
    let world = World::start().await;
    let service = &world.service;
    let room = service.group("room");
    service.send_to_user("nobody", "x").await.unwrap();
    service.send_to_connection("nobody", "x").await.unwrap();
    service.close_connection("nobody").await.unwrap();
    service.close_user_connections("nobody").await.unwrap();
    service
        .remove_connection_from_all_groups("nobody")
        .await
        .unwrap();
    service.remove_user_from_all_groups("nobody").await.unwrap();
    service
        .revoke_permission("nobody", Permission::SendToGroup, "room")
        .await
        .unwrap();
    room.remove_connection("nobody").await.unwrap();
    room.remove_user("nobody").await.unwrap();
    room.close_all_connections().await.unwrap();
}

#[tokio::test]
async fn a_bad_filter_is_explained() {
    let world = World::start().await;
    let error = world
        .service
        .send_to_all("x")
        .filter("invalid filter")
        .await
        .unwrap_err();
    assert_refused(&error, 400, "Error.BadRequest", Some("filter"));
    assert!(
        error
            .to_string()
            .contains("Invalid syntax for 'invalid filter'"),
        "{error}"
    );
}

#[tokio::test]
async fn out_of_range_pages_are_refused() {
    let world = World::start().await;
    let listing = world
        .service
        .group("room")
        .list_connections()
        .page_size(201);
    let error = listing.into_stream().try_next().await.unwrap_err();
    let reason = error.service_error().unwrap();
    assert_eq!(u16::from(reason.status()), 400, "{error}");
    assert_eq!(reason.code(), "Error.BadRequest");
}

#[tokio::test]
async fn another_key_is_refused_and_not_quoted() {
    let world = World::start().await;
    let key = "bm90IHRoZSBrZXkgb2YgdGhlIGVtdWxhdG9yISEhISE=";
    let stranger = WebPubSubServiceClient::with_access_key(
        world.emulator.endpoint(),
        AccessKey::new(key),
        "chat",
        None,
    )
    .unwrap();
    let error = stranger.send_to_all("x").await.unwrap_err();
    let reason = error.service_error().unwrap();
    assert_eq!(u16::from(reason.status()), 401);
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("check that the access key"), "{shown}");
    assert!(!shown.contains(key) && !shown.contains("eyJ"), "{shown}");
}
