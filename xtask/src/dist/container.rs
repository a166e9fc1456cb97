//! The container image: the program and nothing else, built and tried without a daemon.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::checks::Checks;
use super::{Dist, PROGRAM, contents, need, npm, target_folder, text};
use crate::interop::Emulator;
use crate::test::process;
use crate::test::report::Missing;

/// What the image is called on this machine.
const IMAGE: &str = "localhost/webpubsub-emulator";

/// Builds the image from its Dockerfile, and writes it as an archive in the form of the Open Container Initiative.
pub(super) fn make(dist: &Dist) -> Result<Vec<PathBuf>> {
    if !dist.target.is_linux() {
        return Err(Missing::new("an image is made on Linux only").into());
    }
    need("buildah", "buildah")?;
    // Nothing that another run left there may get into this image.
    remove_store()?;
    let folder = dist.scratch("oci")?;
    for name in ["Dockerfile", "appsettings.json"] {
        fs::write(
            folder.join(name),
            dist.template(&format!("container/{name}"))?,
        )?;
    }
    fs::copy(&dist.build.program, folder.join(PROGRAM))?;
    fs::write(folder.join("LICENSE"), contents::document("LICENSE")?)?;
    fs::write(
        folder.join("THIRD-PARTY-LICENSES.txt"),
        contents::licences(dist)?,
    )?;
    // Docker's form keeps the health check, which that of the Open Container Initiative does not have. Container
    // engines take both.
    let mut build = buildah();
    build.args([
        "build",
        "--format",
        "docker",
        "--isolation",
        "chroot",
        "--no-cache",
        "--layers=false",
    ]);
    build.args([
        "--timestamp",
        &dist.time.to_string(),
        "--arch",
        dist.target.debian_arch(),
    ]);
    build.args([
        "--build-arg",
        &format!("VERSION={}", dist.version()),
        "--tag",
        IMAGE,
    ]);
    process::run_ok(build.arg(&folder))?;
    let name = format!(
        "{PROGRAM}-{}-linux-{}.oci.tar",
        dist.version(),
        dist.target.debian_arch()
    );
    let path = dist.folder().join(name);
    let to = format!("oci-archive:{}:{}", text(&path)?, dist.version());
    process::run_ok(buildah().args(["push", "--quiet", IMAGE, &to]))?;
    Ok(vec![path])
}

/// Starts a container of the image and does what users of Microsoft's image do.
pub(super) fn test(dist: &Dist, made: &[PathBuf], checks: &mut Checks) -> Result<()> {
    checks.check("its defaults are those of Microsoft's image", || {
        let docker = inspect()?["Docker"]["config"].take();
        let environment = docker["Env"].as_array().context("no environment")?;
        ensure!(
            environment.contains(&json!("Urls=http://0.0.0.0:8080")),
            "{docker}"
        );
        ensure!(docker["ExposedPorts"]["8080/tcp"].is_object(), "{docker}");
        ensure!(docker["WorkingDir"] == "/app", "{docker}");
        ensure!(docker["User"] == "1654:1654", "{docker}");
        ensure!(
            docker["Healthcheck"]["Test"] == json!(["CMD", "/webpubsub-emulator", "health"]),
            "{docker}"
        );
        Ok(())
    });
    checks.check("the archive holds one image of this size", || {
        let bytes = fs::metadata(made.first().context("there is no archive")?)?.len();
        process::say(&format!("{} KiB, compressed", bytes.div_ceil(1024)));
        ensure!(bytes < 15 * 1024 * 1024, "it has {bytes} bytes");
        Ok(())
    });
    let container = Container::create()?;
    checks.suite("the official SDK against a container", || {
        let port = free_port()?;
        let urls = format!("Urls=http://0.0.0.0:{port}");
        let emulator = Emulator::start(&mut container.run(&["--env", &urls], &["--json"]))?;
        ensure!(healthy(&container, port)?, "the health check failed");
        let outcome = npm::official_sdk(dist, &emulator)?;
        container.terminate()?;
        emulator.ended()?;
        ensure!(
            !healthy(&container, port)?,
            "the health check does not notice the end"
        );
        Ok(outcome)
    });
    checks.check(
        "it takes the key of Microsoft's variable and their mounted file",
        || {
            let port = free_port()?;
            let folder = dist.scratch("oci-app")?;
            fs::write(
                folder.join("appsettings.json"),
                r#"{ "WebPubSub": { "Hubs": { "chat": { "EventHandlers": [
            { "UrlTemplate": "http://127.0.0.1:9/{event}", "EventPattern": "*" } ] } } } }"#,
            )?;
            let volume = format!("{}:/app:ro", text(&folder)?);
            let urls = format!("Urls=http://0.0.0.0:{port}");
            let key = "WebPubSub__AccessKey=a-key-of-somebody-with-32-characters";
            let options = ["--volume", &volume, "--env", &urls, "--env", key];
            let emulator = Emulator::start(&mut container.run(&options, &["--json"]))?;
            let expected = "AccessKey=a-key-of-somebody-with-32-characters;";
            ensure!(
                emulator.connection_string().contains(expected),
                "it has another key"
            );
            ensure!(emulator.hubs().eq(["chat"]), "it did not read the file");
            container.terminate()?;
            emulator.ended()
        },
    );
    Ok(())
}

