//! Bytes that no SDK would send: always a refusal, never a fault, and others notice nothing.

use std::sync::LazyLock;

use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::support::World;
use crate::support::http::{exchange, exchange_closing};
use crate::support::operations::OPERATIONS;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static WORLD: LazyLock<World> = LazyLock::new(|| RUNTIME.block_on(World::start()));

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9%:._~+-]{0,12}",
        "(%[0-9a-fA-F]{2}){0,6}",
        Just("%".to_owned()),
        Just("%FF%FE".to_owned()),
        Just("%00".to_owned()),
        Just("..".to_owned()),
        Just("a".repeat(2000)),
    ]
}

/// Paths that are nearly those of an operation.
fn target() -> impl Strategy<Value = (&'static str, String)> {
    let query = prop_oneof![
        "[ -~&&[^ #]]{0,40}",
        "(filter|top|maxpagesize|continuationToken|api-version|messageTtlSeconds|excluded|targetName|role|userId|&|=|%|[0-9]){0,12}",
    ];
    (
        0..OPERATIONS.len(),
        prop::collection::vec(segment(), 4),
        query,
    )
        .prop_map(|(index, names, query)| {
            let operation = &OPERATIONS[index];
            let mut names = names.into_iter();
            let segments = operation.path.split('/').map(|segment| {
                if segment == "{hub}" {
                    "chat".to_owned()
                } else if segment.starts_with('{') {
                    names.next().unwrap_or_default()
                } else {
                    segment.to_owned()
                }
            });
            let path = segments.collect::<Vec<_>>().join("/");
            (operation.method, format!("{path}?{query}"))
        })
}

fn body() -> impl Strategy<Value = (String, Vec<u8>)> {
    let kind = prop_oneof![
        Just("text/plain".to_owned()),
        Just("text/plain; charset=utf-16".to_owned()),
        Just("application/json".to_owned()),
        Just("application/x-protobuf".to_owned()),
        "[ -~]{0,30}".prop_map(|text| text.trim().to_owned()),
    ];
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        r#"(\{|\}|\[|\]|"|,|:|groups|filter|null|1){0,30}"#.prop_map(String::into_bytes),
    ];
    (kind, bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn calls_with_a_token_never_fail_inside((method, target) in target(), (kind, body) in body()) {
        let world = &*WORLD;
        let call = world.call(method, &target).body(&kind, &body);
        let reply = RUNTIME.block_on(call.send());
        prop_assert!(reply.status < 500, "{reply:?}");
    }

    #[test]
    fn requests_never_fail_inside(line in "[ -~]{0,60}", head in "([ -~]{0,30}\r\n){0,4}", rest: Vec<u8>) {
        let mut request = format!("{line}\r\nHost: {}\r\nConnection: close\r\n{head}\r\n", WORLD.address).into_bytes();
        request.extend(rest);
        if let Some(reply) = RUNTIME.block_on(exchange_closing(WORLD.address, &request)) {
            prop_assert!(reply.status < 500 || reply.status == 505, "{reply:?}");
        }
    }
}

#[tokio::test]
async fn others_notice_nothing() {
    let world = World::start().await;
    let mut ana = world.user("chat", "ana", &[]).await;
    for request in [
        &b"\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"POST /api/hubs/chat/:send HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/hubs/chat/:send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /api/hubs/chat/:send HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /api/hubs/\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc",
    ] {
        if let Some(reply) = exchange_closing(world.address, request).await {
            assert!((400..500).contains(&reply.status), "{reply:?}");
        }
    }
    let reply = world
        .call("POST", "/api/hubs/chat/:send")
        .text("still here")
        .send()
        .await;
    assert_eq!(reply.status, 202);
    assert_eq!(ana.data().await, "still here");
    let after = exchange(
        world.address,
        b"HEAD /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(after.await.map(|reply| reply.status), Some(200));
}
