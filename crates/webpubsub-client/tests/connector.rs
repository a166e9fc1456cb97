//! The WebSocket connector on its own: TLS, proxies, and what it makes of answers that are no WebSocket. With whichever
//! feature encrypts: CONTRIBUTING.md has the commands for all of them.

#![cfg(any(feature = "rustls", feature = "native-tls"))]
#![allow(clippy::expect_used, reason = "helpers of tests")]

use std::env;
use std::net::SocketAddr;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use webpubsub_client::connector::{
    Connector as _, Dial, WebSocketConnectorBuilder, WebSocketTransport,
};
use webpubsub_client::{DialFailure, Subprotocol, WebPubSubClient, WebSocketConnector};
use webpubsub_emulator::Emulator;
use webpubsub_protocol::access::{ClientTokenOptions, ConnectionString, sign_client_token};
use webpubsub_protocol::session::WireFrame;

const JSON: &str = "json.webpubsub.azure.v1";

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    (listener, port)
}

fn direct() -> WebSocketConnector {
    WebSocketConnector::builder()
        .no_proxy()
        .build()
        .expect("a connector")
}

async fn dial(
    connector: &WebSocketConnector,
    url: &str,
) -> Result<WebSocketTransport, DialFailure> {
    connector
        .connect(Dial::new(url.parse().expect("a URL"), JSON, 1 << 20))
        .await
}

/// A server that reads one request and answers with these bytes.
async fn answering(answer: &'static str) -> String {
    let (listener, port) = listener().await;
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a client");
        let mut request = [0; 4096];
        let _ = socket.read(&mut request).await;
        let _ = socket.write_all(answer.as_bytes()).await;
    });
    format!("ws://127.0.0.1:{port}/client/hubs/chat?access_token=the-token")
}

/// A WebSocket server that speaks the subprotocol and runs `script`.
async fn serving<F: Future<Output = ()> + Send>(
    script: impl FnOnce(tokio_tungstenite::WebSocketStream<TcpStream>) -> F + Send + 'static,
) -> String {
    use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
    let (listener, port) = listener().await;
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.expect("a client");
        #[expect(
            clippy::result_large_err,
            reason = "the callback's type is tungstenite's"
        )]
        let choose = |_: &Request, mut response: Response| {
            response
                .headers_mut()
                .insert("sec-websocket-protocol", JSON.parse().expect("a value"));
            Ok(response)
        };
        let socket = tokio_tungstenite::accept_hdr_async(socket, choose)
            .await
            .expect("upgraded");
        script(socket).await;
    });
    format!("ws://127.0.0.1:{port}/client/hubs/chat?access_token=the-token")
}

#[tokio::test]
async fn refusals_are_told_with_status_delay_and_text_but_without_the_token() {
    let busy = "HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 9\r\n\r\ntoo busy.";
    let failure = dial(&direct(), &answering(busy).await)
        .await
        .expect_err("refused");
    let DialFailure::Refused {
        status,
        retry_after,
        body,
    } = &failure
    else {
        panic!("{failure:?}");
    };
    assert_eq!(
        (*status, *retry_after, body.as_str()),
        (503, Some(Duration::from_secs(7)), "too busy.")
    );
    assert_eq!(
        failure.to_string(),
        "the service refused the connection with HTTP status 503: too busy."
    );

    for (answer, expected) in [
        ("nonsense\r\n\r\n", "the network failed"),
        ("", "the network failed"),
        (
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "status 404",
        ),
        (
            "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n",
            "status 302",
        ),
    ] {
        let failure = dial(&direct(), &answering(answer).await)
            .await
            .expect_err("refused");
        let text = format!("{failure} {failure:?}");
        assert!(
            text.contains(expected) && !text.contains("the-token"),
            "{text}"
        );
    }
    let (closed, port) = listener().await;
    drop(closed);
    let failure = dial(&direct(), &format!("ws://127.0.0.1:{port}/"))
        .await
        .expect_err("nobody listens");
    assert!(matches!(failure, DialFailure::Network(_)));
}

