//! The description, and whether the API keeps to it.

use super::{Admin, schema};

#[tokio::test]
async fn the_description_is_served_and_every_path_in_it_is_routed() {
    let admin = Admin::start().await;
    let served = admin.get("openapi.json").await;
    assert_eq!(served["openapi"], "3.0.3");
    for (method, path, operation) in schema::operations() {
        let path = path.replace(['{', '}'], "");
        let reply = admin
            .call(&method, &format!("{path}?no-such-parameter=1"), "")
            .await;
        assert_eq!(reply.status, 400, "{method} {path}: {}", reply.text());
        assert_eq!(reply.json()["target"], "no-such-parameter", "{operation:#}");
    }
}

#[tokio::test]
async fn the_status_is_as_described() {
    let admin = Admin::start().await;
    let _ana = admin.world.user("chat", "ana", &[]).await;
    let status = admin.get("status").await;
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["counts"]["connectionsOpened"], 1);
    // The upgrade; those who look are not counted.
    assert_eq!(status["counts"]["requests"], 1);
}
