//! What a target is called by those who pack for it.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::test::process;

const STATIC_MUSL: &str = "x86_64-unknown-linux-musl";

/// A target triple.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) triple: String,
}

impl Target {
    /// The target that was asked for. Else this machine's, where Linux with musl goes before Linux with glibc: a static
    /// glibc still loads the name services that a machine's `nsswitch.conf` names.
    pub(super) fn choose(asked: Option<&str>) -> Result<Self> {
        if let Some(triple) = asked {
            return Ok(Self::new(triple));
        }
        let host = process::probe("rustc", &["--print", "host-tuple"])
            .context("`rustc` does not say what machine this is")?;
        if host == "x86_64-unknown-linux-gnu" && has_musl() {
            return Ok(Self::new(STATIC_MUSL));
        }
        Ok(Self::new(&host))
    }

    fn new(triple: &str) -> Self {
        Self {
            triple: triple.to_owned(),
        }
    }

    pub(super) fn is_linux(&self) -> bool {
        self.triple.contains("-linux-")
    }

    fn is_windows(&self) -> bool {
        self.triple.contains("-windows-")
    }

    fn is_arm(&self) -> bool {
        self.triple.starts_with("aarch64-")
    }

    /// Whether the C library can be a part of the program. Apple has none that can.
    pub(super) fn is_static(&self) -> bool {
        self.is_linux() || self.is_windows()
    }

    /// The program's file name.
    pub(super) fn file_name(&self) -> &'static str {
        match self.is_windows() {
            true => "webpubsub-emulator.exe",
            false => "webpubsub-emulator",
        }
    }

    /// `process.platform` of Node.js.
    pub(super) fn node_platform(&self) -> &'static str {
        match self {
            _ if self.is_windows() => "win32",
            _ if self.is_linux() => "linux",
            _ => "darwin",
        }
    }

    /// `process.arch` of Node.js.
    pub(super) fn node_arch(&self) -> &'static str {
        match self.is_arm() {
            true => "arm64",
            false => "x64",
        }
    }

    /// What Debian and container registries call the processor.
    pub(super) fn debian_arch(&self) -> &'static str {
        match self.is_arm() {
            true => "arm64",
            false => "amd64",
        }
    }

    /// The tags of the wheel. A static program runs with glibc, musl or none at all, so with musl it claims the oldest of
    /// each; maturin grants a program that was built with glibc only the former.
    pub(super) fn wheel_tags(&self) -> &'static [&'static str] {
        match self.is_linux() {
            true if self.triple.ends_with("-musl") => &["manylinux2014", "musllinux_1_1"],
            true => &["manylinux2014"],
            false => &[],
        }
    }
}

fn has_musl() -> bool {
    let args = ["--print", "target-libdir", "--target", STATIC_MUSL];
    let libraries = process::probe("rustc", &args);
    libraries.is_some_and(|folder| Path::new(&folder).is_dir())
        && process::probe("musl-gcc", &["--version"]).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_another_name_for_it() {
        for (triple, platform, arch, debian) in [
            ("x86_64-unknown-linux-musl", "linux", "x64", "amd64"),
            ("aarch64-unknown-linux-gnu", "linux", "arm64", "arm64"),
            ("aarch64-apple-darwin", "darwin", "arm64", "arm64"),
            ("x86_64-pc-windows-msvc", "win32", "x64", "amd64"),
        ] {
            let target = Target::choose(Some(triple)).unwrap();
            assert_eq!(target.node_platform(), platform);
            assert_eq!(target.node_arch(), arch);
            assert_eq!(target.debian_arch(), debian);
            assert_eq!(target.file_name().ends_with(".exe"), platform == "win32");
            assert_eq!(target.is_static(), platform != "darwin");
        }
    }
}
