//! Every state that happened is printed, in order, and nothing else.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use crate::program::{Program, join, serve, serve_on};
use crate::wire::Wire;

/// How long the service stands still.
const STANDSTILL: Duration = Duration::from_secs(10);

#[test]
fn a_service_that_stands_still_is_noticed_within_the_keep_alive_timeout() {
    let service = serve();
    let server = serve_on(&service.service);
    let watchful = ["--keep-alive-interval", "1", "--keep-alive-timeout", "6"];
    let mut ana = join(&server, "Ana", &watchful);
    ana.until_arrival("Ana");
    // With two minutes of patience, ten seconds are nothing.
    let mut ben = join(&server, "Ben", &[]);
    ben.until_arrival("Ben");
    ana.until_arrival("Ben");

    service.program.signal("STOP");
    let stopped = Instant::now();
    ana.say("typed into the silence");
    ben.say("said into the silence");
    ana.until_event("recovering");
    thread::sleep(STANDSTILL.saturating_sub(stopped.elapsed()));
    service.program.signal("CONT");

    ana.until_event("recovered");
    ana.until_heard("said into the silence");
    ben.until_heard("typed into the silence");
    say_goodbye(&mut ana, &mut ben);

    let ana = ana.end();
    let mut states = ana.went_well().states();
    // What Ben said came by the old socket or by the new one.
    assert!(["recovered: 0", "recovered: 1"].contains(&states.remove(3).as_str()));
    let expected = [
        "connecting 1",
        "connected",
        "recovering: silent",
        "disconnected: stopped",
        "stopped: requested",
    ];
    assert_eq!(states, expected);
    assert_eq!(ana.connection_ids().iter().collect::<HashSet<_>>().len(), 1);
    assert_eq!(ana.heard(), ["Ben: said into the silence", "Ben: goodbye"]);

    let ben = ben.end();
    let states = ben.went_well().states();
    assert_eq!(
        states,
        [
            "connecting 1",
            "connected",
            "disconnected: stopped",
            "stopped: requested"
        ]
    );
    assert_eq!(ben.heard(), ["Ana: typed into the silence", "Ana: goodbye"]);
}

#[test]
fn a_cut_is_recovered_and_what_was_said_meanwhile_comes_once_and_in_order() {
    let near = serve();
    let wire = Wire::to(&near.service);
    let far = serve_on(&wire.url());
    let mut ana = join(&far, "Ana", &[]);
    ana.until_arrival("Ana");
    let mut ben = join(&near, "Ben", &[]);
    ben.until_arrival("Ben");
    ana.until_arrival("Ben");

    wire.cut();
    ana.until_event("recovering");
    for text in ["one", "two", "three"] {
        ana.say(&format!("far {text}"));
        ben.say(&format!("near {text}"));
        ben.until_sent(&format!("near {text}"));
    }
    wire.wait_for_refusals(4);
    wire.connect_to(&near.service);
    ana.until_event("recovered");
    ana.until_sent("far three");
    say_goodbye(&mut ana, &mut ben);

    let ana = ana.end();
    let expected = [
        "connecting 1",
        "connected",
        "recovering: closed",
        "recovered: 3",
        "disconnected: stopped",
        "stopped: requested",
    ];
    assert_eq!(ana.went_well().states(), expected);
    assert_eq!(ana.connection_ids().iter().collect::<HashSet<_>>().len(), 1);
    let near = [
        "Ben: near one",
        "Ben: near two",
        "Ben: near three",
        "Ben: goodbye",
    ];
    assert_eq!(ana.heard(), near);

    let ben = ben.end();
    let states = ben.went_well().states();
    assert_eq!(
        states,
        [
            "connecting 1",
            "connected",
            "disconnected: stopped",
            "stopped: requested"
        ]
    );
    let far = [
        "Ana: far one",
        "Ana: far two",
        "Ana: far three",
        "Ana: goodbye",
    ];
    assert_eq!(ben.heard(), far);
}

#[test]
fn a_service_that_restarts_is_joined_anew() {
    let service = serve();
    let wires = [Wire::to(&service.service), Wire::to(&service.service)];
    let servers = [serve_on(&wires[0].url()), serve_on(&wires[1].url())];
    let mut ana = join(&servers[0], "Ana", &[]);
    ana.until_arrival("Ana");
    let mut ben = join(&servers[1], "Ben", &[]);
    ben.until_arrival("Ben");
    ana.until_arrival("Ben");

    service.program.signal("KILL");
    service.program.ended();
    let successor = serve();
    for person in [&mut ana, &mut ben] {
        person.until_event("recovering");
    }
    ana.say("typed while there was no service");
    // Whose message the new service has accepted, is in the room again: joining comes first.
    wires[1].connect_to(&successor.service);
    ben.say("anybody here?");
    ben.until_sent("anybody here?");
    wires[0].connect_to(&successor.service);
    ana.until_sent("typed while there was no service");
    ben.until_heard("typed while there was no service");
    say_goodbye(&mut ana, &mut ben);

    for (person, heard) in [
        (ana, vec!["Ben: goodbye"]),
        (
            ben,
            vec!["Ana: typed while there was no service", "Ana: goodbye"],
        ),
    ] {
        let person = person.end();
        let expected = [
            "connecting 1",
            "connected",
            "recovering: closed",
            "disconnected: recoveryRefused 1008",
            "connecting 1",
            "connected",
            "disconnected: stopped",
            "stopped: requested",
        ];
        let states: Vec<_> = person.went_well().states();
        assert_eq!(states, expected);
        let ids = person.connection_ids();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 2, "{ids:?}");
        assert_eq!(person.heard(), heard);
    }
}

#[test]
fn a_line_whose_answer_was_lost_for_good_is_sent_again_and_heard_once() {
    let service = serve();
    let wires = [Wire::to(&service.service), Wire::to(&service.service)];
    let servers = [serve_on(&wires[0].url()), serve_on(&wires[1].url())];
    let mut ana = join(&servers[0], "Ana", &[]);
    ana.until_arrival("Ana");
    let mut ben = join(&servers[1], "Ben", &[]);
    ben.until_arrival("Ben");
    ana.until_arrival("Ben");

    // The service takes the line and tells Ben, but Ana never learns of it.
    wires[0].lose_answers();
    ana.say("did you hear?");
    ben.until_heard("did you hear?");
    service.program.signal("KILL");
    service.program.ended();
    let successor = serve();
    ben.until_event("recovering");
    wires[1].connect_to(&successor.service);
    ben.say("back again");
    ben.until_sent("back again");
    wires[0].connect_to(&successor.service);
    ana.until_sent("did you hear?");
    say_goodbye(&mut ana, &mut ben);

    let ana = ana.end();
    let states = ana.went_well().states();
    assert_eq!(
        states[2..5],
        [
            "recovering: closed",
            "disconnected: recoveryRefused 1008",
            "connecting 1"
        ]
    );
    let sent = ana.lines.iter().filter(|line| line["event"] == "sent");
    let sent: Vec<_> = sent.filter_map(|line| line["text"].as_str()).collect();
    assert_eq!(sent, ["did you hear?", "goodbye"]);
    let ben = ben.end();
    let heard = ["Ana: did you hear?", "Ana: goodbye"];
    assert_eq!(ben.went_well().heard(), heard);
}

/// One message each way, after which nothing else can come.
fn say_goodbye(ana: &mut Program, ben: &mut Program) {
    ben.say("goodbye");
    ana.until_heard("goodbye");
    ana.say("goodbye");
    ben.until_heard("goodbye");
}
