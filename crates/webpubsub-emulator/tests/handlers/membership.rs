//! `joined` and `left`, from every cause.

use serde_json::json;

use super::*;

/// Events as name and group, in the order of their ids.
async fn groups(handler: &mut Handler, count: usize) -> Vec<(String, String)> {
    let seen = handler.events(count).await;
    let told = seen.iter().map(|seen| {
        let group = seen.json()["group"].as_str().unwrap_or_default().to_owned();
        (seen.event().to_owned(), group)
    });
    told.collect()
}

fn told<const N: usize>(events: [(&str, &str); N]) -> Vec<(String, String)> {
    events
        .map(|(event, group)| (event.to_owned(), group.to_owned()))
        .into()
}

#[tokio::test]
async fn every_change_is_told_from_whatever_cause() {
    let mut handler = Handler::new(|seen| match seen.event() {
        "connect" if seen.header("ce-userid") == "answered" => {
            Reply::json(json!({"groups": ["x", "y"]}))
        }
        _ => Reply::ok(),
    });
    let world = world(handler.in_process().system_events(ALL_EVENTS)).await;
    let mut client = world.client("chat", user("u").group("b").group("a")).await;
    assert_eq!(
        groups(&mut handler, 4).await,
        told([
            ("connect", ""),
            ("connected", ""),
            ("joined", "a"),
            ("joined", "b")
        ])
    );

    for (id, frame) in ["joinGroup", "joinGroup", "leaveGroup", "leaveGroup"]
        .into_iter()
        .enumerate()
    {
        client
            .send(&format!(r#"{{"type":"{frame}","group":"f","ackId":{id}}}"#))
            .await;
        assert_eq!(client.json().await["success"], true);
    }
    assert_eq!(
        groups(&mut handler, 2).await,
        told([("joined", "f"), ("left", "f")]),
        "only what changes anything"
    );

    let connection = format!(
        "/api/hubs/chat/groups/r/connections/{}?api-version=2024-12-01",
        client.id
    );
    let of_user = "/api/hubs/chat/users/u/groups?api-version=2024-12-01";
    world.call("PUT", &connection).send().await;
    world.call("DELETE", of_user).send().await;
    assert_eq!(
        groups(&mut handler, 4).await,
        told([("joined", "r"), ("left", "a"), ("left", "b"), ("left", "r")])
    );
    world.call("PUT", &connection).send().await;
    client.close(1000, "").await;
    assert_eq!(
        groups(&mut handler, 3).await,
        told([("joined", "r"), ("left", "r"), ("disconnected", "")])
    );

    let mut answered = world.client("chat", user("answered").group("token")).await;
    answered.close(1000, "").await;
    assert_eq!(
        groups(&mut handler, 7).await,
        told([
            ("connect", ""),
            ("connected", ""),
            ("joined", "x"),
            ("joined", "y"),
            ("left", "x"),
            ("left", "y"),
            ("disconnected", "")
        ])
    );
}

#[tokio::test]
async fn a_presence_event_looks_like_the_others() {
    let mut handler = Handler::silent();
    let world = world(handler.in_process().system_events([SystemEvent::GroupLeft])).await;
    let mut client = world.client("chat", user("u").group("g")).await;
    client.send(r#"{"type":"leaveGroup","group":"g"}"#).await;
    let seen = handler.event("left").await;
    assert_eq!(seen.id(), 2, "what nobody wants to know gets no number");
    for (header, value) in [
        ("ce-type", "azure.webpubsub.gp.left"),
        ("content-type", "application/json"),
        ("ce-userid", "u"),
        ("ce-subprotocol", JSON),
    ] {
        assert_eq!(seen.header(header), value, "{header}");
    }
    assert_eq!(seen.json(), json!({"group": "g"}));
}

#[tokio::test]
async fn other_options_count_from_the_next_event_on() {
    let mut first = Handler::silent();
    let mut second = Handler::silent();
    let world = world(first.in_process().system_events([])).await;
    let mut client = world.client("chat", user("u")).await;
    client
        .send(r#"{"type":"event","event":"a","ackId":1,"data":1}"#)
        .await;
    assert_eq!(client.json().await["success"], true);
    first.event("a").await;

    let events = [SystemEvent::GroupJoined, SystemEvent::Disconnected];
    let handler = second.in_process().system_events(events);
    let options = HubOptions::new().event_handler(handler);
    let chat = "chat".try_into().expect("a name");
    world.emulator.set_hubs([(chat, options)].into());
    client.send(r#"{"type":"joinGroup","group":"g"}"#).await;
    client
        .send(r#"{"type":"event","event":"b","data":1}"#)
        .await;
    second.event("joined").await;
    second.event("b").await;
    client.close(1000, "").await;
    second.event("disconnected").await;
    assert!(first.is_quiet());
}
