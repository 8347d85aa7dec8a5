//! How this program fails: a code, a cause, a remedy, and the exit code that scripts see.

use sekisho_agent_core::reason::Reason;
use sekisho_proto::phrase::say;
use sekisho_proto::status::ApiError;
use sekisho_types::cause::explain;
use sekisho_types::error_code::{ErrorCode, Kind, Language};
use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// Why the program ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Stable code.
    pub code: ErrorCode,
    /// What is wrong in this case.
    pub cause: String,
    remedy: Option<String>,
}

impl Failure {
    /// A failure with the remedy of its code.
    pub fn new(code: ErrorCode, cause: impl Into<String>) -> Self {
        Self { code, cause: cause.into(), remedy: None }
    }

    /// With a remedy of its own.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// A fault of this host, with the causes behind it.
    pub fn host(what: &str, error: &dyn std::error::Error) -> Self {
        Self::new(ErrorCode::Internal, format!("{what}: {}", explain(error)))
            .remedy("See the cause; the agent can be started again.")
    }

    /// The numbers of `sekisho`, except that 4 also stands for every refusal that no retry can change.
    #[must_use]
    pub fn exit(&self) -> u8 {
        if self.code == ErrorCode::Deadline {
            return 8;
        }
        match self.code.kind() {
            Kind::Invalid => 2,
            Kind::NotFound => 3,
            Kind::Auth | Kind::Never => 4,
            Kind::Conflict => 5,
            Kind::NotYet | Kind::Precondition => 6,
            Kind::Unavailable => 7,
            Kind::Unknown => 8,
            Kind::Internal => 1,
        }
    }

    /// For whoever reads this language.
    #[must_use]
    pub fn text(&self, language: Language) -> String {
        let own = self.remedy.as_deref().filter(|own| *own != self.code.remedy(Language::En));
        let remedy =
            own.map_or_else(|| self.code.remedy(language).to_owned(), |own| say(own, language));
        let cause = say(&self.cause, language);
        let fix = match language {
            Language::En => "fix",
            Language::Ja => "対処",
        };
        format!("sekisho-agent: {}: {cause}\n  {fix}: {remedy}", self.code)
    }

    /// Tells standard error, in the language of the environment, and returns the exit code.
    #[must_use]
    pub fn report(&self) -> ExitCode {
        let language = Language::of_environment(|name| std::env::var(name).ok());
        // Nobody is left to tell when that fails.
        drop(writeln!(io::stderr(), "{}", self.text(language)));
        ExitCode::from(self.exit())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(Language::En))
    }
}

impl std::error::Error for Failure {}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let remedy = error.remedy(Language::En).to_owned();
        Self { code: error.code, cause: error.message, remedy: Some(remedy) }
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self::new(reason.code, reason.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_people_can_tell_failures_apart() {
        let exits = [
            (ErrorCode::ResidencyOutsideJp, 4),
            (ErrorCode::TokenUsed, 4),
            (ErrorCode::InvalidArgument, 2),
            (ErrorCode::AlreadyExists, 5),
            (ErrorCode::NoLeader, 7),
            (ErrorCode::Deadline, 8),
            (ErrorCode::Internal, 1),
        ];
        for (code, exit) in exits {
            assert_eq!(Failure::new(code, "").exit(), exit, "{code}");
        }
        let text = Failure::new(ErrorCode::ResidencyOutsideJp, "KR-26").to_string();
        assert!(text.starts_with("sekisho-agent: RESIDENCY_OUTSIDE_JP: KR-26\n  fix: Nothing"));
    }

    #[test]
    fn a_refusal_is_told_in_the_language_of_the_environment() {
        let refused = ApiError::new(ErrorCode::TokenUsed, "the token was used");
        let text = Failure::from(refused).text(Language::Ja);
        assert!(text.contains("トークンは使用済みです"), "{text}");
        assert!(text.ends_with(ErrorCode::TokenUsed.remedy(Language::Ja)), "{text}");
        let own = Failure::new(ErrorCode::AlreadyExists, "x").remedy("Stop it first.");
        assert!(own.text(Language::Ja).ends_with("対処: Stop it first."));
    }
}
