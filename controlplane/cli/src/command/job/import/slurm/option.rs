//! The options of one `#SBATCH` line: `--name=value`, `--name value`, `-Xvalue`, `-X value`, flags together, and names cut short.
//!
//! Must hold: every option of `sbatch` stands in the table with what becomes of it; one that does not is refused, never ignored.

mod table;

use super::super::draft::{Place, Told, Why};
use super::PREFIX;
use super::words::{Word, split};
use crate::failure::Failure;
use crate::spec::refuse::nearest;
use sekisho_types::error_code::Text;
use table::OPTIONS;
pub(super) use table::{FEATURE, NEAR};

/// Whether an option has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// Never.
    No,
    /// Always.
    Must,
    /// Only behind `=`.
    May,
}

/// Options that a spec says something of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    JobName,
    Nodes,
    Ntasks,
    NtasksPerNode,
    Gres,
    Gpus,
    GpusPerNode,
    GpusPerTask,
    GpusPerSocket,
    SocketsPerNode,
    CpusPerTask,
    CpusPerGpu,
    Mem,
    MemPerCpu,
    MemPerGpu,
    Time,
    Chdir,
    Export,
    Array,
    Dependency,
    Begin,
    Deadline,
    Constraint,
    Reservation,
    Switches,
}

/// What becomes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It goes into the spec, or is read before it is told.
    Carry(Field),
    /// Sekisho does so in any case.
    Same,
    /// No spec can say it: why, and what to do.
    Tell(Text),
}

/// An option of `sbatch`.
#[derive(Debug)]
pub(super) struct Opt {
    pub(super) name: &'static str,
    short: Option<char>,
    value: Value,
    pub(super) meaning: Use,
}

/// An option as a line sets it.
#[derive(Debug, Clone)]
pub(super) struct Set {
    pub(super) option: &'static Opt,
    /// Without its quotes; empty if it has none.
    pub(super) value: String,
    pub(super) place: Place,
    /// Where the value stands.
    pub(super) at: Place,
    /// As it stands in the line.
    pub(super) quoted: String,
}

impl Set {
    pub(super) fn told(&self, why: Why) -> Told {
        Told { place: self.place, quoted: self.quoted.clone(), why }
    }

    /// A count, at least 1.
    pub(super) fn count(&self) -> Result<u64, Failure> {
        let is_digits = self.value.bytes().all(|b| b.is_ascii_digit());
        let count = if is_digits { self.value.parse().ok() } else { None };
        let why = || {
            let Self { value, option, .. } = self;
            self.at.refuse(format!("--{}: `{value}` is no count of 1 or more", option.name))
        };
        count.filter(|count| *count > 0).ok_or_else(why)
    }
}

/// Reads a line that begins with [`PREFIX`].
pub(super) fn read(line: &str, number: u64) -> Result<Vec<Set>, Failure> {
    let words = split(line, number, PREFIX.len())?;
    let mut rest = words.iter();
    let mut sets = Vec::new();
    while let Some(word) = rest.next() {
        if matches!(word.text.as_str(), "-" | "--") {
            return Err(stray(word));
        }
        if let Some(long) = word.text.strip_prefix("--") {
            sets.push(read_long(line, (word, long), &mut rest)?);
        } else if let Some(short) = word.text.strip_prefix('-') {
            read_short(line, (word, short), &mut rest, &mut sets)?;
        } else {
            return Err(stray(word));
        }
    }
    Ok(sets)
}

fn stray(word: &Word) -> Failure {
    if matches!(word.text.as_str(), "hetjob" | "packjob") {
        let fix = "Write one script for each part, and import each.";
        return word.place.refuse("a job of unlike parts is several groups").remedy(fix);
    }
    word.place.syntax(format!("`{}` is no option", word.text))
}

/// Everything from the word to the end of another.
fn quoted(line: &str, from: &Word, to: &Word) -> String {
    line.get(from.start..to.end).unwrap_or_default().to_owned()
}

fn shifted(place: Place, columns: usize) -> Place {
    let columns = u64::try_from(columns).unwrap_or(u64::MAX);
    Place { column: place.column.saturating_add(columns), ..place }
}

fn read_long(
    line: &str,
    (word, long): (&Word, &str),
    rest: &mut std::slice::Iter<'_, Word>,
) -> Result<Set, Failure> {
    let (name, value) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (long, None),
    };
    let option = find_long(name, word.place)?;
    let place = word.place;
    // Behind `--name=`.
    let at = shifted(place, name.chars().count().saturating_add(3));
    let set = |value: &str, at: Place, last: &Word| Set {
        option,
        value: value.to_owned(),
        place,
        at,
        quoted: quoted(line, word, last),
    };
    match (option.value, value) {
        (Value::No, Some(_)) => Err(at.syntax(format!("--{} takes no value", option.name))),
        (Value::No | Value::May, None) => Ok(set("", place, word)),
        (Value::Must | Value::May, Some(value)) => Ok(set(value, at, word)),
        (Value::Must, None) => {
            let next = rest.next().ok_or_else(|| needs(option, place))?;
            Ok(set(&next.text, next.place, next))
        }
    }
}

