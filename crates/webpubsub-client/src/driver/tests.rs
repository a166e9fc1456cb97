//! Every interleaving of handles and driver, as far as they meet under the session's lock.
//!
//! loom runs each scenario again and again, once for each order in which its threads can take the lock, with a few switches
//! away from a thread that could have gone on. A thread that waits for ever is a failure.

mod world;

use std::sync::Arc;

use loom::future::block_on;
use loom::thread;
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::session::{Request, StopReason};

use super::*;
use crate::error::SendError;
use crate::event::Event;
use crate::events::Events;
use crate::group_streams::SubscribeGroupStreams;
use crate::inbox::{Inbox, Overflow};
use crate::outbound::GroupStreamWriter;
use crate::pending::Pending;
use crate::shared::Lane;
use world::{FRAGMENT, FRAGMENT_2, MESSAGE, World, accepted, is_settled, poll_once, submit};

#[test]
fn a_stop_beside_a_request_settles_it_and_closes_the_socket() {
    explore(2, || {
        let world = World::connected(1_000);
        let sender = world.send();
        world.stop();
        assert!(is_settled(&sender.join().unwrap()));
        world.end(1);
    });
}

#[test]
fn a_stop_before_the_connection_stands_ends_the_start() {
    explore(2, || {
        let world = World::new(1_000);
        let started = world.shared.start().unwrap();
        world.run(started.seat);
        let shared = Arc::clone(&world.shared);
        let stopper = thread::spawn(move || {
            if let Some(stopped) = shared.stop() {
                block_on(stopped).unwrap();
            }
        });
        let connected = block_on(started.connected).unwrap();
        assert!(matches!(connected, Ok(()) | Err(StopReason::Requested)));
        stopper.join().unwrap();
        world.end_at_least(0);
    });
}

#[test]
fn a_start_right_after_a_stop_is_driven() {
    explore(1, || {
        let world = World::connected(1_000);
        world.stop();
        world.restart();
        let settled = block_on(submit(&world.shared));
        assert!(is_settled(&settled));
        world.stop();
        world.end(2);
    });
}

#[test]
fn a_start_beside_a_stop_is_driven_or_refused() {
    explore(2, || {
        let world = World::connected(1_000);
        let shared = Arc::clone(&world.shared);
        let stopper = thread::spawn(move || drop(shared.stop()));
        if let Ok(started) = world.shared.start() {
            world.run(started.seat);
            assert_eq!(block_on(started.connected).unwrap(), Ok(()));
        }
        stopper.join().unwrap();
        world.stop();
        world.end_at_least(1);
    });
}

#[test]
fn a_driver_that_is_dropped_harms_no_driver_that_comes_later() {
    explore(2, || {
        let world = World::new(1_000);
        let started = world.shared.start().unwrap();
        let mut driver = Box::pin(Driver::new(started.seat.unwrap(), world.link()));
        assert!(poll_once(driver.as_mut()).is_pending());
        let sender = world.send();
        let dropper = thread::spawn(move || drop(driver));
        let mut was_restarted = false;
        if let Ok(started) = world.shared.start() {
            was_restarted = true;
            world.run(Some(started.seat.expect("the driver before is gone")));
            assert_eq!(block_on(started.connected).unwrap(), Ok(()));
        }
        dropper.join().unwrap();
        assert!(is_settled(&sender.join().unwrap()) || !was_restarted);
        world.stop();
        world.end_at_least(0);
    });
}

#[test]
fn callers_that_wait_for_room_are_woken_by_room_and_by_a_stop() {
    explore(1, || {
        let world = World::connected(1);
        let senders = [world.send(), world.send()];
        world.stop();
        for sender in senders {
            assert!(is_settled(&sender.join().unwrap()));
        }
        world.end(1);
    });
}

#[test]
fn a_caller_that_gives_up_passes_its_turn_on() {
    explore(2, || {
        let (world, driver) = World::waiting(1);
        let submit = || {
            let shared = Arc::clone(&world.shared);
            Box::pin(async move { submit(&shared).await })
        };
        let mut in_outbox = submit();
        assert!(poll_once(in_outbox.as_mut()).is_pending());
        let mut waiting = submit();
        assert!(poll_once(waiting.as_mut()).is_pending());
        let sender = world.send();
        world.spawn(driver);
        // It may have been woken by then, and has not tried.
        drop(waiting);
        let settled = sender.join().unwrap();
        assert!(matches!(settled, Ok((_, settled)) if accepted(&settled)));
        // The rest is the same in whatever order.
        loom::stop_exploring();
        drop(in_outbox);
        world.stop();
        world.end(1);
    });
}

#[test]
fn a_caller_that_goes_on_in_another_task_is_woken_there() {
    explore(2, || {
        let (world, driver) = World::waiting(1_000);
        let shared = Arc::clone(&world.shared);
        let mut sending = Box::pin(async move { submit(&shared).await });
        assert!(poll_once(sending.as_mut()).is_pending());
        let sender = thread::spawn(move || block_on(sending));
        world.spawn(driver);
        let settled = sender.join().unwrap();
        assert!(matches!(settled, Ok((_, settled)) if accepted(&settled)));
        loom::stop_exploring();
        world.stop();
        world.end(1);
    });
}