// req: C-1-1
#[tokio::test]
async fn a_service_that_does_not_name_the_subprotocol_is_no_use() {
    let (listener, port) = listener().await;
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.expect("a client");
        let _ = tokio_tungstenite::accept_async(socket).await;
    });
    let failure = dial(&direct(), &format!("ws://127.0.0.1:{port}/"))
        .await
        .expect_err("no subprotocol");
    assert!(matches!(failure, DialFailure::Subprotocol(name) if name == JSON));
}

#[tokio::test]
async fn messages_pings_and_closes_pass() {
    let (answered, pong) = oneshot::channel();
    let (echoed, echo) = oneshot::channel();
    let url = serving(move |mut socket| async move {
        socket
            .send(Message::Ping(Bytes::from_static(b"?")))
            .await
            .expect("sent");
        socket.send("text".into()).await.expect("sent");
        socket
            .send(Message::Binary(Bytes::from_static(b"bytes")))
            .await
            .expect("sent");
        let pong = socket.next().await.expect("a pong").expect("a pong");
        answered.send(pong).expect("the test waits");
        let frame = CloseFrame {
            code: 1008.into(),
            reason: "no more".into(),
        };
        socket.close(Some(frame)).await.expect("closed");
        let answer = socket.next().await.expect("an answer").expect("an answer");
        echoed.send(answer).expect("the test waits");
    })
    .await;
    let mut transport = dial(&direct(), &url).await.expect("open");
    let first = transport.next().await.expect("a frame").expect("a frame");
    assert_eq!(first, WireFrame::Text("text".into()));
    let second = transport.next().await.expect("a frame").expect("a frame");
    assert_eq!(second, WireFrame::Binary(Bytes::from_static(b"bytes")));
    let closure = transport
        .next()
        .await
        .expect("a close")
        .expect_err("a close");
    assert_eq!(
        (closure.code, closure.reason.as_str()),
        (Some(1008), "no more")
    );
    // As the driver does.
    drop(transport);
    let Message::Close(Some(frame)) = echo.await.expect("the close frame is answered") else {
        panic!("not a close frame");
    };
    assert_eq!(u16::from(frame.code), 1008);
    assert_eq!(
        pong.await.expect("answered"),
        Message::Pong(Bytes::from_static(b"?"))
    );
}

/// A socket that takes no bytes cannot take the answer to a close frame either.
#[tokio::test]
async fn the_answer_to_a_close_frame_has_a_limit_in_time() {
    let (finished, finish) = oneshot::channel::<()>();
    let url = serving(move |mut socket| async move {
        let frame = CloseFrame {
            code: 1008.into(),
            reason: "slow".into(),
        };
        // Nothing is read from here on, so what the client writes stays where it is.
        socket.close(Some(frame)).await.expect("closed");
        let _ = finish.await;
    })
    .await;
    let mut transport = dial(&direct(), &url).await.expect("open");
    let data = WireFrame::Binary(vec![0; 1 << 20].into());
    loop {
        let ready = std::future::poll_fn(|cx| transport.poll_ready_unpin(cx));
        if tokio::time::timeout(Duration::from_millis(200), ready)
            .await
            .is_err()
        {
            break;
        }
        transport.start_send_unpin(data.clone()).expect("queued");
    }
    let closure = transport
        .next()
        .await
        .expect("an end")
        .expect_err("a close");
    assert_eq!(closure.code, Some(1008));
    drop(finished);
}

#[tokio::test]
async fn a_message_that_is_too_large_ends_the_socket() {
    let url = serving(|mut socket| async move {
        // The client hangs up before all of it was taken.
        let _ = socket
            .send(Message::Binary(vec![0; (1 << 20) + 1].into()))
            .await;
        let _ = socket.next().await;
    })
    .await;
    let mut transport = dial(&direct(), &url).await.expect("open");
    let closure = transport
        .next()
        .await
        .expect("an end")
        .expect_err("too large");
    assert_eq!(closure.code, None);
    assert!(closure.error.expect("the reason").contains("too long"));
}

