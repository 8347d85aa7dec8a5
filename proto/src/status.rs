//! Errors on the wire: our stable codes inside `google.rpc.Status`, in both directions.
//!
//! Must hold: every error that leaves a server has exactly one `ErrorInfo` with the code as reason and the domain
//! [`DOMAIN`]; clients decide by it, never by the gRPC code, which only serves foreign tooling:
//!
//! | kind | gRPC code |
//! |---|---|
//! | never, precondition | `FAILED_PRECONDITION`; `OUT_OF_RANGE` for a revision whose changes are not kept, `UNIMPLEMENTED` for an unknown method |
//! | not yet | `RESOURCE_EXHAUSTED`: quota and room are what has to be waited for |
//! | invalid | `INVALID_ARGUMENT` |
//! | not found | `NOT_FOUND` |
//! | conflict | `ALREADY_EXISTS` for a taken name, else `ABORTED` |
//! | auth | `UNAUTHENTICATED` without a valid certificate, else `PERMISSION_DENIED` |
//! | unavailable | `UNAVAILABLE`; `DEADLINE_EXCEEDED` for a passed deadline |
//! | unknown | `UNKNOWN` |
//! | internal | `INTERNAL` |
//!
//! Beside it stand the details that the improvement proposals ask for, each at most once (AIP-193): `BadRequest` of wrong
//! fields, `QuotaFailure`, `PreconditionFailure`, `ResourceInfo` of what is named, `LocalizedMessage` in the caller's
//! language. Only retryable codes carry `RetryInfo`. Sizes are bounded: all of it travels in HTTP/2 headers.

use crate::field::FieldError;
use crate::phrase::{arguments, say};
use sekisho_types::error_code::{ErrorCode, Kind, Language};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Domain of every `ErrorInfo` of ours.
pub const DOMAIN: &str = "sekisho";
/// Metadata key under which the remedy travels: a client older than the code still shows it.
const REMEDY: &str = "remedy";
/// Metadata key of the resource that an error is about.
const RESOURCE: &str = "resource";
/// Metadata of a call that says in which language its caller reads.
pub const ACCEPT_LANGUAGE: &str = "accept-language";
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

    /// Adds what the message's own sentence names, for programs: what stands there already holds.
    #[must_use]
    pub fn with_arguments(mut self) -> Self {
        let message = self.message.clone();
        for (name, value) in arguments(&message) {
            self.metadata.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
        self
    }

    /// What is wrong, in this language: the code's sentence, and what is known beyond it.
    #[must_use]
    pub fn localized(&self, language: Language) -> String {
        let sentence = self.code.text(language);
        if self.message == self.code.text(Language::En) {
            return sentence.to_owned();
        }
        let head = sentence.trim_end_matches(['.', '。']);
        format!("{head}: {}", say(&self.message, language))
    }

    /// On the wire, for a caller who reads this language.
    #[must_use]
    pub fn into_status(self, language: Language) -> Status {
        let mut details = ErrorDetails::new();
        let metadata = self.metadata.iter().filter(|(key, _)| *key != REMEDY).take(PARTS_MAX);
        let mut metadata: HashMap<String, String> =
            metadata.map(|(key, value)| (key.clone(), cut(value))).collect();
        metadata.insert(REMEDY.to_owned(), self.code.remedy(Language::En).to_owned());
        details
            .set_error_info(self.code.as_str(), DOMAIN, metadata)
            .set_localized_message(language.tag(), cut(&self.localized(language)));
        for violation in self.fields.iter().take(PARTS_MAX) {
            details.add_bad_request_violation(cut(&violation.field), cut(&violation.must));
        }
        if self.code.is_retryable() {
            details.set_retry_info(self.retry_after.or(Some(RETRY_AFTER)));
        }
        self.detail(&mut details);
        Status::with_error_details(grpc(self.code), cut(&self.message), details)
    }

    /// The details that belong to a code, made of what the message names.
    fn detail(&self, details: &mut ErrorDetails) {
        let of = |key: &str| self.metadata.get(key).map(|value| cut(value));
        let message = cut(&self.message);
        let code = self.code;
        if matches!(code, ErrorCode::QuotaExceeded | ErrorCode::QuotaNone) {
            let subject = of("tenant").map_or_else(String::new, |id| format!("tenants/{id}"));
            details.add_quota_failure_violation(subject, message);
        } else if matches!(code, ErrorCode::NotFound | ErrorCode::AlreadyExists) {
            if let Some(name) = of(RESOURCE) {
                let kind = name.rsplit('/').nth(1).unwrap_or_default().to_owned();
                details.set_resource_info(kind, name, "", message);
            }
        } else if code == ErrorCode::RevisionMismatch || code.kind() == Kind::Precondition {
            let is_etag = code == ErrorCode::RevisionMismatch;
            let kind = if is_etag { "ETAG" } else { code.as_str() };
            details.add_precondition_failure_violation(
                kind,
                of(RESOURCE).unwrap_or_default(),
                message,
            );
        }
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

/// In English; who answers a call says it in the caller's language.
impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        error.into_status(Language::default())
    }
}