#[test]
fn a_consumer_hears_the_end_whatever_blocks_it() {
    explore(2, || {
        let world = World::new(1_000);
        // Full with the first event.
        let inbox = Inbox::new(0, Overflow::Pause);
        world.shared.add_inbox(Arc::clone(&inbox));
        let mut events = Events::new(inbox, Arc::clone(&world.shared));
        let started = world.shared.start().unwrap();
        world.run(started.seat);
        let reader = thread::spawn(move || {
            block_on(async {
                while let Some(event) = events.next().await {
                    if matches!(event, Event::Stopped { .. }) {
                        return;
                    }
                }
                panic!("the last event is missing");
            });
        });
        world.stop();
        reader.join().unwrap();
        world.end_at_least(0);
    });
}

#[test]
fn a_consumer_that_blocks_the_connection_gets_everything() {
    explore(2, || {
        let world = World::saying(&[MESSAGE, MESSAGE]);
        // Full with the first event, so that nothing more is read until it is taken.
        let inbox = Inbox::new(0, Overflow::Pause);
        world.shared.add_inbox(Arc::clone(&inbox));
        let mut events = Events::new(inbox, Arc::clone(&world.shared));
        let started = world.shared.start().unwrap();
        world.run(started.seat);
        block_on(async {
            let mut messages = 0;
            while messages < 2 {
                let event = events.next().await.expect("the client runs");
                messages += usize::from(matches!(event, Event::ServerMessage(_)));
            }
        });
        loom::stop_exploring();
        drop(events);
        world.stop();
        world.end(1);
    });
}

#[test]
fn a_stream_writer_that_is_dropped_beside_a_stop_leaves_nothing_behind() {
    explore(2, || {
        let (world, mut driver) = World::waiting(1_000);
        let writer = world.open_stream(driver.as_mut());
        world.spawn(driver);
        let dropper = thread::spawn(move || drop(writer));
        world.stop();
        dropper.join().unwrap();
        world.end(1);
    });
}

#[test]
fn a_stream_that_opens_when_its_time_is_over_is_open_or_given_up() {
    explore(2, || {
        let (world, driver) = World::waiting(1_000);
        let group = GroupName::new("g").unwrap();
        let request = Request::open_stream(group).stream_id("s");
        let mut open = Box::pin(Pending::new(&world.shared, Lane::Outbox, None, request));
        assert!(poll_once(open.as_mut()).is_pending());
        world.spawn(driver);
        match open.expire() {
            Ok((stream, settled)) => {
                assert!(accepted(&settled));
                let mut writer = GroupStreamWriter::new(&world.shared, stream, None).unwrap();
                block_on(writer.write("x")).unwrap();
            }
            Err(error) => assert!(matches!(error, SendError::TimedOut)),
        }
        drop(open);
        loom::stop_exploring();
        world.stop();
        world.end(1);
    });
}

#[test]
fn a_fragment_beside_a_stop_is_written_or_lost() {
    explore(1, || {
        let (world, mut driver) = World::waiting(1_000);
        let mut writer = world.open_stream(driver.as_mut());
        world.spawn(driver);
        let failed = writer.failed();
        let sender = thread::spawn(move || {
            let written = block_on(writer.write("x"));
            assert!(matches!(
                written,
                Ok(())
                    | Err(SendError::Lost(_) | SendError::NotStarted | SendError::Rejected { .. })
            ));
        });
        world.stop();
        // The stream was open, so the stop ends it.
        block_on(failed);
        sender.join().unwrap();
        world.end(1);
    });
}

#[test]
fn streams_that_are_taken_end_with_the_client() {
    explore(1, || {
        let world = World::saying(&[FRAGMENT]);
        let mut streams = SubscribeGroupStreams::new(&world.shared).subscribe();
        let started = world.shared.start().unwrap();
        world.run(started.seat);
        let reader = thread::spawn(move || {
            block_on(async {
                while let Some(mut stream) = streams.next().await {
                    while stream.next().await.is_some() {}
                }
            });
        });
        world.shared.abandon();
        reader.join().unwrap();
        world.end_at_least(0);
    });
}

#[test]
fn a_subscription_that_is_dropped_ends_the_streams_that_were_taken_from_it() {
    explore(1, || {
        let world = World::saying(&[FRAGMENT, FRAGMENT_2]);
        let mut streams = SubscribeGroupStreams::new(&world.shared).subscribe();
        let started = world.shared.start().unwrap();
        world.run(started.seat);
        let mut stream = block_on(streams.next()).expect("the client runs");
        let dropper = thread::spawn(move || drop(streams));
        block_on(async { while stream.next().await.is_some() {} });
        dropper.join().unwrap();
        loom::stop_exploring();
        world.stop();
        world.end(1);
    });
}

#[test]
fn a_reader_that_is_dropped_while_fragments_arrive_leaves_nothing_behind() {
    explore(1, || {
        let world = World::saying(&[FRAGMENT, FRAGMENT_2]);
        let mut streams = SubscribeGroupStreams::new(&world.shared).subscribe();
        let started = world.shared.start().unwrap();
        world.run(started.seat);
        let stream = block_on(streams.next()).expect("the client runs");
        drop(stream);
        world.stop();
        drop(streams);
        world.end(1);
    });
}

#[test]
fn the_last_handle_ends_everything() {
    explore(2, || {
        let world = World::connected(1_000);
        let sender = world.send();
        world.shared.abandon();
        assert!(is_settled(&sender.join().unwrap()));
        world.end(1);
    });
}

/// Runs a scenario in every order with at most so many preemptions. With two, a run finds all races that this crate has
/// ever had; where more threads meet, one keeps it to a second.
fn explore(preemptions: usize, scenario: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(scenario);
}
