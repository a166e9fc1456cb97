//! Finds the members of an object in one pass, without a parser's machinery.
//!
//! It reads what services and clients write: names without escapes, and values of any kind. Whatever else a text may be is
//! left to `serde_json`, which also says what is wrong with it, and so are nested values. A property test holds the two
//! together: what is found here is what `serde_json` finds.

use serde::de::IgnoredAny;

use super::{depth_is_within, plain_len};
use crate::limits;

/// Calls `found` with the name and the raw text of each member, in their order. `None` when the text is not a plain object;
/// then some of its members may have been found already.
pub(super) fn members<'a>(text: &'a str, mut found: impl FnMut(&'a str, &'a str)) -> Option<()> {
    let mut scanner = Scanner { text, at: 0 };
    scanner.take(b'{')?;
    if scanner.token()? != b'}' {
        loop {
            let name = scanner.name()?;
            scanner.take(b':')?;
            found(name, scanner.value()?);
            if scanner.token()? != b',' {
                break;
            }
            scanner.at += 1;
        }
    }
    scanner.take(b'}')?;
    scanner.token().is_none().then_some(())
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The next byte behind blanks.
    fn token(&mut self) -> Option<u8> {
        match self.byte()? {
            b' ' | b'\n' | b'\r' | b'\t' => self.token_behind_blanks(),
            byte => Some(byte),
        }
    }

    /// Services write no blanks. A loop for them in the way of everything else would slow that down.
    #[cold]
    fn token_behind_blanks(&mut self) -> Option<u8> {
        let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        self.at += self.rest().iter().take_while(is_blank).count();
        self.byte()
    }

    fn take(&mut self, expected: u8) -> Option<()> {
        (self.token()? == expected).then(|| self.at += 1)
    }

    /// A string without escapes: what is between its quotes.
    fn name(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let start = self.at;
        self.at += plain_len(self.rest());
        let name = &self.text[start..self.at];
        (self.byte()? == b'"').then(|| self.at += 1)?;
        Some(name)
    }

    fn value(&mut self) -> Option<&'a str> {
        let first = self.token()?;
        let start = self.at;
        match first {
            b'"' => self.skip_string()?,
            b'1'..=b'9' => self.skip_integer()?,
            b't' => self.skip("true")?,
            b'f' => self.skip("false")?,
            b'n' => self.skip("null")?,
            _ => self.skip_other()?,
        }
        Some(&self.text[start..self.at])
    }

    fn skip(&mut self, literal: &str) -> Option<()> {
        let matches = self.rest().starts_with(literal.as_bytes());
        matches.then(|| self.at += literal.len())
    }

    fn skip_string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            self.at += plain_len(self.rest());
            match self.rest() {
                [b'"', ..] => {
                    self.at += 1;
                    return Some(());
                }
                [b'\\', b'u', a, b, c, d, ..]
                    if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) =>
                {
                    self.at += 6;
                }
                [
                    b'\\',
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't',
                    ..,
                ] => self.at += 2,
                _ => return None,
            }
        }
    }

    fn skip_integer(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if matches!(self.byte(), Some(b'.' | b'e' | b'E')) {
            self.at = start;
            return self.skip_other();
        }
        Some(())
    }

    fn skip_other(&mut self) -> Option<()> {
        let rest = &self.text[self.at..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        values.next()?.ok()?;
        let value = rest.get(..values.byte_offset())?;
        self.at += value.len();
        // One level is the object itself.
        depth_is_within(value.as_bytes(), limits::JSON_DEPTH - 1).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use proptest::prelude::*;
    use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
    use serde_json::value::RawValue;

    use super::*;

    /// All members of an object as `serde_json` finds them, in their order.
    struct Members(Vec<(String, String)>);

    impl<'de> Deserialize<'de> for Members {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct AllVisitor;
            impl<'de> Visitor<'de> for AllVisitor {
                type Value = Members;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                    let mut all = Vec::new();
                    while let Some((name, raw)) = map.next_entry::<String, &RawValue>()? {
                        all.push((name, raw.get().to_owned()));
                    }
                    Ok(Members(all))
                }
            }
            deserializer.deserialize_map(AllVisitor)
        }
    }

    fn scanned(text: &str) -> Option<Vec<(String, String)>> {
        let mut all = Vec::new();
        members(text, |name, raw| {
            all.push((name.to_owned(), raw.to_owned()))
        })?;
        Some(all)
    }

    #[test]
    fn what_services_write_is_found() {
        let text = r#" {"a" : "x\"\u00e9\\", "b":-1.5e3,"c":{"d":[1,"}"]} ,"é":12,"a":null,"t":true,"f":false,"e":""} "#;
        let found = scanned(text).unwrap();
        let expected = [
            ("a", r#""x\"\u00e9\\""#),
            ("b", "-1.5e3"),
            ("c", r#"{"d":[1,"}"]}"#),
            ("é", "12"),
            ("a", "null"),
            ("t", "true"),
            ("f", "false"),
            ("e", r#""""#),
        ];
        let expected = expected.map(|(name, raw)| (name.to_owned(), raw.to_owned()));
        assert_eq!(found, expected);
        assert_eq!(scanned("{}"), Some(Vec::new()));
    }

    #[test]
    fn everything_else_is_left_to_serde_json() {
        let deep = format!(
            "{{\"a\":{}1{}}}",
            "[".repeat(limits::JSON_DEPTH),
            "]".repeat(limits::JSON_DEPTH)
        );
        for text in [
            "",
            "1",
            "[]",
            "{",
            "{}x",
            "{,}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{"a":1 "b":2}"#,
            r#"{"a":01}"#,
            r#"{"a":"}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"\u12g4"}"#,
            "{\"a\":\"\n\"}",
            r#"{"\u0061":1}"#,
            r#"{"a":tru}"#,
            r#"{"a":nullx}"#,
            "{\"a\n\":1}",
            &deep,
        ] {
            assert_eq!(scanned(text), None, "{text}");
        }
    }

    proptest! {
        /// Texts that are almost JSON, since hardly any other text tells two parsers apart.
        #[test]
        fn what_is_found_is_what_serde_json_finds(text in r#"([{}\[\]":,\\ \n-]|"[ab]":|"[a-z]{0,20}\\?[un"/x]?[0-9a-f]{0,4}"|0|1|12|1\.5|e|null|true|é){0,30}"#) {
            for text in [text.clone(), format!("{{{text}}}"), format!("{{\"a\":{text}}}")] {
                if let Some(found) = scanned(&text) {
                    let expected = serde_json::from_str(&text).map(|Members(all)| all);
                    prop_assert_eq!(Some(found), expected.ok(), "{}", text);
                }
            }
        }
    }
}
