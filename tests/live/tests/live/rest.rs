//! What servers do, judged by what clients notice.

use std::time::Duration;

use futures_util::StreamExt as _;
use live::{Hub, with_hub, within};
use webpubsub::azure_core::http::StatusCode;
use webpubsub::{Permission, odata, payload};
use webpubsub_client::{Event, Subprotocol, WebPubSubClient};

const JSON: Subprotocol = Subprotocol::Json;

#[test]
fn the_service_is_healthy() {
    with_hub(async |hub: Hub| {
        hub.service.service_health().await.expect("it is healthy");
    });
}

#[test]
fn messages_reach_all_users_connections_and_groups() {
    with_hub(async |hub: Hub| {
        let mut ana = hub.client("ana", JSON).await;
        let mut ben = hub.client("ben", JSON).await;
        ben.client.join_group("room").await.expect("he joins");

        let service = &hub.service;
        service.send_to_all("to all").await.expect("it is taken");
        service
            .send_to_user("ana", "to ana")
            .await
            .expect("it is taken");
        service
            .send_to_connection(ana.id(), "to her connection")
            .await
            .expect("it is taken");
        service
            .group("room")
            .send_to_all("to the room")
            .await
            .expect("it is taken");
        service.send_to_all("end").await.expect("it is taken");

        for expected in ["to all", "to ana", "to her connection", "end"] {
            assert_eq!(ana.text().await, expected);
        }
        for expected in ["to all", "to the room", "end"] {
            assert_eq!(ben.text().await, expected);
        }
    });
}

#[test]
fn payloads_arrive_as_they_were_sent() {
    with_hub(async |hub: Hub| {
        let mut ana = hub.client("ana", JSON).await;
        let service = &hub.service;
        let value = vec!["ä".to_owned(), "\u{1F600}".to_owned()];
        service
            .send_to_all(payload::Json(&value))
            .await
            .expect("it is taken");
        service
            .send_to_all(vec![0_u8, 1, 255])
            .await
            .expect("it is taken");
        let message = |event| match event {
            Event::ServerMessage(message) => Some(message),
            _ => None,
        };
        let json = ana.event("JSON", message).await;
        assert_eq!(json.json::<Vec<String>>().expect("JSON"), value);
        let binary = ana.event("bytes", message).await;
        assert_eq!(binary.bytes(), [0, 1, 255]);
    });
}

#[test]
fn filters_and_exclusions_choose_recipients() {
    with_hub(async |hub: Hub| {
        let mut ana = hub.client("ana", JSON).await;
        let mut neil = hub.client("o'neil", JSON).await;
        neil.client.join_group("vip").await.expect("he joins");

        let all = |text: &'static str| hub.service.send_to_all(text);
        all("not ana").exclude(ana.id()).await.expect("it is taken");
        all("only neil")
            .filter(odata!("userId eq {}", "o'neil"))
            .await
            .expect("it is taken");
        all("the vips")
            .filter("'vip' in groups")
            .await
            .expect("it is taken");
        all("nobody")
            .filter("length(userId) gt 100")
            .await
            .expect("it is taken");
        all("end")
            .ttl(Duration::from_secs(60))
            .await
            .expect("it is taken");

        assert_eq!(ana.text().await, "end");
        for expected in ["not ana", "only neil", "the vips", "end"] {
            assert_eq!(neil.text().await, expected);
        }
        let refused = all("x")
            .filter("userId lt")
            .await
            .expect_err("it is no filter");
        assert_eq!(refused.http_status(), Some(StatusCode::BadRequest));
    });
}

