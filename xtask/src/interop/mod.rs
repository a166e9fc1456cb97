//! `cargo xtask interop`: the official JavaScript and Python packages and a real browser against
//! the programs of this workspace.

use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

use crate::test::report::{Outcome, Report};
use crate::test::{counts, process};
pub(crate) use emulator::{Emulator, access_key};
pub(crate) use tools::{Tools, root, target_folder};

mod emulator;
mod tools;

/// Arguments of `cargo xtask interop`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to run.
    #[arg(value_enum, default_value_t = Choice::All)]
    suite: Choice,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Choice {
    /// Both SDKs make the same calls; what arrives must be equal
    Wire,
    /// Both real-time clients play the same scripts; frames and reactions must be equal
    Frames,
    /// The same requests to both event handlers; answers must be equal
    Webhook,
    /// The npm packages against the emulator
    Js,
    /// The PyPI package against the emulator
    Python,
    /// Requests that schemathesis makes of our description of the REST API, against the emulator
    Schema,
    /// The pages of the examples in Chromium
    Browser,
    /// All of them
    All,
}

/// One of the suites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suite {
    /// Requests of both SDKs, compared.
    Wire,
    /// Frames and reactions of both real-time clients, compared.
    Frames,
    /// Answers of both event handlers, compared.
    Webhook,
    /// npm packages.
    Js,
    /// PyPI package.
    Python,
    /// Requests made of the description.
    Schema,
    /// Pages of the examples.
    Browser,
}

impl Suite {
    /// Every suite, in the order in which they run.
    pub(crate) const EACH: [Self; 7] = [
        Self::Wire,
        Self::Frames,
        Self::Webhook,
        Self::Js,
        Self::Python,
        Self::Schema,
        Self::Browser,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Wire => "interop wire",
            Self::Frames => "interop frames",
            Self::Webhook => "interop webhook",
            Self::Js => "interop js",
            Self::Python => "interop python",
            Self::Schema => "interop schema",
            Self::Browser => "interop browser",
        }
    }

    fn run(self, tools: &Tools) -> Result<Outcome> {
        match self {
            Self::Wire => wire(tools),
            Self::Frames => frames(tools),
            Self::Webhook => webhook(tools),
            Self::Js => js(tools),
            Self::Python => python(tools),
            Self::Schema => schema(tools),
            Self::Browser => browser(tools),
        }
    }
}

/// Runs the chosen suites and prints a summary.
///
/// # Errors
///
/// Fails when a test failed, or a suite ran none.
pub(crate) fn run(args: &Args) -> Result<()> {
    let chosen: &[Suite] = match args.suite {
        Choice::Wire => &[Suite::Wire],
        Choice::Frames => &[Suite::Frames],
        Choice::Webhook => &[Suite::Webhook],
        Choice::Js => &[Suite::Js],
        Choice::Python => &[Suite::Python],
        Choice::Schema => &[Suite::Schema],
        Choice::Browser => &[Suite::Browser],
        Choice::All => &Suite::EACH,
    };
    let report = suites(&Tools::default(), chosen);
    report.finish()
}

/// Runs `chosen` side by side: each has emulators of its own, on free ports.
pub(crate) fn suites(tools: &Tools, chosen: &[Suite]) -> Report {
    let mut report = Report::default();
    report.run_side_by_side(
        chosen
            .iter()
            .map(|suite| (suite.name(), || suite.run(tools))),
    );
    report
}

/// Checks `spec/rest.yaml` with a public validator.
///
/// # Errors
///
/// Fails when the validator cannot be installed or started.
pub(crate) fn spec(tools: &Tools) -> Result<Outcome> {
    let finished = process::run(tools.python()?.args([
        "-m",
        "openapi_spec_validator",
        "--schema",
        "3.0",
        "spec/rest.yaml",
    ]))?;
    Ok(Outcome::of_check(&finished))
}

fn wire(tools: &Tools) -> Result<Outcome> {
    let folder = tools.npm_ci("tests/interop/js")?;
    let driver = tools.program("wire-driver")?;
    process::run_ok(
        tools
            .node()?
            .current_dir(&folder)
            .args(["wire/generate.mjs", "--check"]),
    )?;
    let finished = process::run(
        tools
            .node()?
            .current_dir(&folder)
            .arg("wire/main.mjs")
            .arg(driver),
    )?;
    Ok(Outcome::of(&finished, counts::wire(&finished.output)))
}

