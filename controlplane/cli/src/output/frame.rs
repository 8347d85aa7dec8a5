//! A read that is made again and again, of which only what changed is shown.
//!
//! Programs get a line for each item that came, changed or went; people at a terminal see the screen drawn anew, in a file they
//! see the lines that are new. A round in which nothing changed shows nothing.

use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// One change, for programs.
#[derive(Debug, Serialize, PartialEq)]
pub(super) struct Line {
    /// `is` in the first round, then `new`, `changed` or `gone`.
    pub(super) change: &'static str,
    /// As it is now, or was.
    pub(super) item: Value,
}

/// What one round showed.
#[derive(Debug, Default)]
struct Round {
    text: Vec<u8>,
    items: BTreeMap<String, Value>,
}

/// What is being looked on at.
#[derive(Debug, Default)]
pub(super) struct Frame {
    now: Round,
    before: Option<Round>,
    /// Whether people look at a terminal, which can be drawn anew.
    redraws: bool,
}

/// Clears the screen and goes to its top.
const REDRAW: &str = "\u{1b}[2J\u{1b}[H";

impl Frame {
    /// Nothing was shown yet.
    pub(super) fn new(redraws: bool) -> Self {
        Self { redraws, ..Self::default() }
    }

    /// Where this round's text for people goes.
    pub(super) fn text(&mut self) -> &mut Vec<u8> {
        &mut self.now.text
    }

    /// One item of this round, for programs. By its name, or as a whole where it has none.
    pub(super) fn item(&mut self, item: Value) {
        let name = item.get("name").and_then(Value::as_str).map(str::to_owned);
        let count = self.now.items.len();
        self.now.items.insert(name.unwrap_or_else(|| format!("#{count}")), item);
    }

    /// Ends the round: what to show people, and what to tell programs.
    pub(super) fn end(&mut self) -> (Vec<u8>, Vec<Line>) {
        let now = std::mem::take(&mut self.now);
        let text = self.new_text(&now.text);
        let lines = self.new_lines(&now.items);
        self.before = Some(now);
        (text, lines)
    }

    fn new_text(&self, now: &[u8]) -> Vec<u8> {
        let before = self.before.as_ref().map(|before| before.text.as_slice());
        if before == Some(now) {
            return Vec::new();
        }
        if self.redraws {
            return [REDRAW.as_bytes(), now].concat();
        }
        let seen: Vec<&[u8]> = before.unwrap_or_default().split(|byte| *byte == b'\n').collect();
        let new = now.split_inclusive(|byte| *byte == b'\n');
        let new = new.filter(|line| !seen.contains(&line.strip_suffix(b"\n").unwrap_or(line)));
        if before.is_none() { now.to_vec() } else { new.collect::<Vec<_>>().concat() }
    }

    fn new_lines(&self, now: &BTreeMap<String, Value>) -> Vec<Line> {
        let line = |change, item: &Value| Line { change, item: item.clone() };
        let Some(before) = self.before.as_ref().map(|before| &before.items) else {
            return now.values().map(|item| line("is", item)).collect();
        };
        let came = now.iter().filter_map(|(name, item)| match before.get(name) {
            None => Some(line("new", item)),
            Some(old) if old != item => Some(line("changed", item)),
            Some(_) => None,
        });
        let gone = before.iter().filter(|(name, _)| !now.contains_key(*name));
        came.chain(gone.map(|(_, item)| line("gone", item))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(frame: &mut Frame, items: &[(&str, u64)]) -> (String, Vec<(String, u64)>) {
        for (name, count) in items {
            frame.text().extend(format!("{name}  {count}\n").bytes());
            frame.item(serde_json::json!({ "name": name, "count": count }));
        }
        let (text, lines) = frame.end();
        let lines = lines.into_iter().map(|line| {
            (format!("{} {}", line.change, line.item["name"]), line.item["count"].as_u64().unwrap())
        });
        (String::from_utf8(text).unwrap(), lines.collect())
    }

    #[test]
    fn only_what_changed_is_shown() {
        let mut frame = Frame::default();
        let line = |change: &str, count| (change.to_owned(), count);
        let (text, lines) = round(&mut frame, &[("a", 1), ("b", 1)]);
        assert_eq!(
            (text.as_str(), lines),
            ("a  1\nb  1\n", vec![line("is \"a\"", 1), line("is \"b\"", 1)])
        );
        assert_eq!(round(&mut frame, &[("a", 1), ("b", 1)]), (String::new(), vec![]));
        let (text, lines) = round(&mut frame, &[("b", 2), ("c", 1)]);
        assert_eq!(text, "b  2\nc  1\n");
        assert_eq!(lines, [line("changed \"b\"", 2), line("new \"c\"", 1), line("gone \"a\"", 1)]);
    }

    #[test]
    fn a_terminal_is_drawn_anew() {
        let mut frame = Frame { redraws: true, ..Frame::default() };
        round(&mut frame, &[("a", 1)]);
        assert_eq!(round(&mut frame, &[("a", 1)]).0, "");
        assert_eq!(round(&mut frame, &[("a", 2)]).0, format!("{REDRAW}a  2\n"));
    }
}
