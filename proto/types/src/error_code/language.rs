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

    /// The language of the environment, read through `variable`.
    #[must_use]
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self::VARIABLES
            .iter()
            .find_map(|name| variable(name).filter(|value| !value.is_empty()))
            .map_or(Self::En, |locale| Self::of_locale(&locale))
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
