//! The test vectors that each crate reads: copies, since a package holds nothing from outside its folder and must pass its
//! tests all the same.

use std::fs;

use anyhow::{Context as _, Result};

use super::{Output, workspace_root};

const SOURCE: &str = "spec/vectors";

/// Which crate reads which vectors.
const READERS: [(&str, &[&str]); 3] = [
    (
        "webpubsub-protocol",
        &[
            "access.json",
            "filter.json",
            "json-frames.json",
            "permissions.json",
            "protobuf.json",
        ],
    ),
    (
        "webpubsub-emulator",
        &[
            "json-frames.json",
            "malformed.json",
            "protobuf.json",
            "rest-answers.json",
            "rest-targets.json",
        ],
    ),
    ("webpubsub", &["rest-targets.json"]),
];

/// The copies, in `tests/vectors` of each crate.
pub(super) fn outputs() -> Result<Vec<Output>> {
    let copies = READERS
        .into_iter()
        .flat_map(|(reader, names)| names.iter().map(move |name| (reader, name)));
    copies
        .map(|(reader, name)| {
            let source = workspace_root().join(SOURCE).join(name);
            let contents = fs::read_to_string(&source)
                .with_context(|| format!("cannot read {}", source.display()))?;
            Ok(Output {
                path: format!("crates/{reader}/tests/vectors/{name}").into(),
                contents,
            })
        })
        .collect()
}
