//! Which language people read. Chosen by `--lang`, else by the environment as POSIX programs do.

use sekisho_types::error_code::Language;

/// The variables that decide, first set one wins (POSIX.1-2017, section 8.2).
pub const VARIABLES: [&str; 3] = ["LC_ALL", "LC_MESSAGES", "LANG"];

/// The language of a locale name such as `ja_JP.UTF-8`.
#[must_use]
pub fn of_locale(locale: &str) -> Language {
    let language = locale.split(['_', '.', '@', '-']).next().unwrap_or_default();
    if language.eq_ignore_ascii_case("ja") { Language::Ja } else { Language::En }
}

/// The language of the environment, read through `variable`.
#[must_use]
pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Language {
    VARIABLES
        .iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()))
        .map_or(Language::En, |locale| of_locale(&locale))
}

/// A text in both languages; the program never shows one that exists in one language only.
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

/// One of two texts.
#[must_use]
pub fn pick<T>(language: Language, en: T, ja: T) -> T {
    match language {
        Language::En => en,
        Language::Ja => ja,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_set_variable_decides() {
        let env = |pairs: &'static [(&str, &str)]| {
            of_environment(|name| {
                pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
            })
        };
        assert_eq!(env(&[]), Language::En);
        assert_eq!(env(&[("LANG", "ja_JP.UTF-8")]), Language::Ja);
        assert_eq!(env(&[("LANG", "ja_JP.UTF-8"), ("LC_ALL", "C")]), Language::En);
        assert_eq!(env(&[("LC_ALL", ""), ("LANG", "ja")]), Language::Ja);
        assert_eq!(of_locale("jam"), Language::En);
        assert_eq!(pick(Language::Ja, 1, 2), 2);
    }
}
