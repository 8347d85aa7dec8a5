//! Text in lines of so many columns, by the rules of both languages.
//!
//! Must hold: a word is never cut, so that paths and numbers can be copied; a line of Japanese neither begins with a closing
//! mark nor ends with an opening one (JIS X 4051). What is wider than a line stands alone on one.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// What no line begins with.
const CLOSING: &str = "、。，．）」』】・ー？！：；)]},.:;%";
/// What no line ends with.
const OPENING: &str = "（「『【([{";

/// `text` in lines of at most `room` columns.
#[must_use]
pub fn broken(text: &str, room: usize) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for piece in pieces(text) {
        let wanted = line.width().saturating_add(piece.trim_end().width());
        if wanted > room && !line.is_empty() {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
        }
        line.push_str(piece);
    }
    lines.push(line.trim_end().to_owned());
    lines
}

/// What is not broken: words with the spaces after them, and single characters of two columns.
fn pieces(text: &str) -> Vec<&str> {
    let (mut pieces, mut from) = (Vec::new(), 0);
    let mut previous = None;
    for (at, c) in text.char_indices() {
        if at > from && previous.is_some_and(|previous| may_break(previous, c)) {
            pieces.extend(text.get(from..at));
            from = at;
        }
        previous = Some(c);
    }
    pieces.extend(text.get(from..));
    pieces
}

fn may_break(before: char, after: char) -> bool {
    let is_wide = |c: char| c.width() == Some(2);
    let between_words = before == ' ' && after != ' ';
    let beside_wide = (is_wide(before) || is_wide(after)) && after != ' ';
    (between_words || beside_wide) && !CLOSING.contains(after) && !OPENING.contains(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole_and_marks_stay_with_what_they_belong_to() {
        assert_eq!(broken("one two three", 7), ["one two", "three"]);
        assert_eq!(broken("/a/long/path here", 6), ["/a/long/path", "here"]);
        assert_eq!(broken("止めます。直します", 8), ["止めま", "す。直し", "ます"]);
        assert_eq!(broken("あ「いう」え", 6), ["あ「い", "う」え"]);
        assert_eq!(broken("いろ「はに」", 6), ["いろ", "「は", "に」"]);
        assert_eq!(broken("対処: 時計を合わせる", 12), ["対処: 時計を", "合わせる"]);
        assert_eq!(broken("", 9), [""]);
    }
}
