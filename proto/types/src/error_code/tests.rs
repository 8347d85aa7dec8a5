//! Names, numbers and texts of every code.

use super::*;
use std::collections::BTreeSet;

#[test]
fn every_code_has_one_name_and_its_own_texts() {
    let names: BTreeSet<_> = ErrorCode::ALL.iter().map(|c| c.as_str()).collect();
    assert_eq!(names.len(), ErrorCode::ALL.len());
    for (number, code) in ErrorCode::ALL.iter().enumerate() {
        assert_eq!(usize::from(*code as u16), number, "{code}: numbers are stored and never move");
        assert_eq!(ErrorCode::parse(code.as_str()), Some(*code));
        for language in [Language::En, Language::Ja] {
            assert!(!code.text(language).is_empty() && !code.remedy(language).is_empty());
        }
        assert!(!code.text(Language::Ja).is_ascii(), "{code} is not translated");
    }
}
