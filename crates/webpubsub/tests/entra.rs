//! Microsoft Entra ID.

use std::{
    future::IntoFuture,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use crate::common::{Answer, HOST, Recorder};
use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions},
    time::OffsetDateTime,
};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use futures_util::FutureExt as _;
use webpubsub::{ClientProtocol, WebPubSubServiceClient, WebPubSubServiceClientOptions};

#[derive(Debug, Default)]
struct Fake {
    asked: AtomicUsize,
    expires_soon: bool,
}

#[async_trait]
impl TokenCredential for Fake {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        assert_eq!(scopes, ["https://webpubsub.azure.com/.default"]);
        let count = self.asked.fetch_add(1, SeqCst) + 1;
        let lifetime = if self.expires_soon { 60 } else { 3600 };
        Ok(AccessToken {
            token: Secret::new(format!("entra-{count}")),
            expires_on: OffsetDateTime::now_utc() + azure_core::time::Duration::seconds(lifetime),
        })
    }
}

fn client(
    endpoint: &str,
    credential: Arc<Fake>,
    options: WebPubSubServiceClientOptions,
) -> azure_core::Result<WebPubSubServiceClient> {
    WebPubSubServiceClient::new(endpoint, credential, "chat", Some(options))
}

fn send(client: &WebPubSubServiceClient) -> azure_core::Result<()> {
    client
        .send_to_all("hi")
        .into_future()
        .now_or_never()
        .expect("an answer")
}

#[test]
fn one_token_serves_many_calls() {
    let recorder = Recorder::always(202);
    let credential = Arc::new(Fake::default());
    let client = client(HOST, credential.clone(), recorder.options()).unwrap();
    for _ in 0..3 {
        send(&client).unwrap();
    }
    assert_eq!(credential.asked.load(SeqCst), 1);
    let sent = recorder.sent();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|sent| sent.token() == "entra-1"));
    assert!(!format!("{client:?}").contains("entra"), "{client:?}");
}

#[test]
fn plain_http_is_refused_before_the_credential_is_asked() {
    for (endpoint, proxy, allow, hint) in [
        (
            "http://localhost:8080",
            None,
            false,
            "allow_insecure_loopback_entra",
        ),
        ("http://example.com", None, false, "`example.com`"),
        // The option is for this machine alone.
        ("http://example.com", None, true, "`example.com`"),
        (
            "http://localhost.example.com",
            None,
            true,
            "`localhost.example.com`",
        ),
        ("http://192.168.0.1", None, true, "`192.168.0.1`"),
        // A proxy must not be a way around.
        (HOST, Some("http://proxy.example"), true, "`proxy.example`"),
        (
            "http://localhost:8080",
            Some("http://proxy.example"),
            true,
            "`proxy.example`",
        ),
        (
            HOST,
            Some("http://127.0.0.1"),
            false,
            "allow_insecure_loopback_entra",
        ),
    ] {
        let recorder = Recorder::always(202);
        let credential = Arc::new(Fake::default());
        let options = WebPubSubServiceClientOptions {
            reverse_proxy_endpoint: proxy.map(str::to_owned),
            allow_insecure_loopback_entra: allow,
            ..recorder.options()
        };
        let error = client(endpoint, credential.clone(), options)
            .unwrap_err()
            .to_string();
        assert!(error.contains(hint), "{endpoint}: {error}");
        assert_eq!(credential.asked.load(SeqCst), 0);
    }
}

#[test]
fn loopback_can_be_allowed() {
    for endpoint in [
        "http://localhost:8080",
        "http://127.0.0.1:1",
        "http://[::1]:2",
    ] {
        let recorder = Recorder::new([Answer::Status(202), Answer::Status(401)], 202);
        let credential = Arc::new(Fake::default());
        let options = WebPubSubServiceClientOptions {
            allow_insecure_loopback_entra: true,
            ..recorder.options()
        };
        let client = client(endpoint, credential.clone(), options).unwrap();
        send(&client).unwrap();
        send(&client).unwrap_err();
        send(&client).unwrap();
        let tokens: Vec<_> = recorder
            .sent()
            .iter()
            .map(|sent| sent.token().to_owned())
            .collect();
        assert_eq!(
            tokens,
            ["entra-1", "entra-1", "entra-2"],
            "a refused token is not used again"
        );
    }
}

