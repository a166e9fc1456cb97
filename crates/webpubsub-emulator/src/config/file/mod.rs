//! The configuration file: our own names in TOML or JSON, or Microsoft's `appsettings.json`.

mod json_text;
mod toml_text;

use std::{fs, io::Read as _, path::Path};

use super::{
    error::{ConfigError, did_you_mean},
    microsoft,
    setting::{Key, Layer, Origin},
};

/// A configuration file is small; anything larger is a mistake such as a device.
const MAX_BYTES: u64 = 1024 * 1024;

/// One value of a file and its place: the names that lead to it, with numbers for the items of lists.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    path: Vec<String>,
    line: usize,
    /// The value as text; `None` for null.
    value: Option<String>,
}

/// Why a text is not TOML or JSON.
#[derive(Debug, PartialEq, Eq)]
struct SyntaxError {
    line: usize,
    message: String,
}

/// Reads a file. Also returns warnings about what is ignored in it.
pub(super) fn read(path: &Path) -> Result<(Layer, Vec<String>), ConfigError> {
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
    let text = load(path).map_err(|problem| ConfigError::new(&file, problem))?;
    // Windows editors like to put a mark there.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
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

fn load(path: &Path) -> Result<String, String> {
    let file = fs::File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err("is larger than 1 MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "is not valid UTF-8".to_owned())
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
            [name] => Key::from_name(name),
            // A list, of which only this setting has one.
            [name, _] => Key::from_name(name).filter(|key| *key == Key::PublicEndpoint),
            _ => None,
        };
        let Some(key) = key else {
            let suggestion = did_you_mean(&entry.path[0], Key::names(), str::to_owned);
            return Err(ConfigError::new(
                origin,
                format!("there is no such setting{suggestion}"),
            ));
        };
        let value = entry
            .value
            .ok_or_else(|| ConfigError::new(&origin, "a value is missing"))?;
        layer.set(key, value, origin)?;
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
        if let Some(value) = entry.value {
            reader.take(&path, value, origin, true)?;
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
    use super::*;

    fn read_text(name: &str, text: &str) -> Result<(Layer, Vec<String>), String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        fs::write(folder.path().join(name), text).map_err(|error| error.to_string())?;
        let folder_name = format!("{}/", folder.path().display());
        read(&folder.path().join(name)).map_err(|error| error.to_string().replace(&folder_name, ""))
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
            assert_eq!(layer.host.unwrap().value, "::1");
            assert_eq!(layer.port.unwrap().value, 0);
            assert_eq!(layer.access_key.unwrap().value.expose(), "k");
            let endpoints: Vec<&str> = layer
                .public_endpoints
                .iter()
                .map(|endpoint| endpoint.value.as_str())
                .collect();
            assert_eq!(endpoints, ["https://a", "https://b"]);
            assert!(layer.json.unwrap().value);
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
        let error = read(Path::new("no/such/file.toml"))
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
    fn microsofts_file_is_read_and_what_is_not_supported_is_named() {
        let (layer, warnings) = read_text(
            "appsettings.Development.json",
            r#"{
                "Urls": "http://localhost:8090",
                "Logging": { "LogLevel": { "Default": "Information" } },
                "webpubsub:accesskey": "k",
                "Other": { "A": 1, "B": 2 },
                "WebPubSub": {
                    "AllowUnvalidatedEntraTokens": true,
                    "Hubs": { "chat": {
                        "EventHandlers": [ { "UrlTemplate": "http://h/{hub}", "SystemEvents": ["connect"] } ],
                        "EventListeners": [ { "EventHubEndpoint": { "ConnectionString": "secret" } } ]
                    } }
                }
            }"#,
        )
        .unwrap();
        assert_eq!(layer.host.unwrap().value, "localhost");
        assert_eq!(layer.port.unwrap().value, 8090);
        assert_eq!(layer.access_key.unwrap().value.expose(), "k");
        assert!(layer.accept_unvalidated_entra_tokens.unwrap().value);
        let warnings = warnings.join("\n");
        for expected in [
            "`WebPubSub:Hubs:chat:EventHandlers`: event handlers are not supported in this version: ignored",
            "`WebPubSub:Hubs:chat:EventListeners`: event listeners are not supported in this version: ignored",
            "`Other`: not a setting of the emulator: ignored",
        ] {
            assert!(warnings.contains(expected), "{warnings}");
        }
        assert_eq!(warnings.lines().count(), 3, "{warnings}");
    }
}
