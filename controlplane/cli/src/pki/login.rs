//! What an operator's keys are for when its people log in: a registrar for its controllers, and the signing of requests.

use super::{ISSUER_SIGN_FILE, OperatorDir, new_key, pki, private_dir};
use crate::command::login::request::{SignedRequest, SigningRequest};
use crate::failure::{Failure, of_file};
use sekisho_evidence::canonical::encode;
use sekisho_evidence::key::Purpose;
use sekisho_evidence::terms::IssuedKey;
use sekisho_evidence::voucher::possesses;
use sekisho_transport::pki::file::{self, REGISTRAR_FILE, REGISTRAR_KEY_FILE};
use sekisho_transport::pki::{Csr, Issuer, OperatorCa, Validity, signing};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::Signature;
use sekisho_types::limit::LOGIN_LIFETIME_MAX;
use sekisho_types::name::Name;
use sekisho_types::principal::{KeyRecord, Principal, REGISTRAR_ROLES_MAX, Role, Workload};
use sekisho_types::time::Timestamp;
use std::path::PathBuf;
use std::time::Duration;

/// Longest life of a registrar: a quarter. Its key lies on controllers, and whoever takes it makes people until then.
pub const REGISTRAR_LIFETIME_MAX: Duration = Duration::from_secs(92 * 86_400);

/// What is made of a request.
#[derive(Debug)]
pub struct Grant {
    /// Who asks.
    pub name: Name,
    /// In which role.
    pub role: Role,
    /// For how long, hours.
    pub hours: u64,
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl OperatorDir {
    /// The directory of its registrar.
    #[must_use]
    pub fn login(&self) -> PathBuf {
        self.path().join("login")
    }

    /// A registrar: a key with the issuer's word on which roles it may give, and an issuer for people alone. Repeatable: the
    /// key stays.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a role that no login gives, or without the root's key.
    pub fn registrar(
        &self,
        name: Name,
        roles: &[Role],
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<(PathBuf, IssuedKey), Failure> {
        let named = |role: &Role| {
            role.for_login().ok_or_else(|| Failure::invalid(format!("no login gives {role}")))
        };
        let given = roles.iter().map(named).collect::<Result<Vec<_>, _>>()?;
        if given.len() > REGISTRAR_ROLES_MAX {
            return Err(Failure::invalid(format!("--role: at most {REGISTRAR_ROLES_MAX}")));
        }
        let operator = self.card()?.keys.operator;
        let issuer_key = self.issuer_key()?;
        let ca = OperatorCa::load(self.path()).map_err(|error| pki(&error))?;
        let dir = self.login();
        private_dir(&dir)?;
        let people = ca.login_issuer(now).map_err(|error| pki(&error))?;
        people.save(&dir).map_err(|error| pki(&error))?;
        let path = dir.join(REGISTRAR_KEY_FILE);
        let key = if path.exists() {
            signing::read(&path).map_err(|error| of_file(&path, &error))?
        } else {
            new_key(&path)?
        };
        let record = KeyRecord {
            principal: Principal { operator, workload: Workload::User { name } },
            role: Role::Registrar(given),
            public_key: key.public(),
            expires: now.plus_ms(ms(lifetime)),
        };
        let issued = IssuedKey { issuer: self.vouch(&issuer_key, &record)?, record };
        let text = serde_json::to_string_pretty(&issued)
            .map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        file::write(&dir.join(REGISTRAR_FILE), &text)
            .map_err(|error| Failure::invalid(error.to_string()))?;
        Ok((dir, issued))
    }

    fn vouch(
        &self,
        key: &sekisho_evidence::key::SigningKey,
        record: &KeyRecord,
    ) -> Result<Signature, Failure> {
        let named = self.path().join(ISSUER_SIGN_FILE);
        let bytes = encode(record).map_err(|error| of_file(&named, &error))?;
        Ok(key.sign(Purpose::KeyRecord, &bytes))
    }

    /// A certificate and a signed record for the keys of a request.
    ///
    /// # Errors
    /// `SIGNATURE_INVALID` for a request that does not prove possession of its keys; `INVALID_ARGUMENT` for another
    /// operator's, and for a role that no login gives.
    pub fn sign_request(
        &self,
        request: &SigningRequest,
        grant: Grant,
        now: Timestamp,
    ) -> Result<SignedRequest, Failure> {
        let Grant { name, role, hours } = grant;
        let operator = self.card()?.keys.operator;
        if request.operator != operator {
            let why = format!("the request is to {}, this is {operator}", request.operator);
            return Err(Failure::invalid(why));
        }
        if role.for_login().is_none() {
            let fix = "Register such a key with `sekisho key register`.";
            return Err(Failure::invalid(format!("no login gives {role}")).remedy(fix));
        }
        let lifetime = Duration::from_secs(hours.saturating_mul(3600));
        if lifetime.is_zero() || lifetime > LOGIN_LIFETIME_MAX {
            return Err(Failure::invalid("--hours: 1 to 12"));
        }
        let unproven = |why: String| Failure::new(ErrorCode::SignatureInvalid, why);
        let csr =
            Csr::verify(request.csr.as_bytes()).map_err(|error| unproven(error.to_string()))?;
        possesses(&request.public_key, &csr.spki_sha256(), &request.possession)
            .map_err(|_bad| unproven("the request does not prove possession of its key".into()))?;
        let issuer = Issuer::load(self.path()).map_err(|error| pki(&error))?;
        let validity = Validity { now, lifetime };
        let issued = issuer
            .issue_user_from_csr(request.csr.as_bytes(), &name, validity)
            .map_err(|error| pki(&error))?;
        let record = KeyRecord {
            principal: Principal { operator, workload: Workload::User { name } },
            role,
            public_key: request.public_key,
            expires: issued.not_after,
        };
        let issuer = self.vouch(&self.issuer_key()?, &record)?;
        Ok(SignedRequest { record, issuer, certificate_chain: issued.chain_pem })
    }
}
