//! What people and programs read of it.

use super::*;
use crate::output::Format;
use unicode_width::UnicodeWidthStr as _;

const NOW: Timestamp = Timestamp(1_795_305_600_000);

fn node(name: &str, location: Option<v1::Location>) -> v1::Node {
    let country_tier = location.as_ref().map_or("T1", |seen| seen.tier.as_str()).to_owned();
    v1::Node {
        name: format!("sites/tokyo-1/nodes/{name}"),
        operator: "kanto".into(),
        area: "131016".into(),
        area_label: "千代田区 (131016)".into(),
        country_tier,
        location,
        ..v1::Node::default()
    }
}

fn seen(tier: &str, f: u32, left_s: u64, missing_operators: u32) -> v1::Location {
    v1::Location {
        tier: tier.into(),
        f,
        measured_ms: NOW.0 - 600_000,
        expires_ms: if left_s > 0 { NOW.0 + left_s * 1000 } else { 0 },
        operators: vec!["kanto".into(), "naniwa".into()],
        missing_operators,
        landmarks: vec!["operators/kanto/landmarks/otemachi".into()],
        revision: 9,
        ..v1::Location::default()
    }
}

fn beacon(enough_ns: u64) -> Option<v1::location::Beacon> {
    let landmark = "operators/kanto/landmarks/tokyo-1".to_owned();
    Some(v1::location::Beacon { landmark, rtt_ns: 30_000, enough_ns })
}

fn fleet() -> Vec<StatusView> {
    let inconsistent =
        ["operators/kanto/landmarks/otemachi", "operators/naniwa/landmarks/shinagawa"];
    let torn = v1::Location {
        inconsistent: inconsistent.map(str::to_owned).to_vec(),
        operators: vec![],
        ..seen("T1", 0, 0, 0)
    };
    let over = v1::Location { expires_ms: NOW.0 - 1, ..seen("T1", 1, 0, 0) };
    let all = vec![
        node("n-good", Some(seen("T2", 1, 3000, 0))),
        node("n-best", Some(v1::Location { beacon: beacon(38_000), ..seen("T3", 1, 3000, 0) })),
        node("n-far-off", Some(v1::Location { beacon: beacon(9_900), ..seen("T2", 1, 3000, 0) })),
        node("n-soon", Some(seen("T2", 1, 60, 0))),
        node("n-alone", Some(seen("T2", 0, 3000, 1))),
        node("n-new", None),
        node("n-far", Some(v1::Location { operators: vec![], ..seen("T1", 0, 0, 2) })),
        node("n-over", Some(over)),
        node("n-torn", Some(torn)),
    ];
    ordered(all.into_iter().map(|node| StatusView::of(node, NOW)).collect())
}

fn shown(format: Format, language: Language, color: bool) -> String {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut output = Output::new(&mut out, &mut err);
    (output.format, output.language, output.color) = (format, language, color);
    tell(&mut output, &fleet(), &Listed { revision: 7, unreachable: vec![] }).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn worst_comes_first_and_a_summary_last_in_both_languages_and_80_columns() {
    let nodes: Vec<String> = fleet().into_iter().map(|view| view.node).collect();
    let order = ["torn", "over", "far", "new", "alone", "soon", "far-off", "good", "best"];
    assert_eq!(nodes, order.map(|name| format!("tokyo-1/n-{name}")));
    for (language, words) in [
        (
            Language::En,
            [
                "T1 (over)",
                "1 operator for f=0",
                "1 operator for f=1; a landmark at tokyo-1",
                "a shorter way to kanto/tokyo-1: 30.0 µs, at most 9.9 µs would do",
                "9 nodes: 1 inconsistent, 1 T1 with a proof that is over, 1 T1, 1 T1 and not measured, 1 T2 f=0, 3 T2 f≥1, 1 T3 f≥1",
            ],
        ),
        (
            Language::Ja,
            [
                "T1(証明切れ)",
                "f=0 に 1 事業者",
                "f=1 に 1 事業者、tokyo-1 のランドマーク",
                "kanto/tokyo-1 への短い経路: 30.0 µs、9.9 µs 以下なら可",
                "ノード 9: 矛盾 1、T1(証明切れ) 1、T1 1、T1(未測定) 1、T2 f=0 1、T2 f≥1 3、T3 f≥1 1",
            ],
        ),
    ] {
        let text = shown(Format::Table, language, false);
        let wide = shown(Format::Wide, language, false);
        for word in words {
            assert!(wide.contains(word), "{word}: {wide}");
        }
        let table = text.rsplit_once("\n\n").unwrap().0;
        assert!(table.lines().all(|line| line.width() <= 80), "{text}");
        // Names and times are whole, whatever is wrapped.
        assert!(text.contains("tokyo-1/n-torn") && text.contains("10m"), "{text}");
        assert!(wide.contains("kanto/otemachi, naniwa/shinagawa"), "{wide}");
    }
}

#[test]
fn only_what_contradicts_itself_is_red_and_only_where_there_is_colour() {
    let red = |text: &str| text.lines().filter(|line| line.contains("\u{1b}[")).count();
    assert_eq!(red(&shown(Format::Wide, Language::En, false)), 0);
    let text = shown(Format::Wide, Language::En, true);
    let torn = text.lines().find(|line| line.contains("n-torn")).unwrap();
    let good = text.lines().find(|line| line.contains("n-good")).unwrap();
    assert!(torn.contains("\u{1b}[") && !good.contains("\u{1b}["), "{text}");
}

#[test]
fn programs_get_words_that_never_change() {
    let data: serde_json::Value =
        serde_json::from_str(&shown(Format::Json, Language::Ja, false)).unwrap();
    assert_eq!(data["items"][0]["standing"], "inconsistent");
    assert_eq!(data["items"][5]["standing"], "proven");
    assert_eq!(
        (&data["items"][5]["left_s"], &data["items"][5]["age_s"]),
        (&60.into(), &600.into())
    );
    assert_eq!(data["items"][5]["location"]["f"], 1);
    assert_eq!((&data["summary"]["f1"], &data["revision"]), (&4.into(), &7.into()));
    assert_eq!(data["summary"]["site_f1"], 1);
    assert_eq!(data["items"][8]["location"]["beacon"]["enough_ns"], 38_000);
    assert!(shown(Format::Yaml, Language::En, false).contains("unmeasured: 1"));
}

#[test]
fn one_node_is_shown_with_everything() {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    Output::new(&mut out, &mut err).one(&fleet()[0]).unwrap();
    let card = String::from_utf8(out).unwrap();
    assert!(card.contains("agreement: kanto/otemachi, naniwa/shinagawa"), "{card}");
    assert!(card.lines().all(|line| line.width() <= 80), "{card}");
}
