//! Words, literals and signs of a filter.

use super::error::FilterError;

/// A token and its bytes in the text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Token<'t> {
    pub(super) kind: TokenKind,
    pub(super) start: usize,
    pub(super) text: &'t str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    Open,
    Close,
    Comma,
    Word,
    /// A string in its quotes.
    Text,
    Int(i32),
    /// A literal of a type that filters do not have.
    Unsupported,
    /// A character with a meaning in OData, but none in filters.
    Sign,
    End,
}

impl Token<'_> {
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text == word
    }
}

/// Reads the first token at or after the byte offset `at`.
pub(super) fn next_token(text: &str, at: usize) -> Result<Token<'_>, FilterError> {
    let rest = text[at..].trim_start();
    let start = text.len() - rest.len();
    let Some(first) = rest.chars().next() else {
        return Ok(Token {
            kind: TokenKind::End,
            start,
            text: rest,
        });
    };
    let (kind, length) = match first {
        '(' => (TokenKind::Open, 1),
        ')' => (TokenKind::Close, 1),
        ',' => (TokenKind::Comma, 1),
        '\'' => (TokenKind::Text, quoted_length(text, start)?),
        '=' | '/' | '?' | '.' | '*' | ':' | '{' | '[' | '@' => (TokenKind::Sign, 1),
        _ if starts_number(rest) => number(rest),
        _ if starts_word(first) => word(text, start)?,
        _ => {
            let detail = format!(
                "Syntax error: character '{first}' is not valid at position {} in '{text}'.",
                utf16_position(text, start),
            );
            return Err(FilterError::at(text, start, detail));
        }
    };
    Ok(Token {
        kind,
        start,
        text: &rest[..length],
    })
}

/// A byte offset as the service's messages count it.
pub(super) fn utf16_position(text: &str, byte: usize) -> usize {
    super::text::units(&text[..byte])
}

/// The value of a string token.
pub(super) fn unquote(token: &str) -> String {
    token[1..token.len() - 1].replace("''", "'")
}

fn quoted_length(text: &str, start: usize) -> Result<usize, FilterError> {
    let mut end = start + 1;
    while let Some(quote) = text[end..].find('\'') {
        end += quote + 1;
        if !text[end..].starts_with('\'') {
            return Ok(end - start);
        }
        end += 1;
    }
    let detail = format!(
        "There is an unterminated string literal at position {} in '{text}'.",
        utf16_position(text, text.len()),
    );
    Err(FilterError::at(text, start, detail))
}

fn starts_number(rest: &str) -> bool {
    rest.strip_prefix(['+', '-'])
        .unwrap_or(rest)
        .starts_with(|c: char| c.is_ascii_digit())
}

/// Integers; with further letters and signs decimals, dates and the like.
fn number(rest: &str) -> (TokenKind, usize) {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | ':' | '-' | '_');
    let length = 1 + rest[1..].find(|c| !is_part(c)).unwrap_or(rest.len() - 1);
    match rest[..length].parse() {
        Ok(value) => (TokenKind::Int(value), length),
        Err(_) => (TokenKind::Unsupported, length),
    }
}

fn starts_word(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == '$'
}

/// Names and keywords; also `prefix'text'` and GUIDs that begin with a letter.
fn word(text: &str, start: usize) -> Result<(TokenKind, usize), FilterError> {
    const OPERATORS: [&str; 10] = ["and", "or", "not", "eq", "ne", "gt", "ge", "lt", "le", "in"];
    let rest = &text[start..];
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '.');
    let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    if rest[length..].starts_with('\'') && !OPERATORS.contains(&&rest[..length]) {
        return Ok((
            TokenKind::Unsupported,
            length + quoted_length(text, start + length)?,
        ));
    }
    match rest.get(..36) {
        Some(guid) if is_guid(guid) && !rest[36..].starts_with(is_part) => {
            Ok((TokenKind::Unsupported, 36))
        }
        _ => Ok((TokenKind::Word, length)),
    }
}

fn is_guid(text: &str) -> bool {
    let sizes = text.split('-').map(str::len);
    sizes.eq([8, 4, 4, 4, 12]) && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<(TokenKind, &str)> {
        let mut all = Vec::new();
        let mut at = 0;
        loop {
            let token = next_token(text, at).unwrap();
            if token.kind == TokenKind::End {
                return all;
            }
            at = token.end();
            all.push((token.kind, token.text));
        }
    }

    #[test]
    fn splits_words_literals_and_signs() {
        use TokenKind::*;
        assert_eq!(
            tokens("not(userId\teq'it''s',-12)/$x"),
            [
                (Word, "not"),
                (Open, "("),
                (Word, "userId"),
                (Word, "eq"),
                (Text, "'it''s'"),
                (Comma, ","),
                (Int(-12), "-12"),
                (Close, ")"),
                (Sign, "/"),
                (Word, "$x"),
            ]
        );
        assert_eq!(tokens("''''"), [(Text, "''''")]);
        assert_eq!(unquote("''''"), "'");
    }

    #[test]
    fn integers_have_32_bits() {
        for (text, value) in [
            ("2147483647", i32::MAX),
            ("-2147483648", i32::MIN),
            ("+7", 7),
            ("007", 7),
        ] {
            assert_eq!(tokens(text), [(TokenKind::Int(value), text)]);
        }
        for text in [
            "2147483648",
            "-2147483649",
            "1.5",
            "1e9",
            "5L",
            "0x1F",
            "2026-01-31",
            "12:30",
        ] {
            assert_eq!(tokens(text), [(TokenKind::Unsupported, text)]);
        }
    }

    #[test]
    fn knows_foreign_literals_to_refuse_them() {
        for text in [
            "duration'PT1H'",
            "binary'x''y'",
            "null''",
            "abcdef01-2345-6789-abcd-ef0123456789",
            "01234567-2345-6789-abcd-ef0123456789",
        ] {
            assert_eq!(tokens(text), [(TokenKind::Unsupported, text)]);
        }
    }
}
