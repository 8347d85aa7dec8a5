//! Every text in both languages, no line too wide, and what is asked for is what is shown.

use super::*;
use crate::exit::Exit;
use catalogue::pairs;
use std::collections::BTreeSet;
use std::ffi::OsString;
use unicode_width::UnicodeWidthStr as _;

/// Every text of the command line as it is written in the code.
fn texts() -> BTreeSet<String> {
    fn walk(command: &Command, texts: &mut BTreeSet<String>) {
        texts.extend(command.get_about().map(ToString::to_string));
        for arg in command.get_arguments() {
            texts.extend(arg.get_help().map(ToString::to_string));
            texts.extend(arg.get_help_heading().map(str::to_owned));
        }
        command.get_subcommands().for_each(|inner| walk(inner, texts));
    }
    let (mut texts, mut command) = (BTreeSet::new(), parser());
    command.build();
    walk(&command, &mut texts);
    texts
}

#[test]
fn every_text_has_its_japanese_and_no_japanese_is_left_over() {
    let texts = texts();
    let missing: String = texts
        .iter()
        .filter(|text| !pairs().contains_key(text.as_str()))
        .map(|text| format!("{text}\n(its Japanese)\n\n"))
        .collect();
    assert!(missing.is_empty(), "add to controlplane/cli/src/help/ja.txt:\n\n{missing}");
    let left: Vec<_> = pairs().keys().filter(|en| !texts.contains(**en)).collect();
    assert!(left.is_empty(), "take out of controlplane/cli/src/help/ja.txt: {left:#?}");
    for (en, ja) in pairs() {
        let is_form = en == ja && !en.contains(' ');
        assert!(is_form || ja.chars().any(|c| c > '\u{3000}'), "not Japanese: {ja}");
    }
}

/// Every verb's words, and those of the nouns and of the program itself.
fn all() -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    walk(&parser(), &[], &mut |path, _| all.push(path.to_vec()));
    all
}

fn page_of(words: &[&str], language: Language, width: u16) -> String {
    let arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
    let refused = parser().try_get_matches_from(&arguments).unwrap_err();
    let (text, was_asked) = answer(&arguments, &refused, language, width);
    assert!(was_asked, "{words:?}: {text}");
    text
}

#[test]
fn no_page_is_wider_than_the_terminal_and_each_is_in_one_language() {
    for (language, width) in [(Language::En, 80_u16), (Language::Ja, 80), (Language::Ja, 76)] {
        let (dressed, wide) = (dressed(language), usize::from(width));
        for path in all() {
            let command =
                path.iter().fold(&dressed, |command, word| command.find_subcommand(word).unwrap());
            let page = page::page(command, language, wide);
            let over: Vec<&str> = page.lines().filter(|line| line.width() > wide).collect();
            assert!(over.is_empty(), "{path:?}: {over:#?}");
            let english =
                page.contains("Usage:") || page.contains("[default") || page.contains("[values");
            assert_ne!(english, language == Language::Ja, "{path:?}: {page}");
        }
    }
}

#[test]
fn help_is_one_page_however_it_is_asked_for() {
    for language in [Language::En, Language::Ja] {
        let page = page_of(&["sekisho", "job", "submit", "--help"], language, 80);
        assert_eq!(page_of(&["sekisho", "job", "submit", "-h"], language, 80), page);
        assert_eq!(page_of(&["sekisho", "help", "job", "submit"], language, 80), page);
        let codes = page_of(&["sekisho", "help", EXIT_CODES], language, 80);
        assert!(
            Exit::ALL.iter().all(|exit| codes.contains(&format!("{:>3}  ", *exit as u8))),
            "{codes}"
        );
        assert!(codes.lines().all(|line| line.width() <= 80), "{codes}");
    }
}

#[test]
fn a_line_that_cannot_be_parsed_is_explained_in_the_readers_language() {
    let said = |line: &str| {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let refused = parser().try_get_matches_from(&arguments).unwrap_err();
        let (text, was_asked) = answer(&arguments, &refused, Language::Ja, 80);
        assert!(!was_asked && text.lines().all(|line| line.width() <= 80), "{text}");
        text
    };
    let typo = said("sekisho job list --tenent x");
    assert!(
        typo.starts_with("エラー: 引数 `--tenent`") && typo.contains("もしかして: --tenant"),
        "{typo}"
    );
    let near = said("sekisho jab");
    assert!(near.contains("もしかして: ") && near.contains("job"), "{near}");
    assert!(said("sekisho -o csv job list").contains("使える値: table, wide, json, yaml"));
    assert!(said("sekisho job submit").contains("必要な引数がありません: <FILE>..."));
    assert!(said("sekisho job logs a/b --stderr --both").contains("同時に指定できません"));
    assert!(said("sekisho job list --timeout x").contains("値 `x` は使えません"));
}

#[test]
fn man_pages_are_the_same_each_time_and_in_both_languages() {
    for language in [Language::En, Language::Ja] {
        let pages = man::pages(language).unwrap();
        assert_eq!(pages, man::pages(language).unwrap());
        let submit = pages.iter().find(|(name, _)| name.ends_with("sekisho-job-submit.1")).unwrap();
        let heading = pick(language, ".SH NAME", ".SH 名前");
        assert!(submit.1.contains(heading) && submit.1.contains("wait\\-timeout"), "{}", submit.1);
        assert!(pages.iter().all(|(_, text)| text.starts_with(".ie") || text.contains(".TH ")));
    }
}
