//! The table, its lattice and its names.

use super::*;

fn area(text: &str) -> Area {
    Area::resolve(text).unwrap()
}

#[test]
fn every_row_of_the_table_parses_and_has_a_parent_inside_japan() {
    assert_eq!(table().rows.len(), TABLE.lines().count() - 1);
    for row in table().rows.values() {
        assert!(Area::Japan.contains(row.area), "{row:?}");
        assert_eq!(Area::try_from(row.area.to_string()), Ok(row.area));
        assert!(row.area == Area::Japan || row.area.prefecture().is_some(), "{row:?}");
    }
}

#[test]
fn names_codes_and_foreign_places_are_told_apart() {
    for same in ["JP-01", "010006", "Hokkaido", "hokkaido", "北海道"] {
        assert_eq!(Area::resolve(same), Ok(Area::Code(10006)), "{same}");
    }
    assert_eq!(Area::resolve("KR-26"), Err(AreaError::Foreign("KR-26".into())));
    assert_eq!(Area::resolve("KR"), Err(AreaError::Foreign("KR".into())));
    for unknown in ["", "JP-48", "010005", "999999", "Atlantis", "+10006", "１０００６"] {
        assert_eq!(Area::resolve(unknown), Err(AreaError::Unknown(unknown.into())), "{unknown}");
    }
}

#[test]
fn containment_follows_the_lattice() {
    let (hokkaido, ishikari, sakai) = (area("JP-01"), area("012351"), area("271403"));
    assert!(Area::Japan.contains(ishikari) && hokkaido.contains(ishikari));
    assert!(!hokkaido.contains(sakai) && !ishikari.contains(hokkaido));
    assert!(!Area::Code(1).contains(Area::Code(1)), "a code outside the table is nowhere");
}

#[test]
fn a_retired_code_denies_with_its_successors() {
    let old = area("221317");
    assert_eq!(old.valid_on(Date::parse("2023-12-31").unwrap()), Ok(()));
    let refused = old.valid_on(Date::parse("2024-01-01").unwrap()).unwrap_err();
    assert!(refused.to_string().contains("221384"), "{refused}");
    let new = area("221384");
    assert!(new.valid_on(Date::parse("2023-12-31").unwrap()).is_err());
    assert_eq!(new.valid_on(Date::parse("2024-01-01").unwrap()), Ok(()));
}

/// All ways to write one area inside its larger ones.
fn qualified(info: &'static AreaInfo) -> Vec<String> {
    let chain = |of: &dyn Fn(&AreaInfo) -> String, between: &str| {
        let parents = std::iter::successors(info.parent, |area| area.info()?.parent);
        let parents = parents.filter_map(Area::info).filter(|info| info.level != Level::Country);
        let mut names: Vec<String> = std::iter::once(info).chain(parents).map(of).collect();
        names.reverse();
        names.join(between)
    };
    let latin = |info: &AreaInfo| spelling::transliterated(info.kana).unwrap();
    let katakana = |info: &AreaInfo| {
        let up = |c| char::from_u32(u32::from(c).saturating_add(0x60)).unwrap();
        info.kana.chars().map(up).collect()
    };
    vec![
        info.area.full_name(),
        chain(&|info| info.name_ja.to_owned(), "/"),
        chain(&|info| info.kana.to_owned(), ""),
        chain(&katakana, "　"),
        chain(&latin, " "),
        chain(&latin, "-").to_uppercase(),
    ]
}

/// The name alone, with and without its suffix.
fn alone(info: &AreaInfo) -> Vec<String> {
    let last = info.name_ja.chars().last().filter(|_| info.name_ja != "北海道");
    let bare = last.and_then(|last| info.name_ja.strip_suffix(last)).unwrap_or(info.name_ja);
    let latin = spelling::transliterated(info.kana).unwrap();
    let bare = if info.area == Area::Japan { info.name_ja } else { bare };
    vec![info.name_ja.to_owned(), bare.to_owned(), info.kana.to_owned(), latin]
}

/// Two names belong to two areas within one prefecture, and only their codes tell them apart (枝幸町 and 江差町 also their
/// kanji); one ward has the name and the ground of the retired one before it.
#[test]
fn every_area_is_found_by_each_of_its_forms() {
    let twins = ["014036", "016969", "013617", "015148"].map(area);
    for row in table().rows.values() {
        let digits = row.area.to_string();
        let wide =
            digits.chars().map(|c| char::from_u32(u32::from(c).saturating_add(0xfee0)).unwrap());
        for number in [digits.clone(), wide.collect(), row.iso.to_lowercase()] {
            let found = Area::resolve(&number);
            assert!(number.is_empty() || found == Ok(row.area), "{number}: {found:?}");
        }
        if row.area != Area::Japan {
            assert_eq!(Area::resolve(&digits[..5]), Ok(row.area), "{digits}");
        }
        for text in qualified(row) {
            let by_reading = !text.contains(row.name_ja);
            let expected = if twins.contains(&row.area) && (by_reading || row.name_ja == "泊村") {
                let same = |area: &Area| area.info().unwrap().kana == row.kana;
                let candidates = twins.into_iter().filter(same).collect();
                Err(AreaError::Ambiguous { text: text.clone(), candidates, more: 0 })
            } else if row.area == area("221376") {
                Ok(area("221406"))
            } else {
                Ok(row.area)
            };
            assert_eq!(Area::resolve(&text), expected, "{text}");
        }
    }
}

