//! The code of the workspace's README, run against the emulator.
//!
//! What stands between `// README` and `// end` is a snippet. A test compares them with the README's Rust blocks: neither
//! side has one that the other lacks. So the README needs no hidden lines, which GitHub would show.

#[cfg(test)]
mod tests {
    use std::error::Error;

    use serde::{Deserialize, Serialize};
    use tokio::{net::TcpListener, sync::mpsc};
    use webpubsub_emulator::{Emulator, EventHandler, HubOptions, SystemEvent};

    type Outcome = Result<(), Box<dyn Error>>;

    const ROLES: [&str; 2] = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];

    #[tokio::test]
    async fn send_from_a_server() -> Outcome {
        #[derive(Serialize)]
        struct News {
            headline: &'static str,
        }

        let emulator = Emulator::start().await?;
        let connection_string = emulator.connection_string();
        let connection_id = "not-this-one";
        let news = News {
            headline: "Rust in space",
        };
        // README
        use webpubsub::{WebPubSubServiceClient, payload};

        let hub = WebPubSubServiceClient::from_connection_string(&connection_string, "chat")?;
        hub.send_to_all("hello, everyone").await?;
        let room = hub.group("room-7");
        room.send_to_all(payload::Json(&news))
            .exclude(connection_id)
            .await?;

        // Hand this to a browser, or to the client below.
        let access = hub
            .client_access_token()
            .user_id("ana")
            .role("webpubsub.joinLeaveGroup.room-7")
            .role("webpubsub.sendToGroup.room-7")
            .await?;
        let access_url = access.url();
        // end
        assert!(access_url.contains("/client/hubs/chat?access_token="));
        emulator.shutdown().await;
        Ok(())
    }

    #[tokio::test]
    async fn talk_in_real_time() -> Outcome {
        let emulator = Emulator::start().await?;
        let access_url = emulator.client_access_url("chat", "ana", &ROLES);
        let (shown, mut seen) = mpsc::unbounded_channel();
        let show = |user: &Option<_>, text: Option<&str>| {
            let user = user.as_ref().map(ToString::to_string);
            let line = (user, text.map(str::to_owned));
            shown.send(line).expect("the test listens");
        };
        let talk = async {
            // README
            use webpubsub_client::{Event, WebPubSubClient};

            let (client, mut events) = WebPubSubClient::connect_with_events(access_url).await?;
            client.join_group("room-7").await?;
            client.send_to_group("room-7", "hello").await?;
            while let Some(event) = events.next().await {
                if let Event::GroupMessage(message) = event {
                    show(&message.from_user_id, message.text());
                }
            }
            // end
            Ok::<(), Box<dyn Error>>(())
        };
        tokio::select! {
            outcome = talk => return Err(format!("the events ended: {outcome:?}").into()),
            line = seen.recv() => {
                assert_eq!(line, Some((Some("ana".to_owned()), Some("hello".to_owned()))));
            }
        }
        Ok(())
    }

    #[tokio::test]
    async fn handle_events() -> Outcome {
        #[derive(Deserialize, Serialize)]
        struct Order {
            item: String,
        }

        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!(
            "http://{}/api/webpubsub/hubs/chat/{{event}}",
            listener.local_addr()?
        );
        let events = EventHandler::url(&url)?
            .user_events("*")?
            .system_events([SystemEvent::Connect]);
        let emulator = Emulator::builder()
            .hub("chat", HubOptions::default().event_handler(events))
            .start()
            .await?;
        let connection_string = emulator.connection_string();
        // README
        use webpubsub_axum::{
            ConnectRequest, ConnectResponse, UserEventRequest, WebPubSubEventHandler,
        };

        let handler = WebPubSubEventHandler::builder("chat")
            .connection_string(&connection_string)?
            .on_connect(
                async |request: ConnectRequest| match request.query("name") {
                    Some(name) => Ok(ConnectResponse::accept().user_id(name)),
                    None => Err(axum::http::StatusCode::UNAUTHORIZED),
                },
            )
            .on_user_event("order", async |order: UserEventRequest<Order>| {
                format!("{} ordered", order.data.item)
            })
            .build()?;
        let app = axum::Router::new().merge(handler.into_router());
        // end
        tokio::spawn(async move { axum::serve(listener, app).await });

        let url = emulator.client_access_url("chat", None, &[]) + "&name=ana";
        let client = webpubsub_client::WebPubSubClient::connect(url).await?;
        let item = "tea".to_owned();
        let answer = client
            .invoke_event("order", webpubsub_client::payload::Json(Order { item }))
            .await?;
        assert_eq!(answer.text(), Some("tea ordered"));
        client.stop().await;
        Ok(())
    }

    #[tokio::test]
    async fn test_with_the_emulator() -> Outcome {
        // README
        use webpubsub::WebPubSubServiceClient;
        use webpubsub_emulator::Emulator;

        let emulator = Emulator::start().await?;
        let connection_string = emulator.connection_string();
        let hub = WebPubSubServiceClient::from_connection_string(&connection_string, "chat")?;
        assert!(!hub.group_exists("room-7").await?);
        // end
        Ok(())
    }

    #[test]
    fn the_readme_shows_what_runs_here() {
        let readme = include_str!("../../../README.md");
        let shown: Vec<&str> = readme
            .split("```rust")
            .skip(1)
            .map(|block| block.split_once("```").expect("the block ends").0)
            .map(|block| block.trim_matches('\n'))
            .collect();
        assert_eq!(shown, snippets(include_str!("lib.rs")));
    }

    /// What stands between the marks, without the indentation of the first line.
    fn snippets(code: &str) -> Vec<String> {
        let mut snippets = Vec::new();
        let mut lines = code.lines();
        while let Some(mark) = lines.find(|line| line.trim() == "// README") {
            let indentation = mark.len() - mark.trim_start().len();
            let snippet: Vec<&str> = lines
                .by_ref()
                .take_while(|line| line.trim() != "// end")
                .map(|line| line.get(indentation..).unwrap_or_default())
                .collect();
            snippets.push(snippet.join("\n"));
        }
        snippets
    }
}
