//! One form for the many in which the name of a place is written, so that names can be compared.
//!
//! Must hold: what people type and what the table has pass through the same functions. A form may join spellings of one
//! name (width of letters, old kanji, small kana, long vowels), never choose between names: where two names meet in a
//! form, the look-up lists both.

use super::kanji::plain;
use std::sync::LazyLock;
use unicode_normalization::UnicodeNormalization as _;

/// Kana between two kanji that are written in several ways: 茅ヶ崎, 茅ケ崎, 茅が崎; 上ノ国, 上之国.
const GA: [char; 9] = ['ヶ', 'ヵ', 'ケ', 'カ', 'ガ', 'け', 'か', 'が', '箇'];
const NO: [char; 4] = ['ノ', 'の', '之', '乃'];

/// Small kana and the large ones that they are compared as.
const SMALL: &str = "ぁぃぅぇぉっゃゅょゎ";
const LARGE: &str = "あいうえおつやゆよわ";

/// Spellings of a consonant: Hepburn stays, the others (Kunrei, Nihon, before b, m and p) become Hepburn. The longest
/// that fits wins, so `shi` is not read as `s` + `hi`.
const CONSONANTS: [(&str, &str); 30] = [
    ("sya", "sha"),
    ("syu", "shu"),
    ("syo", "sho"),
    ("tya", "cha"),
    ("tyu", "chu"),
    ("tyo", "cho"),
    ("zya", "ja"),
    ("zyu", "ju"),
    ("zyo", "jo"),
    ("jya", "ja"),
    ("jyu", "ju"),
    ("jyo", "jo"),
    ("dzu", "zu"),
    ("dzi", "ji"),
    ("tch", "cch"),
    ("shu", "shu"),
    ("chu", "chu"),
    ("tsu", "tsu"),
    ("si", "shi"),
    ("ti", "chi"),
    ("tu", "tsu"),
    ("hu", "fu"),
    ("zi", "ji"),
    ("di", "ji"),
    ("du", "zu"),
    ("wo", "o"),
    ("mb", "nb"),
    ("mm", "nm"),
    ("mp", "np"),
    ("'", ""),
];

/// Two kana that are one syllable, then single ones; in the order of the table of fifty sounds.
const DIGRAPHS: &str = "きゃkya きゅkyu きょkyo しゃsha しゅshu しょsho ちゃcha ちゅchu ちょcho にゃnya にゅnyu にょnyo \
    ひゃhya ひゅhyu ひょhyo みゃmya みゅmyu みょmyo りゃrya りゅryu りょryo ぎゃgya ぎゅgyu ぎょgyo じゃja じゅju じょjo \
    ぢゃja ぢゅju ぢょjo びゃbya びゅbyu びょbyo ぴゃpya ぴゅpyu ぴょpyo";
const SINGLES: &str = "あa いi うu えe おo かka きki くku けke こko さsa しshi すsu せse そso たta ちchi つtsu てte とto \
    なna にni ぬnu ねne のno はha ひhi ふfu へhe ほho まma みmi むmu めme もmo やya ゆyu よyo らra りri るru れre ろro \
    わwa をo んn がga ぎgi ぐgu げge ごgo ざza じji ずzu ぜze ぞzo だda ぢji づzu でde どdo ばba びbi ぶbu べbe ぼbo \
    ぱpa ぴpi ぷpu ぺpe ぽpo";

/// Compatibility forms made plain: full-width letters and digits, half-width katakana, letters with accents, ligatures;
/// lower case, without marks that only choose a glyph.
pub(super) fn clean(text: &str) -> String {
    let accent = |c: &char| !matches!(c, '\u{300}'..='\u{36f}');
    let glyph = |c: &char| !matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}');
    let apostrophe = |c: char| if matches!(c, '’' | 'ʼ' | '‘' | '`') { '\'' } else { c };
    // Decomposed, accents fall off the letters and stay on the kana, whose marks are others.
    let plain = text.nfkd().filter(accent).filter(glyph).map(apostrophe).nfc();
    plain.flat_map(char::to_lowercase).collect::<String>().trim().to_owned()
}

/// Cleaned text in kanji, kana or both, as it is compared.
pub(super) fn japanese(text: &str) -> String {
    let chars: Vec<char> = text.chars().map(plain).collect();
    let kanji = |at: Option<usize>| {
        at.and_then(|at| chars.get(at)).is_some_and(|c| matches!(c, '々' | '\u{3400}'..='\u{9fff}'))
    };
    let one = |(at, c): (usize, &char)| {
        let between = kanji(at.checked_sub(1)) && kanji(at.checked_add(1));
        match *c {
            c if between && GA.contains(&c) => 'が',
            c if between && NO.contains(&c) => 'の',
            c => large(hiragana(c)),
        }
    };
    chars.iter().enumerate().map(one).collect()
}

