//! What people read, pinned: both languages, 80 and 120 columns. Written anew with `SEKISHO_GOLDEN=write`.

use super::*;
use unicode_width::UnicodeWidthStr as _;

fn golden(name: &str, lines: &[String]) {
    let text = format!("{}\n", lines.join("\n"));
    let path = format!("{}/src/verify/tests/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var("SEKISHO_GOLDEN").is_ok_and(|what| what == "write") {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "{path} differs; SEKISHO_GOLDEN=write\n{text}");
}

#[test]
fn the_report_in_both_languages_and_widths() {
    let all = records(&eventful());
    let good = verify(&attack::told_by_all(&all, &[1, 2]), Some(&genesis()));
    let bad = forged_grants(|grant| grant.rules.clear());
    for (name, report) in [("good", &good), ("bad", &bad)] {
        for (language, of) in [(Language::En, "en"), (Language::Ja, "ja")] {
            for width in [80u16, 120] {
                let lines = report.lines(language, width);
                let wide = |line: &&String| line.width() > width.into() && line.contains(' ');
                assert_eq!(lines.iter().find(wide), None, "{name} {of} {width}");
                golden(&format!("{name}.{of}.{width}"), &lines);
            }
        }
    }
}
