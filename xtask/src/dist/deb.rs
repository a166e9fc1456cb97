//! The package for Debian, Ubuntu and their relatives.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use flate2::{Compression, GzBuilder};

use super::checks::Checks;
use super::contents::{self, Entry};
use super::{Dist, PROGRAM, archive, need, text};
use crate::test::process;
use crate::test::report::Missing;

/// Packs what `dpkg` installs.
pub(super) fn make(dist: &Dist) -> Result<Vec<PathBuf>> {
    if !dist.target.is_linux() {
        return Err(Missing::new("a Debian package is made on Linux only").into());
    }
    need("dpkg-deb", "dpkg")?;
    let folder = dist.scratch("deb")?;
    let mut bytes = 0;
    for entry in entries(dist)? {
        bytes += entry.bytes.len();
        put(&folder, &entry)?;
    }
    let control = dist
        .template("deb/control")?
        .replace("@VERSION@", dist.version())
        .replace("@ARCHITECTURE@", dist.target.debian_arch())
        .replace("@SIZE@", &bytes.div_ceil(1024).to_string());
    put(&folder, &Entry::new("DEBIAN/control", control))?;
    let name = format!(
        "{PROGRAM}_{}_{}.deb",
        dist.version(),
        dist.target.debian_arch()
    );
    let path = dist.folder().join(name);
    let mut pack = Command::new("dpkg-deb");
    pack.env("SOURCE_DATE_EPOCH", dist.time.to_string());
    pack.args(["--root-owner-group", "-Zxz", "--build"]);
    process::run_ok(pack.arg(&folder).arg(&path))?;
    Ok(vec![path])
}

fn entries(dist: &Dist) -> Result<Vec<Entry>> {
    let documents = format!("usr/share/doc/{PROGRAM}");
    let mut entries = vec![
        Entry::program(dist, &format!("usr/bin/{PROGRAM}"))?,
        Entry::new(
            format!("{documents}/copyright"),
            dist.template("deb/copyright")?,
        ),
        Entry::new(
            // Debian's own form is expected of a file `changelog`.
            format!("{documents}/NEWS.gz"),
            gzip(contents::document("CHANGELOG.md")?.as_bytes())?,
        ),
        Entry::new(
            format!("{documents}/README.md"),
            contents::document("README.md")?,
        ),
        Entry::new(
            format!("{documents}/THIRD-PARTY-LICENSES.gz"),
            gzip(contents::licences(dist)?.as_bytes())?,
        ),
        Entry::new(
            format!("usr/share/lintian/overrides/{PROGRAM}"),
            dist.template("deb/lintian-overrides")?,
        ),
    ];
    for (shell, _, script) in contents::completions(dist)? {
        let path = match shell {
            "bash" => format!("usr/share/bash-completion/completions/{PROGRAM}"),
            "zsh" => format!("usr/share/zsh/vendor-completions/_{PROGRAM}"),
            "fish" => format!("usr/share/fish/vendor_completions.d/{PROGRAM}.fish"),
            // Has no folder of the system for them.
            _ => continue,
        };
        entries.push(Entry::new(path, script));
    }
    for (file, page) in contents::pages(dist)? {
        entries.push(Entry::new(
            format!("usr/share/man/man1/{file}.gz"),
            gzip(&page)?,
        ));
    }
    Ok(entries)
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::best());
    gzip.write_all(bytes)?;
    Ok(gzip.finish()?)
}

fn put(folder: &Path, entry: &Entry) -> Result<()> {
    let path = folder.join(&entry.path);
    let parent = path.parent().context("an entry is below the folder")?;
    fs::create_dir_all(parent)?;
    fs::write(&path, &entry.bytes).with_context(|| format!("cannot write {}", path.display()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&path, fs::Permissions::from_mode(entry.mode()))?;
    }
    Ok(())
}

/// Unpacks it into a root of its own and runs what is there.
pub(super) fn test(dist: &Dist, made: &[PathBuf], checks: &mut Checks) -> Result<()> {
    let package = made.first().context("there is no package")?;
    let root = dist.scratch("deb-root")?;
    process::run_ok(Command::new("dpkg-deb").arg("-x").arg(package).arg(&root))?;
    checks.check("the installed program starts", || {
        archive::started(&root.join("usr/bin").join(PROGRAM))
    });
    checks.check("dpkg knows what it installs", || {
        let fields = ["Package", "Version", "Architecture"];
        let mut show = Command::new("dpkg-deb");
        let finished = process::run(show.arg("-f").arg(package).args(fields))?;
        for value in [PROGRAM, dist.version(), dist.target.debian_arch()] {
            ensure!(finished.output.contains(value), "there is no {value}");
        }
        Ok(())
    });
    checks.check("the manual pages are where `man` looks", || {
        let page = root.join(format!("usr/share/man/man1/{PROGRAM}-doctor.1.gz"));
        ensure!(page.is_file(), "{} is missing", page.display());
        Ok(())
    });
    checks.check("lintian finds nothing", || {
        need("lintian", "lintian")?;
        let mut lintian = Command::new("lintian");
        // Which rules count is the workspace's business, not that of who runs it.
        lintian.args([
            "--no-cfg",
            "--allow-root",
            "--fail-on",
            "error,warning",
            text(package)?,
        ]);
        process::run_ok(&mut lintian)
    });
    Ok(())
}
