//! The configuration file: our own names in TOML or JSON, or Microsoft's `appsettings.json`.

mod hubs;
mod json_text;
mod toml_text;

use std::{fs, io::Read as _, path::Path};

use super::{
    error::{ConfigError, did_you_mean},
    microsoft,
    setting::{Kind, Layer, Origin, Spec},
};

/// A configuration file is small; anything larger is a mistake such as a device.
const MAX_BYTES: u64 = 1024 * 1024;

/// One value of a file and its place: the names that lead to it, with numbers for the items of lists.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    path: Vec<String>,
    line: usize,
    value: Value,
}

#[derive(Debug, PartialEq, Eq)]
enum Value {
    /// A string, a number, a date, `true` or `false`.
    Text(String),
    Null,
    /// An empty list or table.
    Empty,
}

/// Why a text is not TOML or JSON.
#[derive(Debug, PartialEq, Eq)]
struct SyntaxError {
    line: usize,
    message: String,
}

/// Understands the text of a file. Also returns warnings about what is ignored in it.
pub(super) fn parse(path: &Path, text: &str) -> Result<(Layer, Vec<String>), ConfigError> {
    let file = path.display().to_string();
    let parse = match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => toml_text::parse,
        Some("json") => json_text::parse,
        _ => {
            return Err(ConfigError::new(
                file,
                "the name of a configuration file must end in `.toml` or `.json`",
            ));
        }
    };
    // Windows editors like to put a mark there.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let entries = parse(text)
        .map_err(|error| ConfigError::new(format!("{file}:{}", error.line), error.message))?;
    let is_microsofts = path
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("appsettings"))
        || entries
            .iter()
            .any(|entry| microsoft::is_mark(entry.path[0].split(':').next().unwrap_or_default()));
    match is_microsofts {
        true => microsofts(&file, entries),
        false => Ok((ours(&file, entries)?, Vec::new())),
    }
}