/// A name alone is one area, or is listed with all others of that name; it is never taken for another one.
#[test]
fn no_name_is_ever_taken_for_another_area() {
    let mut most = 0;
    for row in table().rows.values().filter(|row| !row.is_over()) {
        for text in alone(row) {
            match Area::resolve(&text) {
                Ok(area) => assert_eq!(area, row.area, "{text}"),
                Err(AreaError::Ambiguous { candidates, more, .. }) => {
                    assert!(candidates.contains(&row.area) && more == 0, "{text}: {candidates:?}");
                    most = most.max(candidates.len());
                }
                Err(other) => panic!("{text}: {other}"),
            }
        }
    }
    assert!((10..=AREA_CANDIDATES_MAX).contains(&most), "{most}");
}

#[test]
fn people_write_names_in_many_ways() {
    for (wanted, texts) in [
        (
            "010006",
            "北海道 ほっかいどう ホッカイドウ ﾎｯｶｲﾄﾞｳ Hokkaidō hokkaidou ｊｐ－０１ 01000 ０１０００６",
        ),
        (
            "130001",
            "東京都 東京 Tokyo Tōkyō Tokyo-to Toukyou TOKYO-METROPOLIS とうきょうと 日本国東京都",
        ),
        ("131016", "千代田区 東京都千代田区 東京千代田 Chiyoda-ku chiyoda-city Tokyo-Chiyoda-ku"),
        ("011002", "札幌市 札幌 北海道札幌市 Sapporo Sapporo-shi Sapporo,Hokkaido 北海道・札幌"),
        ("011011", "札幌市中央区 北海道札幌市中央区 Sapporo-shi/Chuo-ku Chūō-ku,Sapporo,Hokkaido"),
        ("271403", "大阪府/堺市 堺市 大阪府堺市 Osaka-fu/Sakai-shi"),
        ("270008", "大阪府 Osaka-fu Ōsaka-prefecture おおさかふ"),
        ("271004", "大阪市 Osaka-shi Osaka-City 大阪府大阪市 大阪大阪"),
        ("082317", "桜川市 櫻川市 Sakuragawa"),
        ("142077", "茅ヶ崎市 茅ケ崎市 茅が崎市 茅ヶ﨑市 Chigasaki"),
        ("082082", "龍ケ崎市 龍ヶ崎市 竜ケ崎市 竜が崎 Ryugasaki Ryūgasaki-shi"),
        ("042030", "塩竈市 塩釜市 鹽竈市 Shiogama Siogama-si"),
        ("013951", "ニセコ町 にせこ ﾆｾｺ町 Niseko-cho niseko-machi"),
        ("015148", "枝幸町"),
        ("473260", "北谷町 ちゃたん ちやたん Chatan chatan-cho"),
        ("192082", "南アルプス市 Minami-Alps みなみあるぷす"),
        ("100005", "群馬県 群馬 Gunma Gumma gunma-ken"),
        ("JP", "jp JP ＪＰ Japan 日本 ニッポン Nippon"),
    ] {
        for text in texts.split(' ') {
            let found = Area::resolve(text).map(|area| area.to_string());
            assert_eq!(found, Ok(wanted.to_owned()), "{text}");
        }
    }
    assert_eq!(Area::resolve(" Osaka Prefecture "), Area::resolve("JP-27"));
    assert_eq!(Area::resolve("札幌市\u{e0100}"), Area::resolve("札幌市"));
}

/// `広島` could mean the prefecture where the city was meant, or the reverse where it is denied.
#[test]
fn a_name_of_several_areas_lists_them_all() {
    let listed = |text: &str| match Area::resolve(text) {
        Err(AreaError::Ambiguous { candidates, .. }) => {
            candidates.into_iter().map(Area::full_name).collect::<Vec<_>>()
        }
        other => panic!("{text}: {other:?}"),
    };
    for text in ["広島", "Hiroshima", "ひろしま"] {
        assert_eq!(listed(text), ["広島県", "広島県広島市"], "{text}");
    }
    assert_eq!(listed("府中"), ["東京都府中市", "広島県府中市", "広島県府中町"]);
    assert_eq!(listed("森町"), ["北海道森町", "静岡県森町"]);
    assert_eq!(listed("伊達"), ["北海道伊達市", "福島県伊達市"]);
    assert_eq!(listed("Date"), listed("伊達"));
    assert!(listed("中央区").contains(&"静岡県浜松市中央区".to_owned()));
    assert_eq!(Area::resolve("広島県"), Area::resolve("JP-34"));
    assert_eq!(Area::resolve("広島市"), Area::resolve("341002"));
    assert_eq!(
        Area::resolve("府中市").unwrap_err().to_string(),
        "`府中市` is a name of several areas: 東京都府中市 (132063), 広島県府中市 (342084); \
         write the code or the whole name"
    );
}

