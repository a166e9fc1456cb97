//! The two names that people type, parsed into values that are safe to show and to build ids from.

use std::fmt;

/// Longest name of a person, in characters.
const LONGEST_NAME: usize = 40;
/// Longest name of a room, in characters.
const LONGEST_ROOM: usize = 32;

/// What a person is called: 1 to 40 visible characters in single-spaced words.
///
/// Two people may have the same name, so it is no id; [`PersonName::user_id`] makes one of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PersonName(String);

impl PersonName {
    pub(crate) fn parse(typed: &str) -> Result<Self, InvalidName> {
        if typed.trim().chars().any(char::is_control) {
            return Err(InvalidName::person("A name has no control characters."));
        }
        let name = typed.split_whitespace().collect::<Vec<_>>().join(" ");
        if name.is_empty() {
            return Err(InvalidName::person("Please type a name."));
        }
        if name.chars().count() > LONGEST_NAME {
            return Err(InvalidName::person("A name has at most 40 characters."));
        }
        // The page splits user ids there, see `user_id`.
        if name.contains('#') {
            return Err(InvalidName::person("A name has no '#'."));
        }
        if has_stray_invisible(&name) {
            return Err(InvalidName::person("A name has no invisible characters."));
        }
        Ok(Self(name))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The user id that the service will show as the sender of this person's messages.
    ///
    /// `tag` tells people of the same name apart; the name holds no `#`, so the last one ends it.
    pub(crate) fn user_id(&self, tag: &str) -> String {
        format!("{}#{tag}", self.0)
    }
}

/// A room: 1 to 32 of `a-z`, `0-9`, `-`, `_`, starting with a letter or digit.
///
/// Rooms are found by typing them a second time, and groups compare byte by byte. So the alphabet
/// is one in which what looks equal is equal, and capitals are folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoomName(String);

impl RoomName {
    pub(crate) fn parse(typed: &str) -> Result<Self, InvalidName> {
        let room = typed.trim().to_ascii_lowercase();
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        match room.as_bytes() {
            [] => Err(InvalidName::room("Please type a room.")),
            [b'-' | b'_', ..] => Err(InvalidName::room("A room starts with a letter or a digit.")),
            bytes if !bytes.iter().copied().all(legal) => Err(InvalidName::room(
                "A room has only letters a to z, digits, '-' and '_'.",
            )),
            bytes if bytes.len() > LONGEST_ROOM => {
                Err(InvalidName::room("A room has at most 32 characters."))
            }
            _ => Ok(Self(room)),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The group that carries the room. The prefix keeps rooms apart from other uses of the hub.
    pub(crate) fn group(&self) -> String {
        format!("room.{}", self.0)
    }
}

/// Why a name was refused, in words for the person who typed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidName {
    /// The member of the request, `name` or `room`.
    pub(crate) field: &'static str,
    reason: &'static str,
}

impl InvalidName {
    fn person(reason: &'static str) -> Self {
        Self {
            field: "name",
            reason,
        }
    }

