//! `cargo xtask test --azure`: the tests of the whole stack against a resource in Azure.
//!
//! What only an emulator can do is left out and named: event handlers, which a resource could reach at a public address
//! only, faults, the clock, and lines that are cut below TLS.

use std::env;
use std::hash::{BuildHasher as _, RandomState};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::interop::{self, Emulator, Tools};
use crate::test::counts::{self, Counts};
use crate::test::process::{self, Finished};
use crate::test::report::{Missing, Outcome, Report};

/// Names the resource. Never printed, and passed on by the environment only.
const VARIABLE: &str = "WEBPUBSUB_AZURE_CONNECTION_STRING";

const LEFT_OUT: &str = "left out, since only an emulator can do it: event handlers, answers of the server, malformed \
    frames, faults, the clock; with TLS also cut lines of the official packages";

/// The files of the npm suite that need neither event handlers nor another program.
const SCRIPTS: [&str; 5] = [
    "service.test.mjs",
    "client.test.mjs",
    "reliable.test.mjs",
    "state.test.mjs",
    "streams.test.mjs",
];

/// What a resource may not have yet, with the modules of `tests/live` and the scripts that need it.
const OPTIONAL: [(&str, &str); 2] = [
    ("streams", "streams.test.mjs"),
    ("group_state", "state.test.mjs"),
];

/// Runs the tests against the resource that the environment names.
///
/// # Errors
///
/// Fails when a test failed, without a resource, and for a feature that cannot be left out.
pub(crate) fn run(without: &[String]) -> Result<()> {
    let known = |name: &String| OPTIONAL.iter().any(|(optional, _)| optional == name);
    let names = OPTIONAL.map(|(name, _)| name).join(", ");
    ensure!(without.iter().all(known), "--without takes these: {names}");
    let connection_string = env::var(VARIABLE)
        .ok()
        .filter(|value| !value.is_empty())
        .with_context(|| format!("set {VARIABLE} to the connection string of a resource"))?;
    let resource = Resource::new(connection_string, without)?;
    println!("{LEFT_OUT}");
    let tools = Tools::default();
    let mut report = Report::default();
    report.run("live", || resource.live(&tools));
    report.run("live js", || resource.js(&tools));
    report.run("live python", || resource.python(&tools));
    report.finish()
}

/// All of it against an emulator that plays the resource: a program of its own, with a key that nobody knows.
///
/// # Errors
///
/// Fails when the emulator does not start, and when a tool is missing.
pub(crate) fn suite(tools: &Tools) -> Result<Outcome> {
    let mut command = Command::new(tools.program("webpubsub-emulator")?);
    command.args(["--port", "0", "--json"]);
    let emulator = Emulator::start(command.env("WEBPUBSUB_EMULATOR_ACCESS_KEY", random(4)))?;
    let resource = Resource::new(emulator.connection_string().to_owned(), &[])?;
    let mut counts = Counts::default();
    for outcome in [
        resource.live(tools),
        resource.js(tools),
        resource.python(tools),
    ] {
        match outcome {
            Ok(Outcome::Ran(ran)) => counts += ran,
            Ok(Outcome::Skipped(why)) => process::say(&format!("skipped: {why}")),
            // The other suites say so, too.
            Err(error) if error.is::<Missing>() => process::say(&format!("skipped: {error}")),
            Err(error) => return Err(error),
        }
    }
    emulator.stop()?;
    Ok(Outcome::Ran(counts))
}

/// A resource, and what is asked of it.
struct Resource {
    connection_string: String,
    key: String,
    /// What the names of hubs begin with: other runs may use the resource at the same time.
    hubs: String,
    without: Vec<String>,
}

impl Resource {
    fn new(connection_string: String, without: &[String]) -> Result<Self> {
        let key = interop::access_key(&connection_string)
            .context("the connection string of the resource cannot be used")?
            .to_owned();
        Ok(Self {
            connection_string,
            key,
            hubs: format!("live_{}", random(1)),
            without: without.to_vec(),
        })
    }

