//! A script's body as a command: its interpreter, and the text behind the header.
//!
//! Must hold: the body is carried over as it stands. What in it belongs to Slurm would fail on a node and is told, line by line.

use super::super::draft::{Place, Told, Why};
use super::Header;
use crate::failure::Failure;

/// Interpreters that take a script as the argument of `-c`.
const WITH_C: [&str; 6] = ["sh", "bash", "dash", "ksh", "zsh", "python"];
/// Interpreters that take one as the argument of `-e`.
const WITH_E: [&str; 4] = ["perl", "ruby", "node", "Rscript"];

/// Slurm's own programs.
const PROGRAMS: [&str; 11] = [
    "srun", "sbcast", "sbatch", "salloc", "sattach", "scontrol", "scancel", "squeue", "sacct",
    "sstat", "sinfo",
];
/// How variables begin that Slurm sets.
const VARIABLES: [&str; 3] = ["SLURM_", "SLURMD_", "SBATCH_"];

/// The command that runs the script.
pub(super) fn command(
    lines: &[&str],
    header: &Header,
    told: &mut Vec<Told>,
) -> Result<Vec<String>, Failure> {
    let first = lines.first().copied().unwrap_or_default();
    let place = Place { line: 1, column: 1 };
    let (mut command, skipped) = match first.strip_prefix("#!") {
        Some(named) => (interpreter(named.trim(), place)?, 1),
        None => {
            let why = Why::new(
                "no `#!` line, without which sbatch refuses a script: it is run by /bin/sh",
                "`#!` の行がなく、sbatch では拒否されます。/bin/sh で実行します",
            );
            told.push(Told { place, quoted: first.to_owned(), why });
            (vec!["/bin/sh".to_owned(), "-c".to_owned()], 0)
        }
    };
    let is_body = |(index, _): &(usize, &&str)| *index >= skipped && !header.read.contains(index);
    let body: Vec<&str> = lines.iter().enumerate().filter(is_body).map(|(_, line)| *line).collect();
    let body = body.join("\n");
    if header.lines >= lines.len() {
        let line = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        return Err(Place { line, column: 1 }.refuse("the script has no command"));
    }
    tell_slurm(lines, header.lines, told);
    let body = body.trim_start_matches('\n').trim_end_matches('\n');
    command.push(format!("{body}\n"));
    Ok(command)
}

/// The words before the script: the interpreter, its one argument, and how it takes a script. The kernel hands all that
/// follows the interpreter over as one argument.
fn interpreter(named: &str, place: Place) -> Result<Vec<String>, Failure> {
    let (path, argument) = match named.split_once([' ', '\t']) {
        Some((path, argument)) => (path, Some(argument.trim())),
        None => (named, None),
    };
    if path.is_empty() {
        return Err(place.refuse("the `#!` line names no interpreter"));
    }
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let mut name = last(path);
    if name == "env" {
        let mut words = argument.unwrap_or_default().split_whitespace();
        let program = words.find(|word| !word.starts_with('-') && !word.contains('='));
        name = program.map(last).unwrap_or_default();
    }
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let option = if WITH_C.contains(&stem) {
        "-c"
    } else if WITH_E.contains(&stem) {
        "-e"
    } else {
        let fix = "Keep the script as a file on the node, and let a shell script call it.";
        let why = format!("`{name}` takes no script as an argument, as far as is known here");
        return Err(place.refuse(why).remedy(fix));
    };
    let words = [Some(path), argument, Some(option)];
    Ok(words.into_iter().flatten().map(str::to_owned).collect())
}

/// Tells the lines of the body that call Slurm or read its variables.
fn tell_slurm(lines: &[&str], from: usize, told: &mut Vec<Told>) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    for (number, line) in (1..).zip(lines).skip(from) {
        if line.trim_start().starts_with('#') {
            continue;
        }
        let words: Vec<&str> = line.split(|c: char| !is_part(c)).collect();
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        let column = u64::try_from(indent).unwrap_or(u64::MAX).saturating_add(1);
        let mut tell = |why: Why| {
            let place = Place { line: number, column };
            told.push(Told { place, quoted: line.trim().to_owned(), why });
        };
        if let Some(program) = words.iter().find(|word| PROGRAMS.contains(word)) {
            tell(Why::new(
                format!(
                    "there is no {program} on a node: each member runs the script once; start the program itself, and know members by SEKISHO_RANK and SEKISHO_GROUP_SIZE"
                ),
                format!(
                    "ノードに {program} はありません。スクリプトはメンバーごとに1回動きます。プログラムを直接起動し、番号と数は SEKISHO_RANK と SEKISHO_GROUP_SIZE で得てください"
                ),
            ));
        }
        let mut names = line.split(|c: char| !is_part(c) || c == '-');
        let is_variable = |name: &&str| VARIABLES.iter().any(|begin| name.starts_with(begin));
        if let Some(variable) = names.find(is_variable) {
            tell(not_set(variable));
        }
        if line.trim_start().starts_with("module ") {
            tell(Why::new(
                "environment modules are there only if the node has them: name what is needed by its path or in run.env",
                "環境モジュールはノードに導入されている場合のみ使えます。必要なものはパスか run.env で指定してください",
            ));
        }
    }
}

/// What a script reads in place of a variable of Slurm's.
fn not_set(variable: &str) -> Why {
    if variable == "SLURM_ARRAY_TASK_ID" {
        return Why::new(
            format!("{variable} is not set: a task reads its number, from 0, in SEKISHO_TASK"),
            format!(
                "{variable} は設定されません。タスクの番号は SEKISHO_TASK(0 から)で得てください"
            ),
        );
    }
    Why::new(
        format!(
            "{variable} is not set: there are SEKISHO_JOB, SEKISHO_TASK, SEKISHO_RANK, SEKISHO_GROUP_SIZE and SEKISHO_GPU_COUNT"
        ),
        format!(
            "{variable} は設定されません。SEKISHO_JOB、SEKISHO_TASK、SEKISHO_RANK、SEKISHO_GROUP_SIZE、SEKISHO_GPU_COUNT があります"
        ),
    )
}
