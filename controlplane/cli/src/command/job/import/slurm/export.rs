//! `--export`: which variables a job is given. What is written with its value is carried over; the submitting shell's is not.

use super::super::draft::{Told, Why};
use super::option::Set;
use crate::failure::Failure;
use sekisho_types::payload::JobPayload;
use std::collections::BTreeMap;

/// Reads `ALL`, `NONE`, `NIL`, `NAME` and `NAME=value`, with commas between.
pub(super) fn read(set: &Set, told: &mut Vec<Told>) -> Result<BTreeMap<String, String>, Failure> {
    let mut env = BTreeMap::new();
    for item in items(set)? {
        let part = |why: Why| Told { quoted: format!("--export={item}"), ..set.told(why) };
        let Some((name, value)) = item.split_once('=') else {
            match item.as_str() {
                // Nothing comes along in any case.
                "NONE" | "NIL" => {}
                "ALL" => told.push(part(Why::new(
                    "the submitting shell's environment does not come along: write what is needed in run.env",
                    "投入元の環境変数は引き継ぎません。必要なものを run.env に書いてください",
                ))),
                "" => return Err(set.at.refuse("--export: a name is missing")),
                name => told.push(part(Why::new(
                    format!("its value is the submitting shell's: write `{name}:` in run.env"),
                    format!("値は投入元のシェルにあります。run.env に `{name}:` を書いてください"),
                ))),
            }
            continue;
        };
        if let Some(must) = refused(name, value) {
            // Not the value: it may be a secret.
            let quoted = format!("--export={name}=");
            let why = Why::new(
                format!("the variable {must}: leave it out"),
                format!("設定できない変数です({must})。省いてください"),
            );
            told.push(Told { quoted, ..set.told(why) });
            continue;
        }
        if env.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(set.at.refuse(format!("--export: {name} stands twice")));
        }
    }
    Ok(env)
}

/// Why a job may not set this variable.
fn refused(name: &str, value: &str) -> Option<String> {
    let payload = JobPayload {
        command: vec!["true".to_owned()],
        env: BTreeMap::from([(name.to_owned(), value.to_owned())]),
        ..JobPayload::default()
    };
    payload.check().err().map(|error| error.must)
}

/// Splits at commas outside quotes, which are taken off.
fn items(set: &Set) -> Result<Vec<String>, Failure> {
    let mut items = Vec::new();
    let mut item = String::new();
    let mut quote = None;
    for c in set.value.chars() {
        match quote {
            Some(mark) if c == mark => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == ',' => items.push(std::mem::take(&mut item)),
            Some(_) | None => item.push(c),
        }
    }
    if let Some(mark) = quote {
        return Err(set.at.syntax(format!("--export: the quote {mark} is not closed")));
    }
    items.push(item);
    Ok(items)
}
