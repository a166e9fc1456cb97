//! `cargo xtask dist`: the emulator as people install it, and the proof that each package works.
//!
//! One program is built, once, and everything else is packed around it: `build` makes it, `contents` what goes into
//! every archive besides it, and each kind of package has a file of its own that makes and tries it. What a package is
//! made of besides the program lies in `dist/`.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;

use crate::interop::{Tools, root, target_folder};
use crate::test::process;
use crate::test::report::{Missing, Outcome, Report};

mod archive;
mod build;
mod checks;
mod container;
mod contents;
mod deb;
mod metadata;
mod npm;
mod sbom;
mod target;
mod wheel;

use build::Build;
use checks::Checks;
use metadata::Metadata;
use target::Target;

/// The name of the program, and of most of its packages.
const PROGRAM: &str = "webpubsub-emulator";

/// Build the emulator and what people install it from, into `target/dist/`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Make these packages only.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND,…")]
    only: Vec<Kind>,
    /// Install each package into an empty place, run it there, and try it with the official SDKs.
    #[arg(long)]
    test: bool,
    /// Optimise less: to see that packing works, not to give away.
    #[arg(long)]
    quick: bool,
    /// The target triple [default: this machine's, with musl where it is installed].
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// An archive with the program, completions and manual pages
    Tar,
    /// A Debian package
    Deb,
    /// The package for `npx`, and that with the program for this platform
    Npm,
    /// The package for `uvx` and pip
    Wheel,
    /// A container image
    Oci,
    /// The list of what the program is made of
    Sbom,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Tar => "dist tar",
            Self::Deb => "dist deb",
            Self::Npm => "dist npm",
            Self::Wheel => "dist wheel",
            Self::Oci => "dist oci",
            Self::Sbom => "dist sbom",
        }
    }

    fn make(self, dist: &Dist) -> Result<Vec<PathBuf>> {
        match self {
            Self::Tar => archive::make(dist),
            Self::Deb => deb::make(dist),
            Self::Npm => npm::make(dist),
            Self::Wheel => wheel::make(dist),
            Self::Oci => container::make(dist),
            Self::Sbom => sbom::make(dist),
        }
    }

    fn test(self, dist: &Dist, made: &[PathBuf], checks: &mut Checks) -> Result<()> {
        match self {
            Self::Tar => archive::test(dist, made, checks),
            Self::Deb => deb::test(dist, made, checks),
            Self::Npm => npm::test(dist, made, checks),
            Self::Wheel => wheel::test(dist, made, checks),
            Self::Oci => container::test(dist, made, checks),
            Self::Sbom => sbom::test(dist, made, checks),
        }
    }
}

/// Makes the packages that were asked for.
///
/// # Errors
///
/// Fails when the program does not build, a package cannot be made, or a check fails. What lacks a tool is skipped.
pub(crate) fn run(args: &Args) -> Result<()> {
    report(args).finish()
}

/// Every package, made and tried, for CI.
pub(crate) fn suites() -> Report {
    report(&Args {
        only: Vec::new(),
        test: true,
        quick: false,
        target: None,
    })
}

fn report(args: &Args) -> Report {
    let mut report = Report::default();
    let mut dist = None;
    run_checks(&mut report, "dist build", |checks| {
        let prepared = dist.insert(Dist::prepare(args)?);
        build::test(prepared, checks);
        Ok(())
    });
    let Some(dist) = dist else {
        return report;
    };
    let kinds = Kind::value_variants().iter();
    let kinds = kinds.filter(|kind| args.only.is_empty() || args.only.contains(kind));
    let mut made = Vec::new();
    for kind in kinds {
        run_checks(&mut report, kind.name(), |checks| {
            let files = kind.make(&dist)?;
            for file in &files {
                checks.check(&file.display().to_string(), || {
                    ensure!(file.is_file(), "it was not made");
                    Ok(())
                });
            }
            if args.test {
                kind.test(&dist, &files, checks)?;
            }
            made.extend(files);
            Ok(())
        });
    }
    if args.test {
        report.run("dist workflows", || workflows(&dist));
    }
    report.run("dist sums", || {
        contents::write_sums(&dist, &made)?;
        Ok(Outcome::passed(1))
    });
    report
}

/// Runs checks as one suite, and names each tool that they lacked.
fn run_checks(
    report: &mut Report,
    name: &'static str,
    work: impl FnOnce(&mut Checks) -> Result<()>,
) {
    let mut checks = Checks::default();
    report.run(name, || {
        work(&mut checks)?;
        Ok(Outcome::Ran(checks.counts()))
    });
    for why in checks.lacks() {
        report.run(name, || Ok(Outcome::Skipped(why)));
    }
}

/// Looks for what could be misused in the workflows and the action.
fn workflows(dist: &Dist) -> Result<Outcome> {
    let mut zizmor = dist.tools.packaging("zizmor")?;
    let finished = process::run(zizmor.args(["--offline", "--quiet", "."]))?;
    Ok(Outcome::of_check(&finished))
}

/// What all packages are made from.
#[derive(Debug)]
struct Dist {
    tools: Tools,
    build: Build,
    target: Target,
    metadata: Metadata,
    quick: bool,
    /// Seconds since 1970 of the last commit, so that the same commit makes the same archives.
    time: u64,
}

impl Dist {
    fn prepare(args: &Args) -> Result<Self> {
        let tools = Tools::default();
        let target = Target::choose(args.target.as_deref())?;
        let build = Build::run(&tools, &target, args.quick)?;
        let metadata = Metadata::read(&tools, &target, &build)?;
        let dist = Self {
            tools,
            build,
            target,
            metadata,
            quick: args.quick,
            time: time(),
        };
        // What another version left behind must not be given away with this one.
        empty(&dist.folder())?;
        Ok(dist)
    }

    /// Where the packages go.
    fn folder(&self) -> PathBuf {
        target_folder().join("dist")
    }

    /// An empty folder for work that nobody looks at later.
    fn scratch(&self, name: &str) -> Result<PathBuf> {
        let folder = target_folder().join("dist-scratch").join(name);
        empty(&folder)?;
        Ok(folder)
    }

    fn version(&self) -> &str {
        &self.metadata.version
    }

    /// Name, version and target, as files begin.
    fn stem(&self) -> String {
        format!("{PROGRAM}-{}-{}", self.version(), self.target.triple)
    }

    /// A file of `dist/`.
    fn template(&self, path: &str) -> Result<String> {
        let path = root().join("dist").join(path);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }
}

fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// `SOURCE_DATE_EPOCH`, or the time of the last commit.
fn time() -> u64 {
    let given = env::var("SOURCE_DATE_EPOCH").ok();
    let folder = root().to_string_lossy();
    let time =
        given.or_else(|| process::probe("git", &["-C", &folder, "log", "-1", "--format=%ct"]));
    time.and_then(|time| time.trim().parse().ok()).unwrap_or(0)
}

/// Fails with what to install when a program is not in the `PATH`.
fn need(program: &str, package: &str) -> Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = env::split_paths(&path);
    let file = format!("{program}{}", env::consts::EXE_SUFFIX);
    match folders.any(|folder| folder.join(&file).is_file()) {
        true => Ok(()),
        false => Err(Missing::new(format!("no {program}; install {package}")).into()),
    }
}

/// A path as a part of a command line that is text.
fn text(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is not valid UTF-8", path.display()))
}
