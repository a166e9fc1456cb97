//! Microsoft Entra ID against an emulator that takes such tokens unvalidated.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use azure_core::{
    base64::encode_url_safe,
    credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions},
    time::{Duration, OffsetDateTime},
};
use serde_json::json;
use webpubsub::{
    ClientProtocol, ServiceErrorExt as _, WebPubSubServiceClient, WebPubSubServiceClientOptions,
};
use webpubsub_emulator::Emulator;

use super::world::{Client, World};

/// Gives tokens of the right form, which nobody signed.
#[derive(Debug)]
struct Unsigned {
    audience: &'static str,
}

#[async_trait]
impl TokenCredential for Unsigned {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        assert_eq!(scopes, ["https://webpubsub.azure.com/.default"]);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let claims = json!({
            "aud": self.audience, "iss": "https://sts.windows.net/tenant/", "exp": now.as_secs() + 3600,
        });
        let part = |value: serde_json::Value| encode_url_safe(value.to_string());
        let header = part(json!({"alg": "RS256", "typ": "JWT", "kid": "none"}));
        let token = format!("{header}.{}.{}", part(claims), encode_url_safe("unsigned"));
        Ok(AccessToken {
            token: Secret::new(token),
            expires_on: OffsetDateTime::now_utc() + Duration::hours(1),
        })
    }
}

fn service(emulator: &Emulator, audience: &'static str) -> WebPubSubServiceClient {
    let options = WebPubSubServiceClientOptions {
        allow_insecure_loopback_entra: true,
        ..Default::default()
    };
    let credential = Arc::new(Unsigned { audience });
    WebPubSubServiceClient::new(emulator.endpoint(), credential, "chat", Some(options)).unwrap()
}

#[tokio::test]
async fn signs_in_sends_and_asks_for_client_access_tokens() {
    let emulator = Emulator::builder()
        .accept_unvalidated_entra_tokens(true)
        .start()
        .await
        .unwrap();
    let service = service(&emulator, "https://webpubsub.azure.com");
    let access = service
        .client_access_token()
        .user_id("ana")
        .role("webpubsub.sendToGroup.room")
        .group("room")
        .lifetime(std::time::Duration::from_secs(5 * 60))
        .await
        .unwrap();
    let mut ana = Client::connect(access.url()).await;
    assert!(ana.send_to_group("room", 1).await);
    let world = World { emulator, service };
    world.service.send_to_user("ana", "hi").await.unwrap();
    assert_eq!(world.received(&mut ana).await, ["hi"]);
    assert_eq!(world.members("room"), [ana.id.as_str()]);

    let mqtt = world
        .service
        .client_access_token()
        .protocol(ClientProtocol::Mqtt)
        .await
        .unwrap();
    assert!(
        mqtt.base_url().ends_with("/clients/mqtt/hubs/chat"),
        "{mqtt:?}"
    );
}

#[tokio::test]
async fn tokens_for_others_are_refused() {
    let emulator = Emulator::builder()
        .accept_unvalidated_entra_tokens(true)
        .start()
        .await
        .unwrap();
    assert_unauthorized(&service(&emulator, "https://management.azure.com")).await;
}

#[tokio::test]
async fn by_default_the_emulator_takes_no_unvalidated_tokens() {
    let emulator = Emulator::start().await.unwrap();
    assert_unauthorized(&service(&emulator, "https://webpubsub.azure.com")).await;
}

async fn assert_unauthorized(service: &WebPubSubServiceClient) {
    let error = service.send_to_all("hi").await.unwrap_err();
    let reason = error.service_error().expect("the emulator answered");
    assert_eq!(u16::from(reason.status()), 401, "{error}");
    assert!(!format!("{error:?}").contains("eyJ"), "{error:?}");
}
