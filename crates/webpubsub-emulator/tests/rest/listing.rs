//! Listing the members of a group, page by page.

use serde_json::Value;
use webpubsub_protocol::access::ClientTokenOptions;

use crate::rest::{BAD_REQUEST, assert_error};
use crate::support::{Client, World, encode};

const LIST: &str = "/api/hubs/chat/groups/room/connections";

async fn six_members(world: &World, group: &str) -> (Vec<Client>, Vec<String>) {
    let mut clients = Vec::new();
    for n in 0..6 {
        let options = ClientTokenOptions::default().group(group);
        let options = if n == 0 {
            options
        } else {
            options.user_id(format!("user-{n}"))
        };
        clients.push(world.client("chat", options).await);
    }
    let mut ids: Vec<_> = clients.iter().map(|client| client.id.clone()).collect();
    ids.sort_unstable();
    (clients, ids)
}

/// The ids on each page, following the links.
async fn pages(world: &World, first: &str) -> Vec<Vec<String>> {
    let mut target = first.to_owned();
    let mut pages = Vec::new();
    loop {
        let reply = world.call("GET", &target).send().await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let page = reply.json();
        pages.push(ids(&page));
        match next_target(world, &page) {
            Some(next) => target = next,
            None => return pages,
        }
    }
}

fn ids(page: &Value) -> Vec<String> {
    let members = page["value"].as_array().expect("a list");
    members
        .iter()
        .map(|member| member["connectionId"].as_str().expect("an id").to_owned())
        .collect()
}

/// The target of the link to the next page, which is absolute and names the same host.
fn next_target(world: &World, page: &Value) -> Option<String> {
    let link = page["nextLink"].as_str()?;
    let target = link.strip_prefix(&world.url(""));
    assert!(target.is_some(), "{link}");
    target.map(str::to_owned)
}

#[tokio::test]
async fn pages_have_the_size_that_is_asked_for() {
    let world = World::start().await;
    let (_clients, ids) = six_members(&world, "room").await;
    for (query, sizes) in [
        ("", &[6][..]),
        ("?maxpagesize=2", &[2, 2, 2]),
        ("?maxpagesize=4", &[4, 2]),
        ("?maxpagesize=6", &[6]),
        ("?maxpagesize=200", &[6]),
        ("?maxpagesize=2&top=5", &[2, 2, 1]),
        ("?maxpagesize=2&top=4", &[2, 2]),
        ("?top=3", &[3]),
        ("?top=6", &[6]),
        ("?top=2147483647&maxpagesize=5", &[5, 1]),
        ("?maxpagesize=1&top=1", &[1]),
    ] {
        let pages = pages(&world, &format!("{LIST}{query}")).await;
        assert_eq!(
            pages.iter().map(Vec::len).collect::<Vec<_>>(),
            sizes,
            "{query}"
        );
        let found = pages.concat();
        assert_eq!(
            found,
            ids[..found.len()],
            "ascending, nobody twice: {query}"
        );
    }
}

