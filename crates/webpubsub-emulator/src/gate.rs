//! What every upgrade and every REST operation passes: after it is known what is asked for, before anything is done.

use http::HeaderMap;
use tokio_util::sync::CancellationToken;
use webpubsub_protocol::name::HubName;

use crate::http::Origins;
use crate::refusal::Refusal;
use crate::settings::Settings;

/// Something that is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passage<'a> {
    /// A WebSocket is opened, by a new client or to recover a connection.
    Upgrade(&'a HubName),
    /// An operation of the REST API, by the name that its description has; the health check has no hub.
    Operation(&'static str, Option<&'a HubName>),
}

/// The rules that apply to all of them.
#[derive(Debug)]
pub(crate) struct Gate {
    origins: Origins,
    /// Cancelled when a shutdown begins.
    stopping: CancellationToken,
}

impl Gate {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            origins: Origins::of(settings),
            stopping: CancellationToken::new(),
        }
    }

    /// Lets it pass. Whoever asked waits as long as this does.
    ///
    /// # Errors
    ///
    /// Why it is refused. Nothing was done then, and nothing may be.
    pub(crate) async fn pass(
        &self,
        passage: Passage<'_>,
        headers: &HeaderMap,
    ) -> Result<(), Refusal> {
        if self.stopping.is_cancelled() {
            tracing::debug!(?passage, "refused, since the emulator is stopping");
            return Err(Refusal::Stopping);
        }
        match passage {
            Passage::Upgrade(_) => self
                .origins
                .check(headers)
                .map_err(|foreign| Refusal::ForeignOrigin(foreign.to_string())),
            Passage::Operation(..) => Ok(()),
        }
    }

    /// Cancelled when a shutdown begins: nothing passes any more.
    pub(crate) const fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header};

    use super::*;

    #[tokio::test]
    async fn foreign_pages_open_no_socket_and_nothing_passes_during_a_shutdown() {
        let gate = Gate::new(&Settings::default());
        let hub = HubName::new("chat").expect("a name");
        let upgrade = Passage::Upgrade(&hub);
        let operation = Passage::Operation("WebPubSub_SendToAll", Some(&hub));
        let nothing = HeaderMap::new();
        let origin = (
            header::ORIGIN,
            HeaderValue::from_static("https://evil.example"),
        );
        let foreign = HeaderMap::from_iter([origin]);

        assert_eq!(gate.pass(upgrade, &nothing).await, Ok(()));
        assert_eq!(gate.pass(operation, &foreign).await, Ok(()));
        let refused = gate.pass(upgrade, &foreign).await;
        assert!(
            matches!(refused, Err(Refusal::ForeignOrigin(_))),
            "{refused:?}"
        );

        gate.stopping().cancel();
        for passage in [upgrade, operation] {
            assert_eq!(gate.pass(passage, &nothing).await, Err(Refusal::Stopping));
        }
    }
}
