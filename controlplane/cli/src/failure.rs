//! Why a command ended without doing what was asked: a code, the cause in words, and what to do about it.
//!
//! Must hold: every failure has a code of the one vocabulary and with it one exit code; an unknown outcome is called
//! unknown and carries the request id, so that the same command can be repeated safely (R3).

use crate::exit::Exit;
use sekisho_transport::part::PartError;
use sekisho_types::error_code::{ErrorCode, Language};
use sekisho_types::id::RequestId;
use std::io;

/// A failed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure.
    pub code: ErrorCode,
    /// In words, beside the code's own text; may be empty.
    pub detail: String,
    /// In place of the code's own remedy.
    pub remedy: Option<String>,
    /// To repeat a write whose outcome is unknown.
    pub request: Option<RequestId>,
    /// In place of the code's own exit.
    pub exit: Option<Exit>,
    /// Address that a refusal named, e.g. of the member that holds a job's output.
    pub endpoint: Option<String>,
}

impl Failure {
    /// A failure with its detail.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { code, detail, remedy: None, request: None, exit: None, endpoint: None }
    }

    /// A wrong argument, file or field.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, detail)
    }

    /// With a remedy of its own.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// With an exit of its own.
    #[must_use]
    pub fn exit_as(mut self, exit: Exit) -> Self {
        self.exit = Some(exit);
        self
    }

    /// With the request id of the write that it belongs to.
    #[must_use]
    pub fn of_request(mut self, request: RequestId) -> Self {
        self.request = Some(request);
        self
    }

    /// How the program ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit.unwrap_or_else(|| Exit::of(self.code))
    }

    /// The lines for people: error, remedy and, where it matters, the request id.
    #[must_use]
    pub fn lines(&self, language: Language) -> Vec<String> {
        let text = self.code.text(language);
        let cause = if self.detail.is_empty() {
            text.to_owned()
        } else {
            // Detail is a clause; the sentence of the code comes first, its stop becomes a colon.
            let head = text.trim_end_matches(['.', '。']);
            format!("{head}: {}", self.detail)
        };
        let fix = self.remedy.as_deref().unwrap_or_else(|| self.code.remedy(language));
        let mut lines = vec![format!("error {}: {cause}", self.code), format!("remedy: {fix}")];
        if let Some(request) = self.request
            && self.exit() == Exit::Timeout
        {
            lines.push(format!("request id: {request} (--request-id {request})"));
        }
        lines
    }
}

impl From<io::Error> for Failure {
    /// Only for the terminal; files name their path through [`of_file`].
    fn from(error: io::Error) -> Self {
        Self::new(ErrorCode::Internal, format!("cannot write output: {error}"))
            .remedy("check where the output goes")
    }
}

impl From<PartError> for Failure {
    fn from(error: PartError) -> Self {
        of_file(&error.path, &error.cause)
    }
}

/// A file that cannot be read or written.
pub fn of_file(path: &std::path::Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::invalid(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_code_cause_and_remedy_in_both_languages() {
        let failure = Failure::new(ErrorCode::NotFound, "tenants/sapporo");
        assert_eq!(
            failure.lines(Language::En),
            [
                "error NOT_FOUND: There is no such resource, or you may not see it: tenants/sapporo",
                "remedy: Check the name with a list command."
            ]
        );
        assert!(failure.lines(Language::Ja)[0].starts_with("error NOT_FOUND: 対象が存在しない"));
        assert_eq!(failure.exit(), Exit::NotFound);
    }

    #[test]
    fn the_request_id_is_shown_where_repeating_needs_it() {
        let request = RequestId([7; 16]);
        let unknown = Failure::new(ErrorCode::OutcomeUnknown, "").of_request(request);
        assert!(unknown.lines(Language::En)[2].contains(&request.to_string()));
        let certain = Failure::new(ErrorCode::QuotaNone, "").of_request(request);
        assert_eq!(certain.lines(Language::En).len(), 2);
    }
}
