//! What becomes of a row of the table of codes: a variant, its name, its kind and its texts.
//!
//! Must hold: nothing is written twice, so no code can lack a text. It knows no code.

macro_rules! codes {
    ($($variant:ident = $number:literal, $code:literal, $kind:ident,
        $en:literal, $ja:literal, $fix_en:literal, $fix_ja:literal;)+) => {
        /// A stable error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u16)]
        pub enum ErrorCode {
            $(#[doc = $en] $variant = $number,)+
        }

        impl ErrorCode {
            /// Every code, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The code as it stands in answers, logs and the documentation.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// What a caller can do.
            #[must_use]
            pub fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)+ }
            }

            /// What is wrong, one sentence.
            #[must_use]
            pub fn text(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Self::$variant, Language::En) => $en, (Self::$variant, Language::Ja) => $ja,)+
                }
            }

            /// What to do about it, one sentence.
            #[must_use]
            pub fn remedy(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Self::$variant, Language::En) => $fix_en, (Self::$variant, Language::Ja) => $fix_ja,)+
                }
            }
        }
    };
}
