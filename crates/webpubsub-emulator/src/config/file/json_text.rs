//! JSON to entries, with comments and trailing commas as .NET allows them in configuration files.

use super::{Entry, SyntaxError, Value, line_at};

/// Deepest nesting. Far more than any configuration has, and little enough for the stack.
const DEPTH: usize = 32;

pub(super) fn parse(text: &str) -> Result<Vec<Entry>, SyntaxError> {
    let mut reader = Reader {
        text,
        at: 0,
        path: Vec::new(),
        entries: Vec::new(),
    };
    reader.skip_blanks()?;
    if reader.peek() != Some('{') {
        return Err(reader.error("expected `{`: a configuration is an object"));
    }
    reader.value()?;
    reader.skip_blanks()?;
    match reader.peek() {
        None => Ok(reader.entries),
        Some(_) => Err(reader.error("expected nothing after the last `}`")),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    path: Vec<String>,
    entries: Vec<Entry>,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn error(&self, message: &str) -> SyntaxError {
        SyntaxError {
            line: line_at(self.text, self.at),
            message: message.to_owned(),
        }
    }

    fn skip_blanks(&mut self) -> Result<(), SyntaxError> {
        loop {
            let rest = self.rest().trim_start_matches([' ', '\t', '\r', '\n']);
            self.at = self.text.len() - rest.len();
            let comment = if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                rest.find("*/")
                    .map(|end| end + 2)
                    .ok_or_else(|| self.error("this comment does not end"))?
            } else {
                return Ok(());
            };
            self.at += comment;
        }
    }

    fn value(&mut self) -> Result<(), SyntaxError> {
        match self.peek() {
            Some('{') => self.items('}', |reader, _| {
                let name = reader.string()?;
                reader.skip_blanks()?;
                if reader.peek() != Some(':') {
                    return Err(reader.error("expected `:` after a name"));
                }
                reader.at += 1;
                reader.skip_blanks()?;
                Ok(name)
            }),
            Some('[') => self.items(']', |_, index| Ok(index.to_string())),
            Some('"') => {
                let at = self.at;
                let text = self.string()?;
                self.push(at, Value::Text(text));
                Ok(())
            }
            _ => self.literal(),
        }
    }

    /// The items of a list or an object; `name` reads what comes before the value of an item.
    fn items(
        &mut self,
        end: char,
        name: impl Fn(&mut Self, usize) -> Result<String, SyntaxError>,
    ) -> Result<(), SyntaxError> {
        if self.path.len() == DEPTH {
            return Err(self.error("nested too deeply"));
        }
        let start = self.at;
        self.at += 1;
        for index in 0.. {
            self.skip_blanks()?;
            if self.peek() == Some(end) {
                if index == 0 {
                    self.push(start, Value::Empty);
                }
                break;
            }
            let name = name(self, index)?;
            self.path.push(name);
            self.value()?;
            self.path.pop();
            self.skip_blanks()?;
            match self.peek() {
                Some(',') => self.at += 1,
                Some(c) if c == end => break,
                _ => return Err(self.error(&format!("expected `,` or `{end}`"))),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        let rest = self.rest();
        if !rest.starts_with('"') {
            return Err(self.error("expected a name in double quotes"));
        }
        let mut escaped = false;
        let end = rest[1..].find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let length = end.ok_or_else(|| self.error("this string does not end"))? + 2;
        let text = serde_json::from_str(&rest[..length])
            .map_err(|_| self.error("this string holds a bad escape or a control character"))?;
        self.at += length;
        Ok(text)
    }

    fn literal(&mut self) -> Result<(), SyntaxError> {
        let rest = self.rest();
        let length = rest
            .find(|c: char| c.is_whitespace() || matches!(c, ',' | '}' | ']' | '/' | ':'))
            .unwrap_or(rest.len());
        let value: serde_json::Value =
            serde_json::from_str(&rest[..length]).map_err(|_| {
                self.error("expected a string in double quotes, a number, `true`, `false`, a list or an object")
            })?;
        let at = self.at;
        self.at += length;
        let value = match value {
            serde_json::Value::Null => Value::Null,
            value => Value::Text(value.to_string()),
        };
        self.push(at, value);
        Ok(())
    }

    fn push(&mut self, at: usize, value: Value) {
        if self.path.is_empty() {
            return;
        }
        self.entries.push(Entry {
            path: self.path.clone(),
            line: line_at(self.text, at),
            value,
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn flat(text: &str) -> Vec<(String, usize, Value)> {
        let entries = parse(text).unwrap().into_iter();
        entries
            .map(|entry| (entry.path.join("."), entry.line, entry.value))
            .collect()
    }

    #[test]
    fn values_come_with_path_and_line() {
        let text = "{\n \"a\": {\"b\": [1, \"x\\\"\\u00e9\", true,\n null,],}, // c\n /* \"d\": 1 */ \"e\":-1.5e3\n}";
        let value = |text: &str| Value::Text(text.to_owned());
        assert_eq!(
            flat(text),
            [
                ("a.b.0".to_owned(), 2, value("1")),
                ("a.b.1".to_owned(), 2, value("x\"\u{e9}")),
                ("a.b.2".to_owned(), 2, value("true")),
                ("a.b.3".to_owned(), 3, Value::Null),
                ("e".to_owned(), 4, value("-1500.0")),
            ]
        );
        assert_eq!(
            flat("{\"a\": [],\n\"b\": {\"c\": { }}}"),
            [
                ("a".to_owned(), 1, Value::Empty),
                ("b.c".to_owned(), 2, Value::Empty),
            ]
        );
        assert_eq!(flat("{}"), []);
    }

    #[test]
    fn bad_json_is_named_by_line_and_never_quoted() {
        for (text, line, message) in [
            ("", 1, "expected `{`: a configuration is an object"),
            ("[1]", 1, "expected `{`: a configuration is an object"),
            ("{\n} x", 2, "expected nothing after the last `}`"),
            ("{\n\"a\" 1}", 2, "expected `:` after a name"),
            ("{\n\"a\": 1", 2, "expected `,` or `}`"),
            ("{\n\"a\": 1 \"b\": 2}", 2, "expected `,` or `}`"),
            ("{\n\"a\": [1 2]}", 2, "expected `,` or `]`"),
            ("{\na: 1}", 2, "expected a name in double quotes"),
            ("{\n,}", 2, "expected a name in double quotes"),
            ("{\"a\":\n\"sEcReT}", 2, "this string does not end"),
            (
                "{\"a\":\n\"\\qsEcReT\"}",
                2,
                "this string holds a bad escape or a control character",
            ),
            (
                "{\"a\":\nsEcReT}",
                2,
                "expected a string in double quotes, a number, `true`, `false`, a list or an object",
            ),
            (
                "{\"a\":\n}",
                2,
                "expected a string in double quotes, a number, `true`, `false`, a list or an object",
            ),
            ("{\n/* x", 2, "this comment does not end"),
        ] {
            let expected = SyntaxError {
                line,
                message: message.to_owned(),
            };
            assert_eq!(parse(text), Err(expected), "{text}");
        }
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        assert_eq!(parse(&deep).unwrap_err().message, "nested too deeply");
    }

    proptest! {
        #[test]
        fn never_panics(text in "[\\[\\]{}\",:/*\\\\ a1\n\u{e9}]{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn takes_all_that_serde_writes(keys in prop::collection::vec("[^:]{0,6}", 0..4), value in ".{0,10}") {
            let object: serde_json::Map<_, _> = keys.into_iter().map(|key| (key, value.clone().into())).collect();
            let text = serde_json::to_string_pretty(&object).unwrap();
            let entries = parse(&text).unwrap();
            prop_assert_eq!(entries.len(), object.len());
            for entry in entries {
                let Value::Text(value) = entry.value else { panic!("no text") };
                prop_assert_eq!(&object[&entry.path[0]], &serde_json::Value::from(value));
            }
        }
    }
}
