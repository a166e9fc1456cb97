//! The accept loop and the life of one HTTP connection.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{body::Body, serve::Listener};
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    connection::Connection,
    dispatch::dispatch,
    hosts::Hosts,
    pending::{Pending, Ticket},
};
use crate::service::Service;

/// Request line and headers together; more is answered with 431. A client token with many roles fits.
const HEAD_BYTES: usize = 128 * 1024;

/// How long requests in progress may take to finish when the emulator stops.
const GRACE: Duration = Duration::from_secs(5);

/// A running HTTP server. Dropping it stops it at once.
#[derive(Debug)]
pub(crate) struct Server {
    stop: CancellationToken,
    kill: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Serves `listener`, which is bound to `addresses`, on the current tokio runtime until it is stopped.
    pub(crate) fn start<L>(listener: L, addresses: &[SocketAddr], service: Arc<Service>) -> Self
    where
        L: Listener<Io = Connection>,
    {
        let settings = service.settings();
        let limits = &settings.limits;
        let (public, public_key) = (&settings.public_endpoints, settings.has_well_known_key());
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(limits.header_read_timeout)
            .max_header_size(HEAD_BYTES)
            // A client that has said all it wants to say still gets its answer.
            .half_close(true);
        let server = Self {
            stop: CancellationToken::new(),
            kill: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let shared = Arc::new(Shared {
            http,
            hosts: Hosts::new(addresses, public, public_key),
            pending: Pending::new(limits.pending_connections),
            stop: server.stop.clone(),
            kill: server.kill.clone(),
            service,
        });
        let accepting = accept(listener, shared, server.tasks.clone());
        server.tasks.spawn(accepting);
        server
    }

    /// Stops accepting, closes idle connections, and gives requests in progress up to 5 seconds to finish.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(GRACE, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                requests = self.tasks.len(),
                "requests did not finish in time and are aborted"
            );
            self.kill.cancel();
            self.tasks.wait().await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        self.kill.cancel();
    }
}

struct Shared {
    http: http1::Builder,
    hosts: Hosts,
    pending: Arc<Pending>,
    stop: CancellationToken,
    kill: CancellationToken,
    service: Arc<Service>,
}

async fn accept<L: Listener<Io = Connection>>(
    mut listener: L,
    shared: Arc<Shared>,
    tasks: TaskTracker,
) {
    while let Some((io, _)) = shared.stop.run_until_cancelled(listener.accept()).await {
        let admitted = shared.stop.run_until_cancelled(shared.pending.admit());
        let Some(ticket) = admitted.await else {
            return;
        };
        tasks.spawn(serve(io, Arc::clone(&shared), Arc::new(ticket)));
    }
}

/// Closes a connection whose request is not answered.
#[derive(Debug, thiserror::Error)]
#[error("its request is not answered")]
struct NoAnswer;

/// Serves one connection until its end or its upgrade.
async fn serve(io: Connection, shared: Arc<Shared>, ticket: Arc<Ticket>) {
    let watch = io.watch();
    let answer = service_fn(|request: Request<Incoming>| {
        ticket.settle();
        let (shared, watch) = (Arc::clone(&shared), watch.clone());
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(watch);
            let response = dispatch(&shared.service, &shared.hosts, request).await;
            response.ok_or(NoAnswer)
        }
    });
    let serving = shared
        .http
        .serve_connection(TokioIo::new(io), answer)
        .with_upgrades();
    let mut serving = pin!(serving);
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            () = shared.kill.cancelled() => return,
            () = ticket.evicted() => {
                tracing::warn!("too many connections without a request: closed the oldest one");
                return;
            }
            () = shared.stop.cancelled(), if !stopping => {
                if ticket.is_pending() {
                    return;
                }
                stopping = true;
                serving.as_mut().graceful_shutdown();
            }
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "an HTTP connection ended early");
                }
                return;
            }
        }
    }
}
