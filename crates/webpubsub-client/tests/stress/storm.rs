//! Everything at once, over a network that is cut again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use webpubsub_client::{Backoff, Overflow, Subprotocol, WebPubSubClient};

use crate::proxy::Weather;
use crate::world::World;
use crate::{Rounds, soon};

const CLIENTS: u64 = 3;

/// More than the outbox takes, so that some wait for room.
const USERS_OF_EACH: u64 = 6;
const OUTBOX: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_is_started_stopped_dropped_and_cut_ends() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let world = World::new().await;
    let is_over = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    let mut clients = Vec::new();
    let mut users = Vec::new();
    for n in 0..CLIENTS {
        let protocol = [Subprotocol::ReliableJson, Subprotocol::Json][n as usize % 2];
        let client = client(&world, &format!("user-{n}"), protocol);
        client.start().await.expect("started");
        let _ = client.join_group("storm").await;
        for _ in 0..USERS_OF_EACH {
            let user = User {
                client: client.clone(),
                rng: SmallRng::seed_from_u64(rng.random()),
                is_over: Arc::clone(&is_over),
                done: Arc::clone(&done),
            };
            users.push(tokio::spawn(user.run()));
        }
        clients.push(client);
    }
    let rounds = Rounds::begin();
    while rounds.go_on() {
        tokio::time::sleep(Duration::from_millis(rng.random_range(5..60))).await;
        // Sometimes the network stays away, so that clients wait for their next dial.
        let is_outage = rng.random_range(0..4) == 0;
        if is_outage {
            world.proxy.set(Weather::Refusing);
        }
        world.proxy.kill();
        if is_outage {
            tokio::time::sleep(Duration::from_millis(100)).await;
            world.proxy.set(Weather::Fair);
        }
    }
    is_over.store(true, Ordering::SeqCst);
    for user in users {
        soon("a user", user).await.expect("no panic");
    }
    for client in clients {
        soon("the last stop", client.stop()).await;
        soon("the last start", client.start())
            .await
            .expect("started");
        let sent = soon("the last request", client.send_to_group("storm", "x")).await;
        sent.expect("the client works as ever");
        soon("the very last stop", client.stop()).await;
    }
    assert!(done.load(Ordering::SeqCst) > 100);
}

fn client(world: &World, user: &str, protocol: Subprotocol) -> WebPubSubClient {
    let soon = Backoff::Fixed(Duration::from_millis(20));
    WebPubSubClient::builder(world.url(user))
        .protocol(protocol)
        .outbox(OUTBOX, 1 << 20)
        .keep_alive_interval(Duration::from_millis(200))
        .keep_alive_timeout(Duration::from_secs(1))
        .dial_timeout(Duration::from_secs(1))
        .recovery_backoff(soon)
        .reconnect_backoff(soon)
        .request_retries(3, soon)
        .build()
        .expect("a client")
}

/// Somebody who uses a client that others use, too, and changes their mind often.
struct User {
    client: WebPubSubClient,
    rng: SmallRng,
    is_over: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl User {
    async fn run(mut self) {
        while !self.is_over.load(Ordering::SeqCst) {
            let choice = self.rng.random_range(0..10);
            let limit = Duration::from_micros(self.rng.random_range(0..3_000));
            // What fails has been stopped or lost; what hangs is what this is about.
            match choice {
                0 => soon("a stop", self.client.stop()).await,
                1 => drop(soon("a start", self.client.start()).await),
                2 => drop(tokio::time::timeout(limit, self.client.stop()).await),
                3 => drop(tokio::time::timeout(limit, self.client.start()).await),
                4 => {
                    let send = self.client.send_to_group("storm", "x");
                    drop(soon("a request", send).await);
                }
                5 => {
                    let send = self.client.send_to_group("storm", "x");
                    drop(tokio::time::timeout(limit, send).await);
                }
                6 => {
                    let send = self.client.send_to_group("storm", "x");
                    drop(soon("a message without answer", send.fire_and_forget()).await);
                }
                7 => self.publish(limit).await,
                8 => self.subscribe(limit).await,
                _ => self.listen(limit).await,
            }
            self.done.fetch_add(1, Ordering::SeqCst);
            // Somebody has to start it again.
            if choice < 3 {
                drop(soon("a start after a stop", self.client.start()).await);
            }
        }
    }

    async fn publish(&mut self, limit: Duration) {
        let open = soon("a stream", self.client.open_group_stream("storm")).await;
        let Ok(mut writer) = open else { return };
        for n in 0..3 {
            if n == 1 {
                drop(tokio::time::timeout(limit, writer.write("x")).await);
            } else {
                drop(soon("a fragment", writer.write("x")).await);
            }
        }
        if self.rng.random() {
            drop(soon("the end of a stream", writer.end()).await);
        }
    }

    async fn subscribe(&mut self, limit: Duration) {
        let mut streams = self.client.group_streams().subscribe();
        let Ok(Some(mut stream)) = tokio::time::timeout(limit * 10, streams.next()).await else {
            return;
        };
        let reader = tokio::spawn(async move { while stream.next().await.is_some() {} });
        tokio::time::sleep(limit).await;
        drop(streams);
        soon("the reader of a dropped subscription", reader)
            .await
            .unwrap();
    }

    async fn listen(&mut self, limit: Duration) {
        let overflow = match self.rng.random_range(0..3) {
            0 => Overflow::Pause,
            1 => Overflow::DropOldest,
            _ => Overflow::Close,
        };
        let mut events = self.client.events_with(500, overflow);
        let listening = async { while events.next().await.is_some() {} };
        drop(tokio::time::timeout(limit, listening).await);
        // Now it blocks the others for a while, perhaps.
        tokio::time::sleep(limit).await;
    }
}
