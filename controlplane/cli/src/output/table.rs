//! Tables: no borders, headings in capitals, aligned by display width so that Japanese stands in line.

use super::{Column, Format, Shown};
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, presets};
use sekisho_types::error_code::Language;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// What the terminal can show.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) width: u16,
    pub(super) color: bool,
}

fn empty(look: Look) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.force_no_tty();
    if look.color {
        table.enforce_styling();
    }
    table
}

/// Items as rows under headings.
pub(super) fn rows<T: Shown>(
    items: &[T],
    format: Format,
    language: Language,
    look: Look,
) -> String {
    let is_wide = format == Format::Wide;
    let shown: Vec<bool> = T::COLUMNS.iter().map(|column| is_wide || !column.wide).collect();
    let mut table = empty(look);
    if is_wide {
        table.set_content_arrangement(ContentArrangement::Disabled);
    } else {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(look.width);
    }
    let headings = T::COLUMNS.iter().map(|column| column.heading.of(language).to_uppercase());
    let head = keep(&shown, headings).map(|text| Cell::new(text).add_attribute(Attribute::Bold));
    table.set_header(head.collect::<Vec<_>>());
    for item in items {
        let red = |text: String| {
            let cell = Cell::new(text);
            if item.is_alarming() { cell.fg(Color::Red) } else { cell }
        };
        let cells = keep(&shown, item.cells(language).into_iter());
        table.add_row(cells.map(red).collect::<Vec<_>>());
    }
    if !is_wide {
        give_way(&mut table, usize::from(look.width));
    }
    finish(&table)
}

/// Narrowest column that still reads.
const NARROW: usize = 12;

/// Lets only the widest column be wrapped if that is enough: names and times stay whole. Else all but the first may be.
fn give_way(table: &mut Table, room: usize) {
    let widths: Vec<usize> =
        table.column_max_content_widths().into_iter().map(usize::from).collect();
    let Some((widest, width)) = widths.iter().copied().enumerate().max_by_key(|(_, width)| *width)
    else {
        return;
    };
    let spent =
        widths.iter().fold(0usize, |sum, width| sum.saturating_add(width.saturating_add(GAP)));
    if spent <= room {
        return;
    }
    let is_enough = spent.saturating_sub(width).saturating_add(NARROW) <= room;
    // Where it is not, at least the name: a name that is cut cannot be copied.
    let is_short = widths.first().is_some_and(|first| first.saturating_mul(2) <= room);
    for column in table.column_iter_mut() {
        let is_whole =
            if is_enough { column.index != widest } else { column.index == 0 && is_short };
        if is_whole {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
}

fn keep<'a, T: 'a>(
    shown: &'a [bool],
    cells: impl Iterator<Item = T> + 'a,
) -> impl Iterator<Item = T> + 'a {
    shown.iter().zip(cells).filter_map(|(shown, cell)| shown.then_some(cell))
}

/// One item as `heading  value` lines, every column. Long values are broken between words and between Japanese
/// characters, never inside a word: a hash that is cut cannot be copied.
pub(super) fn card<T: Shown>(item: &T, language: Language, look: Look) -> String {
    let head = |column: &Column| column.heading.of(language);
    let widest = T::COLUMNS.iter().map(|column| head(column).width()).max().unwrap_or(0);
    let room = usize::from(look.width).saturating_sub(widest).saturating_sub(GAP);
    let mut lines = Vec::new();
    for (column, cell) in T::COLUMNS.iter().zip(item.cells(language)) {
        let mut heading = head(column);
        let value = if cell.is_empty() { "-" } else { &cell };
        for part in broken(value, room) {
            let pad = " ".repeat(widest.saturating_sub(heading.width()).saturating_add(GAP));
            let shown = if look.color && !heading.is_empty() {
                format!("\u{1b}[1m{heading}\u{1b}[0m")
            } else {
                heading.to_owned()
            };
            let part = if look.color && item.is_alarming() { red(&part) } else { part };
            lines.push(format!("{shown}{pad}{part}").trim_end().to_owned());
            heading = "";
        }
    }
    lines.join("\n")
}

fn red(text: &str) -> String {
    format!("\u{1b}[31m{text}\u{1b}[0m")
}

/// Columns between heading and value.
const GAP: usize = 2;

/// `text` in parts of at most `room` columns, a longer word alone.
pub(crate) fn broken(text: &str, room: usize) -> Vec<String> {
    let (mut parts, mut line) = (Vec::new(), String::new());
    for piece in pieces(text) {
        let full = line.width().saturating_add(piece.trim_end().width()) > room;
        if full && !line.is_empty() {
            parts.push(std::mem::take(&mut line).trim_end().to_owned());
        }
        line.push_str(piece);
    }
    parts.push(line.trim_end().to_owned());
    parts
}

/// What may not be broken: words with the spaces after them, and single characters of two columns.
fn pieces(text: &str) -> Vec<&str> {
    let (mut pieces, mut from) = (Vec::new(), 0);
    let mut previous: Option<char> = None;
    for (at, c) in text.char_indices() {
        let is_wide = |c: char| c.width() == Some(2);
        let after_space = previous == Some(' ') && c != ' ';
        if at > from && (after_space || is_wide(c) || previous.is_some_and(is_wide)) {
            pieces.extend(text.get(from..at));
            from = at;
        }
        previous = Some(c);
    }
    pieces.extend(text.get(from..));
    pieces
}

/// Without the padding at either edge.
fn finish(table: &Table) -> String {
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    let indent = |line: &&String| line.starts_with(' ');
    let cut = usize::from(lines.iter().all(|line| line.is_empty() || indent(&line)));
    let lines: Vec<&str> = lines.iter().map(|line| line.get(cut..).unwrap_or_default()).collect();
    lines.join("\n")
}
