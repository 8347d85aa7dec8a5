//! Filters, orders and pages over rows of numbers, and that nothing that callers write makes the parser do otherwise.

use super::*;
use sekisho_types::error_code::ErrorCode;

#[derive(Debug, Clone, Copy)]
struct Row(u32);

fn fields() -> [Field<Row>; 5] {
    [
        Field::new("name", Kind::Text, |row| format!("rows/{:03}", row.0).into()),
        Field::new("tens", Kind::Number, |row| (row.0 / 10).into()),
        Field::new("odd", Kind::Flag, |row| (row.0 % 2 == 1).into()),
        Field::new("half", Kind::Word(&["LOW", "HIGH"]), |row| {
            if row.0 < 50 { "LOW" } else { "HIGH" }.into()
        }),
        Field::new("digits", Kind::Texts, |row| {
            row.0.to_string().chars().map(String::from).collect::<Vec<_>>().into()
        }),
    ]
}

fn wish<'w>(filter: &'w str, order_by: &'w str, token: &'w str) -> Wish<'w> {
    Wish { size: 7, token, filter, order_by }
}

/// Every row from 0 to 99 that is given, page by page.
fn listed(filter: &str, order_by: &str) -> Result<Vec<u32>, ApiError> {
    let keys: Vec<u32> = (0..100).collect();
    let (mut token, mut all) = (String::new(), Vec::new());
    loop {
        let list = List::of("rows", &wish(filter, order_by, &token), &fields())?;
        let (rows, next) = list.take(Revision(5), keys.iter().map(|key| (key, Row(*key))));
        assert!(rows.len() <= 7);
        all.extend(rows.iter().map(|row| row.0));
        if next.is_empty() {
            return Ok(all);
        }
        token = next;
    }
}

fn filtered(filter: &str) -> Vec<u32> {
    listed(filter, "").unwrap()
}

fn refusal(filter: &str, order_by: &str) -> String {
    let error = listed(filter, order_by).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidArgument);
    error.fields[0].field.clone()
}

#[test]
fn a_filter_says_which_rows() {
    let all: Vec<u32> = (0..100).collect();
    let want = |wanted: fn(&u32) -> bool| all.iter().copied().filter(wanted).collect::<Vec<_>>();
    assert_eq!(filtered(""), all);
    assert_eq!(filtered("  "), all);
    assert_eq!(filtered("tens = 4"), want(|n| n / 10 == 4));
    assert_eq!(filtered("tens!=4 AND tens<=4"), want(|n| *n < 40));
    assert_eq!(filtered("tens >= 8 AND odd = true"), want(|n| *n >= 80 && n % 2 == 1));
    assert_eq!(filtered("NOT odd=true AND tens > 8"), want(|n| *n >= 90 && n % 2 == 0));
    assert_eq!(
        filtered("tens<1 OR tens>8 OR name=\"rows/055\""),
        want(|n| *n < 10 || *n >= 90 || *n == 55)
    );
    assert_eq!(
        filtered("(tens<1 OR tens>8) AND NOT (odd=false)"),
        want(|n| (*n < 10 || *n >= 90) && n % 2 == 1)
    );
    assert_eq!(filtered("name:rows/09"), want(|n| *n >= 90));
    assert_eq!(filtered("digits:9 AND half=LOW"), want(|n| *n < 50 && n % 10 == 9));
    assert_eq!(filtered("digits:* AND name:* AND tens=0"), want(|n| *n < 10));
    assert_eq!(filtered("name > \"rows/097\""), [98, 99]);
    assert_eq!(filtered("half=HIGH AND tens=1"), [0; 0]);
}

#[test]
fn what_is_not_exactly_a_filter_is_refused() {
    for bad in [
        "tens",
        "tens =",
        "= 4",
        "tens = = 4",
        "tens 4",
        "tens = 4 odd = true",
        "tens = 4 AND",
        "AND tens = 4",
        "NOT",
        "(tens = 4",
        "tens = 4)",
        "()",
        "tens = 4 AND odd = true OR half = LOW",
        "tens = 4 and odd = true",
        "tens = -4",
        "tens = 4.0",
        "tens = \"4\"",
        "tens = 99999999999999999999",
        "tens : 4",
        "odd = TRUE",
        "odd = \"true\"",
        "odd < true",
        "half = MIDDLE",
        "half < LOW",
        "half:L",
        "digits = 9",
        "name = \"rows",
        "name = \"a\\n\"",
        "name = \"a\\",
        "colour = red",
        "name = rows*",
        "name = 札幌",
        "a:b = 4",
        "tens ! 4",
        "NOT NOT",
        "tens = 4;",
        "tens =\t4",
        "\"tens\" = 4",
        "tens = (4)",
    ] {
        assert_eq!(refusal(bad, ""), "filter", "{bad}");
    }
    let deep = |n: usize| format!("{}tens = 4{}", "(".repeat(n), ")".repeat(n));
    assert_eq!(filtered(&deep(8)).len(), 10);
    assert_eq!(refusal(&deep(9), ""), "filter");
    assert_eq!(refusal(&format!("{}tens = 4", "NOT ".repeat(9)), ""), "filter");
    let many = |n: usize| vec!["tens = 4"; n].join(" AND ");
    assert_eq!(filtered(&many(32)).len(), 10);
    assert_eq!(refusal(&many(33), ""), "filter");
    assert_eq!(refusal(&format!("name = \"{}\"", "x".repeat(1024)), ""), "filter");
}

