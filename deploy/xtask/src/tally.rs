//! The closing line of a test run: what passed, what failed, what did not run.
//!
//! Must hold: a test that could not run here is never counted as passed. Such a test appends one line
//! `name: reason` to the file named by `SEKISHO_NOT_RUN` and returns; the runner saw it pass, so it is
//! taken out of the passed ones again. With `CI=true` it counts as failed: a machine that is to judge a
//! change has to be able to run every test.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};

/// Counts of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Ran and held.
    pub passed: u64,
    /// Ran and broke, or had to run and could not.
    pub failed: u64,
    /// Did not run.
    pub skipped: u64,
}

impl Tally {
    /// Counts of nextest's JUnit record, read from the attributes of its outermost element.
    ///
    /// # Errors
    /// When the text has no such element or it lacks a count.
    pub fn from_junit(text: &str) -> anyhow::Result<Self> {
        let (_, rest) = text.split_once("<testsuites ").context("no <testsuites> element")?;
        let (attributes, _) = rest.split_once('>').context("<testsuites> does not end")?;
        let count = |name: &str| -> anyhow::Result<u64> {
            let (_, value) = attributes
                .split_once(&format!("{name}=\""))
                .with_context(|| format!("<testsuites> has no {name}"))?;
            let (value, _) = value.split_once('"').context("attribute does not end")?;
            value.parse().with_context(|| format!("{name}={value}"))
        };
        let failed = count("failures")?.checked_add(count("errors")?).context("overflow")?;
        let passed = count("tests")?.checked_sub(failed).context("more failures than tests")?;
        Ok(Self { passed, failed, skipped: 0 })
    }

    /// Sums the `test result:` lines of the standard runner (doctests have no other).
    ///
    /// # Errors
    /// When such a line has a count that is not a number.
    pub fn from_libtest(log: &str) -> anyhow::Result<Self> {
        let mut sum = Self::default();
        for line in log.lines().filter(|line| line.starts_with("test result: ")) {
            for part in line.split([';', '.']) {
                let mut words = part.split_whitespace();
                let (Some(number), Some(kind)) = (words.next(), words.next()) else { continue };
                let field = match kind {
                    "passed" => &mut sum.passed,
                    "failed" => &mut sum.failed,
                    "ignored" => &mut sum.skipped,
                    _ => continue,
                };
                let number: u64 = number.parse().with_context(|| format!("in {line:?}"))?;
                *field = field.saturating_add(number);
            }
        }
        Ok(sum)
    }

    /// Both runs together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            passed: self.passed.saturating_add(other.passed),
            failed: self.failed.saturating_add(other.failed),
            skipped: self.skipped.saturating_add(other.skipped),
        }
    }

    /// Takes `count` tests that reported themselves as not run out of the passed ones.
    ///
    /// # Errors
    /// When more are named than passed: then the lines do not belong to this run.
    pub fn without(self, count: usize, in_ci: bool) -> anyhow::Result<Self> {
        let count = u64::try_from(count)?;
        let Some(passed) = self.passed.checked_sub(count) else {
            bail!("{count} tests say that they did not run, and only {} passed", self.passed);
        };
        let (failed, skipped) = if in_ci { (count, 0) } else { (0, count) };
        Ok(Self { passed, ..self }.and(Self { passed: 0, failed, skipped }))
    }

    /// Whether anything ran and nothing failed.
    #[must_use]
    pub const fn is_good(self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    /// `N passed, N failed`, and `, N skipped` where there are any.
    #[must_use]
    pub fn line(self) -> String {
        let Self { passed, failed, skipped } = self;
        let tail = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
        format!("{passed} passed, {failed} failed{tail}")
    }
}

/// The lines of a `SEKISHO_NOT_RUN` file, each once: a test that is tried twice reports itself twice.
#[must_use]
pub fn not_run(text: &str) -> BTreeSet<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const JUNIT: &str = "<?xml version=\"1.0\"?>\n<testsuites name=\"nextest-run\" tests=\"12\" \
        failures=\"2\" errors=\"1\" uuid=\"x\" time=\"0.1\">\n<testsuite tests=\"5\" failures=\"9\"/>";

    fn tally(passed: u64, failed: u64, skipped: u64) -> Tally {
        Tally { passed, failed, skipped }
    }

    #[test]
    fn junit_is_counted_at_its_outermost_element() {
        assert_eq!(Tally::from_junit(JUNIT).unwrap(), tally(9, 3, 0));
    }

    #[test]
    fn a_broken_record_is_not_a_passed_run() {
        for text in
            ["", "<testsuites tests=\"1\">", "<testsuites tests=\"1\" failures=\"2\" errors=\"0\">"]
        {
            assert!(Tally::from_junit(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn lines_of_the_standard_runner_are_summed() {
        let log = "running 3 tests\n\
            test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
            test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 5 filtered out\n\
            test result was odd: 9 passed\n";
        assert_eq!(Tally::from_libtest(log).unwrap(), tally(4, 2, 1));
        Tally::from_libtest("test result: ok. x passed;").unwrap_err();
    }

    #[test]
    fn what_did_not_run_did_not_pass() {
        let lines = not_run("b: no user namespaces\na: no GPU\n\nb: no user namespaces\n");
        assert_eq!(lines.len(), 2);
        assert_eq!(tally(9, 0, 0).without(lines.len(), false).unwrap(), tally(7, 0, 2));
        assert_eq!(tally(9, 0, 0).without(lines.len(), true).unwrap(), tally(7, 2, 0));
        tally(1, 0, 0).without(lines.len(), false).unwrap_err();
    }

    #[test]
    fn the_line_has_the_form_that_readers_look_for() {
        assert_eq!(tally(7, 0, 0).line(), "7 passed, 0 failed");
        assert_eq!(tally(7, 1, 2).line(), "7 passed, 1 failed, 2 skipped");
    }

    #[test]
    fn an_empty_run_is_not_good() {
        assert!(!tally(0, 0, 3).is_good());
        assert!(tally(1, 0, 3).is_good());
        assert!(!tally(1, 1, 0).is_good());
    }
}
