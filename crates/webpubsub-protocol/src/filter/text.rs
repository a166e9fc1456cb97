//! Text as the service's runtime sees it: lengths and positions in UTF-16 code units, case mapping
//! character by character.

use std::borrow::Cow;

/// The length in UTF-16 code units.
pub(super) fn units(text: &str) -> usize {
    if text.is_ascii() {
        text.len()
    } else {
        text.encode_utf16().count()
    }
}

/// The part from unit `start`, of `length` units or to the end; `None` when it is not all inside
/// the text, or would cut a surrogate pair, whose halves are no text here.
pub(super) fn substring(text: &str, start: usize, length: Option<usize>) -> Option<(usize, usize)> {
    if length == Some(0) {
        return (start <= units(text)).then_some((0, 0));
    }
    let from = byte_offset(text, start)?;
    let to = match length {
        Some(length) => from + byte_offset(&text[from..], length)?,
        None => text.len(),
    };
    Some((from, to))
}

/// The position of the first `needle`, in units.
pub(super) fn index_of(text: &str, needle: &str) -> Option<usize> {
    text.find(needle).map(|byte| units(&text[..byte]))
}

/// Lower case, one character for one: what has no single lower-case character stays.
pub(super) fn to_lower(text: &str) -> Cow<'_, str> {
    map(text, |c| single(c, c.to_lowercase()))
}

/// Upper case, one character for one: `ß` stays.
pub(super) fn to_upper(text: &str) -> Cow<'_, str> {
    map(text, |c| single(c, c.to_uppercase()))
}

fn byte_offset(text: &str, units: usize) -> Option<usize> {
    if text.is_ascii() {
        return (units <= text.len()).then_some(units);
    }
    let mut rest = units;
    for (byte, c) in text.char_indices() {
        if rest == 0 {
            return Some(byte);
        }
        rest = rest.checked_sub(c.len_utf16())?;
    }
    (rest == 0).then_some(text.len())
}

fn map(text: &str, fold: impl Fn(char) -> char) -> Cow<'_, str> {
    if text.chars().all(|c| fold(c) == c) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.chars().map(fold).collect())
    }
}

fn single(original: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(c), None) => c,
        _ => original,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, start: usize, length: Option<usize>) -> Option<&str> {
        substring(text, start, length).map(|(from, to)| &text[from..to])
    }

    #[test]
    fn counts_utf16_units() {
        assert_eq!(units(""), 0);
        assert_eq!(units("aé"), 2);
        assert_eq!(units("a😀"), 3);
        assert_eq!(index_of("é😀b", "b"), Some(3));
        assert_eq!(index_of("ab", ""), Some(0));
        assert_eq!(index_of("ab", "c"), None);
    }

    #[test]
    fn substring_is_all_or_nothing() {
        assert_eq!(cut("user1", 4, Some(1)), Some("1"));
        assert_eq!(cut("user1", 4, Some(2)), None);
        assert_eq!(cut("user1", 5, None), Some(""));
        assert_eq!(cut("user1", 6, None), None);
        assert_eq!(cut("user1", 5, Some(0)), Some(""));
        assert_eq!(cut("é😀b", 1, Some(2)), Some("😀"));
        assert_eq!(cut("é😀b", 3, None), Some("b"));
        assert_eq!(cut("é😀b", 4, None), Some(""));
        assert_eq!(cut("é😀b", 2, None), None, "inside the pair");
        assert_eq!(cut("é😀b", 1, Some(1)), None, "half of the pair");
        assert_eq!(cut("é😀b", 2, Some(0)), Some(""), "nothing of the pair");
        assert_eq!(cut("é😀b", 5, Some(0)), None);
        assert_eq!(cut("é", usize::MAX, Some(usize::MAX)), None);
    }

    #[test]
    fn case_maps_one_to_one() {
        assert_eq!(to_lower("ÀB1"), "àb1");
        assert_eq!(to_upper("straße"), "STRAßE");
        assert_eq!(to_lower("İ"), "İ");
        assert!(matches!(to_lower("abc"), Cow::Borrowed("abc")));
        assert!(matches!(to_upper("ABC"), Cow::Borrowed("ABC")));
    }
}
