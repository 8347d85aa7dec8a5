//! The pages are whole, translated, true to the command line, and equal to what is in the documentation.

use super::*;
use crate::args::Cli;
use crate::failure::Failure;
use clap::CommandFactory as _;
use sekisho_types::error_code::Language;
use std::collections::BTreeSet;
use std::path::PathBuf;

const MADE: &str = "<!-- made from controlplane/cli/src/catalogue and the table of codes: SEKISHO_GOLDEN=write -->";

fn pages() -> impl Iterator<Item = &'static Page> {
    ErrorCode::ALL.iter().map(|code| Page::of(*code).unwrap_or_else(|| panic!("{code}: no page")))
}

#[test]
fn every_code_has_one_page_in_both_languages() {
    let written: Vec<ErrorCode> =
        SUBJECTS.iter().flat_map(|pages| pages.iter()).map(|page| page.code).collect();
    let once: BTreeSet<ErrorCode> = written.iter().copied().collect();
    assert_eq!((written.len(), once.len()), (ErrorCode::ALL.len(), ErrorCode::ALL.len()));
    for page in pages() {
        let code = page.code;
        let own = [code.text(Language::Ja), code.remedy(Language::Ja)];
        let sentences = page.steps.iter().chain([&page.met]).map(|text| text.ja).chain(own);
        for japanese in sentences {
            assert_eq!(untranslated(japanese), [""; 0], "{code}: not translated");
        }
        assert!(!page.met.en.is_empty() && !page.said.is_empty(), "{code}");
    }
}

/// Runs of English in a Japanese text, outside of what stands in backticks: three words in a row are a sentence that
/// nobody translated.
fn untranslated(text: &str) -> Vec<String> {
    let prose = text.split('`').step_by(2).collect::<Vec<_>>().join("。");
    let is_part = |c: char| c.is_ascii_alphabetic() || c == ' ' || c == '\'' || c == ',';
    let runs = prose.split(|c| !is_part(c));
    let many = runs.filter(|run| run.split_whitespace().count() >= 3);
    let mut found: Vec<String> = many.map(str::to_owned).collect();
    if text.is_ascii() {
        found.push(text.to_owned());
    }
    found
}

#[test]
fn english_in_a_japanese_text_is_found() {
    assert_eq!(untranslated("待ってください。Wait for it."), ["Wait for it"]);
    assert_eq!(untranslated("`sekisho job list` を SITE NODE で確認"), [] as [&str; 0]);
    assert_eq!(untranslated("Wait"), ["Wait"]);
}

