//! Text from others, made safe to show.

use std::fmt::{self, Display, Formatter, Write};

/// Shows a text on one line, as it is but for characters that would [steer](steers) the terminal: these are escaped as `\u{1b}` or `\n`.
/// Quotes stay as they are.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(pub &'a str);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if steers(c) {
                write!(f, "{}", c.escape_default())?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// Whether a character does more to a terminal than appear there: begins a line, moves, colours, or turns the direction of what follows.
pub fn steers(c: char) -> bool {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && c != '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped_and_nothing_else() {
        let shown = Shown("it's \"Ada\" \\ \t\u{4f60}\n\r\u{1b}[31m\u{9b}\u{7f}\u{202e}").to_string();
        assert_eq!(shown, "it's \"Ada\" \\ \t\u{4f60}\\n\\r\\u{1b}[31m\\u{9b}\\u{7f}\\u{202e}");
    }
}
