//! Event handlers that are slow, or asked by many at once.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::kind::Kind;
use crate::member::More;
use crate::report::{Findings, mebibytes};
use crate::wire::{opcode, write_frame};
use crate::world::{GROUP, LIMIT, Settings, World};

/// The most that may wait for one connection: the limit of its outbox, and the frames that are being read.
const WAITING_BYTES: u64 = 20 << 20;

pub(super) fn connect_storm(settings: &Settings, findings: &mut Findings) -> Result<()> {
    let count = settings.pick(300, 3_000);
    let handler = Handler::start(Duration::from_millis(20))?;
    let url = format!("load=http://{}/events", handler.address);
    let mut world = World::start(settings, &["--event-handler", &url])?;
    let before = world.resident()?;
    let began = Instant::now();
    let plan = world.server.plan(Kind::JSON, &[GROUP]);
    let clients = world.open(vec![plan; count])?;
    findings.note(format!(
        "{count} connects in {:.2} s; the handler had up to {} requests at once",
        began.elapsed().as_secs_f64(),
        handler.seen.most.load(Ordering::Relaxed)
    ));
    let events = Arc::clone(&handler.seen);
    // `connect` and `connected` of each.
    let all = 2 * count;
    world
        .swarm
        .run(LIMIT / 4, |_| events.total.load(Ordering::Relaxed) >= all)?;
    let total = events.total.load(Ordering::Relaxed);
    findings.hold("the handler hears twice of each", total == all, total);
    for client in clients {
        world.swarm.cut(client);
    }
    world.swarm.run(LIMIT / 4, |_| {
        events.total.load(Ordering::Relaxed) >= all + count
    })?;
    let total = events.total.load(Ordering::Relaxed) - all;
    findings.hold("it hears of the end of each", total == count, total);
    let most = before + (count as u64) * (64 << 10) + (8 << 20);
    let resident = world.resident_below(most, Duration::from_secs(5))?;
    findings.hold(
        "memory stays small",
        resident <= most,
        format!("{} to {}", mebibytes(before), mebibytes(resident)),
    );
    world.end(findings);
    Ok(())
}

pub(super) fn waiting_frames(settings: &Settings, findings: &mut Findings) -> Result<()> {
    let count = settings.pick(3, 10);
    let handler = Handler::start(Duration::from_secs(90))?;
    // Only user events, so that clients can connect.
    let config = tempfile(&format!(
        "[[hubs.load.event_handlers]]\nurl = \"http://{}/events\"\nsystem_events = []\n",
        handler.address
    ))?;
    let path = config.path.display().to_string();
    let mut world = World::start(settings, &["--config", &path])?;
    let clients = world.outsiders(Kind::JSON, count)?;
    let before = world.resident()?;
    let event = format!(
        r#"{{"type":"event","event":"e","dataType":"text","data":"{}"}}"#,
        "x".repeat(1_000_000)
    );
    for client in clients.clone() {
        let (event, mut left) = (event.clone(), 80);
        world.swarm.feed(
            client,
            Box::new(move |out| {
                write_frame(out, opcode::TEXT, event.as_bytes());
                left -= 1;
                if left > 0 { More::Yes } else { More::No }
            }),
        );
    }
    // Long enough for all of it to arrive where nothing holds it back.
    let most = before + count as u64 * WAITING_BYTES;
    let mut seen = 0;
    let process = &world.server.process;
    world.swarm.run(Duration::from_secs(3), |_| {
        seen = process
            .memory()
            .map_or(seen, |memory| seen.max(memory.resident));
        false
    })?;
    findings.hold(
        format!(
            "what waits behind a handler is below {} a connection",
            mebibytes(WAITING_BYTES)
        ),
        seen <= most,
        format!(
            "{} to {} for {count} connections",
            mebibytes(before),
            mebibytes(seen)
        ),
    );
    for client in clients {
        world.swarm.cut(client);
    }
    world.end(findings);
    Ok(())
}

/// A file that is there as long as this is.
struct TemporaryFile {
    path: std::path::PathBuf,
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).ok();
    }
}

fn tempfile(text: &str) -> Result<TemporaryFile> {
    let name = format!("load-{}.toml", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::File::create_new(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(TemporaryFile { path })
}

/// An event handler that answers every event with 204 after a time.
struct Handler {
    address: SocketAddr,
    seen: Arc<Seen>,
    _stop: oneshot::Sender<()>,
}

/// The events that came to it.
#[derive(Default)]
struct Seen {
    total: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Handler {
    fn start(delay: Duration) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Seen::default());
        let app = Router::new().fallback({
            let seen = Arc::clone(&seen);
            move |method: Method| answer(method, Arc::clone(&seen), delay)
        });
        let (stop, stopped) = oneshot::channel();
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    _ = async { axum::serve(listener, app).await } => {}
                }
            });
            // Requests that still wait for their delay end with it.
            runtime.shutdown_background();
        });
        Ok(Self {
            address,
            seen,
            _stop: stop,
        })
    }
}

async fn answer(method: Method, seen: Arc<Seen>, delay: Duration) -> Response {
    if method == Method::OPTIONS {
        return [("WebHook-Allowed-Origin", "*")].into_response();
    }
    seen.total.fetch_add(1, Ordering::Relaxed);
    let now = seen.now.fetch_add(1, Ordering::Relaxed) + 1;
    seen.most.fetch_max(now, Ordering::Relaxed);
    tokio::time::sleep(delay).await;
    seen.now.fetch_sub(1, Ordering::Relaxed);
    StatusCode::NO_CONTENT.into_response()
}
