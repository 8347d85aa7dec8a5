//! Logging in with an identity provider's token.
//!
//! Must hold: beside joining the only service for peers without a certificate; nothing is proposed before the token, the rules
//! and both keys of the caller were judged, and nothing is issued before apply took the record: it knows which names are
//! the issuer's to give. What comes back is small (D3).
//!
//! It keeps nothing between two calls: who repeats one while the token is good gets the same record anew.

use crate::core::Core;
use crate::issuer::IssueError;
use crate::login::{LoginError, Person};
use sekisho_evidence::voucher::{login_nonce, possesses};
use sekisho_fsm::command::{self, Command};
use sekisho_proto::convert::login::Login;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::{self, login_service_server::LoginService};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::principal::{KeyRecord, Principal, Workload};
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct LoginApi(pub(crate) Arc<Core>);

fn issue(error: IssueError) -> ApiError {
    match error {
        IssueError::Request(why) => {
            ApiError::new(ErrorCode::InvalidArgument, why.clone()).with_field("csr", why)
        }
        IssueError::Issuer(why) => ApiError::new(ErrorCode::Internal, why),
    }
}

fn counted(outcome: &'static str) {
    metrics::counter!("sekisho_api_logins_total", "outcome" => outcome).increment(1);
}

fn turned_away(error: LoginError) -> ApiError {
    let (code, outcome) = match error {
        LoginError::Token(_) => (ErrorCode::LoginTokenInvalid, "token"),
        LoginError::NoRole(_) => (ErrorCode::LoginNoRole, "role"),
        LoginError::Provider(_) => (ErrorCode::LoginProvider, "provider"),
    };
    counted(outcome);
    tracing::warn!(%error, code = code.as_str(), "a login was refused");
    ApiError::new(code, error.to_string())
}

impl Core {
    async fn login(&self, login: &Login) -> Result<v1::LoginResponse, ApiError> {
        let none = || ApiError::new(ErrorCode::LoginNotHere, "it has no login settings");
        let logins = self.logins.as_ref().ok_or_else(none)?;
        let certificate_key = self.issuer.key_of(&login.csr).map_err(issue)?;
        possesses(&login.public_key, &certificate_key, &login.possession).map_err(|_bad| {
            let why = "possession: not by the key that is to be registered";
            ApiError::new(ErrorCode::SignatureInvalid, why)
        })?;
        let nonce = login_nonce(&certificate_key, &login.public_key);
        let person = logins.person(&login.id_token, &nonce).await.map_err(turned_away)?;
        // The earlier of the two clocks: what apply bounds counts from the state's.
        let from = self.replica.state().clock().min(self.clock.wall());
        let expires = person.expires(from);
        let Person { name, role, .. } = person;
        let operator = self.identity.operator.clone();
        let record = KeyRecord {
            principal: Principal { operator, workload: Workload::User { name: name.clone() } },
            role,
            public_key: login.public_key,
            expires,
        };
        let command = Command::Login(Box::new(command::Login {
            voucher: logins.vouch(&record).map_err(issue)?,
            record: record.clone(),
            certificate_key,
            possession: login.possession,
        }));
        let written = self.write_for(self.identity.principal(), command, None).await;
        let revision = written.inspect_err(|_refused| counted("refused"))?;
        let chain = logins.certify(&login.csr, &name, record.expires).map_err(issue)?;
        counted("ok");
        tracing::info!(principal = %record.principal, role = %record.role, %revision, "login");
        Ok(v1::LoginResponse {
            key: Some((&record).into()),
            certificate_chain: chain.into_iter().map(Into::into).collect(),
            revision: revision.0,
        })
    }
}

#[tonic::async_trait]
impl LoginService for LoginApi {
    async fn login(
        &self,
        request: Request<v1::LoginRequest>,
    ) -> Result<Response<v1::LoginResponse>, Status> {
        let login = Login::try_from(request.get_ref())?;
        Ok(Response::new(self.0.login(&login).await?))
    }
}
