//! What an error says beyond its code, in the reader's language: English sentences are read back into a phrase and its
//! arguments, and said again in Japanese.
//!
//! Must hold: what is stored, signed or decided never depends on a language: rejections, records and logs are English
//! (R3, R4), and this runs at the edges only, where a person reads. A sentence that no phrase fits stays English: it is
//! never translated in part so that it says something else. Each English side stands in the source that says it
//! (`xtask tidy`), so a changed sentence cannot silently lose its translation.

mod table;

use sekisho_types::error_code::Language;

/// Sentences within a sentence: a field, its item in a batch, the rule that it broke.
const DEPTH_MAX: u32 = 4;

/// The place of a sentence of its own.
const DETAIL: &str = "detail";

/// A sentence in both languages. `{name}` stands for one word, `{name*}` for several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phrase {
    /// English.
    pub en: &'static str,
    /// Japanese, with the same names.
    pub ja: &'static str,
}

/// A phrase with what stood in its places.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said<'t> {
    phrase: &'static Phrase,
    arguments: Vec<(&'static str, &'t str)>,
}

/// A piece of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'p> {
    Text(&'p str),
    Word(&'p str),
    Words(&'p str),
}

fn parts(template: &str) -> Vec<Part<'_>> {
    let mut found = Vec::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('{') {
        let (name, next) = after.split_once('}').unwrap_or((after, ""));
        if !text.is_empty() {
            found.push(Part::Text(text));
        }
        found.push(name.strip_suffix('*').map_or(Part::Word(name), Part::Words));
        rest = next;
    }
    if !rest.is_empty() {
        found.push(Part::Text(rest));
    }
    found
}

impl Phrase {
    /// Every phrase.
    #[must_use]
    pub fn all() -> &'static [Self] {
        table::PHRASES
    }

    /// What stands in this phrase's places in `text`, if it is this phrase. A place ends where the text behind it first
    /// stands.
    fn fit<'t>(&'static self, text: &'t str) -> Option<Said<'t>> {
        let parts = parts(self.en);
        let mut arguments = Vec::new();
        let mut rest = text;
        let mut open: Option<Part<'static>> = None;
        for part in parts {
            match (part, open.take()) {
                (Part::Text(known), None) => rest = rest.strip_prefix(known)?,
                (Part::Text(known), Some(place)) => {
                    let (value, after) = rest.split_once(known)?;
                    arguments.push(taken(place, value)?);
                    rest = after;
                }
                (place, None) => open = Some(place),
                // Two places without a text between them: nobody could tell them apart.
                (_, Some(_)) => return None,
            }
        }
        match open {
            Some(place) => arguments.push(taken(place, rest)?),
            None if rest.is_empty() => {}
            None => return None,
        }
        Some(Said { phrase: self, arguments })
    }

    /// Bytes of its own, apart from its places: the phrase that says most of a sentence is the one meant.
    fn weight(&self) -> usize {
        let own = |part| if let Part::Text(text) = part { text.len() } else { 0 };
        parts(self.en).into_iter().map(own).sum()
    }
}

/// What stands in a place, if it may.
fn taken<'t>(place: Part<'static>, value: &'t str) -> Option<(&'static str, &'t str)> {
    let is_word = !value.contains(char::is_whitespace);
    match place {
        Part::Word(name) if is_word && !value.is_empty() => Some((name, value)),
        Part::Words(name) if !value.is_empty() => Some((name, value)),
        Part::Text(_) | Part::Word(_) | Part::Words(_) => None,
    }
}

impl<'t> Said<'t> {
    /// Reads an English sentence.
    fn read(text: &'t str) -> Option<Self> {
        let fits = Phrase::all().iter().filter_map(|phrase| phrase.fit(text));
        fits.max_by_key(|said| said.phrase.weight())
    }

    fn japanese(&self, depth: u32) -> String {
        let of = |name: &str| {
            let found = self.arguments.iter().find(|(known, _)| *known == name);
            let (_, value) = found?;
            Some(known(value, depth).unwrap_or_else(|| (*value).to_owned()))
        };
        let say = |part| match part {
            Part::Text(text) => text.to_owned(),
            Part::Word(name) | Part::Words(name) => of(name).unwrap_or_default(),
        };
        parts(self.phrase.ja).into_iter().map(say).collect()
    }
}

