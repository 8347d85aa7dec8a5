//! Errors on the wire: our stable codes inside `google.rpc.Status`, in both directions.
//!
//! Must hold: every error that leaves a server has exactly one `ErrorInfo` with the code as reason and the domain
//! [`DOMAIN`]; clients decide by it, never by the gRPC code, which only serves foreign tooling:
//!
//! | kind | gRPC code |
//! |---|---|
//! | never, precondition | `FAILED_PRECONDITION`; `OUT_OF_RANGE` for a revision whose changes are not kept |
//! | not yet | `RESOURCE_EXHAUSTED`: quota and room are what has to be waited for |
//! | invalid | `INVALID_ARGUMENT` |
//! | not found | `NOT_FOUND` |
//! | conflict | `ALREADY_EXISTS` for a taken name, else `ABORTED` |
//! | auth | `UNAUTHENTICATED` without a valid certificate, else `PERMISSION_DENIED` |
//! | unavailable | `UNAVAILABLE`; `DEADLINE_EXCEEDED` for a passed deadline |
//! | unknown | `UNKNOWN` |
//! | internal | `INTERNAL` |
//!
//! Only retryable codes carry `RetryInfo`. Sizes are bounded: all of it travels in HTTP/2 headers.

use crate::field::FieldError;
use sekisho_types::error_code::{ErrorCode, Kind, Language};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Domain of every `ErrorInfo` of ours.
pub const DOMAIN: &str = "sekisho";
/// Metadata key under which the remedy travels: a client older than the code still shows it.
const REMEDY: &str = "remedy";
/// Longest message and metadata value, bytes: headers are bounded at 16 KiB by most proxies.
const MESSAGE_MAX: usize = 1024;
/// Field violations and metadata entries in one error, for the same reason.
const PARTS_MAX: usize = 8;
/// Pause before a retry when the code wants none of its own: longer than a planned hand-over.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// One field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path in the request.
    pub field: String,
    /// What it must be.
    pub must: String,
}

/// An error of the API, on either side of the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// The stable code.
    pub code: ErrorCode,
    /// What is wrong in this case, English.
    pub message: String,
    /// Fields that are wrong.
    pub fields: Vec<Violation>,
    /// Values that the message names, for programs.
    pub metadata: BTreeMap<String, String>,
    /// How long to wait before a retry; on retryable codes only.
    pub retry_after: Option<Duration>,
    /// Whether a Sekisho server said so. Otherwise the code is a guess from the gRPC code: the connection failed, or
    /// something in between answered.
    pub explained: bool,
}

impl ApiError {
    /// An error of ours. An empty message stands for the code's own text.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let mut message: String = message.into();
        if message.is_empty() {
            code.text(Language::En).clone_into(&mut message);
        }
        Self {
            code,
            message,
            fields: Vec::new(),
            metadata: BTreeMap::new(),
            retry_after: code.is_retryable().then_some(RETRY_AFTER),
            explained: true,
        }
    }

    /// Adds a value for programs.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }

    /// Adds a field violation.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>, must: impl Into<String>) -> Self {
        self.fields.push(Violation { field: field.into(), must: must.into() });
        self
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self, language: Language) -> &str {
        // The server's words where it gave some: they may belong to a code that this program does not know.
        match (language, self.metadata.get(REMEDY)) {
            (Language::En, Some(remedy)) => remedy,
            (Language::En | Language::Ja, _) => self.code.remedy(language),
        }
    }

    /// Reads what a call answered.
    #[must_use]
    pub fn from_status(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == DOMAIN);
        let code = info.and_then(|info| ErrorCode::parse(&info.reason));
        let mut error = Self::new(code.unwrap_or_else(|| guess(status.code())), status.message());
        error.explained = info.is_some();
        error.retry_after = details.retry_info().and_then(|retry| retry.retry_delay);
        if let Some(info) = info {
            let entries = info.metadata.iter().map(|(k, v)| (k.clone(), v.clone()));
            error.metadata = entries.collect();
            if code.is_none() {
                // A newer server's code: keep its name, act by the gRPC code.
                error.metadata.insert("reason".to_owned(), info.reason.clone());
            }
        }
        if let Some(request) = details.bad_request() {
            let violation = |v: &tonic_types::FieldViolation| Violation {
                field: v.field.clone(),
                must: v.description.clone(),
            };
            error.fields = request.field_violations.iter().map(violation).collect();
        }
        error
    }
}

impl From<FieldError> for ApiError {
    fn from(error: FieldError) -> Self {
        Self::new(error.code, error.to_string()).with_field(error.field, error.must)
    }
}

impl From<FieldError> for Status {
    fn from(error: FieldError) -> Self {
        ApiError::from(error).into()
    }
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        let mut details = ErrorDetails::new();
        let metadata = error.metadata.iter().take(PARTS_MAX);
        let mut metadata: HashMap<String, String> =
            metadata.map(|(key, value)| (key.clone(), cut(value))).collect();
        let remedy = (REMEDY.to_owned(), error.code.remedy(Language::En).to_owned());
        metadata.extend([remedy]);
        details
            .set_error_info(error.code.as_str(), DOMAIN, metadata)
            .set_localized_message("ja", error.code.text(Language::Ja));
        for violation in error.fields.iter().take(PARTS_MAX) {
            details.add_bad_request_violation(cut(&violation.field), cut(&violation.must));
        }
        if error.code.is_retryable() {
            details.set_retry_info(error.retry_after.or(Some(RETRY_AFTER)));
        }
        Self::with_error_details(grpc(error.code), cut(&error.message), details)
    }
}

