//! Texts in both languages. Which one is shown is chosen by `--lang`, else by the environment as POSIX programs do.

use sekisho_types::error_code::Language;

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
