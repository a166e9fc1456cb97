//! A TCP connection that can be watched while somebody else reads and writes it.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection of a client. Closed when it and all its watches are dropped.
#[derive(Debug)]
pub(crate) struct Connection(Arc<TcpStream>);

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self(Arc::new(stream))
    }

    #[cfg(test)]
    pub(super) fn has_nodelay(&self) -> io::Result<bool> {
        self.0.nodelay()
    }

    pub(super) fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.0))
    }
}

/// Sees whether the client of a request hangs up before it has its answer. Among the extensions of each request.
#[derive(Clone, Debug)]
pub(crate) struct Watch(Arc<TcpStream>);

impl Watch {
    /// Completes when the client closes its side or the connection breaks. Takes nothing from the connection, so a client
    /// that sends something first is not watched any further.
    pub(crate) async fn hung_up(&self) {
        match self.0.peek(&mut [0]).await {
            Ok(0) | Err(_) => {}
            Ok(_) => std::future::pending().await,
        }
    }
}

impl Watch {
    /// Has the connection reset in place of closed, once nobody holds it any more.
    pub(crate) fn reset_on_close(&self) {
        // Where the system cannot do it, the connection is closed.
        let _ = SockRef::from(&*self.0).set_linger(Some(Duration::ZERO));
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(context))?;
            match self.0.try_read(buffer.initialize_unfilled()) {
                Ok(read) => {
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_try(context, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_try(context, |stream| stream.try_write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What tokio does with a stream that it has for itself.
        Poll::Ready(SockRef::from(&*self.0).shutdown(Shutdown::Write))
    }
}

impl Connection {
    fn poll_try<T>(
        &self,
        context: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            ready!(self.0.poll_write_ready(context))?;
            match write(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, Connection) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        (client.unwrap(), Connection::new(accepted.unwrap().0))
    }

    #[tokio::test]
    async fn bytes_pass_in_both_directions_and_the_end_is_seen() {
        let (mut client, mut connection) = pair().await;
        let large = vec![7; 1 << 20];
        let exchange = async {
            client.write_all(b"hi").await.unwrap();
            client.shutdown().await.unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            answer
        };
        let answer = async {
            let mut request = Vec::new();
            connection.read_to_end(&mut request).await.unwrap();
            connection.write_all(&large).await.unwrap();
            connection.shutdown().await.unwrap();
            request
        };
        let (answer, request) = tokio::join!(exchange, answer);
        assert_eq!(request, b"hi");
        assert!(answer == large);
    }

    #[tokio::test]
    async fn a_watch_sees_a_client_hang_up_and_takes_nothing() {
        let (client, connection) = pair().await;
        let watch = connection.watch();
        assert_eq!(watch.hung_up().now_or_never(), None);
        drop(client);
        watch.hung_up().await;

        let (mut client, mut connection) = pair().await;
        let watch = connection.watch();
        client.write_all(b"early").await.unwrap();
        drop(client);
        let mut bytes = Vec::new();
        tokio::select! {
            biased;
            () = watch.hung_up() => panic!("it sent something"),
            read = connection.read_to_end(&mut bytes) => read.unwrap(),
        };
        assert_eq!(bytes, b"early");
    }
}