/// The text of a file.
pub(super) fn load(path: &Path) -> Result<String, ConfigError> {
    let wrong = |problem: &str| ConfigError::new(path.display(), problem);
    let unreadable = |error| wrong(&format!("cannot be read: {error}"));
    let file = fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(wrong("is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| wrong("is not valid UTF-8"))
}

fn ours(file: &str, entries: Vec<Entry>) -> Result<Layer, ConfigError> {
    let mut layer = Layer::default();
    for entry in entries {
        let origin = Origin::File {
            file: file.to_owned(),
            line: entry.line,
            key: entry.path.join("."),
        };
        let key = match entry.path.as_slice() {
            [section, path @ ..] if section == hubs::SECTION => {
                hubs::take(&mut layer.hubs, path, entry.value, &origin)?;
                continue;
            }
            [name] => Spec::find(name),
            [name, _] => Spec::find(name).filter(|key| matches!(key.kind, Kind::Texts(_))),
            _ => None,
        };
        let problem = match (key, entry.value) {
            (Some(key), _) if matches!(key.kind, Kind::EventHandler | Kind::AnonymousConnect) => {
                "in a file this stands in the table of a hub, such as `[hubs.chat]`".to_owned()
            }
            (Some(key), Value::Text(value)) => {
                layer.set(key, value, origin)?;
                continue;
            }
            (Some(key), Value::Empty) if key.is_list() => continue,
            (Some(_), Value::Null | Value::Empty) => "a value is missing".to_owned(),
            (None, _) => {
                let names = Spec::names().chain([hubs::SECTION]);
                let suggestion = did_you_mean(&entry.path[0], names, str::to_owned);
                format!("there is no such setting{suggestion}")
            }
        };
        return Err(ConfigError::new(origin, problem));
    }
    Ok(layer)
}

fn microsofts(file: &str, entries: Vec<Entry>) -> Result<(Layer, Vec<String>), ConfigError> {
    let mut reader = microsoft::Reader::default();
    for entry in entries {
        let joined = entry.path.join(":");
        let path: Vec<&str> = joined.split(':').collect();
        let origin = Origin::File {
            file: file.to_owned(),
            line: entry.line,
            key: joined.clone(),
        };
        match entry.value {
            Value::Text(value) => reader.take(&path, value, origin, true)?,
            Value::Empty => reader.take_empty(&path, &origin)?,
            Value::Null => {}
        }
    }
    Ok((reader.layer, reader.warnings.into_iter().collect()))
}

/// The line of a byte offset, counted from 1.
fn line_at(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::super::setting::Value::Text;
    use super::super::table;
    use super::super::tests::text_of;
    use super::*;

    fn read_text(name: &str, text: &str) -> Result<(Layer, Vec<String>), String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        fs::write(folder.path().join(name), text).map_err(|error| error.to_string())?;
        let folder_name = format!("{}/", folder.path().display());
        let path = folder.path().join(name);
        load(&path)
            .and_then(|text| parse(&path, &text))
            .map_err(|error| error.to_string().replace(&folder_name, ""))
    }

    #[test]
    fn toml_and_json_say_the_same() {
        for (name, text) in [
            (
                "a.toml",
                "host = '::1'\nport = 0 # free\naccess_key = \"k\"\npublic-endpoint = ['https://a', 'https://b']\njson = true\n",
            ),
            (
                "a.json",
                "\u{feff}{ // comment\n \"host\": \"::1\", \"port\": 0, \"access-key\": \"k\",\n \"public-endpoint\": [\"https://a\", \"https://b\",],\n \"json\": true, /* end */ }",
            ),
        ] {
            let (layer, warnings) = read_text(name, text).unwrap();
            assert_eq!(text_of(&layer, &table::HOST), "::1");
            assert_eq!(text_of(&layer, &table::PORT), "0");
            assert_eq!(text_of(&layer, &table::ACCESS_KEY), "k");
            let endpoints = layer.all(&table::PUBLIC_ENDPOINT).iter();
            let endpoints: Vec<_> = endpoints.map(|endpoint| endpoint.value.clone()).collect();
            let expected = ["https://a", "https://b"].map(|url| Text(url.to_owned()));
            assert_eq!(endpoints, expected);
            assert!(layer.is_on(&table::JSON));
            assert_eq!(warnings, [""; 0]);
        }
    }

    #[test]
    fn mistakes_are_named_with_file_and_line() {
        for (name, text, expected) in [
            (
                "a.toml",
                "host = '::1'\nprot = 1",
                "a.toml:2: `prot`: there is no such setting; did you mean `port`?",
            ),
            (
                "a.json",
                "{\n\n\"accessKey\": \"k\"}",
                "a.json:3: `accessKey`: there is no such setting; did you mean `access-key`?",
            ),
            (
                "a.toml",
                "[host]\nname = 'x'",
                "a.toml:2: `host.name`: there is no such setting; did you mean `host`?",
            ),
            (
                "a.toml",
                "port = [1]",
                "a.toml:1: `port.0`: there is no such setting; did you mean `port`?",
            ),
            (
                "a.toml",
                "\nport = 70000",
                "a.toml:2: `port`: the port must be a number from 0 to 65535; 0 takes a free one",
            ),
            (
                "a.json",
                "{\"json\": \"maybe\"}",
                "a.json:1: `json`: expected `true` or `false`",
            ),
            (
                "a.json",
                "{\"port\": null}",
                "a.json:1: `port`: a value is missing",
            ),
            (
                "a.toml",
                "access-key = 'k'\naccess_key = 'k'",
                "a.toml:2: `access_key`: given more than once",
            ),
            (
                "a.json",
                "{\"port\": 1,\n\"port\": 2}",
                "a.json:2: `port`: given more than once",
            ),
            (
                "a.yaml",
                "",
                "a.yaml: the name of a configuration file must end in `.toml` or `.json`",
            ),
            (
                "appsettings.json",
                "{\"WebPubSub\": {\n\"Acceskey\": \"k\"}}",
                "appsettings.json:2: `WebPubSub:Acceskey`: there is no such setting; did you mean `WebPubSub:AccessKey`?",
            ),
            (
                "x.json",
                "{\"urls\": \"https://h\"}",
                "x.json:1: `urls`: only `http` is served; put a proxy in front for `https`",
            ),
        ] {
            assert_eq!(read_text(name, text).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn files_that_cannot_be_read_are_named() {
        let error = load(Path::new("no/such/file.toml"))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("no/such/file.toml: cannot be read: "),
            "{error}"
        );
        let large = " ".repeat(1024 * 1024 + 1);
        assert_eq!(
            read_text("a.json", &large).unwrap_err(),
            "a.json: is larger than 1 MiB"
        );
    }

    #[test]
    fn microsofts_file_is_read_and_what_is_not_ours_is_named() {
        let (layer, warnings) = read_text(
            "appsettings.Development.json",
            r#"{
                "Urls": "http://localhost:8090",
                "Logging": { "LogLevel": { "Default": "Information" } },
                "webpubsub:accesskey": "k",
                "Other": { "A": 1, "B": 2 },
                "WebPubSub": { "AllowUnvalidatedEntraTokens": true, "Hubs": { "chat": {} } }
            }"#,
        )
        .unwrap();
        assert_eq!(text_of(&layer, &table::HOST), "localhost");
        assert_eq!(text_of(&layer, &table::PORT), "8090");
        assert_eq!(text_of(&layer, &table::ACCESS_KEY), "k");
        assert!(layer.is_on(&table::ACCEPT_UNVALIDATED_ENTRA_TOKENS));
        let [warning] = warnings.as_slice() else {
            panic!("{warnings:?}")
        };
        assert!(
            warning.ends_with("`Other`: not a setting of the emulator: ignored"),
            "{warning}"
        );
    }
}
