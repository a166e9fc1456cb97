//! Connections: tokens, existence, closing, permissions; and health.

use std::time::Duration;

use webpubsub::{ClientProtocol, Permission, Role};

use super::world::{Client, World};

#[tokio::test]
async fn a_token_gives_what_it_names() {
    let world = World::start().await;
    let access = world
        .service
        .client_access_token()
        .user_id("ana")
        .role(Role::send_to_group("room").unwrap())
        .group("lobby")
        .lifetime(Duration::from_secs(60))
        .await
        .unwrap();
    let mut ana = Client::connect(access.url()).await;
    assert!(ana.send_to_group("room", 1).await);
    assert!(!ana.send_to_group("lobby", 2).await);

    assert_eq!(world.members("lobby"), [ana.id.as_str()]);
    let state = world.emulator.state();
    let connection = &state.hubs["chat"].connections[ana.id.as_str()];
    assert_eq!(connection.user_id.as_ref().unwrap().as_str(), "ana");
}

#[tokio::test]
async fn each_kind_of_client_has_its_url() {
    let world = World::start().await;
    let table = [
        (ClientProtocol::Default, "client/hubs/chat"),
        (ClientProtocol::Mqtt, "clients/mqtt/hubs/chat"),
        (ClientProtocol::SocketIo, "clients/socketio/hubs/chat"),
    ];
    let endpoint = world.emulator.endpoint().replace("http://", "ws://");
    let endpoint = endpoint.trim_end_matches('/');
    for (protocol, path) in table {
        let access = world
            .service
            .client_access_token()
            .protocol(protocol)
            .await
            .unwrap();
        assert_eq!(access.base_url(), format!("{endpoint}/{path}"));
        let token = access.token().as_str();
        assert_eq!(
            access.url(),
            format!("{endpoint}/{path}?access_token={token}")
        );
    }
}

#[tokio::test]
async fn existence_follows_connections() {
    let world = World::start().await;
    let service = &world.service;
    assert!(!service.connection_exists("nobody").await.unwrap());
    assert!(!service.user_exists("ana").await.unwrap());
    assert!(!service.group_exists("room").await.unwrap());
    let ana = world.connect("ana", &["room"]).await;
    assert!(service.connection_exists(&ana.id).await.unwrap());
    assert!(service.user_exists("ana").await.unwrap());
    assert!(service.group_exists("room").await.unwrap());
    assert!(!service.user_exists("room").await.unwrap());
}

#[tokio::test]
async fn closing_says_why_and_spares_the_excluded() {
    const CLOSED: &str = "Application server closed the connection.";
    let world = World::start().await;
    let service = &world.service;
    let room = service.group("room");
    let why = |reason: &str| format!("{CLOSED} Reason: {reason}");

    let one = world.connect("ana", &[]).await;
    service
        .close_connection(&one.id)
        .reason("one")
        .await
        .unwrap();
    assert_eq!(one.closed().await, why("one"));

    let spared = world.connect("ana", &["room"]).await;
    let of_user = world.connect("ana", &[]).await;
    service
        .close_user_connections("ana")
        .exclude(&spared.id)
        .reason("user & co")
        .await
        .unwrap();
    assert_eq!(of_user.closed().await, why("user & co"));

    let in_group = world.connect("bob", &["room"]).await;
    room.close_all_connections()
        .exclude(&spared.id)
        .reason("group")
        .await
        .unwrap();
    assert_eq!(in_group.closed().await, why("group"));

    let other = world.connect("", &[]).await;
    service
        .close_all_connections()
        .exclude(&spared.id)
        .reason("all")
        .await
        .unwrap();
    assert_eq!(other.closed().await, why("all"));

    assert!(service.connection_exists(&spared.id).await.unwrap());
    service.close_all_connections().await.unwrap();
    assert!(spared.closed().await.starts_with(CLOSED));
    assert_eq!(world.emulator.state().connections("chat"), 0);
}

#[tokio::test]
async fn permissions_hold_until_they_are_revoked() {
    let world = World::start().await;
    let service = &world.service;
    let mut ana = world.connect("ana", &[]).await;
    let connection_id = ana.id.clone();
    let has = async |permission, group: &str| {
        service
            .has_permission(&connection_id, permission, group)
            .await
            .unwrap()
    };
    assert!(!has(Permission::SendToGroup, "room").await);
    service
        .grant_permission(&ana.id, Permission::SendToGroup, "room")
        .await
        .unwrap();
    assert!(has(Permission::SendToGroup, "room").await);
    assert!(!has(Permission::SendToGroup, "other").await);
    assert!(!has(Permission::JoinLeaveGroup, "room").await);
    assert!(ana.send_to_group("room", 1).await);

    service
        .revoke_permission(&ana.id, Permission::SendToGroup, "room")
        .await
        .unwrap();
    assert!(
        !service
            .has_permission(&ana.id, Permission::SendToGroup, "room")
            .await
            .unwrap()
    );
    assert!(!ana.send_to_group("room", 2).await);
}

#[tokio::test]
async fn the_service_is_healthy() {
    World::start().await.service.service_health().await.unwrap();
}