fn needs(option: &Opt, place: Place) -> Failure {
    place.syntax(format!("--{} needs a value", option.name))
}

/// `-Xvalue`, `-X value`, or flags: `-HQ`.
fn read_short(
    line: &str,
    (word, short): (&Word, &str),
    rest: &mut std::slice::Iter<'_, Word>,
    sets: &mut Vec<Set>,
) -> Result<(), Failure> {
    for (count, (byte, letter)) in short.char_indices().enumerate() {
        let place = shifted(word.place, count.saturating_add(1));
        let unknown = || place.syntax(format!("sbatch has no option `-{letter}`"));
        let option =
            OPTIONS.iter().find(|option| option.short == Some(letter)).ok_or_else(unknown)?;
        let tail = short.get(byte.saturating_add(letter.len_utf8())..).unwrap_or_default();
        let (value, at, last) = match option.value {
            Value::No => {
                let (at, quoted) = (place, format!("-{letter}"));
                sets.push(Set { option, value: String::new(), place: word.place, at, quoted });
                continue;
            }
            Value::Must if tail.is_empty() => {
                let next = rest.next().ok_or_else(|| needs(option, place))?;
                (next.text.clone(), next.place, next)
            }
            Value::Must | Value::May => (tail.to_owned(), shifted(place, 1), word),
        };
        let quoted = quoted(line, word, last);
        sets.push(Set { option, value, place: word.place, at, quoted });
        return Ok(());
    }
    Ok(())
}

/// The option of this name, or the only one that begins so.
fn find_long(name: &str, place: Place) -> Result<&'static Opt, Failure> {
    if let Some(option) = OPTIONS.iter().find(|option| option.name == name) {
        return Ok(option);
    }
    let begins: Vec<&'static Opt> =
        OPTIONS.iter().filter(|option| option.name.starts_with(name)).collect();
    match begins.as_slice() {
        [only] => Ok(only),
        [] => {
            let known: Vec<&str> = OPTIONS.iter().map(|option| option.name).collect();
            let near = nearest(name, &known);
            let near = near.map(|near| format!("; did you mean `--{near}`?")).unwrap_or_default();
            Err(place.syntax(format!("sbatch has no option `--{name}`{near}")))
        }
        several => {
            let names: Vec<String> =
                several.iter().map(|option| format!("--{}", option.name)).collect();
            Err(place.syntax(format!("`--{name}` may be any of {}", names.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> Vec<(&'static str, String, String)> {
        let line = format!("#SBATCH {line}");
        let sets = read(&line, 1).unwrap();
        sets.into_iter().map(|set| (set.option.name, set.value, set.quoted)).collect()
    }

    fn refused(line: &str) -> String {
        read(&format!("#SBATCH {line}"), 1).unwrap_err().detail
    }

    #[test]
    fn every_way_to_write_an_option_is_read() {
        for line in ["--nodes=2", "--nodes 2", "-N2", "-N 2", "--nodes=\"2\""] {
            let (name, value, quoted) = said(line).remove(0);
            assert_eq!((name, value.as_str(), quoted.as_str()), ("nodes", "2", line));
        }
        let names: Vec<&str> = said("-HQ -N 2 --exclusive").iter().map(|set| set.0).collect();
        assert_eq!(names, ["hold", "quiet", "nodes", "exclusive"]);
        assert_eq!(said("-QN2")[1].1, "2");
        assert_eq!(said("--part=gpu")[0].0, "partition");
        assert_eq!(said("--exclusive=user")[0].1, "user");
        assert!(said("").is_empty());
    }

    #[test]
    fn what_is_no_option_is_refused_with_its_place() {
        for (line, why) in [
            (
                "--node=2",
                "line 1, column 9: `--node` may be any of --nodefile, --nodelist, --nodes",
            ),
            ("--tine=2", "line 1, column 9: sbatch has no option `--tine`; did you mean `--time`?"),
            ("-Z", "line 1, column 10: sbatch has no option `-Z`"),
            ("-N", "line 1, column 10: --nodes needs a value"),
            ("--nodes", "line 1, column 9: --nodes needs a value"),
            ("--requeue=1", "line 1, column 19: --requeue takes no value"),
            ("train.sh", "line 1, column 9: `train.sh` is no option"),
            ("-", "line 1, column 9: `-` is no option"),
            ("--", "line 1, column 9: `--` is no option"),
            ("hetjob", "line 1, column 9: a job of unlike parts is several groups"),
        ] {
            assert_eq!(refused(line), why, "{line}");
        }
    }

    #[test]
    fn every_option_stands_in_the_page_for_people() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/import.md");
        let page = std::fs::read_to_string(path).unwrap();
        for option in OPTIONS {
            let name = format!("`--{}`", option.name);
            assert!(page.contains(&name), "docs/import.md lacks {name}");
        }
    }

    #[test]
    fn names_and_letters_of_the_table_are_unique() {
        for (index, option) in OPTIONS.iter().enumerate() {
            for other in &OPTIONS[index + 1..] {
                assert_ne!(option.name, other.name);
                assert!(option.short.is_none() || option.short != other.short, "{}", option.name);
            }
        }
    }
}
