//! Small questions about lines of text that several rules ask.

/// Whether `word` stands in `line` with nothing word-like on either side.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|s| s.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|s| s.chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// Whether the line holds no code, only a comment.
pub(super) fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// The line's code: string literals emptied and a comment behind it cut off. What a literal says is a
/// message, not a use. A literal over several lines is not recognised as one.
pub(super) fn code(line: &str) -> String {
    let mut code = String::with_capacity(line.len());
    let mut is_literal = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if is_literal => {
                chars.next();
            }
            '"' if code.ends_with('\'') && chars.peek() == Some(&'\'') => {}
            '"' => {
                is_literal = !is_literal;
                code.push(c);
            }
            '/' if !is_literal && chars.peek() == Some(&'/') => break,
            c if !is_literal => code.push(c),
            _ => {}
        }
    }
    code
}

/// Lines with their number from one.
pub(super) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().zip(1..).map(|(line, number)| (number, line))
}

/// The number of the line where an inline `#[cfg(test)] mod` begins; tests stand last in a file.
pub(super) fn inline_tests(text: &str) -> Option<usize> {
    let mut is_gated = false;
    for (number, line) in numbered(text) {
        let line = line.trim();
        if line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test") {
            is_gated = true;
        } else if is_gated && !line.starts_with("#[") && !is_comment(line) {
            let is_module = has_word(line, "mod") && line.ends_with('{');
            if is_module {
                return Some(number);
            }
            is_gated = false;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stands_alone() {
        assert!(has_word("a misc b", "misc"));
        assert!(has_word("misc::x", "misc"));
        assert!(!has_word("miscellany", "misc"));
        assert!(!has_word("my_misc", "misc"));
    }

    #[test]
    fn code_is_what_is_left_without_literals_and_comments() {
        assert_eq!(code("a(\"x // y\"); // b"), "a(\"\"); ");
        assert_eq!(code(r#"a("\"x", '"', b)"#), r#"a("", '', b)"#);
        assert_eq!(code("// a"), "");
    }

    #[test]
    fn inline_tests_begin_where_the_module_opens() {
        assert_eq!(inline_tests("fn a() {}\n#[cfg(test)]\nmod tests {\n}"), Some(3));
        assert_eq!(inline_tests("#[cfg(test)]\n#[expect(x)]\nmod tests {\n}"), Some(3));
        assert_eq!(inline_tests("#[cfg(test)]\nmod tests;\nfn a() {}"), None);
        assert_eq!(inline_tests("#[cfg(test)]\nfn only() {\n}\nmod b {\n}"), None);
    }
}
