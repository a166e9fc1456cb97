//! The handler in axum, tower and hyper.

use std::convert::Infallible;

use crate::support::{Answer, Call, PATH, chat, connect, event, preflight, user_event};
use axum::{Router, body::Body, extract::Request, response::Response, routing::get};
use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower::{Layer as _, Service, ServiceExt as _, service_fn};
use webpubsub_axum::{
    ConnectRequest, ConnectResponse, EventHandler, UserEventRequest, UserEventResponse,
    WebPubSubEventHandler,
};

/// A handler of this hub that names itself.
fn hub(name: &str, path: Option<&str>) -> WebPubSubEventHandler {
    let mut builder = WebPubSubEventHandler::builder(name).access_key(crate::support::KEY);
    if let Some(path) = path {
        builder = builder.path(path);
    }
    let name = name.to_owned();
    let answer = move |_: UserEventRequest| async move { name };
    builder
        .on_any_user_event(answer)
        .build()
        .expect("the configuration is right")
}

fn message() -> Call {
    user_event("message", "text/plain", "hi")
}

async fn ask(app: &Router, call: Call) -> Answer {
    let Ok(response) = app.clone().oneshot(call.request()).await;
    Answer::read(response).await
}

#[tokio::test]
async fn beside_other_routes_it_takes_what_is_its_own() {
    let app = Router::new()
        .route("/", get(|| async { "home" }))
        .merge(hub("chat", None).into_router());
    assert_eq!(ask(&app, message()).await.text(), "chat");
    assert_eq!(
        ask(&app, message().at("/API/webpubsub/HUBS/chat"))
            .await
            .text(),
        "chat"
    );
    assert_eq!(ask(&app, connect().by("GET").at("/")).await.text(), "home");
    assert_eq!(ask(&app, message().at("/other")).await.status, 404);

    let catch_all = Router::new()
        .route("/{*file}", get(|| async { "file" }))
        .merge(hub("chat", None).into_router());
    assert_eq!(ask(&catch_all, message()).await.text(), "chat");
    let odd = hub("chat", Some("/:a/*b/{c}/")).into_router::<()>();
    assert_eq!(ask(&odd, message().at("/:a/*b/%7Bc%7D")).await.status, 404);
    assert_eq!(ask(&odd, message().at("/:a/*B/{c}/d")).await.text(), "chat");
}

#[tokio::test]
async fn nested_paths_fit_with_and_without_their_prefix() {
    for path in ["/hooks/chat", "/chat"] {
        let app = Router::new().nest("/hooks", hub("chat", Some(path)).into_router());
        assert_eq!(
            ask(&app, message().at("/hooks/chat/message")).await.text(),
            "chat",
            "{path}"
        );
        assert_eq!(
            ask(&app, message().at("/hooks/other")).await.status,
            404,
            "{path}"
        );
    }
    // axum's own `nest` does not match the prefix with a slash at its end; its `nest_service` does.
    let handler = hub("chat", Some("/eventhandler"));
    let router = Router::new().nest("/eventhandler", handler.clone().into_router());
    let service = Router::new().nest_service("/eventhandler", handler);
    for (app, path) in [
        (&router, "/eventhandler"),
        (&router, "/eventhandler/message?code=1"),
        (&service, "/eventhandler"),
        (&service, "/eventhandler/"),
        (&service, "/eventhandler/message?code=1"),
    ] {
        assert_eq!(ask(app, message().at(path)).await.text(), "chat", "{path}");
    }
    let default = Router::new().nest("/a", Router::new().nest("/b", hub("chat", None).into()));
    assert_eq!(
        ask(&default, message().at(&format!("/a/b{PATH}")))
            .await
            .text(),
        "chat"
    );
}

#[tokio::test]
async fn a_layer_passes_on_what_is_not_ours() {
    let app = Router::new()
        .route(
            PATH,
            get(|| async { "inner" }).post(|body: String| async { body }),
        )
        .fallback(|| async { (StatusCode::IM_A_TEAPOT, "fallback") })
        .layer(hub("chat", None));
    assert_eq!(ask(&app, message()).await.text(), "chat");
    assert_eq!(
        ask(&app, preflight())
            .await
            .header("webhook-allowed-origin"),
        Some("*")
    );
    for call in [
        message().with("ce-hub", "other"),
        message().without("ce-awpsversion"),
        message().without("webhook-request-origin"),
        message().with("ce-type", "azure.webpubsub.sys.other"),
    ] {
        assert_eq!(ask(&app, call).await.text(), "hi", "the body is untouched");
    }
    assert_eq!(ask(&app, message().by("GET")).await.text(), "inner");
    assert_eq!(
        ask(&app, message().at("/other")).await.status,
        StatusCode::IM_A_TEAPOT
    );
    let refused = ask(&app, message().without("ce-signature")).await;
    assert_eq!(refused.status, 401, "ours, and refused");
}

#[tokio::test]
async fn several_hubs_share_a_path() {
    let path = Some("/eventhandler");
    let both = hub("chat", path)
        .or(hub("news", path))
        .or(hub("alone", None));
    let app = both.clone().into_router();
    let to = |hub: &str| message().at("/eventhandler/message").with("ce-hub", hub);
    assert_eq!(ask(&app, to("chat")).await.text(), "chat");
    assert_eq!(ask(&app, to("News")).await.text(), "news");
    assert_eq!(ask(&app, to("alone")).await.status, 404);
    let default = to("alone").at("/api/webpubsub/hubs/alone");
    assert_eq!(ask(&app, default).await.text(), "alone");
    assert!(ask(&app, to("none")).await.text().contains("ce-hub"));
    assert_eq!(
        ask(&app, preflight().at("/eventhandler/validate"))
            .await
            .status,
        200
    );

    let layers = Router::new()
        .layer(hub("chat", path))
        .layer(hub("news", path));
    assert_eq!(ask(&layers, to("chat")).await.text(), "chat");
    assert_eq!(ask(&layers, to("news")).await.text(), "news");
}

