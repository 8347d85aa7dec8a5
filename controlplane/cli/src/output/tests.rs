//! Tables stand, data is stable, nothing for people is mixed into data.

use super::*;
use unicode_width::UnicodeWidthStr as _;

#[derive(Serialize)]
struct Place {
    name: &'static str,
    area_label: &'static str,
    operator: &'static str,
    remark: &'static str,
}

impl Shown for Place {
    const COLUMNS: &'static [Column] = &[
        column("name", "名前"),
        column("area", "地域"),
        column("operator", "事業者"),
        wide("remark", "備考"),
    ];
    fn cells(&self, _language: Language) -> Vec<String> {
        [self.name, self.area_label, self.operator, self.remark].map(str::to_owned).to_vec()
    }
}

fn places() -> Vec<Place> {
    let place = |name, area_label, operator, remark| Place { name, area_label, operator, remark };
    vec![
        place("ishikari-1", "石狩市 (012351)", "hokuto", "x"),
        place(
            "tokyo-1",
            "千代田区 (131016)",
            "kanto",
            "とても長い備考がここに入り、折り返されるはずの文章です。これは八十桁を超える説明です。",
        ),
    ]
}

fn shown(
    format: Format,
    language: Language,
    show: impl FnOnce(&mut Output<'_>),
) -> (String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut output = Output::new(&mut out, &mut err);
    output.format = format;
    output.language = language;
    show(&mut output);
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[test]
fn columns_of_a_table_begin_at_one_display_column() {
    let list = |o: &mut Output<'_>| o.list(&places(), &Listed::default()).unwrap();
    let (text, _) = shown(Format::Table, Language::Ja, list);
    let expected = "\
名前        地域               事業者
ishikari-1  石狩市 (012351)    hokuto
tokyo-1     千代田区 (131016)  kanto
";
    assert_eq!(text, expected);
    for mark in ["事業者", "hokuto", "kanto"] {
        let line = text.lines().find(|line| line.contains(mark)).unwrap();
        assert_eq!(line.split(mark).next().unwrap().width(), 31, "{line}");
    }
}

#[test]
fn a_table_stands_in_eighty_columns_and_a_wide_one_is_never_wrapped() {
    let list = |o: &mut Output<'_>| o.list(&places(), &Listed::default()).unwrap();
    let one = |o: &mut Output<'_>| o.one(&places()[1]).unwrap();
    let (card, _) = shown(Format::Table, Language::Ja, one);
    assert!(card.lines().count() > 4 && card.lines().all(|line| line.width() <= 80), "{card}");
    let (wide, _) = shown(Format::Wide, Language::Ja, list);
    assert_eq!(wide.lines().count(), 3);
    assert!(wide.contains("備考") && wide.lines().any(|line| line.width() > 80));
}

#[test]
fn a_single_view_never_cuts_a_word() {
    let hash = "0123456789abcdef".repeat(4);
    let long: &'static str = Box::leak(format!("{hash} {hash}").into_boxed_str());
    let item = Place { name: "n", area_label: "a", operator: "o", remark: long };
    let (card, _) = shown(Format::Table, Language::En, |o| o.one(&item).unwrap());
    assert_eq!(card.matches(hash.as_str()).count(), 2, "{card}");
    assert!(card.lines().all(|line| line.width() <= 80), "{card}");
    assert!(card.starts_with("name      n\narea      a\n"), "{card}");
}

#[test]
fn data_is_stable_whatever_the_language_and_messages_stay_on_stderr() {
    let beside = Listed { revision: 42, unreachable: vec!["sites/sakai-1".to_owned()] };
    let list = |o: &mut Output<'_>| o.list(&places()[..1], &beside).unwrap();
    let (json, quiet) = shown(Format::Json, Language::Ja, list);
    assert_eq!(quiet, "");
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["items"][0]["area_label"], "石狩市 (012351)");
    assert_eq!(
        (value["revision"].as_u64(), value["unreachable"][0].as_str()),
        (Some(42), Some("sites/sakai-1"))
    );
    let (yaml, _) = shown(Format::Yaml, Language::Ja, list);
    assert!(
        yaml.contains("revision: 42") && yaml.contains("area_label: 石狩市 (012351)"),
        "{yaml}"
    );
    let (_, err) = shown(Format::Table, Language::Ja, list);
    assert_eq!(err, "応答なし: sites/sakai-1\n");
    let (out, err) =
        shown(Format::Table, Language::En, |o| o.list::<Place>(&[], &Listed::default()).unwrap());
    assert_eq!((out.as_str(), err.as_str()), ("", "(none)\n"));
}

#[test]
fn colour_is_used_only_where_it_is_wanted() {
    let list = |o: &mut Output<'_>| o.list(&places(), &Listed::default()).unwrap();
    assert!(!shown(Format::Table, Language::En, list).0.contains('\u{1b}'));
    let colored = shown(Format::Table, Language::En, |o| {
        o.color = true;
        list(o);
    });
    assert!(colored.0.contains('\u{1b}'));
}

#[test]
fn a_change_names_what_comes_next() {
    let change = |validate_only| Change {
        name: Some("tenants/sapporo"),
        names: &[],
        revision: 9,
        request_id: "ab".repeat(16),
        validate_only,
        approval: None,
        done: Text::new("created", "を作成しました"),
        next: Some("sekisho quota set sapporo".to_owned()),
    };
    let (out, err) = shown(Format::Table, Language::En, |o| o.changed(&change(false)).unwrap());
    assert_eq!(out, "tenants/sapporo created (revision 9)\n");
    assert_eq!(err, "next: sekisho quota set sapporo\n");
    let (out, _) = shown(Format::Table, Language::En, |o| o.changed(&change(true)).unwrap());
    assert_eq!(out, "tenants/sapporo: valid; nothing changed\n");
    let (json, _) = shown(Format::Json, Language::En, |o| o.changed(&change(false)).unwrap());
    assert!(json.contains("\"revision\": 9") && !json.contains("next"), "{json}");
    assert!(json.contains("\"name\": \"tenants/sapporo\"") && !json.contains("names"), "{json}");
    let names = ["jobs/a".to_owned(), "jobs/b".to_owned()];
    let batch = Change { name: None, names: &names, ..change(false) };
    let (out, _) = shown(Format::Table, Language::Ja, |o| o.changed(&batch).unwrap());
    assert_eq!(out, "jobs/a を作成しました (リビジョン 9)\njobs/b を作成しました (リビジョン 9)\n");
    let (json, _) = shown(Format::Json, Language::En, |o| o.changed(&batch).unwrap());
    assert!(json.contains("\"names\": [") && !json.contains("\"name\":"), "{json}");
}

#[test]
fn a_written_file_is_told_with_its_size_and_what_comes_next() {
    let written = |o: &mut Output<'_>| o.written(Path::new("a/b.age"), 1234, "look").unwrap();
    let table = |language| shown(Format::Table, language, written);
    assert_eq!(table(Language::En), ("a/b.age: 1234 bytes\n".into(), "next: look\n".into()));
    assert_eq!(table(Language::Ja), ("a/b.age: 1234 バイト\n".into(), "次の操作: look\n".into()));
    let json = "{\n  \"file\": \"a/b.age\",\n  \"bytes\": 1234\n}\n";
    assert_eq!(shown(Format::Json, Language::Ja, written), (json.into(), String::new()));
    let yaml = "file: a/b.age\nbytes: 1234\n";
    assert_eq!(shown(Format::Yaml, Language::Ja, written), (yaml.into(), String::new()));
}