    fn room(reason: &'static str) -> Self {
        Self {
            field: "room",
            reason,
        }
    }
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}

impl std::error::Error for InvalidName {}

/// Whether a name holds characters without a shape, by which it could look empty, look like
/// another one, or turn the direction of the text around it.
///
/// Joiners are part of Persian and Indic words and of emoji, and a variation selector of emoji;
/// they stay where they have something to join or to vary.
fn has_stray_invisible(name: &str) -> bool {
    let mut chars = name.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        let stray = match c {
            '\u{200c}' | '\u{200d}' => {
                let joins = |c: char| !c.is_whitespace() && !is_invisible(c);
                !(joins(before) || before == VARIATION_SELECTOR)
                    || !chars.peek().copied().is_some_and(joins)
            }
            VARIATION_SELECTOR => before.is_whitespace() || is_invisible(before),
            c => is_invisible(c),
        };
        if stray {
            return true;
        }
        before = c;
    }
    false
}

/// Asks for the coloured form of the emoji before it.
const VARIATION_SELECTOR: char = '\u{fe0f}';

/// Unicode's `Default_Ignorable_Code_Point`, the bidirectional controls within it, the blanks that
/// count as letters (Hangul fillers, empty Braille), and interlinear annotation.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(typed: &str) -> Result<String, &'static str> {
        PersonName::parse(typed)
            .map(|name| name.0)
            .map_err(|error| error.reason)
    }

    fn room(typed: &str) -> Result<String, &'static str> {
        RoomName::parse(typed)
            .map(|room| room.0)
            .map_err(|error| error.reason)
    }

    #[test]
    fn names_of_many_scripts_are_kept() {
        for name in [
            "Ana",
            "Bernardo Ximénez",
            "李雷",
            "علی‌رضا",
            "O'Brien",
            "👩\u{200d}🚀",
            "❤\u{fe0f}\u{200d}🔥",
        ] {
            assert_eq!(person(name).as_deref(), Ok(name));
        }
    }

    #[test]
    fn blanks_are_trimmed_and_folded() {
        assert_eq!(
            person("  Ana \u{3000}  Maria\u{a0}").as_deref(),
            Ok("Ana Maria")
        );
    }

    #[test]
    fn names_that_look_empty_are_refused() {
        for typed in ["", "   ", "\u{3000}", "\u{a0}\u{2003}"] {
            assert_eq!(person(typed), Err("Please type a name."), "{typed:?}");
        }
        for typed in [
            "\u{200b}", "\u{3164}", "\u{2800}", "\u{feff}", "\u{115f}", "\u{fe0f}", "\u{200d}",
            "\u{ad}",
        ] {
            assert_eq!(
                person(typed),
                Err("A name has no invisible characters."),
                "{typed:?}"
            );
        }
    }

    #[test]
    fn invisible_characters_inside_are_refused() {
        for typed in [
            "A\u{200b}na",
            "\u{202e}ana",
            "Ana\u{200d}",
            "\u{200d}Ana",
            "A\u{200d}\u{200d}na",
            "Ana \u{fe0f}",
            "Ana\u{e0061}",
        ] {
            assert_eq!(
                person(typed),
                Err("A name has no invisible characters."),
                "{typed:?}"
            );
        }
    }

    #[test]
    fn control_characters_are_refused_but_not_a_pasted_line_end() {
        for typed in ["A\u{0}na", "A\nna", "A\tna", "A\u{85}na", "A\u{7f}na"] {
            assert_eq!(
                person(typed),
                Err("A name has no control characters."),
                "{typed:?}"
            );
        }
        assert_eq!(person("Ana\n").as_deref(), Ok("Ana"));
    }

    #[test]
    fn length_is_counted_in_characters_after_trimming() {
        assert!(person(&format!(" {} ", "é".repeat(40))).is_ok());
        assert_eq!(
            person(&"é".repeat(41)),
            Err("A name has at most 40 characters.")
        );
    }

    #[test]
    fn nobody_can_write_a_tag_into_the_name() {
        assert_eq!(person("Ana#k3f9ab"), Err("A name has no '#'."));
        let ana = PersonName::parse("Ana").expect("a plain name");
        assert_eq!(ana.user_id("k3f9ab"), "Ana#k3f9ab");
    }

    #[test]
    fn rooms_are_folded_to_one_spelling() {
        assert_eq!(room(" Team-Kitchen_2 ").as_deref(), Ok("team-kitchen_2"));
        let lobby = RoomName::parse("lobby").expect("a plain room");
        assert_eq!(lobby.group(), "room.lobby");
    }

    #[test]
    fn rooms_outside_the_alphabet_are_refused() {
        assert_eq!(room(" "), Err("Please type a room."));
        assert_eq!(room("-a"), Err("A room starts with a letter or a digit."));
        assert_eq!(
            room(&"a".repeat(33)),
            Err("A room has at most 32 characters.")
        );
        for typed in [
            "a b", "a.b", "a*", "a/b", "küche", "a\u{0}", "a\nb", "\u{3164}", "ｌobby",
        ] {
            assert_eq!(
                room(typed),
                Err("A room has only letters a to z, digits, '-' and '_'."),
                "{typed:?}"
            );
        }
    }

    #[test]
    fn errors_name_the_field() {
        assert_eq!(PersonName::parse("").expect_err("empty").field, "name");
        assert_eq!(RoomName::parse("").expect_err("empty").field, "room");
    }
}
