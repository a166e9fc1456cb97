//! The one program that all packages hold.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use super::checks::Checks;
use super::target::Target;
use super::{Dist, PROGRAM};
use crate::interop::{Emulator, Tools};
use crate::test::process;

/// The most that the program may weigh: it is downloaded for every run of somebody's CI.
const MOST_MIB: u64 = 15;

/// A built program.
#[derive(Debug)]
pub(super) struct Build {
    pub(super) program: PathBuf,
    /// The ids of the packages that cargo compiled for it.
    pub(super) packages: BTreeSet<String>,
}

/// What `cargo build` reports; of other messages only the reason is read.
#[derive(Debug, Deserialize)]
struct Message {
    reason: String,
    package_id: Option<String>,
    executable: Option<PathBuf>,
}

impl Build {
    pub(super) fn run(tools: &Tools, target: &Target, quick: bool) -> Result<Self> {
        let mut cargo = tools.cargo();
        configure(&mut cargo, target, quick);
        cargo.args(["build", "--locked", "--profile", "dist", "--target"]);
        cargo.args([&target.triple, "--package", PROGRAM, "--bin", PROGRAM]);
        cargo.arg("--message-format=json-render-diagnostics");
        let output = cargo
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start cargo")?;
        ensure!(output.status.success(), "the emulator does not build");
        Self::read(&String::from_utf8_lossy(&output.stdout))
    }

    fn read(messages: &str) -> Result<Self> {
        let mut packages = BTreeSet::new();
        let mut program = None;
        for line in messages.lines() {
            let message: Message =
                serde_json::from_str(line).context("cargo wrote something else than messages")?;
            if message.reason == "compiler-artifact" {
                packages.extend(message.package_id);
                program = message.executable.or(program);
            }
        }
        let program = program.context("cargo built no program")?;
        Ok(Self { program, packages })
    }
}

/// Sets what every build of the program has to agree on; otherwise cargo would compile everything again.
pub(super) fn configure(command: &mut Command, target: &Target, quick: bool) {
    if target.is_static() {
        command.env("RUSTFLAGS", "-C target-feature=+crt-static");
    }
    if quick {
        command
            .env("CARGO_PROFILE_DIST_LTO", "off")
            .env("CARGO_PROFILE_DIST_CODEGEN_UNITS", "16")
            .env("CARGO_PROFILE_DIST_OPT_LEVEL", "1");
    }
}

/// Size, what it needs to run, and that it runs where nothing else is.
pub(super) fn test(dist: &Dist, checks: &mut Checks) {
    let program = &dist.build.program;
    if !dist.quick {
        checks.check("it is small", || {
            let bytes = fs::metadata(program)?.len();
            process::say(&format!("{} KiB", bytes.div_ceil(1024)));
            ensure!(
                bytes < MOST_MIB * 1024 * 1024,
                "it has {bytes} bytes, more than {MOST_MIB} MiB"
            );
            Ok(())
        });
    }
    if !dist.target.is_linux() {
        return;
    }
    checks.check("it needs no library and no loader", || {
        ensure!(
            is_static(&fs::read(program)?)?,
            "it names a program interpreter"
        );
        Ok(())
    });
    if process::probe("chroot", &["/", "true"]).is_none() {
        checks.lack("no empty root: only the user root may change it; run as root".to_owned());
        return;
    }
    checks.check("it starts in an empty root", || {
        let root = empty_root(dist)?;
        let mut command = enter_root(&root);
        let emulator = Emulator::start(command.args(["--port", "0", "--json"]))?;
        emulator.stop()
    });
    checks.check("it finds hosts by name in an empty root", || {
        find_host(dist)
    });
}

