//! A TCP proxy on loopback that fails as it is told.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Passes everything on.
    Fair,
    /// Accepts connections and bytes, and passes nothing on: half-open.
    Stalled,
    /// Answers new connections with 502.
    BadGateway,
    /// Closes new connections at once.
    Refusing,
}

#[derive(Clone)]
pub(crate) struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    /// Counts the kills; a connection lives until the number changes.
    generation: watch::Sender<u64>,
    /// Counts connections that were accepted.
    accepted: watch::Sender<u64>,
}

impl Proxy {
    pub(crate) async fn start(listener: TcpListener, target: SocketAddr) -> Self {
        let proxy = Self {
            address: listener.local_addr().expect("bound"),
            weather: watch::Sender::new(Weather::Fair),
            generation: watch::Sender::new(0),
            accepted: watch::Sender::new(0),
        };
        let this = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                this.accepted.send_modify(|count| *count += 1);
                tokio::spawn(this.clone().serve(client, target));
            }
        });
        proxy
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Resets all connections.
    pub(crate) fn kill(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// Completes once this many more connections were accepted.
    pub(crate) fn accepts(&self, more: u64) -> impl Future<Output = ()> + use<> {
        let mut accepted = self.accepted.subscribe();
        let wanted = *accepted.borrow() + more;
        async move {
            accepted
                .wait_for(|count| *count >= wanted)
                .await
                .expect("the proxy lives");
        }
    }

    async fn serve(self, mut client: TcpStream, target: SocketAddr) {
        let weather = *self.weather.borrow();
        match weather {
            Weather::BadGateway => {
                let mut request = [0; 4096];
                let _ = client.read(&mut request).await;
                let answer =
                    b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _ = client.write_all(answer).await;
                return;
            }
            Weather::Refusing => return,
            Weather::Fair | Weather::Stalled => {}
        }
        let Ok(service) = TcpStream::connect(target).await else {
            return;
        };
        let mut generation = self.generation.subscribe();
        let born = *generation.borrow_and_update();
        let weather = Arc::new(self.weather);
        let (client_in, client_out) = client.into_split();
        let (service_in, service_out) = service.into_split();
        tokio::select! {
            () = pass(client_in, service_out, Arc::clone(&weather)) => {}
            () = pass(service_in, client_out, weather) => {}
            _ = generation.wait_for(|generation| *generation != born) => {}
        }
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    weather: Arc<watch::Sender<Weather>>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        if *weather.borrow() == Weather::Stalled {
            // What a half-open connection swallows is lost.
            let mut stalled = weather.subscribe();
            let _ = stalled
                .wait_for(|weather| *weather != Weather::Stalled)
                .await;
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