#[tokio::test]
async fn any_body_does() {
    let handler = hub("chat", None);
    let full = message()
        .request()
        .map(|_| Full::new(Bytes::from_static(b"hi")));
    let Ok(answer) = handler.clone().oneshot(full).await;
    assert_eq!(Answer::read(answer).await.text(), "chat");

    // A body of unknown length that breaks off.
    let frames = [
        Ok(http_body::Frame::data(Bytes::from_static(b"h"))),
        Err("broken"),
    ];
    let broken = message()
        .request()
        .map(|_| StreamBody::new(stream::iter(frames)));
    let Ok(answer) = handler.clone().oneshot(broken).await;
    let answer = Answer::read(answer).await;
    assert_eq!(
        (answer.status.as_u16(), answer.text()),
        (400, "the body could not be read to its end")
    );

    // One that never ends is refused at the limit.
    let endless = stream::repeat_with(|| {
        Ok::<_, Infallible>(http_body::Frame::data(Bytes::from_static(&[b'a'; 4096])))
    });
    let endless = message().request().map(|_| StreamBody::new(endless));
    let Ok(answer) = handler.oneshot(endless).await;
    assert_eq!(answer.status(), 413);
}

#[tokio::test]
async fn a_layer_works_over_plain_tower() {
    let inner = service_fn(|request: Request| async move {
        let length = request
            .into_body()
            .collect()
            .await
            .expect("in memory")
            .to_bytes()
            .len();
        Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from(
            length.to_string(),
        ))))
    });
    let mut service = hub("chat", None).layer(inner);
    let ours = service
        .ready()
        .await
        .unwrap()
        .call(message().request())
        .await
        .unwrap();
    assert_eq!(Answer::read(ours).await.text(), "chat");
    let passed = service
        .call(message().with("ce-hub", "x").request())
        .await
        .unwrap();
    assert_eq!(Answer::read(passed).await.text(), "2");
}

/// Answers of a trait.
struct Greeter;

impl EventHandler for Greeter {
    async fn connect(&self, client: ConnectRequest) -> ConnectResponse {
        match client.query("name") {
            Some(name) => ConnectResponse::accept().user_id(name),
            None => ConnectResponse::fail(StatusCode::UNAUTHORIZED, "no name"),
        }
    }

    async fn user_event(&self, event: UserEventRequest) -> UserEventResponse {
        UserEventResponse::success(format!("{} bytes", event.data.as_bytes().len()))
    }
}

#[tokio::test]
async fn a_trait_takes_all_events() {
    let typed = |_: UserEventRequest<String>| async { "typed" };
    let handler = chat()
        .event_handler(Greeter)
        .on_user_event("typed", typed)
        .build()
        .unwrap();
    let named = event(
        "azure.webpubsub.sys.connect",
        r#"{"query":{"name":["ana"]}}"#,
    );
    assert_eq!(named.to(&handler).await.text(), r#"{"userId":"ana"}"#);
    assert_eq!(connect().to(&handler).await.seen(), (401, None, "no name"));
    assert_eq!(message().to(&handler).await.text(), "2 bytes");
    assert_eq!(
        user_event("typed", "text/plain", "")
            .to(&handler)
            .await
            .text(),
        "typed"
    );
    for unblocking in ["sys.connected", "sys.disconnected", "gp.joined", "gp.left"] {
        let call = event(&format!("azure.webpubsub.{unblocking}"), r#"{"group":"g"}"#);
        assert_eq!(
            call.to(&handler).await.seen(),
            (200, None, ""),
            "{unblocking}"
        );
    }
    handler.shutdown().await;
}

#[tokio::test]
async fn plain_hyper_serves_it() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(hub("chat", None));
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(socket), service);
        connection.await.unwrap();
    });
    let call = message()
        .with("content-length", "2")
        .with("host", "localhost");
    let mut request = format!(
        "{} {} HTTP/1.1\r\nconnection: close\r\n",
        call.method, call.path
    )
    .into_bytes();
    for (name, value) in &call.headers {
        // The spelling of the documentation: case does not count.
        request.extend(name.to_uppercase().into_bytes());
        request.extend(b": ");
        request.extend(value);
        request.extend(b"\r\n");
    }
    request.extend(b"\r\nhi");
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    socket.write_all(&request).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    server.await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(
        head.contains("content-type: text/plain; charset=utf-8"),
        "{head}"
    );
    assert_eq!(body, "chat");
}

#[tokio::test]
async fn the_error_stands_in_the_extensions_for_middleware() {
    let app = hub("chat", None)
        .into_router()
        .layer(axum::middleware::map_response(
            |mut response: Response<Body>| async {
                let rejection = response.extensions().get::<webpubsub_axum::Rejection>();
                let shown = format!("{rejection:?}");
                response
                    .headers_mut()
                    .insert("x-rejection", shown.try_into().expect("ASCII"));
                response
            },
        ));
    let answer = ask(&app, message().without("ce-signature")).await;
    assert_eq!(
        answer.header("x-rejection"),
        Some("Some(Signature(Missing))")
    );
}
