//! Seeds from the test vectors in `spec/vectors`, so that they are written down once.

use serde_json::Value;

fn vectors(text: &str) -> Value {
    serde_json::from_str(text).expect("a file of vectors is JSON")
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn texts(values: &[Value], name: &str) -> impl Iterator<Item = Vec<u8>> {
    let texts = values.iter().filter_map(move |value| match name {
        "" => value.as_str(),
        name => value[name].as_str(),
    });
    texts.map(|text| text.as_bytes().to_vec())
}

fn hex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks_exact(2);
    let byte = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(text, 16).ok()
    };
    pairs
        .map(|pair| byte(pair).expect("a vector holds hexadecimal digits"))
        .collect()
}

/// Frames as JSON in this direction, and what the service closes a connection for.
pub(crate) fn json_frames(direction: &str) -> Vec<Vec<u8>> {
    let frames = vectors(include_str!("../../../spec/vectors/json-frames.json"));
    let wanted = |frame: &&Value| frame["direction"] == direction;
    let frames: Vec<Value> = list(&frames, "vectors")
        .iter()
        .filter(wanted)
        .cloned()
        .collect();
    let mut seeds: Vec<_> = texts(&frames, "text").collect();
    if direction == "up" {
        let malformed = vectors(include_str!("../../../spec/vectors/malformed.json"));
        for row in list(&malformed, "rows") {
            seeds.extend(texts(list(row, "send"), "text"));
        }
    }
    seeds
}

/// Frames as protobuf in this direction, and those that are refused.
pub(crate) fn protobuf_frames(direction: &str) -> Vec<Vec<u8>> {
    let frames = vectors(include_str!("../../../spec/vectors/protobuf.json"));
    let right = |frame: &&Value| frame["direction"] == direction;
    let frames = list(&frames, "vectors")
        .iter()
        .filter(right)
        .chain(list(&frames, "refuse"));
    frames
        .filter_map(|frame| frame["hex"].as_str().map(hex))
        .collect()
}

/// Filters, good and bad.
pub(crate) fn filters() -> Vec<Vec<u8>> {
    let filters = vectors(include_str!("../../../spec/vectors/filter.json"));
    let groups = ["matching", "refused", "illTyped"];
    groups
        .into_iter()
        .flat_map(|name| texts(list(&filters, name), "filter"))
        .collect()
}

/// Roles and patterns, each with names of groups in the lines below.
pub(crate) fn roles() -> Vec<Vec<u8>> {
    let permissions = vectors(include_str!("../../../spec/vectors/permissions.json"));
    let mut seeds: Vec<_> = texts(list(&permissions, "invalidPatterns"), "").collect();
    for pattern in list(&permissions, "patterns") {
        let names = list(pattern, "matches")
            .iter()
            .chain(list(pattern, "misses"));
        let lines = std::iter::once(&pattern["pattern"]).chain(names);
        let lines: Vec<_> = lines.filter_map(Value::as_str).collect();
        seeds.push(lines.join("\n").into_bytes());
    }
    for set in list(&permissions, "sets") {
        seeds.extend(texts(list(set, "roles"), ""));
    }
    seeds
}

/// Connection strings, good and bad.
pub(crate) fn connection_strings() -> Vec<Vec<u8>> {
    let access = vectors(include_str!("../../../spec/vectors/access.json"));
    texts(list(&access, "connectionStrings"), "text").collect()
}

/// Tokens as they are, and as the claims that the target signs.
pub(crate) fn tokens() -> Vec<Vec<u8>> {
    let access = vectors(include_str!("../../../spec/vectors/access.json"));
    let mut seeds: Vec<_> = texts(list(&access, "clientTokens"), "token").collect();
    seeds.extend([
        br#"{"aud":"https://a.example/client/hubs/chat","exp":1800000000,"role":["webpubsub.sendToGroup"],"webpubsub.group":["g"]}"#.to_vec(),
        br#"{"aud":["http://localhost:8080/api/hubs/chat/:send"],"exp":1800000000,"nbf":1}"#.to_vec(),
        br#"{"aud":"c1","exp":1800000000,"iss":"a","jti":"1"}"#.to_vec(),
    ]);
    seeds
}

/// Noise, for targets that make a sequence of steps of it. Always the same.
pub(crate) fn noise() -> Vec<Vec<u8>> {
    const INPUTS: usize = 60;
    const BYTES: usize = 600;

    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..INPUTS)
        .map(|_| (0..BYTES).map(|_| next()).collect())
        .collect()
}
