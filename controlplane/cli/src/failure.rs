//! Why a command ended without doing what was asked: a code, the cause in words, and what to do about it.
//!
//! Must hold: every failure has a code of the one vocabulary and with it one exit code; an unknown outcome is called
//! unknown and carries the request id, so that the same command can be repeated safely (R3).

use crate::exit::Exit;
use crate::language::pick;
use sekisho_proto::phrase::say;
use sekisho_transport::part::PartError;
use sekisho_types::error_code::{ErrorCode, Kind, Language};
use sekisho_types::id::RequestId;
use std::io;

/// A failed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure.
    pub code: ErrorCode,
    /// In words, beside the code's own text; may be empty. English is said in the reader's language where it is known.
    pub detail: String,
    /// In place of the code's own remedy.
    pub remedy: Option<String>,
    /// To repeat a write whose outcome is unknown.
    pub request: Option<RequestId>,
    /// In place of the code's own exit.
    pub exit: Option<Exit>,
    /// Address that a refusal named, e.g. of the member that holds a job's output.
    pub endpoint: Option<String>,
    /// An attempt of the call ended with nobody knowing what became of it, whatever the later ones heard.
    pub open: bool,
    /// Whoever read the output left: there is nobody to be told.
    pub reader_left: bool,
}

impl Failure {
    /// A failure with its detail.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            code,
            detail,
            remedy: None,
            request: None,
            exit: None,
            endpoint: None,
            open: false,
            reader_left: false,
        }
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

    /// With the request id of the write that it belongs to. That nobody could be asked any more does not undo an attempt that
    /// may have taken effect: then the outcome is unknown.
    #[must_use]
    pub fn of_request(mut self, request: RequestId) -> Self {
        self.request = Some(request);
        if self.open && self.code.kind() == Kind::Unavailable {
            self.code = ErrorCode::OutcomeUnknown;
        }
        self
    }

    /// How the program ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit.unwrap_or_else(|| Exit::of(self.code))
    }

    /// Whether the code's page says more than the message: not where a field, a file or a name is wrong, which the
    /// message names, and not where the failure brings a remedy of its own.
    fn has_more(&self) -> bool {
        let plain = matches!(self.code.kind(), Kind::Invalid | Kind::NotFound);
        !plain && self.remedy.is_none()
    }

    /// The lines for people: error, remedy and, where it matters, the request id and the way to the code's page.
    #[must_use]
    pub fn lines(&self, language: Language) -> Vec<String> {
        let text = self.code.text(language);
        // A server that may not tell more says the sentence of the code itself: once is enough.
        let said = self.code.text(Language::En).trim_end_matches('.');
        let cause = if self.detail.is_empty() || self.detail.trim_end_matches('.') == said {
            text.to_owned()
        } else {
            // Detail is a clause; the sentence of the code comes first, its stop becomes a colon.
            let head = text.trim_end_matches(['.', '。']);
            format!("{head}: {}", say(&self.detail, language))
        };
        let fix = self.remedy.as_deref().unwrap_or_else(|| self.code.remedy(language));
        let remedy = pick(language, "remedy", "対処");
        let mut lines = vec![format!("error {}: {cause}", self.code), format!("{remedy}: {fix}")];
        // After a fault of ours nobody knows either whether the change was made.
        if let Some(request) = self.request
            && (self.exit() == Exit::Timeout || self.code.kind() == Kind::Internal)
        {
            lines.push(format!("request id: {request} (--request-id {request})"));
        }
        if self.has_more() {
            let more = pick(language, "more", "詳細");
            lines.push(format!("{more}: sekisho error show {}", self.code));
        }
        lines
    }
}

impl From<io::Error> for Failure {
    /// Only for the terminal; files name their path through [`of_file`].
    ///
    /// `sekisho job list | head -1` is no failure: the reader had what it wanted.
    fn from(error: io::Error) -> Self {
        let reader_left = error.kind() == io::ErrorKind::BrokenPipe;
        let failure = Self::new(ErrorCode::Internal, format!("cannot write output: {error}"))
            .remedy("check where the output goes");
        Self { reader_left, exit: reader_left.then_some(Exit::Ok), ..failure }
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
        let ja = failure.lines(Language::Ja);
        assert!(ja[0].starts_with("error NOT_FOUND: 対象が存在しない"), "{ja:?}");
        assert!(ja[1].starts_with("対処: "), "{ja:?}");
        let quota = Failure::new(
            ErrorCode::QuotaExceeded,
            "item 1 of the batch: sapporo has room for 2 h100, the job needs 4",
        );
        assert!(quota.lines(Language::Ja)[0].ends_with("このジョブには 4 が必要です"));
        assert_eq!(failure.exit(), Exit::NotFound);
    }

    #[test]
    fn a_sentence_is_not_said_twice() {
        for language in [Language::En, Language::Ja] {
            let said = Failure::new(ErrorCode::NotFound, ErrorCode::NotFound.text(Language::En));
            let plain = Failure::new(ErrorCode::NotFound, "");
            assert_eq!(said.lines(language), plain.lines(language));
        }
    }

    #[test]
    fn the_request_id_is_shown_where_repeating_needs_it() {
        let request = RequestId([7; 16]);
        let unknown = Failure::new(ErrorCode::OutcomeUnknown, "").of_request(request);
        assert!(unknown.lines(Language::En)[2].contains(&request.to_string()));
        let fault = Failure::new(ErrorCode::Internal, "trace 4bf9").of_request(request);
        assert!(fault.lines(Language::Ja).join("").contains(&request.to_string()));
        // Nobody leads; whether an attempt before that took effect is another question.
        let never = Failure::new(ErrorCode::NoLeader, "");
        let once = Failure { open: true, ..never.clone() }.of_request(request);
        assert_eq!((once.code, once.exit()), (ErrorCode::OutcomeUnknown, Exit::Timeout));
        assert_eq!(never.of_request(request).exit(), Exit::NoLeader);
        // Whoever has the last word says what became of it.
        let open = Failure { open: true, ..Failure::new(ErrorCode::QuotaNone, "") };
        assert_eq!(open.of_request(request).code, ErrorCode::QuotaNone);
        let certain = Failure::new(ErrorCode::QuotaNone, "").of_request(request);
        assert!(!certain.lines(Language::En).join("").contains(&request.to_string()));
    }

    #[test]
    fn the_codes_page_is_named_where_it_says_more_than_the_message() {
        let last = |failure: Failure| failure.lines(Language::Ja).pop().unwrap();
        let quota = Failure::new(ErrorCode::QuotaNone, "");
        assert_eq!(last(quota.clone()), "詳細: sekisho error show QUOTA_NONE");
        for other in
            [quota.remedy("do this"), Failure::invalid("x"), Failure::new(ErrorCode::NotFound, "y")]
        {
            assert!(!last(other).contains("error show"));
        }
    }
}