#[test]
fn tokens_that_end_soon_are_replaced_on_loopback() {
    let recorder = Recorder::always(202);
    let credential = Arc::new(Fake {
        expires_soon: true,
        ..Fake::default()
    });
    let options = WebPubSubServiceClientOptions {
        allow_insecure_loopback_entra: true,
        ..recorder.options()
    };
    let client = client("http://localhost", credential.clone(), options).unwrap();
    send(&client).unwrap();
    send(&client).unwrap();
    assert_eq!(credential.asked.load(SeqCst), 2);
}

#[test]
fn the_service_makes_client_access_tokens() {
    let answer = Answer::Full(200, Vec::new(), r#"{"token":"a.b.c"}"#.into());
    let recorder = Recorder::new([answer], 500);
    let client = client(HOST, Arc::new(Fake::default()), recorder.options()).unwrap();
    let call = client
        .client_access_token()
        .user_id("a&b")
        .role("webpubsub.sendToGroup.g 1")
        .roles(["r2"])
        .group("g1")
        .groups(["g2"])
        .lifetime(Duration::from_secs(600))
        .protocol(ClientProtocol::Mqtt);
    let access = call.into_future().now_or_never().unwrap().unwrap();
    assert_eq!(access.token().as_str(), "a.b.c");
    assert_eq!(
        access.base_url(),
        "wss://example.webpubsub.azure.com/clients/mqtt/hubs/chat"
    );
    assert_eq!(
        access.url(),
        format!("{}?access_token=a.b.c", access.base_url())
    );
    let sent = recorder.only();
    assert_eq!(sent.method, "POST");
    assert_eq!(
        sent.target(),
        "/api/hubs/chat/:generateToken?api-version=2024-12-01&userId=a%26b&role=webpubsub.sendToGroup.g%201&role=r2\
         &minutesToExpire=10&group=g1&group=g2&clientType=mqtt"
    );
    assert_eq!(sent.header("accept"), Some("application/json, text/json"));
    assert!(sent.body.is_empty());
}

#[test]
fn the_service_makes_tokens_for_whole_minutes() {
    let recorder = Recorder::always(200);
    let client = client(HOST, Arc::new(Fake::default()), recorder.options()).unwrap();
    for lifetime in [
        Duration::ZERO,
        Duration::from_secs(59),
        Duration::from_millis(60_001),
        Duration::MAX,
    ] {
        let call = client.client_access_token().lifetime(lifetime);
        let error = call
            .into_future()
            .now_or_never()
            .unwrap()
            .unwrap_err()
            .to_string();
        assert!(error.contains("whole minutes"), "{error}");
    }
    let call = client.client_access_token().group(" ");
    let error = call
        .into_future()
        .now_or_never()
        .unwrap()
        .unwrap_err()
        .to_string();
    assert!(error.contains("group name"), "{error}");
    assert_eq!(recorder.sent().len(), 0);
    // An answer that is none.
    let error = client
        .client_access_token()
        .into_future()
        .now_or_never()
        .unwrap()
        .unwrap_err()
        .to_string();
    assert!(error.contains("client access token"), "{error}");
}

#[test]
fn credentials_of_azure_identity_sign_in() {
    let authority = Recorder::new(
        [Answer::Full(
            200,
            vec![("content-type", "application/json")],
            r#"{"token_type":"Bearer","expires_in":3600,"ext_expires_in":3600,"access_token":"from-entra"}"#.to_owned(),
        )],
        500,
    );
    let credential = ClientSecretCredential::new(
        "tenant",
        "application".to_owned(),
        Secret::new("secret"),
        Some(ClientSecretCredentialOptions {
            client_options: authority.client_options(),
        }),
    )
    .unwrap();
    let service = Recorder::always(202);
    let client =
        WebPubSubServiceClient::new(HOST, credential, "chat", Some(service.options())).unwrap();
    for _ in 0..2 {
        send(&client).unwrap();
    }

    let asked = authority.only();
    assert_eq!(asked.target(), "/tenant/oauth2/v2.0/token");
    let form = String::from_utf8(asked.body).unwrap();
    assert!(
        form.contains("scope=https%3A%2F%2Fwebpubsub.azure.com%2F.default"),
        "{form}"
    );
    let tokens: Vec<_> = service
        .sent()
        .iter()
        .map(|sent| sent.token().to_owned())
        .collect();
    assert_eq!(tokens, ["from-entra", "from-entra"]);
}
