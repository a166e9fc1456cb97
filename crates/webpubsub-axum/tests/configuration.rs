//! Configurations that cannot work.

use crate::support::{bare, chat};
use webpubsub_axum::{BuildError, UserEventRequest, WebPubSubEventHandler};

#[test]
fn mistakes_are_named() {
    let error = |built: Result<WebPubSubEventHandler, BuildError>| built.unwrap_err().to_string();
    let hub = WebPubSubEventHandler::builder("a/b")
        .access_key("key")
        .build();
    assert!(error(hub).starts_with("invalid hub name"));
    assert_eq!(
        chat().path("hooks").build().unwrap_err(),
        BuildError::Path("hooks".into())
    );
    assert_eq!(
        chat().path("/hooks?a=b").build().unwrap_err(),
        BuildError::Path("/hooks?a=b".into())
    );
    assert_eq!(bare().access_key("").build().unwrap_err(), BuildError::Keys);
    assert_eq!(
        bare().access_keys::<&str>([]).build().unwrap_err(),
        BuildError::Keys
    );
    let endpoint = chat().allowed_endpoints(["ftp://a"]).build();
    assert_eq!(
        error(endpoint),
        "`ftp://a` in the allowed endpoints is invalid"
    );
    let twice = chat()
        .on_user_event("order", |_: UserEventRequest| async {})
        .on_user_event("Order", |_: UserEventRequest| async {})
        .build();
    assert_eq!(twice.unwrap_err(), BuildError::TwoHandlers("Order".into()));
    let twice = chat()
        .on_connected(|| async {})
        .on_connected(|| async {})
        .build();
    assert_eq!(
        twice.unwrap_err(),
        BuildError::TwoHandlers("connected".into())
    );
    let name = chat()
        .on_user_event("a b", |_: UserEventRequest| async {})
        .build();
    assert!(error(name).starts_with("invalid event name"));
    assert!(bare::<()>().connection_string("nonsense").is_err());
}

#[test]
fn keys_are_not_shown() {
    let builder = bare::<()>().access_key("private");
    assert!(!format!("{builder:?}").contains("private"));
    let handler = builder.build().unwrap();
    let shown = format!("{handler:?}");
    assert!(
        shown.contains("chat") && !shown.contains("private"),
        "{shown}"
    );
    assert_eq!(
        handler.paths().collect::<Vec<_>>(),
        ["/api/webpubsub/hubs/chat/"]
    );
}