/// What a server on `localhost` needs, and the certificate that its clients must trust.
fn certified() -> (TlsAcceptor, CertificateDer<'static>) {
    let certified =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = certified.cert.der().clone();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("a configuration");
    (TlsAcceptor::from(Arc::new(config)), certificate)
}

/// A connector that trusts this certificate.
#[cfg(feature = "rustls")]
fn trusting(certificate: CertificateDer<'static>) -> WebSocketConnectorBuilder {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).expect("a root");
    WebSocketConnector::builder().root_certificates(roots)
}

/// A connector that trusts this certificate.
#[cfg(not(feature = "rustls"))]
fn trusting(certificate: CertificateDer<'static>) -> WebSocketConnectorBuilder {
    use webpubsub_client::native_tls::{Certificate, TlsConnector};
    let certificate = Certificate::from_der(&certificate).expect("a certificate");
    let mut tls = TlsConnector::builder();
    tls.add_root_certificate(certificate);
    WebSocketConnector::builder().native_tls(tls.build().expect("settings"))
}

/// The emulator behind TLS on `localhost`, a URL to it, and the certificate to trust.
async fn encrypted(
    emulator: &Emulator,
    listener: TcpListener,
) -> (String, CertificateDer<'static>) {
    let (acceptor, certificate) = certified();
    let port = listener.local_addr().expect("bound").port();
    let target = emulator.addresses()[0];
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut socket) = acceptor.accept(socket).await else {
                    return;
                };
                let mut service = TcpStream::connect(target).await.expect("the emulator");
                let _ = copy_bidirectional(&mut socket, &mut service).await;
            });
        }
    });
    let connection: ConnectionString = emulator.connection_string().parse().expect("its own");
    let endpoint = format!("https://localhost:{port}").parse().expect("a URL");
    let options = ClientTokenOptions::default();
    let now = std::time::SystemTime::now();
    let token = sign_client_token(&endpoint, "chat", connection.access_key(), &options, now);
    (token.url().to_owned(), certificate)
}

#[tokio::test]
async fn wss_needs_a_certificate_that_is_trusted() {
    let (listener, port) = listener().await;
    let emulator = Emulator::builder()
        .public_endpoint(format!("https://localhost:{port}"))
        .start()
        .await;
    let emulator = emulator.expect("an emulator");
    let (url, certificate) = encrypted(&emulator, listener).await;
    assert!(url.starts_with("wss://localhost:"));

    let trusting = trusting(certificate).no_proxy().build();
    let client = WebPubSubClient::builder(url.as_str())
        .protocol(Subprotocol::Json)
        .connector(trusting.expect("a connector"))
        .connect()
        .await
        .expect("connected");
    assert!(client.connection_id().is_some());

    let failure = dial(&direct(), &url)
        .await
        .expect_err("nobody vouches for it");
    let DialFailure::Network(text) = &failure else {
        panic!("{failure:?}");
    };
    assert!(text.contains("certificate"), "{text}");
}

/// A proxy for one tunnel, whatever host is asked for. It tells what it was asked.
async fn tunnelling(service: SocketAddr) -> (u16, oneshot::Receiver<String>) {
    let (listener, port) = listener().await;
    let (asked, request) = oneshot::channel();
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.expect("a client");
        tunnel(client, service, asked).await;
    });
    (port, request)
}

async fn tunnel(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    service: SocketAddr,
    asked: oneshot::Sender<String>,
) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(client.read_u8().await.expect("a request"));
    }
    let request = String::from_utf8(request).expect("text");
    asked.send(request).expect("the test waits");
    let mut service = TcpStream::connect(service).await.expect("the emulator");
    client
        .write_all(b"HTTP/1.1 200 OK\r\n\r\n")
        .await
        .expect("answered");
    let _ = copy_bidirectional(&mut client, &mut service).await;
}

