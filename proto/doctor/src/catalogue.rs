//! Every check with everything that can come out of it: the one place of their words.
//!
//! `docs/doctor.md` is made of it (`SEKISHO_GOLDEN=write`), and a test holds both together.

use crate::check::{Check, Level};
use std::fmt::Write as _;

/// Checks and their outcomes. `CHECK = "id", about => { CODE = Level, found => remedy, "command"; … }`, each text in English
/// and Japanese.
macro_rules! checks {
    ($($check:ident = $id:literal, $en:literal, $ja:literal => {
        $($code:ident = $level:ident, $found_en:literal, $found_ja:literal
            $(=> $fix_en:literal, $fix_ja:literal, $command:literal)?;)+
    })+) => {
        $(
            #[doc = $en]
            pub static $check: $crate::check::Check = $crate::check::Check {
                id: $id,
                about: $crate::check::Text { en: $en, ja: $ja },
                outcomes: &[$(&$code),+],
            };
            $(
                #[doc = $found_en]
                pub static $code: $crate::check::Outcome = $crate::check::Outcome {
                    check: &$check,
                    code: stringify!($code),
                    level: $crate::check::Level::$level,
                    found: $crate::check::Text { en: $found_en, ja: $found_ja },
                    remedy: $crate::check::Text {
                        en: concat!("", $($fix_en)?),
                        ja: concat!("", $($fix_ja)?),
                    },
                    command: concat!("", $($command)?),
                };
            )+
        )+
        /// The checks of this part.
        pub(crate) static CHECKS: &[&$crate::check::Check] = &[$(&$check),+];
    };
}

pub mod any;
pub mod clock;
pub mod host;
pub mod identity;
pub mod member;
pub mod network;
pub mod node;

/// Every check, part by part.
pub(crate) static ALL: &[&[&Check]] = &[
    host::CHECKS,
    clock::CHECKS,
    identity::CHECKS,
    network::CHECKS,
    node::CHECKS,
    member::CHECKS,
    any::CHECKS,
];

/// The parts' headings, in the order of [`ALL`].
const PARTS: [&str; 7] =
    ["Host", "Clock", "Certificates", "Network", "Agent only", "Controller only", "Any check"];

/// The tables of `docs/doctor.md`.
#[must_use]
pub fn page() -> String {
    let mut page = String::new();
    let mut line = |text: &str| {
        // Writing to a string cannot fail.
        let _written = writeln!(page, "{text}");
    };
    for (part, checks) in PARTS.iter().zip(ALL) {
        line(&format!("\n## {part}"));
        for check in *checks {
            line(&format!("\n### `{}`\n", check.id));
            line(&format!("{}\n\n{}\n", check.about.en, check.about.ja));
            line("| code | result | found | what to do |");
            line("|---|---|---|---|");
            for outcome in check.outcomes {
                let level = match outcome.level {
                    Level::Ok => "ok",
                    Level::Skipped => "skipped",
                    Level::Warning => "warning",
                    Level::Failure => "failure",
                };
                let mut todo = both(outcome.remedy.en, outcome.remedy.ja);
                if !outcome.command.is_empty() {
                    let _written = write!(todo, "<br>`{}`", outcome.command);
                }
                // A bar ends a cell, even inside of code.
                let todo = todo.replace('|', "\\|");
                let found = both(outcome.found.en, outcome.found.ja);
                line(&format!("| `{}` | {level} | {found} | {todo} |", outcome.code));
            }
        }
    }
    page
}

fn both(en: &str, ja: &str) -> String {
    if en.is_empty() { String::new() } else { format!("{en}<br>{ja}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn sources(dir: &Path, into: &mut String) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let is_words = path.ends_with("catalogue") || path.ends_with("tests.rs");
            if path.is_dir() && !is_words {
                sources(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !is_words {
                into.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }

    #[test]
    fn everything_that_is_said_to_come_out_can() {
        let mut text = String::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for dir in ["src", "../../agent/src", "../../controlplane/src"] {
            sources(&root.join(dir), &mut text);
        }
        for outcome in ALL.iter().copied().flatten().flat_map(|check| check.outcomes) {
            let used = format!("&{}", outcome.code);
            assert!(text.contains(&used), "{} comes out of nothing", outcome.code);
        }
    }

    const MARK: &str =
        "<!-- from here on made from proto/doctor/src/catalogue: SEKISHO_GOLDEN=write -->\n";

    #[test]
    fn the_page_tells_every_check_as_the_code_does() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/doctor.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (head, made) = text.split_once(MARK).expect("the mark stands in the page");
        if std::env::var("SEKISHO_GOLDEN").is_ok_and(|what| what == "write") {
            std::fs::write(path, format!("{head}{MARK}{}", page())).unwrap();
            return;
        }
        assert!(made == page(), "write docs/doctor.md anew: SEKISHO_GOLDEN=write");
    }
}
