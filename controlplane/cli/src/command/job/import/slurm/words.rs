//! One `#SBATCH` line as words, with quotes, backslashes and the comment at its end as `sbatch` reads them.

use super::super::draft::Place;
use crate::failure::Failure;

/// A word of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// Without its quotes.
    pub(super) text: String,
    pub(super) place: Place,
    /// Where it begins and ends in the line, bytes.
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Splits what follows the first `from` bytes of a line.
pub(super) fn split(line: &str, number: u64, from: usize) -> Result<Vec<Word>, Failure> {
    let mut words = Vec::new();
    let mut open: Option<Word> = None;
    let mut quote: Option<(char, Place)> = None;
    let mut escape: Option<Place> = None;
    for (column, (at, c)) in (1..).zip(line.char_indices()) {
        if at < from {
            continue;
        }
        let place = Place { line: number, column };
        if quote.is_none() && escape.is_none() {
            if c.is_whitespace() {
                words.extend(open.take().map(|word| Word { end: at, ..word }));
                continue;
            }
            if c == '#' {
                if open.is_some() {
                    let fix = "Put it in quotes, or a space before it.";
                    return Err(place.syntax("sbatch reads `#` as a comment here").remedy(fix));
                }
                break;
            }
        }
        let empty = || Word { text: String::new(), place, start: at, end: line.len() };
        let word = open.get_or_insert_with(empty);
        if escape.take().is_some() {
            word.text.push(c);
        } else if c == '\\' {
            escape = Some(place);
        } else if let Some((mark, _)) = quote {
            if c == mark {
                quote = None;
            } else {
                word.text.push(c);
            }
        } else if c == '"' || c == '\'' {
            quote = Some((c, place));
        } else {
            word.text.push(c);
        }
    }
    if let Some((mark, place)) = quote {
        return Err(place.syntax(format!("the quote {mark} is not closed")));
    }
    if let Some(place) = escape {
        return Err(place.syntax("a backslash ends the line"));
    }
    words.extend(open);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<String> {
        split(line, 3, 7).unwrap().into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn words_are_those_that_sbatch_reads() {
        assert_eq!(texts("#SBATCH"), [] as [&str; 0]);
        assert_eq!(texts("#SBATCH -N 2 # two"), ["-N", "2"]);
        assert_eq!(
            texts("#SBATCH --comment=\"a 'b' # c\"\t-J  x"),
            ["--comment=a 'b' # c", "-J", "x"]
        );
        assert_eq!(texts(r"#SBATCH --comment='a \' b' a\ b\#"), [r"--comment=a ' b", "a b#"]);
    }

    #[test]
    fn places_count_characters_and_what_is_open_is_refused() {
        let words = split("#SBATCH 日本 -N", 3, 7).unwrap();
        assert_eq!(words[1].place, Place { line: 3, column: 12 });
        for (line, why) in [
            ("#SBATCH --comment='a", "line 3, column 19: the quote ' is not closed"),
            ("#SBATCH a\\", "line 3, column 10: a backslash ends the line"),
            ("#SBATCH a#b", "line 3, column 10: sbatch reads `#` as a comment here"),
        ] {
            assert_eq!(split(line, 3, 7).unwrap_err().detail, why);
        }
    }
}