#[test]
fn groups_have_members_and_can_be_listed() {
    with_hub(async |hub: Hub| {
        let service = &hub.service;
        let room = service.group("room 1 ä");
        assert!(!service.group_exists("room 1 ä").await.expect("an answer"));
        let mut clients = Vec::new();
        for user in ["ana", "ben", "eve"] {
            clients.push(hub.client(user, JSON).await);
        }
        room.add_connection(clients[0].id())
            .await
            .expect("she is added");
        room.add_user("ben").await.expect("he is added");
        service
            .add_connections_to_groups(["room 1 ä"], odata!("userId eq {}", "eve"))
            .await
            .expect("she is added");
        assert!(service.group_exists("room 1 ä").await.expect("an answer"));

        let listed: Vec<_> = room
            .list_connections()
            .page_size(2)
            .into_stream()
            .collect()
            .await;
        let mut users: Vec<_> = listed
            .into_iter()
            .map(|member| member.expect("a page").user_id.expect("a user"))
            .collect();
        users.sort();
        assert_eq!(users, ["ana", "ben", "eve"]);

        room.remove_connection(clients[0].id())
            .await
            .expect("she is removed");
        service
            .remove_user_from_all_groups("ben")
            .await
            .expect("he is removed");
        service
            .remove_connections_from_groups(["room 1 ä"], "userId eq 'eve'")
            .await
            .expect("she is removed");
        room.send_to_all("to nobody").await.expect("it is taken");
        service.send_to_all("end").await.expect("it is taken");
        for client in &mut clients {
            assert_eq!(client.text().await, "end");
        }
    });
}

#[test]
fn permissions_are_granted_checked_and_revoked() {
    with_hub(async |hub: Hub| {
        let service = &hub.service;
        let token = service
            .client_access_token()
            .user_id("ana")
            .await
            .expect("a token");
        let client = WebPubSubClient::connect(token.url())
            .await
            .expect("she connects");
        let id = client
            .connection_id()
            .expect("she is connected")
            .to_string();
        let (join, held) = (Permission::JoinLeaveGroup, |permission| {
            service.has_permission(&id, permission, "room")
        });
        assert!(!held(join).await.expect("an answer"));
        client.join_group("room").await.expect_err("she may not");
        service
            .grant_permission(&id, join, "room")
            .await
            .expect("it is granted");
        assert!(held(join).await.expect("an answer"));
        client.join_group("room").await.expect("now she may");
        client
            .send_to_group("room", "x")
            .await
            .expect_err("but not send");
        service
            .revoke_permission(&id, join, "room")
            .await
            .expect("it is revoked");
        assert!(!held(join).await.expect("an answer"));
        client.stop().await;
    });
}

#[test]
fn users_and_connections_exist_until_they_are_closed() {
    with_hub(async |hub: Hub| {
        let service = &hub.service;
        let mut ana = hub.client("ana", JSON).await;
        let id = ana.id();
        assert!(service.user_exists("ana").await.expect("an answer"));
        assert!(service.connection_exists(&id).await.expect("an answer"));
        assert!(!service.user_exists("nobody").await.expect("an answer"));

        service
            .close_connection(&id)
            .reason("bye")
            .await
            .expect("it is closed");
        let left = |event| match event {
            Event::Disconnected { connection_id, .. } => Some(connection_id),
            _ => None,
        };
        assert_eq!(ana.event("the end", left).await, id);
        ana.client.stop().await;
        assert!(!service.connection_exists(&id).await.expect("an answer"));
    });
}

#[test]
fn tokens_carry_groups_and_are_checked() {
    with_hub(async |hub: Hub| {
        let token = hub.service.client_access_token();
        let token = token.user_id("ana").group("room").await.expect("a token");
        let (client, mut events) = WebPubSubClient::connect_with_events(token.url())
            .await
            .expect("she connects");
        hub.service
            .group("room")
            .send_to_all("hello")
            .await
            .expect("it is taken");
        let message = within("the message", async {
            loop {
                if let Some(Event::GroupMessage(message)) = events.next().await {
                    return message;
                }
            }
        });
        assert_eq!(message.await.text(), Some("hello"));
        client.stop().await;

        // Somebody else's signature.
        let mut forged = token.url().to_owned();
        let last = if forged.pop() == Some('A') { 'B' } else { 'A' };
        forged.insert(forged.len() - 1, last);
        WebPubSubClient::connect(forged)
            .await
            .expect_err("she is not let in");
    });
}