    /// The tests of `tests/live`, one after the other: the smallest resource takes 20 connections.
    fn live(&self, tools: &Tools) -> Result<Outcome> {
        let mut cargo = tools.cargo();
        // As the tests are built with the others.
        cargo
            .args([
                "test",
                "--workspace",
                "--test",
                "live",
                "--no-fail-fast",
                "--",
            ])
            .args(["--test-threads", "2"])
            .env("WEBPUBSUB_LIVE_CONNECTION_STRING", &self.connection_string)
            .env("WEBPUBSUB_LIVE_HUBS", &self.hubs);
        for name in &self.without {
            cargo.args(["--skip", &format!("{name}::")]);
        }
        self.judge(&mut cargo, counts::cargo_test)
    }

    fn js(&self, tools: &Tools) -> Result<Outcome> {
        let folder = tools.npm_ci("tests/interop/js")?;
        let mut node = tools.node()?;
        node.current_dir(&folder).args([
            "--test",
            "--test-reporter=spec",
            "--test-concurrency=1",
            "--test-timeout=120000",
        ]);
        node.args(self.scripts());
        self.judge(self.named(&mut node), counts::node)
    }

    fn scripts(&self) -> impl Iterator<Item = &'static str> {
        let missing = |script: &&str| {
            OPTIONAL
                .iter()
                .any(|(name, file)| file == script && self.without.iter().any(|it| it == name))
        };
        SCRIPTS.into_iter().filter(move |script| !missing(script))
    }

    fn python(&self, tools: &Tools) -> Result<Outcome> {
        let mut python = tools.python()?;
        python.args(["-m", "pytest", "-q", "tests/interop/python"]);
        self.judge(self.named(&mut python), counts::pytest)
    }

    fn named<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .env("WebPubSubConnectionString", &self.connection_string)
            .env("InteropHubs", &self.hubs)
            .env_remove("HandlerEmulatorConnectionString")
            .env_remove("FaultyEmulatorConnectionString")
    }

    /// Runs it, and shows its output without the key. A program that prints the key fails.
    fn judge(&self, command: &mut Command, read: fn(&str) -> Counts) -> Result<Outcome> {
        let (finished, output) = process::held_back(|| process::run(command));
        process::say(output.replace(&self.key, "[redacted]").trim_end());
        let finished: Finished = finished?;
        let mut counts = read(&finished.output);
        if finished.output.contains(&self.key) {
            process::say("error: it printed the access key");
            counts.failed += 1;
        }
        // What does not run against any resource is no test that somebody switched off.
        counts.skipped = 0;
        Ok(Outcome::of(&finished, counts))
    }
}

/// Words of 16 hexadecimal digits that nobody can guess.
fn random(words: usize) -> String {
    let word = |_| format!("{:016x}", RandomState::new().hash_one(0));
    (0..words).map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOURCE: &str = "Endpoint=http://localhost;AccessKey=S3cretK3y;Version=1.0;";

    fn failed(outcome: Outcome) -> u32 {
        match outcome {
            Outcome::Ran(counts) => counts.failed,
            Outcome::Skipped(why) => panic!("skipped: {why}"),
        }
    }

    #[test]
    fn a_key_in_the_output_is_a_failure_and_is_not_shown() {
        let resource = Resource::new(RESOURCE.to_owned(), &[]).unwrap();
        let print = |text: &str| {
            let script = format!("echo '{text}'; echo '1 passed, 0 failed'");
            process::held_back(|| {
                resource.judge(Command::new("sh").args(["-c", &script]), counts::script)
            })
        };
        let (outcome, shown) = print("hello");
        assert_eq!(failed(outcome.unwrap()), 0);
        assert!(shown.contains("hello"));
        let (outcome, shown) = print("AccessKey=S3cretK3y");
        assert_eq!(failed(outcome.unwrap()), 1);
        assert!(!shown.contains("S3cretK3y"), "{shown}");
    }

    #[test]
    fn what_is_left_out_is_no_argument() {
        let without = ["streams".to_owned()];
        let resource = Resource::new(RESOURCE.to_owned(), &without).unwrap();
        let scripts: Vec<_> = resource.scripts().collect();
        assert!(!scripts.contains(&"streams.test.mjs") && scripts.len() == SCRIPTS.len() - 1);
        assert!(
            run(&["rest".to_owned()])
                .unwrap_err()
                .to_string()
                .contains("--without")
        );
    }

    #[test]
    fn names_of_hubs_are_unlike_those_of_other_runs() {
        assert_ne!(random(1), random(1));
        assert_eq!(random(4).len(), 64);
        assert!(Resource::new("Endpoint=http://x;".to_owned(), &[]).is_err());
    }
}
