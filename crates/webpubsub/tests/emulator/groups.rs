//! Membership of groups, and listing it.

use std::collections::BTreeMap;

use futures_util::TryStreamExt as _;
use webpubsub::GroupConnection;

use super::world::{Client, World};

fn sorted(clients: &[&Client]) -> Vec<String> {
    let mut ids: Vec<_> = clients.iter().map(|client| client.id.clone()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn connections_and_users_come_and_go() {
    let world = World::start().await;
    let service = &world.service;
    let (room, other) = (service.group("room"), service.group("other"));
    let phone = world.connect("ana", &[]).await;
    let laptop = world.connect("ana", &[]).await;
    let bob = world.connect("bob", &[]).await;

    room.add_connection(&bob.id).await.unwrap();
    assert_eq!(world.members("room"), [bob.id.as_str()]);
    room.add_user("ana").await.unwrap();
    other.add_user("ana").await.unwrap();
    assert_eq!(world.members("room"), sorted(&[&phone, &laptop, &bob]));
    room.remove_connection(&bob.id).await.unwrap();
    assert_eq!(world.members("room"), sorted(&[&phone, &laptop]));
    room.remove_user("ana").await.unwrap();
    assert!(world.members("room").is_empty());
    assert_eq!(world.members("other"), sorted(&[&phone, &laptop]));

    room.add_user("ana").await.unwrap();
    service
        .remove_connection_from_all_groups(&phone.id)
        .await
        .unwrap();
    assert_eq!(world.members("room"), [laptop.id.as_str()]);
    assert_eq!(world.members("other"), [laptop.id.as_str()]);
    service.remove_user_from_all_groups("ana").await.unwrap();
    assert!(world.members("room").is_empty() && world.members("other").is_empty());
}

#[tokio::test]
async fn filtered_connections_join_and_leave_many_groups() {
    let world = World::start().await;
    let service = &world.service;
    let ana = world.connect("ana", &[]).await;
    let bob = world.connect("bob", &[]).await;
    let nobody = world.connect("", &[]).await;

    service
        .add_connections_to_groups(["a", "b"], "userId ne null")
        .await
        .unwrap();
    assert_eq!(world.members("a"), sorted(&[&ana, &bob]));
    assert_eq!(world.members("b"), sorted(&[&ana, &bob]));
    service
        .remove_connections_from_groups(["a", "b"], "userId eq 'ana'")
        .await
        .unwrap();
    assert_eq!(world.members("a"), [bob.id.as_str()]);
    assert_eq!(world.members("b"), [bob.id.as_str()]);
    assert!(service.connection_exists(&nobody.id).await.unwrap());
}

#[tokio::test]
async fn members_are_listed_over_pages() {
    let world = World::start().await;
    // A name that needs escaping, in the path and in the links of pages.
    let name = "room é & 7?";
    let mut users = BTreeMap::new();
    let mut clients = Vec::new();
    for n in 0..7 {
        let user = if n == 0 {
            String::new()
        } else {
            format!("user-{n}")
        };
        let client = world.connect(&user, &[name]).await;
        users.insert(client.id.clone(), (n > 0).then_some(user));
        clients.push(client);
    }
    let room = world.service.group(name);
    let expected: Vec<_> = users.keys().cloned().collect();
    let ids = |list: &[GroupConnection]| -> Vec<_> {
        list.iter().map(|one| one.connection_id.clone()).collect()
    };

    let all: Vec<_> = room
        .list_connections()
        .page_size(3)
        .into_stream()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(ids(&all), expected);
    for one in &all {
        assert_eq!(one.user_id, users[&one.connection_id]);
    }

    let pages: Vec<_> = room
        .list_connections()
        .page_size(3)
        .into_pages()
        .try_collect()
        .await
        .unwrap();
    let sizes: Vec<_> = pages.iter().map(|page| page.connections.len()).collect();
    assert_eq!(sizes, [3, 3, 1]);
    let last = pages.last().unwrap();
    assert_eq!(last.continuation_token, None);

    let token = pages[0].continuation_token.clone().unwrap();
    let rest: Vec<_> = room
        .list_connections()
        .continuation_token(token)
        .into_stream()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(ids(&rest), expected[3..]);

    let some: Vec<_> = room
        .list_connections()
        .top(5)
        .page_size(2)
        .into_stream()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(ids(&some), expected[..5]);

    let none: Vec<_> = world
        .service
        .group("empty")
        .list_connections()
        .into_stream()
        .try_collect()
        .await
        .unwrap();
    assert!(none.is_empty());
}
