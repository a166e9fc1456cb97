//! Clients whose requests all end up at the recorder.

use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::http::{
    AsyncRawResponse, ClientOptions, HttpClient, Request, RetryOptions, Transport, Url,
};
use azure_core::time::OffsetDateTime;
use webpubsub::{AccessKey, WebPubSubServiceClient, WebPubSubServiceClientOptions};

use crate::table::{Client, Credential};

/// The token of the fake Entra credential; the driver of the official package uses the same.
const ENTRA_TOKEN: &str = "entra-token";

/// Makes the client that the table describes.
pub(crate) fn connect(
    client: &Client,
    address: &str,
) -> azure_core::Result<WebPubSubServiceClient> {
    let options = WebPubSubServiceClientOptions {
        client_options: ClientOptions {
            retry: RetryOptions::none(),
            transport: Some(Transport::new(Arc::new(ToRecorder::new(address)))),
            ..Default::default()
        },
        reverse_proxy_endpoint: client
            .reverse_proxy
            .as_deref()
            .map(|proxy| fill(proxy, address)),
        ..Default::default()
    };
    let hub = client.hub.as_str();
    match &client.credential {
        Credential::ConnectionString { value } => {
            WebPubSubServiceClient::from_connection_string_with(&fill(value, address), hub, options)
        }
        Credential::Key { endpoint, key } => {
            let (endpoint, key) = (fill(endpoint, address), AccessKey::new(key.as_str()));
            WebPubSubServiceClient::with_access_key(&endpoint, key, hub, Some(options))
        }
        Credential::Entra { endpoint } => {
            let endpoint = fill(endpoint, address);
            WebPubSubServiceClient::new(&endpoint, Arc::new(FakeCredential), hub, Some(options))
        }
    }
}

fn fill(template: &str, address: &str) -> String {
    let (host, port) = address.split_once(':').unwrap_or((address, "80"));
    template
        .replace("{recorder}", address)
        .replace("{recorder-host}", host)
        .replace("{recorder-port}", port)
}

/// The recorder speaks plain HTTP: a request for https goes to it with the host it was meant for.
#[derive(Debug)]
struct ToRecorder {
    inner: reqwest::Client,
    recorder: Url,
}

impl ToRecorder {
    fn new(address: &str) -> Self {
        let recorder = format!("http://{address}")
            .parse()
            .expect("an address makes a URL");
        Self {
            inner: reqwest::Client::new(),
            recorder,
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for ToRecorder {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let mut request = request.clone();
        if request.url().scheme() == "https" {
            let authority = request.url().authority().to_owned();
            request.insert_header("x-original-host", authority);
            let url = request.url_mut();
            url.set_scheme("http").expect("http replaces https");
            url.set_host(self.recorder.host_str())
                .expect("the recorder has a host");
            url.set_port(self.recorder.port()).expect("http has ports");
        }
        self.inner.execute_request(&request).await
    }
}

#[derive(Debug)]
struct FakeCredential;

#[async_trait::async_trait]
impl TokenCredential for FakeCredential {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let expires = OffsetDateTime::now_utc() + Duration::from_secs(3600);
        Ok(AccessToken::new(Secret::new(ENTRA_TOKEN), expires))
    }
}