#[test]
fn the_name_of_a_retired_ward_is_denied_with_its_successors() {
    let day = Date::parse("2026-11-22").unwrap();
    for (name, expected) in [
        ("浜松市中区", &["221384"][..]),
        ("静岡県浜松市北区", &["221384", "221392"]),
        ("Hamakita-ku", &["221392"]),
    ] {
        match area(name).valid_on(day) {
            Err(AreaError::Retired { code, successors, .. }) => {
                assert_eq!(code, area(name));
                let now: Vec<String> = successors.iter().map(Area::to_string).collect();
                assert_eq!(now, expected, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    // Every retired code says what took over, and what took over is in force.
    for row in table().rows.values().filter(|row| row.is_over()) {
        assert!(!row.successors.is_empty(), "{row:?}");
        assert!(row.successors.iter().all(|area| area.valid_on(day) == Ok(())), "{row:?}");
    }
}

#[test]
fn an_unknown_name_has_a_few_near_ones() {
    let near = |text: &str| Area::near(text).into_iter().map(Area::full_name).collect::<Vec<_>>();
    assert_eq!(near("Hokaido"), ["北海道"]);
    assert_eq!(near("札晃市"), ["北海道札幌市"]);
    assert_eq!(near("北海道札晃市"), ["北海道札幌市"]);
    assert_eq!(near("Saporo-shi"), ["北海道札幌市"]);
    assert_eq!(near("011012"), ["北海道札幌市中央区"]);
    for none in ["Atlantis", "", "999999", "1", "+10006"] {
        assert_eq!(near(none), [""; 0], "{none}");
    }
    assert!((1..=3).contains(&near("中尾区").len()));
    let long = "札".repeat(AREA_NAME_MAX);
    assert_eq!(Area::resolve(&long), Err(AreaError::Unknown(long.clone())));
    assert_eq!(near(&long), [""; 0]);
}

/// Stored bytes are read without names, so that no table of spellings decides about them.
#[test]
fn stored_areas_have_one_form() {
    for text in ["JP-01", "北海道", "Hokkaido", "01000", "０１０００６", "jp", ""] {
        assert_eq!(Area::try_from(text.to_owned()), Err(AreaError::Unknown(text.to_owned())));
    }
    assert_eq!(Area::try_from("KR-26".to_owned()), Err(AreaError::Foreign("KR-26".into())));
    assert_eq!(Area::resolve("ＫＲ－２６"), Err(AreaError::Foreign("KR-26".into())));
    // Capitals are a country's code even where a village is called so.
    assert_eq!(Area::resolve("IE"), Err(AreaError::Foreign("IE".into())));
    assert_eq!(Area::resolve("Ie"), Area::resolve("伊江村"));
}

proptest::proptest! {
    #[test]
    fn any_text_is_answered(text in "[ -~ぁ-ヿ一-龠０-ｚ]{0,24}") {
        let near = Area::near(&text);
        let known = |area: &Area| area.info().is_some();
        proptest::prop_assert!(near.iter().all(known) && near.len() <= 3);
        proptest::prop_assert!(Area::resolve(&text).as_ref().map_or(true, known));
    }
}

#[test]
fn every_municipality_with_an_office_has_its_position() {
    let of = |level| areas().filter(move |row| row.level == level);
    let with_office = of(Level::Municipality).filter(|row| row.office.is_some()).count();
    assert_eq!(with_office, 1741, "six have none");
    let none = of(Level::Municipality).filter(|row| row.office.is_none());
    let none: Vec<_> = none.map(|row| row.area.to_string()).collect();
    assert_eq!(none, ["016951", "016969", "016977", "016985", "016993", "017001"]);
    assert!(of(Level::Prefecture).all(|row| row.office.is_none()));
    let office = area("012351").info().unwrap().office.unwrap();
    assert_eq!(office.to_string(), "43.171388,141.315555");
}

#[test]
fn a_chain_leads_from_the_ward_to_japan() {
    let ward = Area::resolve("011011").unwrap();
    let chain: Vec<String> = ward.chain().map(|area| area.to_string()).collect();
    assert_eq!(chain, ["011011", "011002", "010006", "JP"]);
    assert!(ward.chain().all(|area| area.contains(ward)));
    assert_eq!(Area::Japan.chain().collect::<Vec<_>>(), [Area::Japan]);
    assert_eq!(Area::Code(1).chain().count(), 0);
}