fn hiragana(c: char) -> char {
    if !matches!(c, 'ァ'..='ヶ') {
        return c;
    }
    // The two blocks lie 96 code points apart.
    u32::from(c).checked_sub(0x60).and_then(char::from_u32).unwrap_or(c)
}

fn large(c: char) -> char {
    SMALL.chars().zip(LARGE.chars()).find(|(small, _)| *small == c).map_or(c, |(_, large)| large)
}

/// Cleaned Latin text without spaces, as it is compared: Hepburn without long vowels.
pub(super) fn romaji(text: &str) -> String {
    let mut rest = text;
    let mut consonants = String::with_capacity(text.len());
    while let Some(first) = rest.chars().next() {
        let found = CONSONANTS.iter().find(|(from, _)| rest.starts_with(from));
        // `mb`, `mm` and `mp` give back their second letter: it may begin another syllable.
        let (from, to) = match found {
            Some((from @ ("mb" | "mm" | "mp"), _)) => (from.split_at(1).0, "n"),
            Some((from, to)) => (*from, *to),
            None => (rest.split_at(first.len_utf8()).0, rest.split_at(first.len_utf8()).0),
        };
        consonants.push_str(to);
        rest = rest.split_at(from.len()).1;
    }
    short(&consonants)
}

/// Without what marks a long vowel: `oo`, `ou`, `oh`, `uu` and the like.
fn short(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next_is_vowel = chars.peek().is_some_and(|c| matches!(c, 'a' | 'e' | 'i' | 'o' | 'u'));
        let long = match (out.chars().last(), c) {
            (Some('o'), 'o' | 'u') => true,
            (Some('o'), 'h') => !next_is_vowel,
            (Some(last @ ('a' | 'e' | 'i' | 'u')), c) => last == c,
            _ => false,
        };
        if !long {
            out.push(c);
        }
    }
    out
}

/// Syllables with their letters, sorted.
static SYLLABLES: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    let split =
        |entry: &'static str| entry.split_at(entry.find(|c: char| c.is_ascii()).unwrap_or(0));
    let mut all: Vec<_> =
        DIGRAPHS.split_whitespace().chain(SINGLES.split_whitespace()).map(split).collect();
    all.sort_unstable();
    all
});

/// The syllable that `text` begins with: its letters, and what follows it.
fn syllable(text: &str) -> Option<(&'static str, &str)> {
    let ends = text.char_indices().map(|(at, c)| at.saturating_add(c.len_utf8())).take(2);
    let mut fitting = ends.filter_map(|end| {
        let (kana, after) = text.split_at(end);
        let at = SYLLABLES.binary_search_by_key(&kana, |(kana, _)| *kana).ok()?;
        Some((SYLLABLES.get(at)?.1, after))
    });
    // The longer one wins.
    let first = fitting.next();
    fitting.next().or(first)
}

/// Hiragana in Latin letters, as it is compared. `None` for anything that is not hiragana.
pub(super) fn transliterated(kana: &str) -> Option<String> {
    let mut rest = kana;
    let mut out = String::with_capacity(kana.len());
    while !rest.is_empty() {
        let doubled = rest.strip_prefix('っ');
        let (latin, after) = syllable(doubled.unwrap_or(rest))?;
        if doubled.is_some() {
            out.extend(latin.chars().next());
        }
        out.push_str(latin);
        rest = after;
    }
    Some(romaji(&out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_become_one() {
        for same in ["茅ヶ崎", "茅ケ崎", "茅が崎", "茅ヶ﨑", "茅ｹ崎"] {
            assert_eq!(japanese(&clean(same)), "茅が崎", "{same}");
        }
        for same in ["ﾆｾｺ", "ニセコ", "にせこ"] {
            assert_eq!(japanese(&clean(same)), "にせこ", "{same}");
        }
        for same in ["Ōtsu", "Ootsu", "Ohtsu", "OTSU", "Ｏｔｓｕ", "Ôtu", "Outsu"] {
            assert_eq!(romaji(&clean(same)), "otsu", "{same}");
        }
        for same in ["Gunma", "Gumma", "gun'ma", "gun’ma"] {
            assert_eq!(romaji(&clean(same)), "gunma", "{same}");
        }
        assert_eq!(romaji("shinbashi"), romaji("simbasi"));
        assert_eq!(romaji("matcha"), romaji("maccha"));
        assert_eq!((romaji("tohoku"), romaji("chu")), ("tohoku".into(), "chu".into()));
        // Not between kanji, kana keep their sound.
        assert_ne!(japanese("つがる"), japanese("つける"));
    }

    #[test]
    fn kana_have_one_latin_form() {
        for (kana, latin) in [
            ("さっぽろ", "sapporo"),
            ("とうきょう", "tokyo"),
            ("おおいた", "oita"),
            ("くっちゃん", "kucchan"),
            ("にいがた", "nigata"),
        ] {
            assert_eq!(transliterated(kana).as_deref(), Some(latin));
        }
        assert_eq!(transliterated("東"), None);
    }
}