#[test]
fn an_order_says_what_comes_first() {
    let first = |order: &str| listed("", order).unwrap()[..3].to_vec();
    assert_eq!(first(""), [0, 1, 2]);
    assert_eq!(first("name desc"), [99, 98, 97]);
    assert_eq!(first("odd desc"), [1, 3, 5]);
    assert_eq!(first("half, tens desc"), [90, 91, 92]);
    assert_eq!(first("  odd , name   desc "), [98, 96, 94]);
    assert_eq!(first("tens desc, odd desc, name desc"), [99, 97, 95]);
    for bad in [
        "colour",
        "name asc",
        "name DESC",
        "name desc desc",
        "name,",
        ",name",
        "name name",
        "name, name",
        "digits",
        "tens, odd, half, name",
    ] {
        assert_eq!(refusal("", bad), "order_by", "{bad}");
    }
    assert_eq!(refusal("", &" ".repeat(257)), "order_by");
}

/// Whatever the order, each row is given once.
#[test]
fn pages_of_any_order_are_whole() {
    for order in ["", "name desc", "odd", "odd desc, tens", "half desc", "tens desc, name"] {
        let mut rows = listed("tens != 3", order).unwrap();
        rows.sort_unstable();
        assert_eq!(rows, (0..100).filter(|n| n / 10 != 3).collect::<Vec<_>>(), "{order}");
    }
}

#[test]
fn a_token_is_of_its_query_filter_and_order() {
    let keys: Vec<u32> = (0..100).collect();
    let rows = || keys.iter().map(|key| (key, Row(*key)));
    let of = |query: &str, wish: Wish<'_>| List::<u32, Row>::of(query, &wish, &fields());
    let (_, token) = of("rows", wish("odd=true", "name", "")).unwrap().take(Revision(5), rows());
    let (next, _) = of("rows", wish("odd=true", "name", &token)).unwrap().take(Revision(5), rows());
    assert_eq!(next[0].0, 15);
    for (query, filter, order) in [
        ("rows", "odd=false", "name"),
        ("rows", "odd=true", "name desc"),
        ("rows", "odd=true", ""),
        ("rowsodd=true", "", "name"),
        ("other", "odd=true", "name"),
    ] {
        let error = of(query, wish(filter, order, &token)).unwrap_err();
        assert_eq!(error.fields[0].field, "page_token", "{query} {filter} {order}");
    }
}

/// A cheap, fixed sequence: the same texts in each run.
fn next(seed: &mut u64) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*seed >> 33).unwrap()
}

/// Texts of tokens in any order: the parser ends, and what it takes means the same when it is taken apart by De Morgan.
#[test]
fn whatever_is_written_ends_and_means_one_thing() {
    // Whole comparisons among the parts: of single tokens alone hardly any row would be a filter.
    const PARTS: [&str; 16] = [
        "tens = 4",
        "odd = true",
        "half != LOW",
        "tens",
        "=",
        "<",
        "4",
        "true",
        "LOW",
        "AND",
        "OR",
        "NOT",
        "(",
        ")",
        "\"x\"",
        "-",
    ];
    let (mut seed, mut taken) = (7, 0);
    for _ in 0..20_000 {
        let length = next(&mut seed) % 9;
        let words: Vec<&str> = (0..length).map(|_| PARTS[next(&mut seed) % PARTS.len()]).collect();
        let text = words.join(" ");
        let Ok(filter) = Filter::parse(&text, &fields()) else { continue };
        if text.is_empty() {
            continue;
        }
        taken += 1;
        let not = Filter::parse(&format!("NOT ({text})"), &fields()).unwrap();
        let both = Filter::parse(&format!("({text}) AND NOT ({text})"), &fields()).unwrap();
        for row in [Row(0), Row(41), Row(44), Row(99)] {
            assert_ne!(filter.matches(&row), not.matches(&row), "{text}");
            assert!(!both.matches(&row), "{text}");
        }
    }
    assert!(taken > 300, "{taken} of them were filters");
}

/// Bytes of any kind: refused or taken, never more.
#[test]
fn any_characters_are_refused_or_taken() {
    const LETTERS: [char; 14] =
        ['"', '\\', '(', ')', '=', '!', '<', '*', ':', ' ', 'a', '\u{0}', '県', '\n'];
    let mut seed = 11;
    for _ in 0..5_000 {
        let length = next(&mut seed) % 24;
        let text: String = (0..length).map(|_| LETTERS[next(&mut seed) % LETTERS.len()]).collect();
        let said =
            (Filter::parse(&text, &fields()).is_ok(), Order::parse(&text, &fields()).is_ok());
        assert!(text.trim_matches(' ').is_empty() || said == (false, false), "{text:?}");
    }
}
