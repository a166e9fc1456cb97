//! Just enough of Rust's lexical structure to look at code without its comments and literals.

/// Replaces comments and the contents of string and character literals by blanks, so that what is
/// left is code, at the same byte offsets and lines.
pub(super) fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match token(bytes, at) {
            Token::Code => at + 1,
            Token::Comment(end) => {
                blank(&mut out[at..end]);
                end
            }
            Token::Literal { open, close, end } => {
                blank(&mut out[at + open..end - close]);
                end
            }
            Token::Word(end) => end,
        };
        at = end;
    }
    // Every byte is as before or a blank, and literals and comments were blanked whole.
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// The line of a byte offset, from 1.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes()[..offset]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
}

enum Token {
    Code,
    /// An identifier or number, skipped whole so that its letters start no literal.
    Word(usize),
    Comment(usize),
    /// Ends at `end`; its delimiters take `open` bytes in front and `close` bytes at the end.
    Literal {
        open: usize,
        close: usize,
        end: usize,
    },
}

fn token(bytes: &[u8], at: usize) -> Token {
    let rest = &bytes[at..];
    match rest {
        [b'/', b'/', ..] => {
            let line = rest
                .iter()
                .position(|byte| *byte == b'\n')
                .unwrap_or(rest.len());
            Token::Comment(at + line)
        }
        [b'/', b'*', ..] => Token::Comment(at + block_comment(rest)),
        [b'"', ..] => string(rest, at, 1),
        [b'b' | b'c', b'"', ..] => string(rest, at, 2),
        [b'r', b'"' | b'#', ..] => raw_string(rest, at, 1),
        [b'b' | b'c', b'r', b'"' | b'#', ..] => raw_string(rest, at, 2),
        [b'\'', ..] => character(rest, at),
        [first, ..] if is_word(*first) => {
            Token::Word(at + rest.iter().position(|b| !is_word(*b)).unwrap_or(rest.len()))
        }
        _ => Token::Code,
    }
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (at, depth) = (at + 2, depth + 1),
            [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string(rest: &[u8], at: usize, open: usize) -> Token {
    let mut end = open;
    while end < rest.len() {
        match rest[end] {
            b'\\' => end += 2,
            b'"' => {
                return Token::Literal {
                    open,
                    close: 1,
                    end: at + end + 1,
                };
            }
            _ => end += 1,
        }
    }
    Token::Literal {
        open,
        close: 0,
        end: at + rest.len(),
    }
}

fn raw_string(rest: &[u8], at: usize, prefix: usize) -> Token {
    let hashes = rest[prefix..]
        .iter()
        .take_while(|byte| **byte == b'#')
        .count();
    let open = prefix + hashes + 1;
    if rest.get(open - 1) != Some(&b'"') {
        // A raw identifier.
        return Token::Word(at + prefix + hashes);
    }
    let mut closing = vec![b'"'];
    closing.resize(1 + hashes, b'#');
    match rest[open..]
        .windows(closing.len())
        .position(|window| window == closing)
    {
        Some(length) => {
            let close = closing.len();
            Token::Literal {
                open,
                close,
                end: at + open + length + close,
            }
        }
        None => Token::Literal {
            open,
            close: 0,
            end: at + rest.len(),
        },
    }
}

/// A character literal, unless the quote starts a lifetime.
fn character(rest: &[u8], at: usize) -> Token {
    let length = match rest {
        [_, b'\\', _, tail @ ..] => tail
            .iter()
            .position(|byte| *byte == b'\'')
            .map(|end| 3 + end),
        [_, first, ..] => {
            let size = match first {
                0xf0.. => 4,
                0xe0.. => 3,
                0xc0.. => 2,
                _ => 1,
            };
            (rest.get(1 + size) == Some(&b'\'')).then_some(1 + size)
        }
        _ => None,
    };
    match length {
        Some(length) => Token::Literal {
            open: 1,
            close: 1,
            end: at + length + 1,
        },
        None => Token::Code,
    }
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_code_stays() {
        let cases = [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("x\"y") + 1"#, r#"f("    ") + 1"#),
            (r##"f(r#"x"y"#) + 1"##, r##"f(r#"   "#) + 1"##),
            (r#"br"x" b"x" c"x""#, r#"br" " b" " c" ""#),
            (
                "&'a str, 'b', '\\'', '\\u{41}', 'ß'",
                "&'a str, ' ', '  ', '      ', '  '",
            ),
            ("r#type \"x\" bar\"y\"", "r#type \" \" bar\" \""),
            ("\"open // not a comment", "\"                     "),
        ];
        for (text, code) in cases {
            assert_eq!(code_only(text), code, "{text}");
        }
    }

    #[test]
    fn lines_are_kept() {
        let text = "a\n\"b\nc\"\n/* d\n */ e";
        let code = code_only(text);
        assert_eq!(code.lines().count(), text.lines().count());
        assert_eq!(line_of(&code, code.find('e').unwrap()), 5);
    }
}
