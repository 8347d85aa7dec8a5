//! What a change says of one field of a resource: a new value, or nothing.

use serde::{Deserialize, Serialize};

/// A field of a change. Another type than `Option`, which is a value of some fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Patch<T> {
    /// It stays as it is.
    Keep,
    /// It becomes this.
    Set(T),
}

impl<T> Patch<T> {
    /// The value after the change of one that was `old`.
    pub fn over(self, old: T) -> T {
        match self {
            Self::Keep => old,
            Self::Set(new) => new,
        }
    }

    /// What becomes of it, if anything.
    pub fn set(&self) -> Option<&T> {
        match self {
            Self::Keep => None,
            Self::Set(new) => Some(new),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_not_what_is_set_to_nothing() {
        assert_eq!(Patch::Keep.over(Some(1)), Some(1));
        assert_eq!(Patch::Set(None).over(Some(1)), None);
        assert_eq!((Patch::<u8>::Keep.set(), Patch::Set(2).set()), (None, Some(&2)));
    }
}