/// A container, as far as it goes without a daemon and namespaces of the network: a root, a user and an environment.
struct Container(String);

impl Container {
    fn create() -> Result<Self> {
        let output = buildah().args(["from", "--pull-never", IMAGE]).output()?;
        ensure!(
            output.status.success(),
            "no container: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(Self(
            String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        ))
    }

    fn run(&self, options: &[&str], arguments: &[&str]) -> Command {
        let mut run = buildah();
        run.args(["run", "--isolation", "chroot"]).args(options);
        run.args([&self.0, "--", "/webpubsub-emulator"])
            .args(arguments);
        run
    }

    /// Asks the program in the container to stop, as `docker stop` does. buildah passes no signals on.
    fn terminate(&self) -> Result<()> {
        let mut found = false;
        for entry in fs::read_dir("/proc")? {
            let path = entry?.path();
            let is_ours = fs::read_link(path.join("root"))
                .is_ok_and(|root| root.ends_with("mnt/rootfs"))
                && fs::read(path.join("cmdline"))
                    .is_ok_and(|line| line.starts_with(b"/webpubsub-emulator\0"));
            if is_ours && is_below_us(&path) {
                let id = path.file_name().context("a process has an id")?;
                process::run_ok(Command::new("kill").arg("-TERM").arg(id))?;
                found = true;
            }
        }
        ensure!(found, "no program runs in the container");
        Ok(())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        buildah().args(["rm", &self.0]).output().ok();
    }
}

/// Whether this program is an ancestor of a process.
fn is_below_us(path: &Path) -> bool {
    let ours = std::process::id().to_string();
    let mut path = path.to_owned();
    loop {
        let status = fs::read_to_string(path.join("status")).unwrap_or_default();
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        match parent.map(str::trim) {
            None | Some("0" | "1") => return false,
            Some(parent) if parent == ours => return true,
            Some(parent) => path = Path::new("/proc").join(parent),
        }
    }
}

fn healthy(container: &Container, port: u16) -> Result<bool> {
    let urls = format!("Urls=http://0.0.0.0:{port}");
    let finished = process::run(&mut container.run(&["--env", &urls], &["health"]))?;
    Ok(finished.status.success())
}

fn inspect() -> Result<Value> {
    let output = buildah()
        .args(["inspect", "--type", "image", IMAGE])
        .output()?;
    match output.status.success() {
        true => serde_json::from_slice(&output.stdout).context("buildah wrote something else"),
        false => bail!("no image: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// A port that is free at this moment; the health check has to know it before the emulator runs.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn store() -> PathBuf {
    target_folder().join("dist-scratch/images")
}

/// buildah with images of its own, apart from those of the user.
fn buildah() -> Command {
    let mut buildah = Command::new("buildah");
    buildah.arg("--storage-driver=vfs");
    buildah
        .arg("--root")
        .arg(store())
        .arg("--runroot")
        .arg(store().join("run"));
    buildah
}

fn remove_store() -> Result<()> {
    if store().exists() {
        buildah().args(["rmi", "--all", "--force"]).output()?;
    }
    Ok(())
}
