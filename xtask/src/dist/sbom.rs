//! The bill of materials: what the program is made of, in CycloneDX's form.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use cyclonedx_bom::models::component::Classification;
use cyclonedx_bom::models::dependency::{Dependencies, Dependency};
use cyclonedx_bom::models::external_reference::{
    ExternalReference, ExternalReferenceType, ExternalReferences,
};
use cyclonedx_bom::models::hash::{Hash, HashAlgorithm, HashValue, Hashes};
use cyclonedx_bom::models::license::{LicenseChoice, Licenses};
use cyclonedx_bom::models::tool::Tools;
use cyclonedx_bom::prelude::{
    Bom, Component, Components, Metadata, NormalizedString, Purl, SpdxExpression, SpecVersion, Uri,
    Validate as _,
};

use super::checks::Checks;
use super::contents::sha256;
use super::metadata::Package;
use super::{Dist, text};
use crate::test::process;

/// The newest form that the library writes.
const VERSION: SpecVersion = SpecVersion::V1_5;

/// Checks a file against the official schema.
const VALIDATE: &str = "\
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
with open(sys.argv[1], encoding='utf-8') as file:
    sys.exit(str(JsonStrictValidator(SchemaVersion.V1_5).validate_str(file.read()) or '') or 0)
";

/// Writes the bill of the program. The same commit makes the same file: it holds neither the time nor a random number.
pub(super) fn make(dist: &Dist) -> Result<Vec<PathBuf>> {
    let bom = bom(dist)?;
    let result = bom.validate_version(VERSION);
    ensure!(
        result.passed(),
        "the bill of materials is not valid: {result:?}"
    );
    let mut bytes = Vec::new();
    bom.output_as_json(&mut bytes, VERSION)
        .context("cannot write the bill of materials")?;
    let path = dist.folder().join(format!("{}.cdx.json", dist.stem()));
    fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(vec![path])
}

/// Reads it back: the official schema, then what somebody looks for in it.
pub(super) fn test(dist: &Dist, made: &[PathBuf], checks: &mut Checks) -> Result<()> {
    let path = made.first().context("there is no bill of materials")?;
    let path = text(path)?;
    checks.check("it follows the official schema", || {
        process::run_ok(dist.tools.packaging("python")?.args(["-c", VALIDATE, path]))
    });
    let json: serde_json::Value = serde_json::from_slice(&fs::read(path)?)?;
    checks.check("it describes this program", || {
        let hash = &json["metadata"]["component"]["hashes"][0]["content"];
        ensure!(
            *hash == sha256(&fs::read(&dist.build.program)?),
            "its hash is that of another file"
        );
        Ok(())
    });
    checks.check(
        "each component has a source, a licence and a checksum",
        || {
            let components = json["components"]
                .as_array()
                .context("it lists no components")?;
            for name in ["tokio", "hyper", "aws-lc-sys", "webpubsub-protocol"] {
                ensure!(
                    components.iter().any(|component| component["name"] == name),
                    "{name} is missing"
                );
            }
            for component in components {
                let name = &component["name"];
                ensure!(component["purl"].is_string(), "{name} has no purl");
                ensure!(!component["licenses"][0].is_null(), "{name} has no licence");
                let is_ours = name
                    .as_str()
                    .is_some_and(|name| name.starts_with("webpubsub-"));
                ensure!(
                    is_ours || !component["hashes"][0].is_null(),
                    "{name} has no checksum"
                );
            }
            Ok(())
        },
    );
    Ok(())
}

fn bom(dist: &Dist) -> Result<Bom> {
    let metadata = &dist.metadata;
    let mut program = None;
    let mut components = Vec::new();
    let mut dependencies = Vec::new();
    for package in metadata.packages.values() {
        dependencies.push(Dependency {
            dependency_ref: reference(package),
            dependencies: package
                .needs
                .iter()
                .filter_map(|id| metadata.packages.get(id))
                .map(reference)
                .collect(),
        });
        if package.id == metadata.program {
            let mut component = component(Classification::Application, package)?;
            let bytes = fs::read(&dist.build.program)?;
            component.hashes = Some(hashes(&sha256(&bytes)));
            program = Some(component);
        } else {
            components.push(component(Classification::Library, package)?);
        }
    }
    let packer = Component::new(Classification::Application, "xtask", dist.version(), None);
    Ok(Bom {
        spec_version: VERSION,
        metadata: Some(Metadata {
            component: program,
            tools: Some(Tools::Object {
                services: None,
                components: Some(Components(vec![packer])),
            }),
            ..Metadata::default()
        }),
        components: Some(Components(components)),
        dependencies: Some(Dependencies(dependencies)),
        ..Bom::default()
    })
}

fn component(kind: Classification, package: &Package) -> Result<Component> {
    let reference = Some(reference(package));
    let mut component = Component::new(kind, &package.name, &package.version, reference);
    let purl = Purl::new("cargo", &package.name, &package.version);
    component.purl = Some(purl.with_context(|| format!("{}: no purl", package.name))?);
    let describe = |text: &String| NormalizedString::new(text.trim());
    component.description = package.description.as_ref().map(describe);
    component.hashes = package.checksum.as_deref().map(hashes);
    if let Some(license) = &package.license {
        // Old manifests separate licences by `/`.
        let expression = SpdxExpression::parse_lax(license.clone())
            .with_context(|| format!("{}: `{license}` is no licence", package.name))?;
        component.licenses = Some(Licenses(vec![LicenseChoice::Expression(expression)]));
    }
    component.external_references = package.repository.as_ref().map(|url| {
        let reference = ExternalReference::new(ExternalReferenceType::Vcs, Uri::new(url));
        ExternalReferences(vec![reference])
    });
    Ok(component)
}

/// What stands for a package inside the bill. Ids of cargo hold paths of this machine.
fn reference(package: &Package) -> String {
    let place = match package.source {
        Some(_) => "registry",
        None => "workspace",
    };
    format!("{place}+{}@{}", package.name, package.version)
}

fn hashes(sha256: &str) -> Hashes {
    Hashes(vec![Hash {
        alg: HashAlgorithm::SHA_256,
        content: HashValue(sha256.to_owned()),
    }])
}