/// What is wrong with a command line such as `sekisho node get SITE/NODE`, by the program's own parser's tree.
fn unknown_part(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    if words.next() != Some("sekisho") {
        return None;
    }
    let root = Cli::command();
    let mut at = &root;
    let mut options: Vec<&clap::Arg> = root.get_arguments().collect();
    let mut is_noun = true;
    for word in words {
        if let Some(option) = word.strip_prefix("--") {
            let known = options.iter().any(|arg| arg.get_long() == Some(option));
            if !known && option != "help" {
                return Some(format!("{}: no option {word}", at.get_name()));
            }
        } else if let Some(inner) = at.find_subcommand(word).filter(|_| is_noun) {
            at = inner;
            options.extend(at.get_arguments());
        } else if is_noun && at.has_subcommands() && !word.starts_with('-') {
            return Some(format!("{}: no command {word}", at.get_name()));
        } else {
            is_noun = false;
        }
    }
    None
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn remedies_and_steps_name_commands_that_exist() {
    for page in pages() {
        let code = page.code;
        for language in [Language::En, Language::Ja] {
            let remedy = std::iter::once(code.remedy(language));
            let steps = page.steps.iter().chain([&page.met]).map(|text| text.of(language));
            for line in remedy.chain(steps).flat_map(quoted) {
                assert_eq!(unknown_part(line), None, "{code}: `{line}`");
            }
        }
        // Both languages tell of the same commands.
        for text in page.steps.iter().chain([&page.met]) {
            let commands = |text| {
                quoted(text).filter(|line| line.starts_with("sekisho")).collect::<BTreeSet<&str>>()
            };
            let (en, ja) = (commands(text.en), commands(text.ja));
            assert_eq!(en, ja, "{code}");
        }
    }
}

#[test]
fn a_command_that_does_not_exist_is_found() {
    assert_eq!(unknown_part("sekisho node get SITE/NODE -o wide"), None);
    assert_eq!(unknown_part("sekisho-agent doctor"), None);
    assert!(unknown_part("sekisho node fetch").is_some());
    assert!(unknown_part("sekisho job list --everything").is_some());
}

fn row(en: &str, ja: &str, value: &str) -> String {
    format!("| {en} / {ja} | {value} |")
}

fn both(text: Text) -> String {
    format!("{} / {}", text.en, text.ja)
}

fn section(page: &Page, language: Language) -> Vec<String> {
    let titles = match language {
        Language::En => ["English", "Who meets it, and when", "What to do", "What it looks like"],
        Language::Ja => ["日本語", "発生する場面", "対処方法", "表示例"],
    };
    let [name, met, steps, example] = titles;
    let mut lines = vec![
        format!("## {name}"),
        String::new(),
        format!("**{}** {}", page.code.text(language), page.code.remedy(language)),
        String::new(),
        format!("### {met}"),
        String::new(),
        page.met.of(language).to_owned(),
        String::new(),
        format!("### {steps}"),
        String::new(),
    ];
    let numbered = page.steps.iter().zip(1..);
    lines.extend(numbered.map(|(step, number)| format!("{number}. {}", step.of(language))));
    lines.extend([String::new(), format!("### {example}"), String::new(), "```text".to_owned()]);
    lines.extend(Failure::new(page.code, page.said).lines(language));
    lines.push("```".to_owned());
    lines
}

fn markdown(page: &Page) -> String {
    let mut lines = vec![
        MADE.to_owned(),
        format!("# {}", page.code),
        String::new(),
        "[English](#english) · [日本語](#日本語) · [all codes / 一覧](README.md)".to_owned(),
        String::new(),
        "| | |".to_owned(),
        "|---|---|".to_owned(),
        row("kind", "種類", &both(page.kind())),
        row("repeating it", "再試行", &both(page.repeating())),
        row("what was changed", "変更された内容", &both(page.changed())),
        row("exit code", "終了コード", &(page.exit() as u8).to_string()),
        row("gRPC code", "gRPCコード", &format!("`{}`", page.grpc())),
        row("number in records", "記録上の番号", &(page.code as u16).to_string()),
        String::new(),
    ];
    lines.extend(section(page, Language::En));
    lines.push(String::new());
    lines.extend(section(page, Language::Ja));
    lines.push(String::new());
    lines.join("\n")
}

fn index() -> String {
    let mut lines: Vec<String> = vec![
        MADE.to_owned(),
        "# Error codes / エラーコード".to_owned(),
        String::new(),
        "Every error of Sekisho has one of these codes: in answers of the API it is the `reason` of the one `ErrorInfo` \
         (domain `sekisho`), on the command line the word behind `error`, in records and receipts its number. `sekisho error \
         show CODE` prints a page without a network."
            .to_owned(),
        String::new(),
        "Sekishoのエラーには、必ずいずれかのコードが付きます。APIの応答では `ErrorInfo`(ドメイン `sekisho`)の `reason`、コマンドでは `error` \
         に続く語、記録と受領証では番号です。`sekisho error show CODE` により、ネットワークなしで表示できます。"
            .to_owned(),
        String::new(),
        "| code | exit | meaning | 意味 |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    let mut pages: Vec<&Page> = pages().collect();
    pages.sort_by_key(|page| page.code.as_str());
    lines.extend(pages.iter().map(|page| {
        let (code, exit) = (page.code, page.exit() as u8);
        let (en, ja) = (code.text(Language::En), code.text(Language::Ja));
        format!("| [{code}]({code}.md) | {exit} | {en} | {ja} |")
    }));
    lines.push(String::new());
    lines.join("\n")
}

#[test]
fn the_documentation_is_what_the_catalogue_says() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(DIRECTORY);
    let made = pages().map(|page| (format!("{}.md", page.code), markdown(page)));
    let made = made.chain([("README.md".to_owned(), index())]);
    let write = std::env::var("SEKISHO_GOLDEN").is_ok_and(|what| what == "write");
    if write {
        std::fs::create_dir_all(&directory).unwrap();
    }
    let mut names = BTreeSet::new();
    for (name, text) in made {
        let path = directory.join(&name);
        if write {
            std::fs::write(&path, &text).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == text, "{DIRECTORY}/{name}: write it anew: SEKISHO_GOLDEN=write");
        names.insert(name);
    }
    let there = std::fs::read_dir(&directory).unwrap();
    let there = there.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(there.collect::<BTreeSet<_>>(), names);
}
