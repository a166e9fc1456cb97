//! Asks a running emulator whether it works, as containers and service managers do that have no `curl`.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How long each of connecting, asking and answering may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// `localhost` is a host that every emulator serves, whatever else it serves.
const REQUEST: &[u8] = b"HEAD /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

const HEALTHY: &[u8] = b"HTTP/1.1 200 ";

/// Succeeds if an emulator at `address` answers that it is healthy.
pub(crate) fn check(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(REQUEST)?;
    let mut answer = [0; HEALTHY.len()];
    stream.read_exact(&mut answer)?;
    match answer == HEALTHY {
        true => Ok(()),
        false => Err(io::Error::other("this is no healthy emulator")),
    }
}