/// Whether an ELF program has no interpreter, which is the loader of shared libraries.
fn is_static(elf: &[u8]) -> Result<bool> {
    const PT_INTERP: u32 = 3;
    ensure!(
        elf.starts_with(b"\x7fELF\x02\x01"),
        "it is no 64-bit little-endian ELF file"
    );
    let number = |at: usize, length: usize| -> Result<usize> {
        let bytes = elf
            .get(at..at + length)
            .context("the ELF file is cut off")?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | usize::from(*byte)))
    };
    let (headers, size, count) = (number(0x20, 8)?, number(0x36, 2)?, number(0x38, 2)?);
    for index in 0..count {
        if number(headers + index * size, 4)? == PT_INTERP as usize {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A root folder with nothing but the program, a host of ours and the kernel's random numbers, which every container
/// has: a static program does not find the C library's function for them.
fn empty_root(dist: &Dist) -> Result<PathBuf> {
    let root = dist.scratch("root")?;
    fs::copy(&dist.build.program, root.join(PROGRAM))?;
    fs::create_dir(root.join("etc"))?;
    fs::write(root.join("etc/hosts"), "127.0.0.1 handler.example\n")?;
    fs::create_dir(root.join("dev"))?;
    for (name, minor) in [("random", "8"), ("urandom", "9")] {
        let mut node = Command::new("mknod");
        node.args(["-m", "444"]).arg(root.join("dev").join(name));
        process::run_ok(node.args(["c", "1", minor]))?;
    }
    Ok(root)
}

fn enter_root(root: &Path) -> Command {
    let mut command = Command::new("chroot");
    command.arg(root).arg(format!("/{PROGRAM}")).env_clear();
    // For `chroot` itself.
    command.env("PATH", env::var_os("PATH").unwrap_or_default());
    command
}

/// The doctor, in the empty root, calls a handler whose host only `/etc/hosts` knows, as in a container.
fn find_host(dist: &Dist) -> Result<()> {
    let handler = TcpListener::bind("127.0.0.1:0")?;
    let port = handler.local_addr()?.port();
    let (sender, asked) = mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = handler.accept()?;
        let mut head = [0; 7];
        stream.read_exact(&mut head)?;
        stream.write_all(
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        )?;
        sender.send(head).ok();
        std::io::Result::Ok(())
    });
    let root = empty_root(dist)?;
    let url = format!("http://handler.example:{port}/");
    let output = enter_root(&root)
        .args(["doctor", "--timeout", "5", "--url", &url])
        .stdin(Stdio::null())
        .output()?;
    match asked.recv_timeout(Duration::from_secs(1)) {
        Ok(head) if head == *b"OPTIONS" => Ok(()),
        _ => bail!(
            "the handler heard nothing: {}",
            String::from_utf8_lossy(&output.stdout)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_of_a_program_is_found() {
        // The program that runs this is linked as usual.
        if cfg!(all(target_os = "linux", target_env = "gnu")) {
            let myself = fs::read(env::current_exe().unwrap()).unwrap();
            assert!(!is_static(&myself).unwrap());
        }
        let mut elf = vec![0; 0x40 + 2 * 0x38];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (elf[0x20], elf[0x36], elf[0x38]) = (0x40, 0x38, 2);
        assert!(is_static(&elf).unwrap());
        elf[0x40 + 0x38] = 3;
        assert!(!is_static(&elf).unwrap());
        elf.truncate(0x60);
        assert!(is_static(&elf).is_err());
        assert!(is_static(b"#!/bin/sh").is_err());
    }

    #[test]
    fn packages_and_the_program_are_read_from_messages() {
        let messages = r#"{"reason":"compiler-artifact","package_id":"a","executable":null,"fresh":true}
{"reason":"build-script-executed","package_id":"not compiled"}
{"reason":"compiler-artifact","package_id":"b","executable":"target/dist/b"}
{"reason":"build-finished","success":true}"#;
        let build = Build::read(messages).unwrap();
        assert_eq!(build.program, Path::new("target/dist/b"));
        assert_eq!(build.packages.into_iter().collect::<Vec<_>>(), ["a", "b"]);
        assert!(Build::read(r#"{"reason":"build-finished"}"#).is_err());
    }
}
