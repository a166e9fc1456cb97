//! A TCP proxy that can be cut.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

/// Leads to a service; from one port, wherever the service is.
pub(crate) struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    refused: Condvar,
}

#[derive(Default)]
struct State {
    /// Where it leads; `None` while it is cut.
    target: Option<SocketAddr>,
    sockets: Vec<TcpStream>,
    refusals: usize,
    /// Whether what the service says is dropped.
    losing_answers: bool,
}

impl Wire {
    pub(crate) fn to(service: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let wire = Self {
            address: listener.local_addr().expect("an address"),
            shared: Arc::new(Shared {
                state: Mutex::default(),
                refused: Condvar::new(),
            }),
        };
        wire.connect_to(service);
        let shared = Arc::clone(&wire.shared);
        // They live as long as the test's process.
        thread::spawn(move || {
            for near in listener.incoming() {
                shared.accept(near.expect("a socket"));
            }
        });
        wire
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Kills every socket and refuses new ones.
    pub(crate) fn cut(&self) {
        let mut state = self.shared.lock();
        state.target = None;
        state.refusals = 0;
        for socket in state.sockets.drain(..) {
            // It may be closed.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Drops what the service says from now on, and lets pass what is said to it. For sockets that end after it: there is
    /// no way back.
    pub(crate) fn lose_answers(&self) {
        self.shared.lock().losing_answers = true;
    }

    /// Leads to a service from now on.
    pub(crate) fn connect_to(&self, service: &str) {
        let authority = service.trim_start_matches("http://").trim_end_matches('/');
        let mut state = self.shared.lock();
        state.target = Some(authority.parse().expect("an address"));
        state.losing_answers = false;
    }

    /// Waits until that many sockets were refused since the cut.
    pub(crate) fn wait_for_refusals(&self, count: usize) {
        let state = self.shared.lock();
        let too_few = |state: &mut State| state.refusals < count;
        drop(self.shared.refused.wait_while(state, too_few));
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: &Arc<Self>, near: TcpStream) {
        let mut state = self.lock();
        let far = state
            .target
            .and_then(|target| TcpStream::connect(target).ok());
        let Some(far) = far else {
            state.refusals += 1;
            self.refused.notify_all();
            return;
        };
        for (from, to, answers) in [(&near, &far, false), (&far, &near, true)] {
            let clone = |socket: &TcpStream| socket.try_clone().expect("a handle");
            state.sockets.push(clone(from));
            let (from, to) = (clone(from), clone(to));
            let shared = Arc::clone(self);
            thread::spawn(move || {
                // The end of one direction ends both.
                let _ = shared.pass_on(&from, &to, answers);
                let _ = from.shutdown(Shutdown::Both);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
    }

    fn pass_on(&self, mut from: &TcpStream, mut to: &TcpStream, answers: bool) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = from.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            if !(answers && self.lock().losing_answers) {
                to.write_all(&buffer[..read])?;
            }
        }
    }
}
