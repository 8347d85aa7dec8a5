//! Which language people read: chosen by a flag, else by the environment as POSIX programs do.

/// Language of user-facing text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Japanese.
    Ja,
}

impl Language {
    /// The variables that decide, first set one wins (POSIX.1-2017, section 8.2).
    pub const VARIABLES: [&str; 3] = ["LC_ALL", "LC_MESSAGES", "LANG"];

    /// The language of a locale name such as `ja_JP.UTF-8`.
    #[must_use]
    pub fn of_locale(locale: &str) -> Self {
        let language = locale.split(['_', '.', '@', '-']).next().unwrap_or_default();
        if language.eq_ignore_ascii_case("ja") { Self::Ja } else { Self::En }
    }

    /// The language as programs write it: `en`, `ja` (BCP 47).
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ja => "ja",
        }
    }

    /// The language that a caller prefers, from what an `accept-language` says (RFC 9110, 12.5.4); of two that are
    /// equally welcome the first. English for a caller that names none of ours.
    #[must_use]
    pub fn of_accept(text: &str) -> Self {
        let mut best = (Self::En, 0u16);
        for wish in text.split(',').take(ACCEPTED_MAX) {
            let mut parts = wish.trim().split(';');
            let tag = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")).map_or(1000, weight);
            let known = tag.split('-').next().unwrap_or_default();
            let language = [Self::En, Self::Ja]
                .into_iter()
                .find(|language| known.eq_ignore_ascii_case(language.tag()));
            if let Some(language) = language.filter(|_| weight > best.1) {
                best = (language, weight);
            }
        }
        best.0
    }

    /// The language of the environment, read through `variable`.
    #[must_use]
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self::VARIABLES
            .iter()
            .find_map(|name| variable(name).filter(|value| !value.is_empty()))
            .map_or(Self::En, |locale| Self::of_locale(&locale))
    }
}

/// Wishes of one caller that are looked at: nobody reads more languages.
const ACCEPTED_MAX: usize = 16;

/// A weight such as `0.8` in thousandths; one that cannot be read is none.
fn weight(text: &str) -> u16 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part: String = part.chars().chain("000".chars()).take(3).collect();
    match (whole, part.parse::<u16>()) {
        ("1", _) => 1000,
        ("0", Ok(thousandths)) => thousandths,
        _ => 0,
    }
}

/// A text in both languages; no program shows one that exists in one language only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// English.
    pub en: &'static str,
    /// Japanese.
    pub ja: &'static str,
}

impl Text {
    /// A text.
    #[must_use]
    pub const fn new(en: &'static str, ja: &'static str) -> Self {
        Self { en, ja }
    }

    /// In this language.
    #[must_use]
    pub fn of(self, language: Language) -> &'static str {
        match language {
            Language::En => self.en,
            Language::Ja => self.ja,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_that_weighs_most_is_accepted() {
        for (text, language) in [
            ("ja", Language::Ja),
            ("ja-JP,en;q=0.8", Language::Ja),
            ("en;q=0.8, ja;q=0.9", Language::Ja),
            ("fr, ja;q=0.001", Language::Ja),
            ("ja;q=0, en;q=0.1", Language::En),
            ("en,ja", Language::En),
            ("fr", Language::En),
            ("ja;q=x", Language::En),
            ("", Language::En),
        ] {
            assert_eq!(Language::of_accept(text), language, "{text}");
        }
    }

    #[test]
    fn the_first_set_variable_decides() {
        let env = |pairs: &'static [(&str, &str)]| {
            Language::of_environment(|name| {
                pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
            })
        };
        assert_eq!(env(&[]), Language::En);
        assert_eq!(env(&[("LANG", "ja_JP.UTF-8")]), Language::Ja);
        assert_eq!(env(&[("LANG", "ja_JP.UTF-8"), ("LC_ALL", "C")]), Language::En);
        assert_eq!(env(&[("LC_ALL", ""), ("LANG", "ja")]), Language::Ja);
        assert_eq!(Language::of_locale("jam"), Language::En);
    }
}
