//! Texts in both languages. Which one is shown is chosen by `--lang`, else by the environment as POSIX programs do.

pub use sekisho_types::error_code::Text;

use sekisho_types::error_code::Language;

/// One of two texts.
#[must_use]
pub fn pick<T>(language: Language, en: T, ja: T) -> T {
    match language {
        Language::En => en,
        Language::Ja => ja,
    }
}
