//! Checks answers against the description that the emulator serves. Members that it does not name are mistakes here,
//! although callers must bear them: whatever is answered has to be described.

use std::sync::LazyLock;

use serde_json::Value;

static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../src/admin/openapi.json")).expect("JSON")
});

/// The operations as method and path below that of the API.
pub(crate) fn operations() -> impl Iterator<Item = (String, &'static str, &'static Value)> {
    let paths = DESCRIPTION["paths"].as_object().expect("paths");
    paths.iter().flat_map(|(path, item)| {
        let path = path
            .strip_prefix("/_emulator/")
            .expect("below the API's path");
        let operations = item.as_object().expect("operations");
        operations
            .iter()
            .map(move |(method, operation)| (method.to_uppercase(), path, operation))
    })
}

/// Fails unless the document is as the operation at this path says.
#[track_caller]
pub(crate) fn check(method: &str, path: &str, document: &Value) {
    let path = path.split('?').next().unwrap_or(path);
    let operation =
        operations().find(|(known, template, _)| known == method && fits(template, path));
    let (_, _, operation) = operation.unwrap_or_else(|| panic!("{method} {path} is not described"));
    let responses = operation["responses"].as_object().expect("responses");
    let (_, success) = responses
        .iter()
        .find(|(status, _)| status.starts_with('2'))
        .expect("a success");
    let schema = &success["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{method} {path} answers no JSON");
    let mut problems = Vec::new();
    compare(schema, document, &mut "$".to_owned(), &mut problems);
    assert!(
        problems.is_empty(),
        "{method} {path}: {problems:#?}\n{document:#}"
    );
}

/// The problems of a value with a schema of the description.
pub(crate) fn problems(schema: &str, value: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let schema = &DESCRIPTION["components"]["schemas"][schema];
    assert!(schema.is_object(), "no such schema");
    compare(schema, value, &mut "$".to_owned(), &mut problems);
    problems
}

fn fits(template: &str, path: &str) -> bool {
    let (mut expected, mut found) = (template.split('/'), path.split('/'));
    loop {
        match (expected.next(), found.next()) {
            (None, None) => return true,
            (Some(expected), Some(found)) if expected == found || expected.starts_with('{') => {}
            _ => return false,
        }
    }
}

fn compare(schema: &Value, value: &Value, place: &mut String, problems: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference
            .strip_prefix("#/components/schemas/")
            .expect("a schema");
        return compare(
            &DESCRIPTION["components"]["schemas"][name],
            value,
            place,
            problems,
        );
    }
    if let Some(options) = schema["oneOf"].as_array() {
        let fitting = options.iter().filter(|option| {
            let mut inner = Vec::new();
            compare(option, value, &mut place.clone(), &mut inner);
            inner.is_empty()
        });
        if fitting.count() != 1 {
            problems.push(format!("{place}: not exactly one of the alternatives fits"));
        }
        return;
    }
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    if let Some(parts) = schema["allOf"].as_array() {
        return parts
            .iter()
            .for_each(|part| compare(part, value, place, problems));
    }
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("number") => value.is_number(),
        other => panic!("{place}: a schema of type {other:?}"),
    };
    if !fits {
        problems.push(format!("{place}: expected {}, got {value}", schema["type"]));
        return;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        problems.push(format!("{place}: {value} is none of {allowed:?}"));
    }
    if schema["format"] == "date-time" {
        let text = value.as_str().unwrap_or_default();
        let shape: String = text
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        if shape != "0000-00-00T00:00:00.000Z" {
            problems.push(format!("{place}: {text} is no time"));
        }
    }
    let end = place.len();
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        place.push_str(&format!("[{index}]"));
        compare(&schema["items"], item, place, problems);
        place.truncate(end);
    }
    let members = value.as_object().into_iter().flatten();
    for (name, member) in members {
        place.push_str(&format!(".{name}"));
        match (&schema["properties"][name], &schema["additionalProperties"]) {
            (Value::Null, Value::Null) if schema["properties"].is_null() => {}
            (Value::Null, Value::Null) => problems.push(format!("{place}: not described")),
            (Value::Null, others) => compare(others, member, place, problems),
            (described, _) => compare(described, member, place, problems),
        }
        place.truncate(end);
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().expect("names");
        if value.get(name).is_none() {
            problems.push(format!("{place}.{name}: missing"));
        }
    }
}

#[test]
fn mistakes_are_found() {
    use serde_json::json;
    let clock = |now: Value, seconds: Value| json!({"now": now, "advancedSeconds": seconds, "manual": true});
    let now = "2026-11-25T01:02:03.004Z";
    assert_eq!(
        problems("Clock", &clock(json!(now), json!(1.5))),
        Vec::<String>::new()
    );
    for (value, place) in [
        (clock(json!(now), json!("1")), "$.advancedSeconds: expected"),
        (clock(json!("today"), json!(1)), "$.now: today is no time"),
        (
            json!({"now": now, "advancedSeconds": 1}),
            "$.manual: missing",
        ),
        (
            json!({"now": now, "advancedSeconds": 1, "manual": true, "more": 1}),
            "$.more: not described",
        ),
    ] {
        let found = problems("Clock", &value);
        assert!(found.len() == 1 && found[0].starts_with(place), "{found:?}");
    }
}
