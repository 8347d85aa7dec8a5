//! An error for a person or a log: what happened and why, in one line.

use std::error::Error;

/// An error with its causes, in one line. Our errors do not repeat their source, so nothing stands there twice.
#[must_use]
pub fn explain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open it")]
    struct Outer(#[source] std::num::ParseIntError);

    #[test]
    fn every_cause_stands_behind_the_one_that_it_caused() {
        let inner = "x".parse::<u8>().unwrap_err();
        assert_eq!(explain(&inner), "invalid digit found in string");
        assert_eq!(explain(&Outer(inner)), "cannot open it: invalid digit found in string");
    }
}
