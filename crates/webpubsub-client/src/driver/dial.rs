//! From a credential to an open socket.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use url::Url;
use webpubsub_protocol::session::{Attempt, DialFailure, Recovery};

use super::Link;
use crate::connector::{AnyTransport, Dial};
use crate::credential::WebPubSubClientCredential;

/// A dial under way.
pub(super) struct Dialing {
    pub(super) attempt: Attempt,
    pub(super) future: DialFuture,
}

pub(super) type DialFuture =
    Pin<Box<dyn Future<Output = Result<(Url, AnyTransport), DialFailure>> + Send>>;

/// Opens a socket: for a new connection where the credential says, for a recovery where the connection was opened
/// (`first`).
pub(super) fn dial(link: Arc<Link>, first: Option<Url>, recover: Option<Recovery>) -> DialFuture {
    Box::pin(async move {
        let url = match (&recover, first) {
            (Some(_), Some(url)) => url,
            _ => fresh_url(&link.credential).await?,
        };
        let mut dialled = url.clone();
        if let Some(recovery) = recover {
            dialled
                .query_pairs_mut()
                .append_pair("awps_connection_id", &recovery.connection_id)
                .append_pair("awps_reconnection_token", &recovery.reconnection_token);
        }
        let dial = Dial {
            url: dialled,
            subprotocol: link.protocol.name().to_owned(),
            max_message_bytes: link.max_message_bytes,
        };
        let connected = async { link.connector.connect_any(dial).await };
        let transport = unless_it_panics(connected)
            .await
            .unwrap_or_else(|| Err(DialFailure::Network("the connector panicked".to_owned())))?;
        Ok((url, transport))
    })
}

async fn fresh_url(credential: &WebPubSubClientCredential) -> Result<Url, DialFailure> {
    let url = unless_it_panics(credential.client_access_url())
        .await
        .ok_or_else(|| DialFailure::Credential("its provider panicked".to_owned()))?
        .map_err(|error| DialFailure::Credential(error.to_string()))?;
    Url::parse(&url)
        .ok()
        .filter(|url| matches!(url.scheme(), "ws" | "wss") && url.has_host())
        .ok_or_else(|| {
            let what = "it gave no URL that begins with ws:// or wss:// and has a host";
            DialFailure::Credential(what.to_owned())
        })
}

/// Code of the application may fail a dial, but must not end the driver.
async fn unless_it_panics<F: Future>(future: F) -> Option<F::Output> {
    AssertUnwindSafe(future).catch_unwind().await.ok()
}
