//! Licence expressions: `MIT OR (Apache-2.0 WITH LLVM-exception AND ISC)`.
//!
//! Grammar of SPDX with `AND` binding tighter than `OR`, plus `/`, which older manifests write for `OR`.
//! An exception after `WITH` only widens what its licence permits, so it is read over.

/// A parsed expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// One licence id, `+` and `-or-later` taken off: a later version may be chosen, the named one too.
    Licence(String),
    /// All of them bind.
    And(Vec<Expression>),
    /// The user chooses one.
    Or(Vec<Expression>),
}

impl Expression {
    /// Reads an expression; `None` when it is not one. An unreadable licence is not an allowed one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let mut tokens = Tokens { rest: spaced.split_whitespace().collect() };
        tokens.rest.reverse();
        let expression = tokens.any()?;
        tokens.rest.is_empty().then_some(expression)
    }

    /// Whether it can be met with licences that `allowed` accepts.
    #[must_use]
    pub fn is_met(&self, allowed: &impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Licence(id) => allowed(id),
            Self::And(parts) => parts.iter().all(|p| p.is_met(allowed)),
            Self::Or(parts) => parts.iter().any(|p| p.is_met(allowed)),
        }
    }
}

/// What is left to read, last token first.
struct Tokens<'a> {
    rest: Vec<&'a str>,
}

impl Tokens<'_> {
    fn eat(&mut self, token: &str) -> bool {
        let is_next = self.rest.last() == Some(&token);
        if is_next {
            self.rest.pop();
        }
        is_next
    }

    fn any(&mut self) -> Option<Expression> {
        let mut parts = vec![self.all()?];
        while self.eat("OR") {
            parts.push(self.all()?);
        }
        Some(if parts.len() == 1 { parts.remove(0) } else { Expression::Or(parts) })
    }

    fn all(&mut self) -> Option<Expression> {
        let mut parts = vec![self.one()?];
        while self.eat("AND") {
            parts.push(self.one()?);
        }
        Some(if parts.len() == 1 { parts.remove(0) } else { Expression::And(parts) })
    }

    fn one(&mut self) -> Option<Expression> {
        if self.eat("(") {
            let inner = self.any()?;
            return self.eat(")").then_some(inner);
        }
        let id = self.rest.pop().filter(|t| !matches!(*t, "AND" | "OR" | "WITH" | ")"))?;
        if self.eat("WITH") {
            self.rest.pop().filter(|t| !matches!(*t, "AND" | "OR" | "WITH" | "(" | ")"))?;
        }
        let id = id.strip_suffix('+').or_else(|| id.strip_suffix("-or-later")).unwrap_or(id);
        Some(Expression::Licence(id.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_met(text: &str, allowed: &[&str]) -> bool {
        Expression::parse(text).is_some_and(|e| e.is_met(&|id| allowed.contains(&id)))
    }

    #[test]
    fn or_needs_one_and_needs_all() {
        assert!(is_met("MIT OR GPL-3.0", &["MIT"]));
        assert!(!is_met("MIT AND GPL-3.0", &["MIT"]));
        assert!(is_met("MIT AND ISC", &["MIT", "ISC"]));
    }

    #[test]
    fn and_binds_tighter_than_or() {
        // Choosing the left side of OR is enough.
        assert!(is_met("MIT OR GPL-3.0 AND ISC", &["MIT"]));
        assert!(!is_met("GPL-3.0 AND MIT OR GPL-2.0", &["MIT"]));
        assert!(!is_met("(MIT OR GPL-3.0) AND ISC", &["MIT"]));
        assert!(is_met("(MIT OR GPL-3.0) AND ISC", &["MIT", "ISC"]));
    }

    #[test]
    fn exceptions_and_later_versions_are_read_over() {
        assert!(is_met("Apache-2.0 WITH LLVM-exception", &["Apache-2.0"]));
        assert!(is_met("MPL-2.0+", &["MPL-2.0"]));
        assert!(!is_met("LGPL-2.1-or-later", &["MIT"]));
        assert!(is_met("MIT / Apache-2.0/BSD-3-Clause", &["BSD-3-Clause"]));
    }

    #[test]
    fn what_cannot_be_read_is_met_by_nothing() {
        for text in
            ["", "MIT OR", "AND MIT", "(MIT", "MIT)", "MIT ISC", "MIT WITH", "MIT WITH OR ISC"]
        {
            assert_eq!(Expression::parse(text), None, "{text:?}");
        }
    }
}