#[tokio::test]
async fn a_proxy_behind_tls_is_asked_for_a_tunnel_when_its_certificate_is_trusted() {
    let emulator = Emulator::start().await.expect("an emulator");
    let service = emulator.addresses()[0];
    let url = emulator.client_access_url("chat", "ana", &[]);
    let (acceptor, certificate) = certified();
    let (listener, port) = listener().await;
    let proxy = format!("https://localhost:{port}");
    let (asked, request) = oneshot::channel();
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.expect("a client");
        let refused = acceptor.accept(client).await;
        assert!(refused.is_err(), "the client does not trust the proxy");
        let (client, _) = listener.accept().await.expect("a client");
        let client = acceptor.accept(client).await.expect("encrypted");
        tunnel(client, service, asked).await;
    });

    let suspicious = WebSocketConnector::builder().proxy(&proxy).build();
    let failure = dial(&suspicious.expect("a connector"), &url)
        .await
        .expect_err("nobody vouches for the proxy");
    let text = failure.to_string();
    assert!(text.contains("certificate"), "{text}");

    let connector = trusting(certificate).proxy(&proxy).build();
    let client = WebPubSubClient::builder(url)
        .connector(connector.expect("a connector"))
        .connect()
        .await
        .expect("connected");
    assert_eq!(client.user_id().as_deref(), Some("ana"));
    let request = request.await.expect("asked");
    assert!(
        request.starts_with(&format!("CONNECT {service} HTTP/1.1\r\n")),
        "{request}"
    );
    assert!(!request.contains("access_token"), "{request}");
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_tunnel_with_its_password() {
    let emulator = Emulator::start().await.expect("an emulator");
    let (port, request) = tunnelling(emulator.addresses()[0]).await;
    let proxy = format!("http://ana:open%20sesame@127.0.0.1:{port}");
    let connector = WebSocketConnector::builder()
        .proxy(&proxy)
        .build()
        .expect("a connector");
    let url = emulator.client_access_url("chat", "ana", &[]);
    let client = WebPubSubClient::builder(url)
        .connector(connector)
        .connect()
        .await
        .expect("connected");
    assert_eq!(client.user_id().as_deref(), Some("ana"));
    let request = request.await.expect("asked");
    let target = emulator.addresses()[0];
    assert!(
        request.starts_with(&format!("CONNECT {target} HTTP/1.1\r\n")),
        "{request}"
    );
    assert!(
        request
            .to_lowercase()
            .contains("proxy-authorization: basic "),
        "{request}"
    );
    assert!(!request.contains("access_token"), "{request}");

    let refusing = answering("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
    let refusing = refusing.replace("ws://", "http://");
    let refusing = refusing.split("/client").next().expect("a host");
    let connector = WebSocketConnector::builder()
        .proxy(refusing)
        .build()
        .expect("a connector");
    let failure = dial(&connector, "ws://service.test/client/hubs/chat")
        .await
        .expect_err("no tunnel");
    assert!(matches!(failure, DialFailure::Network(_)), "{failure:?}");
}

/// A SOCKS proxy that wants a password and serves one tunnel. It tells which host it was asked for.
async fn socks(service: SocketAddr) -> (u16, oneshot::Receiver<String>) {
    let (listener, port) = listener().await;
    let (asked, request) = oneshot::channel();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.expect("a client");
        let mut offer = [0; 3];
        client.read_exact(&mut offer).await.expect("an offer");
        assert_eq!(offer, [5, 1, 2], "a password is offered");
        client.write_all(&[5, 2]).await.expect("answered");
        let mut credentials = vec![0; "..ana.sesame".len()];
        client
            .read_exact(&mut credentials)
            .await
            .expect("a password");
        assert_eq!(credentials, b"\x01\x03ana\x06sesame");
        client.write_all(&[1, 0]).await.expect("answered");
        let mut head = [0; 4];
        client.read_exact(&mut head).await.expect("a request");
        let host = match head[3] {
            1 => {
                let mut address = [0; 4];
                client.read_exact(&mut address).await.expect("an address");
                std::net::Ipv4Addr::from(address).to_string()
            }
            _ => {
                let mut name = vec![0; client.read_u8().await.expect("a length").into()];
                client.read_exact(&mut name).await.expect("a name");
                String::from_utf8(name).expect("text")
            }
        };
        let target = client.read_u16().await.expect("a port");
        asked
            .send(format!("{host}:{target}"))
            .expect("the test waits");
        let answer = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        client.write_all(&answer).await.expect("answered");
        let mut service = TcpStream::connect(service).await.expect("the emulator");
        let _ = copy_bidirectional(&mut client, &mut service).await;
    });
    (port, request)
}

