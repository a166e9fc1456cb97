//! One program for all targets: the environment variable `FUZZ_TARGET` names the one that runs.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<&fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    fuzz::find(&name).expect("FUZZ_TARGET names a target: `cargo xtask fuzz` sets it")
});

fuzz_target!(|input: &[u8]| (TARGET.run)(input));