fn frames(tools: &Tools) -> Result<Outcome> {
    let folder = tools.npm_ci("tests/interop/js")?;
    let driver = tools.program("frames-driver")?;
    let finished = process::run(
        tools
            .node()?
            .current_dir(&folder)
            .arg("frames/main.mjs")
            .arg(driver),
    )?;
    Ok(Outcome::of(&finished, counts::script(&finished.output)))
}

fn webhook(tools: &Tools) -> Result<Outcome> {
    let folder = tools.npm_ci("tests/interop/js")?;
    let driver = tools.program("webhook-driver")?;
    let finished = process::run(
        tools
            .node()?
            .current_dir(&folder)
            .arg("webhook/main.mjs")
            .arg(driver),
    )?;
    Ok(Outcome::of(&finished, counts::script(&finished.output)))
}

fn js(tools: &Tools) -> Result<Outcome> {
    let folder = tools.npm_ci("tests/interop/js")?;
    let mut node = tools.node()?;
    node.env("FRAMES_DRIVER", tools.program("frames-driver")?)
        .env("WEBHOOK_DRIVER", tools.program("webhook-driver")?)
        .env("EMULATOR_BIN", tools.program("webpubsub-emulator")?);
    node.current_dir(&folder).args([
        "--test",
        "--test-reporter=spec",
        "--test-timeout=60000",
        "service.test.mjs",
        "client.test.mjs",
        "events.test.mjs",
        "handlers.test.mjs",
        "protobuf.test.mjs",
        "protobuf-vectors.test.mjs",
        "reliable.test.mjs",
        "rust.test.mjs",
        "state.test.mjs",
        "streams.test.mjs",
    ]);
    against_emulator(tools, node, counts::node)
}

fn python(tools: &Tools) -> Result<Outcome> {
    let mut python = tools.python()?;
    python.args(["-m", "pytest", "-q", "tests/interop/python"]);
    against_emulator(tools, python, counts::pytest)
}

/// The answers of an emulator to what schemathesis makes of `spec/rest.yaml`.
fn schema(tools: &Tools) -> Result<Outcome> {
    let mut python = tools.python()?;
    python.args(["-m", "pytest", "-q", "tests/interop/schema"]);
    let program = tools.program("webpubsub-emulator")?;
    let emulator = Emulator::start(Command::new(program).args(["--port", "0", "--json"]))?;
    python.env("WebPubSubConnectionString", emulator.connection_string());
    let finished = process::run(&mut python)?;
    emulator.stop()?;
    Ok(Outcome::of(&finished, counts::pytest(&finished.output)))
}

fn browser(tools: &Tools) -> Result<Outcome> {
    let chromium = tools.chromium()?;
    let folder = tools.npm_ci("tests/interop/browser")?;
    let (chat, emulator) = (tools.program("chat")?, tools.program("webpubsub-emulator")?);
    let finished = process::run(
        tools
            .node()?
            .current_dir(&folder)
            .env("CHROMIUM", chromium)
            .arg("run.mjs")
            .arg("--chat-bin")
            .arg(chat)
            .arg("--notifications-bin")
            .arg(tools.program("notifications")?)
            .arg("--emulator-bin")
            .arg(emulator),
    )?;
    Ok(Outcome::of(&finished, counts::script(&finished.output)))
}

/// Runs `tests` with the connection strings of three fresh emulators, two of them with event handlers, one of which the
/// tests let go wrong, and looks at how those took it.
fn against_emulator(
    tools: &Tools,
    mut tests: Command,
    read: fn(&str) -> counts::Counts,
) -> Result<Outcome> {
    let plain = tools.program("webpubsub-emulator")?;
    let plain = Emulator::start(Command::new(plain).args(["--port", "0", "--json"]))?;
    let handling = Emulator::start(&mut Command::new(tools.program("handler-emulator")?))?;
    let faulty = Emulator::start(&mut Command::new(tools.program("handler-emulator")?))?;
    let (admin_url, admin_token) = faulty.admin()?;
    tests
        .env("WebPubSubConnectionString", plain.connection_string())
        .env(
            "HandlerEmulatorConnectionString",
            handling.connection_string(),
        )
        .env("FaultyEmulatorConnectionString", faulty.connection_string())
        .env("FaultyEmulatorAdminUrl", admin_url)
        .env("FaultyEmulatorAdminToken", admin_token);
    let finished = process::run(&mut tests);
    let stopped = [plain.stop(), handling.stop(), faulty.stop()];
    let finished = finished?;
    let mut counts = read(&finished.output);
    for error in stopped.into_iter().filter_map(Result::err) {
        process::say(&format!("error: {error:#}"));
        counts.failed += 1;
    }
    Ok(Outcome::of(&finished, counts))
}
