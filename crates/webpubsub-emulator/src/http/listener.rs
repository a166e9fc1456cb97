//! Sockets that listen.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::connection::Connection;

/// Connections that the system may hold until they are accepted. It applies its own limit as well.
const BACKLOG: u32 = 4096;

/// How many ports are tried for both families before `localhost` is left with IPv4 only.
const PORT_TRIES: usize = 8;

/// Binds `addresses` to the same port. Port 0 takes a free one.
///
/// The first address must bind. Others are left out where the machine does not have them, as is common for `::1` in
/// containers.
///
/// # Errors
///
/// The address that cannot be bound, and why.
pub(crate) fn bind(addresses: &[IpAddr], port: u16) -> Result<Listeners, (SocketAddr, io::Error)> {
    let mut tries = 1..=PORT_TRIES;
    loop {
        let last_try = tries.next().is_none_or(|n| n == PORT_TRIES);
        match bind_same_port(addresses, port) {
            // A free port of one family may be taken in the other one.
            Err((_, error))
                if port == 0 && !last_try && error.kind() == io::ErrorKind::AddrInUse => {}
            result => return result,
        }
    }
}

fn bind_same_port(
    addresses: &[IpAddr],
    mut port: u16,
) -> Result<Listeners, (SocketAddr, io::Error)> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for &ip in addresses {
        let address = SocketAddr::new(ip, port);
        match listen(address) {
            Ok((listener, bound)) => {
                port = bound.port();
                listeners.push(listener);
            }
            Err(error) if !listeners.is_empty() && error.kind() != io::ErrorKind::AddrInUse => {
                tracing::debug!(%address, %error, "not listening on this address as well");
            }
            Err(error) => return Err((address, error)),
        }
    }
    Ok(Listeners(listeners))
}

fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // Lets a restart take the port while old connections are in TIME_WAIT. On Windows the option means something else.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// One or more listening sockets that are served as one.
#[derive(Debug)]
pub(crate) struct Listeners(Vec<TcpListener>);

impl Listeners {
    /// Uses a socket that is listening already.
    pub(crate) fn adopt(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self(vec![TcpListener::from_std(listener)?]))
    }

    pub(crate) fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.0.iter().map(TcpListener::local_addr).collect()
    }

    async fn accept_any(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match self.0.as_slice() {
            [only] => only.accept().await,
            listeners => {
                let accepts = listeners.iter().map(|listener| Box::pin(listener.accept()));
                futures_util::future::select_all(accepts).await.0
            }
        }
    }
}

impl Listener for Listeners {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.accept_any().await {
                Ok((stream, peer)) => {
                    // Frames are written whole: waiting for more only delays them.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "TCP_NODELAY is not available");
                    }
                    return (Connection::new(stream), peer);
                }
                Err(error) if is_about_the_peer(&error) => {}
                Err(error) => {
                    // Usually too many open files: without a pause this would be a busy loop.
                    tracing::error!(%error, "cannot accept connections; trying again in a second");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        let unspecified = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        self.0
            .first()
            .map_or(Ok(unspecified), TcpListener::local_addr)
    }
}

fn is_about_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// Both loopback addresses: programs disagree about which of them `localhost` is.
pub(crate) const LOCALHOST: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn localhost_listens_on_one_port_in_both_families() {
        let mut listeners = bind(&LOCALHOST, 0).unwrap();
        let addresses = listeners.addresses().unwrap();
        assert_eq!(addresses[0].ip(), LOCALHOST[0]);
        assert!(
            addresses
                .iter()
                .all(|address| address.port() == addresses[0].port())
        );
        for address in addresses {
            let client = TcpStream::connect(address).await.unwrap();
            let (stream, peer) = listeners.accept().await;
            assert_eq!(peer, client.local_addr().unwrap());
            assert!(stream.has_nodelay().unwrap());
        }
    }

    #[tokio::test]
    async fn an_address_in_use_is_named() {
        let taken = bind(&LOCALHOST[..1], 0).unwrap();
        let address = taken.addresses().unwrap()[0];
        let (named, error) = bind(&LOCALHOST, address.port()).unwrap_err();
        assert_eq!(named, address);
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
