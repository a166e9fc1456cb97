//! The documentation as docs.rs shows it: it builds without a warning, and what the READMEs link to in it is there.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::interop::{Tools, root, target_folder};
use crate::release;
use crate::test::process;
use crate::test::report::Outcome;

/// Builds the documentation and follows the links of the READMEs into it.
///
/// # Errors
///
/// Fails when cargo cannot be started or a README cannot be read.
pub(crate) fn suite(tools: &Tools) -> Result<Outcome> {
    let mut cargo = tools.cargo();
    cargo
        .args(["doc", "--no-deps", "--workspace"])
        .env("RUSTDOCFLAGS", "-D warnings");
    let built = process::run(&mut cargo)?;
    if !built.status.success() {
        return Ok(Outcome::of_check(&built));
    }
    let pages = target_folder().join("doc");
    let mut broken = 0;
    for name in release::names()? {
        let readme = root().join("crates").join(&name).join("README.md");
        let text = fs::read_to_string(&readme)
            .with_context(|| format!("cannot read {}", readme.display()))?;
        for link in own_links(&text).filter(|link| !is_there(&pages, link)) {
            println!("{}: no such page or item: {link}", readme.display());
            broken += 1;
        }
    }
    Ok(Outcome::checked(1, broken))
}

/// Links into the documentation of our crates.
fn own_links(text: &str) -> impl Iterator<Item = &str> {
    let urls = text
        .match_indices("https://docs.rs/webpubsub")
        .map(|(at, _)| {
            let end = text[at..].find(|c: char| c.is_whitespace() || ")>\"`".contains(c));
            &text[at..end.map_or(text.len(), |end| at + end)]
        });
    urls.filter(|url| url.contains("/latest/"))
}

/// `https://docs.rs/NAME/latest/PATH#ID` is the file `PATH` with something of that id.
fn is_there(pages: &Path, link: &str) -> bool {
    let Some((_, path)) = link.split_once("/latest/") else {
        return false;
    };
    let (path, id) = path.split_once('#').unwrap_or((path, ""));
    let mut page = pages.join(path);
    if path.ends_with('/') {
        page.push("index.html");
    }
    fs::read_to_string(page)
        .is_ok_and(|page| id.is_empty() || page.contains(&format!("id=\"{id}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_to_their_page_and_item() {
        let pages = tempfile::tempdir().unwrap();
        let module = pages.path().join("webpubsub");
        fs::create_dir(&module).unwrap();
        fs::write(module.join("index.html"), "").unwrap();
        fs::write(module.join("struct.Call.html"), "<a id=\"method.ttl\">").unwrap();
        let readme = "[`Call`](https://docs.rs/webpubsub/latest/webpubsub/struct.Call.html#method.ttl)\n\
            [crate]: https://docs.rs/webpubsub/latest/webpubsub/\n\
            [gone](https://docs.rs/webpubsub/latest/webpubsub/struct.Call.html#method.gone) \
            [other](https://docs.rs/webpubsub)\n";
        let links: Vec<_> = own_links(readme).collect();
        let found: Vec<_> = links
            .iter()
            .map(|link| is_there(pages.path(), link))
            .collect();
        assert_eq!(found, [true, true, false], "{links:?}");
        assert!(!is_there(
            pages.path(),
            "https://docs.rs/webpubsub/latest/webpubsub/struct.Gone.html"
        ));
    }
}