/// The gRPC code that foreign tooling sees; the table at the top.
#[must_use]
pub fn grpc(code: ErrorCode) -> Code {
    match code.kind() {
        Kind::Precondition if code == ErrorCode::RevisionCompacted => Code::OutOfRange,
        Kind::Never | Kind::Precondition => Code::FailedPrecondition,
        Kind::NotYet => Code::ResourceExhausted,
        Kind::Invalid => Code::InvalidArgument,
        Kind::NotFound => Code::NotFound,
        Kind::Conflict if code == ErrorCode::AlreadyExists => Code::AlreadyExists,
        Kind::Conflict => Code::Aborted,
        Kind::Auth if code == ErrorCode::Unauthenticated => Code::Unauthenticated,
        Kind::Auth => Code::PermissionDenied,
        Kind::Unavailable if code == ErrorCode::Deadline => Code::DeadlineExceeded,
        Kind::Unavailable => Code::Unavailable,
        Kind::Unknown => Code::Unknown,
        Kind::Internal => Code::Internal,
    }
}

/// The nearest code of ours for an answer that no Sekisho server explained. Where the call may have arrived, the
/// outcome is unknown.
fn guess(code: Code) -> ErrorCode {
    match code {
        Code::InvalidArgument => ErrorCode::InvalidArgument,
        // tonic's word for a message above the bound. Where we say it, it is explained.
        Code::OutOfRange => ErrorCode::TooLarge,
        Code::NotFound => ErrorCode::NotFound,
        Code::AlreadyExists => ErrorCode::AlreadyExists,
        Code::PermissionDenied => ErrorCode::PermissionDenied,
        Code::Unauthenticated => ErrorCode::Unauthenticated,
        Code::ResourceExhausted => ErrorCode::Overloaded,
        Code::FailedPrecondition => ErrorCode::WrongPhase,
        Code::Aborted => ErrorCode::RevisionMismatch,
        Code::Unimplemented => ErrorCode::FeatureLevel,
        Code::DeadlineExceeded => ErrorCode::Deadline,
        Code::Unavailable => ErrorCode::NoLeader,
        Code::Ok | Code::Cancelled | Code::Unknown => ErrorCode::OutcomeUnknown,
        Code::Internal | Code::DataLoss => ErrorCode::Internal,
    }
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(MESSAGE_MAX);
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_wire_with_one_error_info() {
        for code in ErrorCode::ALL {
            let error = ApiError::new(*code, "what happened").with("tenant", "acme");
            let status = Status::from(error.clone());
            assert_eq!(status.code(), grpc(*code));
            let infos = status.get_error_details_vec();
            let infos =
                infos.iter().filter(|d| matches!(d, tonic_types::ErrorDetail::ErrorInfo(_)));
            assert_eq!(infos.count(), 1);
            let back = ApiError::from_status(&status);
            assert_eq!((back.code, &back.message), (*code, &error.message));
            assert!(back.explained);
            assert_eq!(back.retry_after.is_some(), code.is_retryable(), "{code}");
            assert_eq!(back.metadata.get("tenant").map(String::as_str), Some("acme"));
            for language in [Language::En, Language::Ja] {
                assert_eq!(back.remedy(language), code.remedy(language));
            }
            let japanese = status.get_error_details();
            let japanese = japanese.localized_message().unwrap();
            assert_eq!(japanese.message, code.text(Language::Ja));
        }
    }

    #[test]
    fn fields_travel_and_long_texts_are_cut() {
        let error = FieldError::new("group", "must be 1 to 1024").within("spec");
        let back = ApiError::from_status(&error.into());
        assert_eq!(back.code, ErrorCode::InvalidArgument);
        let field = Violation { field: "spec.group".into(), must: "must be 1 to 1024".into() };
        assert_eq!(back.fields, [field]);
        let long = Status::from(ApiError::new(ErrorCode::NotFound, "県".repeat(1000)));
        assert!(long.message().len() <= MESSAGE_MAX && long.message().ends_with('県'));
        assert_eq!(
            ApiError::new(ErrorCode::NotFound, "").message,
            ErrorCode::NotFound.text(Language::En)
        );
    }

    #[test]
    fn an_answer_that_no_server_of_ours_gave_is_marked_as_a_guess() {
        for (status, code) in [
            (Status::unavailable("connection refused"), ErrorCode::NoLeader),
            (Status::unknown("h2"), ErrorCode::OutcomeUnknown),
            (Status::deadline_exceeded("late"), ErrorCode::Deadline),
            (Status::unimplemented("no such method"), ErrorCode::FeatureLevel),
            (Status::out_of_range("decoded message length too large"), ErrorCode::TooLarge),
        ] {
            let error = ApiError::from_status(&status);
            assert_eq!((error.code, error.explained), (code, false));
        }
        // Another product's ErrorInfo does not count, a newer code of ours is kept by name.
        let mut details = ErrorDetails::new();
        details.set_error_info("NOT_FOUND", "example.com", HashMap::new());
        let foreign = Status::with_error_details(Code::Internal, "x", details.clone());
        assert_eq!(ApiError::from_status(&foreign).code, ErrorCode::Internal);
        let remedy = HashMap::from([(REMEDY.to_owned(), "do this".to_owned())]);
        details.set_error_info("SOMETHING_NEW", DOMAIN, remedy);
        let newer = ApiError::from_status(&Status::with_error_details(Code::Aborted, "x", details));
        assert_eq!((newer.code, newer.explained), (ErrorCode::RevisionMismatch, true));
        assert_eq!(newer.metadata.get("reason").map(String::as_str), Some("SOMETHING_NEW"));
        assert_eq!(newer.remedy(Language::En), "do this");
    }
}
