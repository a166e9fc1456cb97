//! Escaping of names in URLs.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

/// The characters that JavaScript's `encodeURIComponent` escapes: all but letters, digits and `- _ . ! ~ * ' ( )`. The
/// official packages escape names with it, so that a name other than `.` and `..` never becomes another part of a URL.
pub const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

#[cfg(test)]
mod tests {
    use percent_encoding::utf8_percent_encode;

    use super::*;

    #[test]
    fn as_encode_uri_component() {
        let all: String = (' '..='~').chain(['é', '\u{7f}']).collect();
        assert_eq!(
            utf8_percent_encode(&all, COMPONENT).to_string(),
            "%20!%22%23%24%25%26'()*%2B%2C-.%2F0123456789%3A%3B%3C%3D%3E%3F%40ABCDEFGHIJKLMNOPQRSTUVWXYZ%5B%5C%5D%5E_\
             %60abcdefghijklmnopqrstuvwxyz%7B%7C%7D~%C3%A9%7F"
        );
    }
}
