//! Each package on its own: unpacked in a workspace of nothing but packages, built and tested from what it contains.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::crates::Crate;
use super::packages::archive;
use crate::interop::{Tools, root, target_folder};
use crate::test::counts::{self, Counts};
use crate::test::process;
use crate::test::report::Outcome;

/// Builds and tests the chosen crates from their packages, with our other crates from theirs, and with the versions that
/// this workspace has locked.
pub(super) fn test(all: &[Crate], chosen: &[Crate]) -> Result<Outcome> {
    let workspace = unpack("packages", all)?;
    fs::copy(root().join("Cargo.lock"), workspace.join("Cargo.lock"))
        .context("cannot copy Cargo.lock")?;
    let mut counts = Counts::default();
    for c in chosen {
        // One package at a time, so that none gets features which another one asks for.
        let mut cargo = cargo(&workspace);
        cargo.args(["test", "--quiet", "--all-features", "--package", &c.name]);
        let finished = process::run(&mut cargo)?;
        if let Outcome::Ran(ran) = Outcome::of(&finished, counts::cargo_test(&finished.output)) {
            counts += ran;
        }
    }
    Ok(Outcome::Ran(counts))
}

/// Builds all crates with the lowest version that they allow of each direct dependency.
pub(super) fn minimal_versions(all: &[Crate]) -> Result<Outcome> {
    let workspace = unpack("minimal-versions", all)?;
    let mut lock = cargo(&workspace);
    lock.args(["generate-lockfile", "-Z", "direct-minimal-versions"])
        // The option is unstable. It only chooses versions: the build below is an ordinary one.
        .env("RUSTC_BOOTSTRAP", "1");
    let locked = process::run(&mut lock)?;
    if process::is_offline(&locked) {
        return Ok(Outcome::Skipped(
            "the registry cannot be reached".to_owned(),
        ));
    }
    if !locked.status.success() {
        bail!("the lowest versions of direct dependencies do not fit together");
    }
    let mut check = cargo(&workspace);
    check.args(["check", "--quiet", "--workspace", "--all-features"]);
    Ok(Outcome::of_check(&process::run(&mut check)?))
}

/// What the workspace has compiled is used again: same folder, same profile.
fn cargo(workspace: &Path) -> Command {
    let mut cargo = Tools::default().cargo();
    cargo
        .current_dir(workspace)
        .env("CARGO_TARGET_DIR", target_folder());
    cargo
}

/// Makes a workspace of all packages, in an empty folder.
fn unpack(name: &str, all: &[Crate]) -> Result<PathBuf> {
    let folder = target_folder().join("alone").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for c in all {
        let archive = archive(c);
        let mut tar = Command::new("tar");
        tar.arg("-xzf").arg(&archive).arg("-C").arg(&folder);
        let status = tar.status().context("cannot start `tar`")?;
        if !status.success() {
            bail!("cannot unpack {}", archive.display());
        }
        let manifest = folder.join(c.spec()).join("Cargo.toml");
        let packed = fs::read_to_string(&manifest)
            .with_context(|| format!("cannot read {}", manifest.display()))?;
        fs::write(&manifest, packed + &left_out(c, all))
            .with_context(|| format!("cannot write {}", manifest.display()))?;
    }
    let ours = fs::read_to_string(root().join("Cargo.toml")).context("cannot read Cargo.toml")?;
    fs::write(folder.join("Cargo.toml"), manifest(all, &ours)?)
        .context("cannot write the manifest of the packages")?;
    Ok(folder)
}

/// The dev-dependencies on our crates that the package of a crate leaves out, since they depend on it; its tests need them.
fn left_out(c: &Crate, all: &[Crate]) -> String {
    let ours = c.left_out.iter().filter_map(|(name, default_features)| {
        let other = all.iter().find(|other| other.name == *name)?;
        let path = format!("../{}", other.spec());
        Some(format!(
            "\n[dev-dependencies.{name}]\npath = {path:?}\ndefault-features = {default_features}\n"
        ))
    });
    ours.collect()
}

/// The manifest of a workspace in which our crates mean the packages beside them, built as ours are.
fn manifest(all: &[Crate], ours: &str) -> Result<String> {
    let mut ours: toml::Table = toml::from_str(ours).context("Cargo.toml is not a manifest")?;
    let members: Vec<_> = all.iter().map(Crate::spec).collect();
    let mut text =
        format!("[workspace]\nresolver = \"3\"\nmembers = {members:?}\n\n[patch.crates-io]\n");
    for c in all {
        writeln!(text, "{} = {{ path = {:?} }}", c.name, c.spec())?;
    }
    let profile = ours
        .remove("profile")
        .context("Cargo.toml has no profiles")?;
    let profile = toml::Table::from_iter([("profile".to_owned(), profile)]);
    write!(text, "\n{}", toml::to_string(&profile)?)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_get_back_what_the_package_leaves_out() {
        let other = Crate::example("other", "0.2.0", Path::new(""));
        let mut c = Crate::example("it", "0.1.0", Path::new(""));
        c.left_out = [("other".to_owned(), false), ("elsewhere".to_owned(), true)].into();
        assert_eq!(
            left_out(&c, &[other]),
            "\n[dev-dependencies.other]\npath = \"../other-0.2.0\"\ndefault-features = false\n"
        );
    }

    #[test]
    fn our_crates_are_taken_from_their_packages_and_built_as_here() {
        let c = Crate::example("it", "0.1.0", Path::new(""));
        let ours = "[workspace]\nmembers = []\n[profile.dev]\ndebug = 1\n";
        assert_eq!(
            manifest(&[c], ours).unwrap(),
            "[workspace]\nresolver = \"3\"\nmembers = [\"it-0.1.0\"]\n\n[patch.crates-io]\nit = { path = \"it-0.1.0\" }\n\n\
             [profile.dev]\ndebug = 1\n"
        );
    }
}
