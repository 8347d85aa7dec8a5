//! The Japanese of every text of the command line, found by its English.
//!
//! `ja.txt` holds pairs: a line of English, under it a line of Japanese, then an empty line. `=` stands for the English text where
//! it has no words: `TENANT/JOB`.

use sekisho_types::error_code::Language;
use std::collections::BTreeMap;
use std::sync::OnceLock;

const JAPANESE: &str = include_str!("ja.txt");

/// The pairs; only read where somebody reads Japanese.
pub(super) fn pairs() -> &'static BTreeMap<&'static str, &'static str> {
    static PAIRS: OnceLock<BTreeMap<&'static str, &'static str>> = OnceLock::new();
    PAIRS.get_or_init(|| {
        let mut lines = JAPANESE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut pairs = BTreeMap::new();
        while let (Some(en), Some(ja)) = (lines.next(), lines.next()) {
            pairs.insert(en, if ja == "=" { en } else { ja });
        }
        pairs
    })
}

/// `text` in the reader's language. One that the catalogue lacks stays English: a test forbids it, a reader can do with it.
pub(super) fn told(text: &str, language: Language) -> String {
    japanese(text, language).unwrap_or(text).to_owned()
}

/// The Japanese of `text`, if that is what is read.
pub(super) fn japanese(text: &str, language: Language) -> Option<&'static str> {
    match language {
        Language::En => None,
        Language::Ja => pairs().get(text).copied(),
    }
}