#[tokio::test]
async fn members_are_written_with_and_without_a_user() {
    let world = World::start().await;
    let (clients, _) = six_members(&world, "room").await;
    let page = world.call("GET", LIST).send().await;
    let text = page.text();
    let anonymous = format!(r#"{{"connectionId":"{}","userId":null}}"#, clients[0].id);
    let named = format!(
        r#"{{"connectionId":"{}","userId":"user-1"}}"#,
        clients[1].id
    );
    assert!(text.contains(&anonymous) && text.contains(&named), "{text}");
    assert!(
        text.starts_with(r#"{"value":["#) && text.ends_with(r#"],"nextLink":null}"#),
        "{text}"
    );
    for target in [
        "/api/hubs/chat/groups/none/connections",
        "/api/hubs/unused/groups/room/connections",
    ] {
        let reply = world.call("GET", target).send().await;
        assert_eq!(
            (reply.status, reply.text()),
            (200, r#"{"value":[],"nextLink":null}"#)
        );
    }
}

#[tokio::test]
async fn links_carry_what_is_left_to_do() {
    let world = World::start().await;
    let (_clients, _) = six_members(&world, "room").await;
    let first = format!("{LIST}?api-version=2021-10-01&top=5&maxpagesize=2");
    let link = next_target(&world, &world.call("GET", &first).send().await.json()).unwrap();
    let (path, query) = link.split_once('?').unwrap();
    assert_eq!(path, LIST);
    let start = "api-version=2024-12-01&maxpagesize=2&continuationToken=";
    assert!(
        query.starts_with(start) && query.ends_with("&top=3"),
        "{query}"
    );
    // The bare path serves as audience too, for all pages.
    let token = world.token_for(LIST);
    assert_eq!(
        world.call("GET", &link).token(token).send().await.status,
        200
    );
    assert_eq!(world.call("GET", &link).no_token().send().await.status, 401);
}

#[tokio::test]
async fn links_lead_on_whatever_the_group_is_called() {
    let world = World::start().await;
    for (group, encoded) in [
        ("a b&c=d?#é%41", encode("a b&c=d?#é%41")),
        ("a%2Fb", "a%2Fb".to_owned()),
        ("100%", "100%25".to_owned()),
        ("'()*!~", "'()*!~".to_owned()),
    ] {
        let (_clients, ids) = six_members(&world, group).await;
        let target = format!("/api/hubs/CHAT/groups/{encoded}/connections?maxpagesize=4");
        assert_eq!(pages(&world, &target).await.concat(), ids, "{group}");
    }
    let lenient = World::with(|builder| builder.decode_slashes(true)).await;
    let (_clients, ids) = six_members(&lenient, "a/b").await;
    let target = "/api/hubs/chat/groups/a%2Fb/connections?maxpagesize=4";
    assert_eq!(pages(&lenient, target).await.concat(), ids);
}

#[tokio::test]
async fn links_name_the_public_endpoint_that_was_used() {
    let world =
        World::with(|builder| builder.public_endpoint("https://gateway.example/pubsub")).await;
    let (_clients, _) = six_members(&world, "room").await;
    let target = format!("{LIST}?maxpagesize=5");
    let audience = format!("https://gateway.example/pubsub{LIST}");
    let token = world.token(&audience, std::time::Duration::from_secs(60));
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: gateway.example\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    let reply = crate::support::http::exchange(world.address, request.as_bytes())
        .await
        .unwrap();
    let link = reply.json()["nextLink"].as_str().unwrap().to_owned();
    assert!(
        link.starts_with(&format!("{audience}?api-version=")),
        "{link}"
    );
}

#[tokio::test]
async fn members_that_leave_shift_nothing() {
    let world = World::start().await;
    let (_clients, ids) = six_members(&world, "room").await;
    let first = world
        .call("GET", &format!("{LIST}?maxpagesize=3"))
        .send()
        .await
        .json();
    for id in [&ids[0], &ids[2], &ids[4]] {
        let target = format!("/api/hubs/chat/groups/room/connections/{id}");
        assert_eq!(world.call("DELETE", &target).send().await.status, 204);
    }
    let rest = pages(&world, &next_target(&world, &first).unwrap()).await;
    assert_eq!(rest.concat(), [ids[3].clone(), ids[5].clone()]);
}

#[tokio::test]
async fn foreign_and_altered_tokens_are_refused() {
    let world = World::start().await;
    let (_clients, _) = six_members(&world, "room").await;
    let page = world
        .call("GET", &format!("{LIST}?maxpagesize=2"))
        .send()
        .await
        .json();
    let link = next_target(&world, &page).unwrap();
    let token = link.rsplit_once("continuationToken=").unwrap().1;
    assert!(token.len() <= 2048 && !token.contains('%'), "{token}");
    assert_eq!(
        world
            .call(
                "GET",
                &format!("/api/hubs/CHAT/groups/room/connections?continuationToken={token}")
            )
            .send()
            .await
            .status,
        200
    );
    let other_hub = format!("/api/hubs/other/groups/room/connections?continuationToken={token}");
    let other_group = format!("/api/hubs/chat/groups/ROOM/connections?continuationToken={token}");
    let last = if token.ends_with('A') { 'B' } else { 'A' };
    let altered = format!(
        "{LIST}?continuationToken={}{last}",
        &token[..token.len() - 1]
    );
    let first = if token.starts_with('A') { 'B' } else { 'A' };
    let resealed = format!("{LIST}?continuationToken={first}{}", &token[1..]);
    let padded = format!("{LIST}?continuationToken={token}=");
    let twice = format!("{LIST}?continuationToken={token}&continuationToken={token}");
    for target in [
        &other_hub,
        &other_group,
        &altered,
        &resealed,
        &padded,
        &twice,
        &format!("{LIST}?continuationToken="),
        &format!("{LIST}?continuationToken=%20"),
        &format!("{LIST}?continuationToken=AAAA"),
        &format!("{LIST}?continuationToken={}", "A".repeat(2048)),
        &format!("{LIST}?continuationToken={}", "A".repeat(2049)),
    ] {
        let reply = world.call("GET", target).send().await;
        assert_error(
            &reply,
            400,
            BAD_REQUEST,
            "continuationToken",
            "Invalid continuationToken.",
        );
    }
}

#[tokio::test]
async fn numbers_out_of_range_are_refused() {
    let world = World::start().await;
    for (name, values) in [
        (
            "maxpagesize",
            &["0", "-1", "201", "", "x", "1.5", "%20"][..],
        ),
        ("top", &["0", "-1", "2147483648", "", "x"]),
    ] {
        let repeated = format!("1&{name}=1");
        for value in values.iter().copied().chain([repeated.as_str()]) {
            let reply = world
                .call("GET", &format!("{LIST}?{name}={value}"))
                .send()
                .await;
            let message = format!("Invalid {name}.");
            assert_error(&reply, 400, BAD_REQUEST, name, &message);
        }
    }
}
