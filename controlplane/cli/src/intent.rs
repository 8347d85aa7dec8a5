//! Signing an intention: the client builds the command that the server will build from the request, and signs it.
//!
//! Must hold: A3. What is signed binds cluster, incarnation, request id and the command's canonical bytes, so that
//! no member can turn it into anything else. The key never leaves [`Signer`].

use crate::client::identity;
use crate::context::Context;
use crate::failure::{Failure, of_file};
use sekisho_evidence::command::{CommandSignature, Intention};
use sekisho_evidence::key::SigningKey;
use sekisho_evidence::sealed::{self, seed_of};
use sekisho_fsm::command::Command;
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::v1;
use sekisho_transport::credential::Identity;
use sekisho_transport::pki::signing;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{OperatorId, RequestId};
use sekisho_types::principal::Principal;

/// Somebody who signs.
#[derive(Debug)]
pub struct Signer {
    principal: Principal,
    /// `None` for a context that only reads.
    key: Option<SigningKey>,
}

impl Signer {
    /// The signer of a context whose identity is loaded.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if the signing key is named and cannot be read.
    pub fn new(context: &Context, identity: Identity) -> Result<Self, Failure> {
        let principal =
            Principal { operator: context.operator.clone(), workload: identity.workload() };
        let read =
            |path: &std::path::PathBuf| signing::read(path).map_err(|error| of_file(path, &error));
        Ok(Self { principal, key: context.signing_key.as_ref().map(read).transpose()? })
    }

    /// The seed to seal a payload of this request with; `None` for a context that only reads.
    pub(crate) fn seal_seed(&self, request: &RequestId, of: &sealed::Context) -> Option<[u8; 32]> {
        seed_of(self.key.as_ref()?, request, of).ok()
    }

    /// Whose it is, if it has a key.
    pub(crate) fn operator(&self) -> Option<&OperatorId> {
        self.key.as_ref().map(|_key| &self.principal.operator)
    }

    /// Whom it signs for.
    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Signs what somebody else proposed; `None` for a context that only reads.
    pub(crate) fn join(&self, proposed: &Intention) -> Option<CommandSignature> {
        Some(proposed.sign(self.principal.clone(), self.key.as_ref()?))
    }

    /// The signer of a context.
    ///
    /// # Errors
    /// Whatever is wrong with its files.
    pub fn load(context: &Context) -> Result<Self, Failure> {
        Self::new(context, identity(context)?)
    }
}

/// The intent of a command, signed by everybody who has a key.
///
/// # Errors
/// Never for commands of our types.
pub fn intent(
    context: &Context,
    signers: &[Signer],
    request: RequestId,
    command: &Command,
    validate_only: bool,
) -> Result<v1::Intent, Failure> {
    let digest = command.digest();
    let digest = digest.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
    let intention = Intention {
        cluster: context.cluster,
        incarnation: context.incarnation,
        request,
        command: digest,
    };
    let sign = |signer: &Signer| {
        signer.key.as_ref().map(|key| intention.sign(signer.principal.clone(), key))
    };
    let signatures = signers.iter().filter_map(sign).collect();
    let incarnation = Some(context.incarnation);
    Ok(v1::Intent::from(&Intent { request, validate_only, signatures, incarnation }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{OperatorDir, Plan, SIGN_FILE};
    use sekisho_evidence::genesis::GenesisSite;
    use sekisho_fsm::entry::{Entry, FEATURE_LEVEL};
    use sekisho_transport::pki::file::{CHAIN_FILE, KEY_FILE};
    use sekisho_types::id::{ClusterId, MemberId};
    use sekisho_types::jurisdiction::Area;
    use sekisho_types::principal::TrustDomain;
    use sekisho_types::revision::Incarnation;
    use sekisho_types::time::Timestamp;
    use std::path::Path;

    /// An operator's administrator, with keys in `dir`.
    fn context(dir: &Path, operator: &str, signs: bool) -> Context {
        let own = OperatorDir::new(dir.join(operator));
        let operator: OperatorId = operator.parse().unwrap();
        let plan = Plan {
            operator: operator.clone(),
            trust_domain: TrustDomain::parse(&format!("{operator}.example")).unwrap(),
            site: GenesisSite {
                site: "tokyo-1".parse().unwrap(),
                operator: operator.clone(),
                area: Area::resolve("131016").unwrap(),
                display_name: String::new(),
            },
            members: vec![(MemberId(1), "127.0.0.1:1".to_owned())],
            admin: "admin".parse().unwrap(),
        };
        own.init(&plan, &[], Timestamp(1_780_000_000_000)).unwrap();
        let user = own.user(&plan.admin);
        Context {
            cluster: ClusterId([1; 16]),
            incarnation: Incarnation(1),
            bundle_version: 1,
            bundle: None,
            operator,
            identity: user.join(CHAIN_FILE),
            identity_key: user.join(KEY_FILE),
            signing_key: signs.then(|| user.join(SIGN_FILE)),
            dev: true,
            resolvers: Vec::new(),
            login: None,
            endpoints: Vec::new(),
            roots: Vec::new(),
        }
    }

    #[test]
    fn everybody_signs_exactly_what_apply_will_check() {
        let dir = tempfile::tempdir().unwrap();
        let contexts = [("kanto", true), ("naniwa", true), ("hokuto", false)]
            .map(|(o, signs)| context(dir.path(), o, signs));
        let signers: Vec<Signer> = contexts.iter().map(|c| Signer::load(c).unwrap()).collect();
        let command = Command::RevokeSite { site: "tokyo-1".parse().unwrap() };
        let request = RequestId([9; 16]);
        let sent = intent(&contexts[0], &signers, request, &command, true).unwrap();
        assert!(sent.validate_only);
        // What the member rebuilds from the request, and apply checks.
        let read = Intent::try_from(&sent).unwrap();
        let entry = |command: Command| Entry {
            cluster: contexts[0].cluster,
            incarnation: contexts[0].incarnation,
            proposed_at: Timestamp(0),
            actor: "kanto/user/admin".parse().unwrap(),
            request: read.request,
            feature_level: FEATURE_LEVEL,
            command,
            signatures: Vec::new(),
            payload: Vec::new(),
        };
        let intention = entry(command).intention().unwrap();
        let names: Vec<String> = read.signatures.iter().map(|s| s.principal.to_string()).collect();
        assert_eq!(
            names,
            ["kanto/user/admin", "naniwa/user/admin"],
            "who has no key does not sign"
        );
        assert!(read.signatures.iter().all(|s| s.check(&intention).is_ok()));
        let other = entry(Command::RevokeSite { site: "sakai-1".parse().unwrap() });
        let fits = |s: &CommandSignature| s.check(&other.intention().unwrap()).is_ok();
        assert!(!read.signatures.iter().any(fits));
    }
}
