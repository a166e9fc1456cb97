//! The least that fan-out can cost: for every frame that the sender sends, one `write` to each member. The frames to
//! members are encoded once, at the start. One thread, blocking sockets; nothing is looked at but lengths.

#![allow(
    clippy::print_stdout,
    reason = "says on standard output where it listens"
)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use anyhow::{Context as _, Result, bail};
use load::wire::{opcode, write_server_frame};

/// Frames that one `write` carries at most.
const AT_ONCE: usize = 64;

fn main() -> Result<()> {
    let size: usize = std::env::args()
        .nth(1)
        .context("the size of a frame is missing")?
        .parse()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let mut members = Vec::new();
    let mut sender = loop {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let is_sender = accept(&mut stream)?;
        if is_sender {
            break stream;
        }
        members.push(stream);
    };
    let mut frame = Vec::new();
    write_server_frame(&mut frame, opcode::TEXT, &vec![b'x'; size]);
    let frames = frame.repeat(AT_ONCE);
    let mut buffer = vec![0; size * AT_ONCE];
    let mut waiting = 0;
    loop {
        let read = sender.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        waiting += read;
        let whole = waiting / size;
        waiting %= size;
        for _ in 0..whole / AT_ONCE {
            write(&mut members, &frames)?;
        }
        write(&mut members, &frames[..whole % AT_ONCE * frame.len()])?;
    }
}

fn write(members: &mut [TcpStream], frames: &[u8]) -> Result<()> {
    if frames.is_empty() {
        return Ok(());
    }
    for member in members {
        member.write_all(frames)?;
    }
    Ok(())
}

/// Answers an upgrade, and returns whether it is that of the sender.
fn accept(stream: &mut TcpStream) -> Result<bool> {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            bail!("a connection ended within its request");
        }
        request.extend(&buffer[..read]);
    }
    stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")?;
    Ok(request.starts_with(b"GET /sender"))
}
