//! SVG as text. Must hold: whatever comes from elsewhere is escaped; numbers have one decimal, so that equal pictures have
//! equal bytes on every machine.

use std::fmt::Write as _;

/// A drawing that grows.
#[derive(Debug, Default)]
pub(super) struct Svg(String);

/// Text that stands in an element or an attribute and is nothing else there. What XML cannot carry is left out.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

/// One decimal; never `-0.0`.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// The points of a closed line.
pub(super) fn path(points: &[(f64, f64)]) -> String {
    let mut out = String::new();
    for (at, (x, y)) in points.iter().enumerate() {
        let letter = if at == 0 { 'M' } else { 'L' };
        // Writing to a string does not fail.
        let _written = write!(out, "{letter}{} {}", number(*x), number(*y));
    }
    out.push('Z');
    out
}

impl Svg {
    /// A line of markup that this program wrote itself.
    pub(super) fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
        self.0.push('\n');
    }

    /// A text from anywhere.
    pub(super) fn text(&mut self, (x, y): (f64, f64), attributes: &str, text: &str) {
        let (x, y, text) = (number(x), number(y), escaped(text));
        self.raw(&format!("<text x=\"{x}\" y=\"{y}\"{attributes}>{text}</text>"));
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_comes_from_elsewhere_is_markup() {
        assert_eq!(
            escaped("</text><script>\"x\" & 'y'\u{0}\u{1b}\n東京"),
            "&lt;/text&gt;&lt;script&gt;&quot;x&quot; &amp; &#39;y&#39;東京"
        );
    }

    #[test]
    fn numbers_have_one_spelling() {
        for (value, text) in
            [(1.0, "1"), (-0.04, "0"), (-1.25, "-1.2"), (99.96, "100"), (0.5, "0.5")]
        {
            assert_eq!(number(value), text, "{value}");
        }
        assert_eq!(path(&[(0.0, 1.0), (2.5, 3.0)]), "M0 1L2.5 3Z");
    }
}