/// The gRPC code that foreign tooling sees; the table at the top.
#[must_use]
pub fn grpc(code: ErrorCode) -> Code {
    match code.kind() {
        Kind::Precondition if code == ErrorCode::RevisionCompacted => Code::OutOfRange,
        Kind::Precondition if code == ErrorCode::MethodUnknown => Code::Unimplemented,
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
        Code::Unimplemented => ErrorCode::MethodUnknown,
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
    use std::collections::HashSet;

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
            for language in [Language::En, Language::Ja] {
                let status = error.clone().into_status(language);
                let told = status.get_error_details().localized_message().cloned().unwrap();
                assert_eq!(told.locale, language.tag());
                assert_eq!(told.message, error.localized(language));
                assert_eq!(status.message(), error.message, "for logs and programs");
            }
        }
    }

    #[test]
    fn details_stand_once_each_and_only_where_they_mean_something() {
        let details = |code, key: &str, value: &str| {
            let status = Status::from(ApiError::new(code, "why").with(key, value));
            let all = status.get_error_details_vec();
            let kinds: HashSet<_> = all.iter().map(std::mem::discriminant).collect();
            assert_eq!(kinds.len(), all.len(), "{code}");
            status.get_error_details()
        };
        let quota = details(ErrorCode::QuotaNone, "tenant", "sapporo");
        assert_eq!(quota.quota_failure().unwrap().violations[0].subject, "tenants/sapporo");
        let gone = details(ErrorCode::NotFound, "resource", "tenants/sapporo/jobs/train");
        let resource = gone.resource_info().unwrap();
        assert_eq!((&*resource.resource_type, &*resource.owner), ("jobs", ""));
        assert!(details(ErrorCode::NotFound, "other", "x").resource_info().is_none());
        let etag = details(ErrorCode::RevisionMismatch, "resource", "policies/p");
        assert_eq!(etag.precondition_failure().unwrap().violations[0].r#type, "ETAG");
        let phase = details(ErrorCode::WrongPhase, "x", "y");
        assert_eq!(phase.precondition_failure().unwrap().violations[0].r#type, "WRONG_PHASE");
        assert!(details(ErrorCode::Internal, "x", "y").precondition_failure().is_none());
    }

    #[test]
    fn a_message_is_told_in_the_readers_language_and_its_values_to_programs() {
        let words = "sapporo has room for 2 h100, the job needs 4";
        let error = ApiError::new(ErrorCode::QuotaExceeded, words).with("room", "kept");
        let error = error.with_arguments();
        assert!(
            error
                .localized(Language::Ja)
                .starts_with("テナントの割当枠を使い切っています: sapporo に")
        );
        assert_eq!(error.metadata["need"], "4");
        assert_eq!(error.metadata["room"], "kept");
        let plain = ApiError::new(ErrorCode::NotFound, "");
        assert_eq!(plain.localized(Language::Ja), ErrorCode::NotFound.text(Language::Ja));
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
            (Status::unimplemented("no such method"), ErrorCode::MethodUnknown),
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