#[tokio::test]
async fn a_socks_proxy_looks_hosts_up_only_when_it_should() {
    let emulator = Emulator::start().await.expect("an emulator");
    let target = emulator.addresses()[0];
    let url = emulator.client_access_url("chat", "ana", &[]);
    let by_name = url.replace("127.0.0.1", "localhost");
    for (scheme, url, expected) in [
        ("socks5", &url, target.to_string()),
        ("socks5h", &url, target.to_string()),
        ("socks5h", &by_name, format!("localhost:{}", target.port())),
    ] {
        let (port, request) = socks(target).await;
        let connector = WebSocketConnector::builder()
            .proxy(&format!("{scheme}://ana:sesame@127.0.0.1:{port}"))
            .build()
            .expect("a connector");
        let connected = WebPubSubClient::builder(url.as_str())
            .connector(connector)
            .connect();
        // Whether the emulator likes the other spelling of its host is not asked here.
        let _ = connected.await;
        assert_eq!(request.await.expect("asked"), expected, "{scheme}");
    }
}

/// The URL that the copy of this program dials. A process cannot change its own environment safely, so the test below
/// starts itself again.
const DIAL: &str = "CONNECTOR_TEST_DIAL";

#[tokio::test]
async fn the_proxies_of_the_environment_are_used_but_for_hosts_that_it_excepts() {
    if let Ok(url) = env::var(DIAL) {
        let connected = WebPubSubClient::builder(url).connect().await;
        connected.expect("connected through the environment's proxy");
        return;
    }
    let emulator = Emulator::builder()
        .public_endpoint("http://pubsub.invalid:8080")
        .start()
        .await
        .expect("an emulator");
    let connection: ConnectionString = emulator.connection_string().parse().expect("its own");
    let endpoint = "http://pubsub.invalid:8080".parse().expect("a URL");
    let options = ClientTokenOptions::default();
    let now = std::time::SystemTime::now();
    let token = sign_client_token(&endpoint, "chat", connection.access_key(), &options, now);
    let dialled = async |variables: Vec<(&'static str, String)>| -> Output {
        let mut copy = Command::new(env::current_exe().expect("this program"));
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            copy.env_remove(name).env_remove(name.to_lowercase());
        }
        let test = "the_proxies_of_the_environment_are_used_but_for_hosts_that_it_excepts";
        copy.args(["--exact", test, "--nocapture"])
            .env(DIAL, token.url())
            .envs(variables);
        let ended = tokio::task::spawn_blocking(move || copy.output()).await;
        ended.expect("no panic").expect("started")
    };

    let (port, request) = tunnelling(emulator.addresses()[0]).await;
    let proxy = format!("http://127.0.0.1:{port}");
    let ended = dialled(vec![("http_proxy", proxy)]).await;
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{errors}");
    let request = request.await.expect("asked");
    assert!(
        request.starts_with("CONNECT pubsub.invalid:8080 HTTP/1.1\r\n"),
        "{request}"
    );

    let (port, mut request) = tunnelling(emulator.addresses()[0]).await;
    let proxy = format!("http://127.0.0.1:{port}");
    let excepted = ("NO_PROXY", "other.invalid, .invalid".to_owned());
    let ended = dialled(vec![("ALL_PROXY", proxy), excepted]).await;
    assert!(!ended.status.success(), "no such host exists");
    assert!(request.try_recv().is_err(), "the proxy was not asked");
}