/// What the sentences in a text name, for programs: the places of its phrase, and of those within it.
#[must_use]
pub fn arguments(text: &str) -> Vec<(&'static str, &str)> {
    let mut found = Vec::new();
    let mut rest = Some(text);
    for _ in 0..DEPTH_MAX {
        let Some(text) = rest.take() else { break };
        let Some(said) = Said::read(text) else {
            rest = text.split_once(": ").map(|(_, after)| after);
            continue;
        };
        for (name, value) in said.arguments {
            if name == DETAIL {
                rest = Some(value);
            } else {
                found.push((name, value));
            }
        }
    }
    found
}

/// An English sentence in this language, as far as it is known.
#[must_use]
pub fn say(text: &str, language: Language) -> String {
    match language {
        Language::En => text.to_owned(),
        Language::Ja => known(text, DEPTH_MAX).unwrap_or_else(|| text.to_owned()),
    }
}

/// In Japanese; `None` if nothing of it is known.
fn known(text: &str, depth: u32) -> Option<String> {
    let depth = depth.checked_sub(1)?;
    if let Some(said) = Said::read(text) {
        return Some(said.japanese(depth));
    }
    // Sentences that stand one behind the other.
    for (mark, put) in [("; ", "。"), (": ", ": ")] {
        let Some((first, rest)) = text.split_once(mark) else { continue };
        let (said, after) = (known(first, depth), known(rest, depth));
        if said.is_some() || after.is_some() {
            let first = said.unwrap_or_else(|| first.to_owned());
            let rest = after.unwrap_or_else(|| rest.to_owned());
            return Some(format!("{first}{put}{rest}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn names(template: &'static str) -> BTreeSet<&'static str> {
        let name = |part| match part {
            Part::Text(_) => None,
            Part::Word(name) | Part::Words(name) => Some(name),
        };
        parts(template).into_iter().filter_map(name).collect()
    }

    #[test]
    fn every_phrase_is_read_back_with_its_arguments_and_said_with_all_of_them() {
        let mut seen = BTreeSet::new();
        for phrase in Phrase::all() {
            assert!(seen.insert(phrase.en), "twice: {}", phrase.en);
            assert!(!phrase.ja.is_ascii(), "not translated: {}", phrase.en);
            assert_eq!(names(phrase.en), names(phrase.ja), "{}", phrase.en);
            let fill = |part| match part {
                Part::Text(text) => text.to_owned(),
                Part::Word(name) => format!("<{name}>"),
                Part::Words(name) => format!("<{name} 2>"),
            };
            let text: String = parts(phrase.en).into_iter().map(fill).collect();
            let said = Said::read(&text).unwrap_or_else(|| panic!("not read: {text}"));
            assert_eq!(said.phrase, phrase, "{text}");
            let japanese = say(&text, Language::Ja);
            for name in names(phrase.en) {
                assert!(japanese.contains(&format!("<{name}")), "{japanese}");
            }
            assert_eq!(say(&text, Language::En), text);
        }
    }

    #[test]
    fn what_stands_around_a_phrase_is_kept_and_what_is_unknown_stays_english() {
        let ja = |text| say(text, Language::Ja);
        assert_eq!(
            ja("sapporo has room for 2 h100, the job needs 4"),
            "sapporo に残る h100 の割当枠は 2 で、このジョブには 4 が必要です"
        );
        assert_eq!(ja("spec.group: must be given"), "spec.group: 指定が必要です");
        assert_eq!(
            ja("item 3 of the batch: tenant otaru"),
            "一括処理の 3 番目(0から数えて): テナント otaru"
        );
        for text in ["the moon is blue", "site a is built of cheese", ""] {
            assert_eq!(ja(text), text);
        }
        let text = "item 3 of the batch: sapporo has room for 2 h100, the job needs 4";
        let named = arguments(text);
        assert_eq!(named[..3], [("item", "3"), ("tenant", "sapporo"), ("room", "2")]);
        assert_eq!(arguments("spec.group: must be 1 to 64"), [("most", "64")]);
        assert_eq!(arguments("the moon: is blue"), []);
    }
}
