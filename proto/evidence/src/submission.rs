//! What a submitter signed, with all that is needed to verify it offline.
//!
//! Must hold: D4, A3. A grant starts nothing that nobody submitted, and no job elsewhere or otherwise than as its
//! submitter signed it: k members' keys do not suffice, a person's key is needed that the person's own operator
//! vouches for.
//! Does not hold: `submitted_at`, and the content of a *named* policy, are the word of those who signed the grant, and
//! so is whether a job was run or cancelled before. A key that was taken back is known to the state, not here.

use crate::batch::{Place, PlaceError};
use crate::bundle::EndorserBundle;
use crate::canonical::{CanonicalError, decode, encode};
use crate::command::{CommandSignature, Intention};
use crate::grant::{BoundRules, Grant};
use crate::voucher::{Voucher, VoucherError};
use sekisho_types::id::{Digest, OperatorId, PolicyId, RequestId, TenantId};
use sekisho_types::job::JobFacts;
use sekisho_types::principal::{KeyRecord, Principal, Role};
use sekisho_types::revision::Incarnation;
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Number of the state machine's command `SubmitJob`. Commands are append-only, so it never moves; a test beside
/// them holds the two together.
pub const SUBMIT_JOB: u32 = 18;

/// Number of the state machine's command `ResealJob`; held in place in the same way.
pub const RESEAL_JOB: u32 = 41;

/// Number of the state machine's command `ReplaceJob`; held in place in the same way.
pub const REPLACE_JOB: u32 = 62;

/// Number of `SubmitJob` among the items of a batch; held in place in the same way.
pub const SUBMIT_ITEM: u32 = 0;

/// Bytes of a submission at most: rules of full length take less than half, and it travels beside a payload.
pub const SUBMISSION_MAX: usize = 64 * 1024;

/// The command that bears the signature under a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Under {
    /// [`SUBMIT_JOB`], by itself or in a batch.
    Submit,
    /// [`RESEAL_JOB`]: the payload was sealed anew while the job was queued.
    Reseal,
    /// [`REPLACE_JOB`]: the service runs this from then on.
    Replace,
}

/// A job as it was submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// What was asked for.
    pub facts: JobFacts,
    /// Where the command stood in a batch, if it came in one: then the signature binds the batch.
    pub place: Option<Place>,
    /// Request id that the signature binds.
    pub request: RequestId,
    /// Life of the federation in which it was asked.
    pub incarnation: Incarnation,
    /// When, on the state clock.
    pub submitted_at: Timestamp,
    /// The submitter's signature under the command.
    pub signature: CommandSignature,
    /// The submitter's registered key.
    pub key: KeyRecord,
    /// How the submitter's operator vouches for that record.
    pub voucher: Voucher,
    /// What was signed. Only [`Under::Submit`] may come in a batch.
    pub under: Under,
}

/// Why a submission does not stand behind a grant: the first check that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmissionError {
    /// Longer than [`SUBMISSION_MAX`].
    #[error("the submission has {0} bytes, at most {SUBMISSION_MAX} are read")]
    TooLarge(usize),
    /// Not canonical bytes of a submission.
    #[error("the submission does not parse")]
    Malformed(#[source] CanonicalError),
    /// Not the one that the grant names.
    #[error("the grant names submission {granted}, this is {found}")]
    Digest {
        /// In the grant.
        granted: Digest,
        /// Of these bytes.
        found: Digest,
    },
    /// The batch that was signed has no such command.
    #[error("the submission is not in the batch that it names")]
    Place(#[source] PlaceError),
    /// The submitter has not signed this command, for this cluster and life.
    #[error("the submitter's signature does not verify")]
    Signature,
    /// Signer, key and grant name different people.
    #[error("signed by {0} or with a key of {0}, who is not the submitter that the grant names")]
    Principal(Principal),
    /// The key record is about another key than the one that signed.
    #[error("the key record is about another key than the one that signed")]
    Key,
    /// The submitter's operator is none of the bundle's.
    #[error("operator {0} of the submitter is not in the endorser bundle")]
    Operator(OperatorId),
    /// The operator does not vouch for the key record.
    #[error("operator {0} does not vouch for the submitter's key")]
    Issuer(OperatorId, #[source] VoucherError),
    /// The key had expired.
    #[error("the submitter's key expired before the submission")]
    Expired,
    /// The role may not submit for the tenant.
    #[error("role {role} may not submit for tenant {tenant}")]
    Role {
        /// Of the key.
        role: Role,
        /// Of the job.
        tenant: TenantId,
    },
    /// The grant is for something else than was asked for.
    #[error("{0}: not as it was submitted")]
    Facts(&'static str),
    /// The grant shares a device that the submitter did not agree to share so, or the other way round.
    #[error("shares a device otherwise than was agreed")]
    Sharing,
    /// The grant binds the job by other rules than the submitter signed.
    #[error("the rules that the submitter signed do not bind the grant")]
    Rules,
    /// The policy that the submitter named does not bind the grant.
    #[error("the policy that the submitter named does not bind the grant")]
    Policy,
    /// Submitted in another life of the federation than granted: nothing of before is placed again.
    #[error("submitted in incarnation {submitted}, granted in {granted}")]
    Incarnation {
        /// Of the submission.
        submitted: Incarnation,
        /// Of the grant.
        granted: Incarnation,
    },
}

/// Whether this role lets somebody submit jobs for the tenant. The table of roles has the same rule.
#[must_use]
pub fn may_submit(role: &Role, tenant: &TenantId) -> bool {
    match role {
        Role::TenantAdmin(own) | Role::TenantUser(own) => own == tenant,
        Role::FederationAdmin
        | Role::OperatorAdmin
        | Role::Auditor
        | Role::Monitor
        | Role::Archivist(_)
        | Role::Registrar(_)
        | Role::Agent
        | Role::Member => false,
    }
}

/// Canonical bytes of the command that submits these facts. The commands themselves lie above this crate.
///
/// # Errors
/// Never for this type; see [`encode`].
pub fn submit_command(facts: &JobFacts) -> Result<Vec<u8>, CanonicalError> {
    encode(&(SUBMIT_JOB, facts))
}

/// As [`submit_command`], for the command that seals anew.
///
/// # Errors
/// Never for this type; see [`encode`].
pub fn reseal_command(facts: &JobFacts) -> Result<Vec<u8>, CanonicalError> {
    encode(&(RESEAL_JOB, facts))
}

/// As [`submit_command`], for the command that replaces a service.
///
/// # Errors
/// Never for this type; see [`encode`].
pub fn replace_command(facts: &JobFacts) -> Result<Vec<u8>, CanonicalError> {
    encode(&(REPLACE_JOB, facts))
}

/// As [`submit_command`], for one command of a batch.
///
/// # Errors
/// Never for this type; see [`encode`].
pub fn submit_item(facts: &JobFacts) -> Result<Vec<u8>, CanonicalError> {
    encode(&(SUBMIT_ITEM, facts))
}

impl Submission {
    /// Canonical bytes.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        encode(self)
    }

    /// SHA-256 of the canonical bytes: what a grant names.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        Ok(Digest::of(&self.bytes()?))
    }

    /// Reads a submission. Nothing of it is verified yet.
    ///
    /// # Errors
    /// [`SubmissionError::TooLarge`] or [`SubmissionError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SubmissionError> {
        if bytes.len() > SUBMISSION_MAX {
            return Err(SubmissionError::TooLarge(bytes.len()));
        }
        decode(bytes).map_err(SubmissionError::Malformed)
    }

    /// Checks that it stands behind `grant`: signed by the submitter, whose operator in `bundle` vouches for the key,
    /// and granted as it was signed.
    ///
    /// # Errors
    /// The first [`SubmissionError`], in the order of its variants.
    pub fn check(&self, bundle: &EndorserBundle, grant: &Grant) -> Result<(), SubmissionError> {
        let found = self.digest().map_err(SubmissionError::Malformed)?;
        if found != grant.submission {
            return Err(SubmissionError::Digest { granted: grant.submission, found });
        }
        self.signed(grant)?;
        self.vouched_for(bundle)?;
        if self.key.expires <= self.submitted_at {
            return Err(SubmissionError::Expired);
        }
        let tenant = &grant.job.tenant;
        if !may_submit(&self.key.role, tenant) {
            let (role, tenant) = (self.key.role.clone(), tenant.clone());
            return Err(SubmissionError::Role { role, tenant });
        }
        self.granted_as_signed(grant)?;
        let (submitted, granted) = (self.incarnation, grant.placement.epoch.incarnation);
        if submitted != granted {
            return Err(SubmissionError::Incarnation { submitted, granted });
        }
        Ok(())
    }

    /// Digest of the command that was signed: this one, or the batch that has it.
    fn command(&self) -> Result<Digest, SubmissionError> {
        let Some(place) = &self.place else {
            let of = match self.under {
                Under::Submit => submit_command,
                Under::Reseal => reseal_command,
                Under::Replace => replace_command,
            };
            let command = of(&self.facts).map_err(SubmissionError::Malformed)?;
            return Ok(Digest::of(&command));
        };
        if self.under != Under::Submit {
            // No batch does that: the mark would be nobody's word.
            return Err(SubmissionError::Signature);
        }
        let item = submit_item(&self.facts).map_err(SubmissionError::Malformed)?;
        place.digest(&item).map_err(SubmissionError::Place)
    }

    /// The command bears the submitter's signature.
    fn signed(&self, grant: &Grant) -> Result<(), SubmissionError> {
        let intention = Intention {
            cluster: grant.cluster,
            incarnation: self.incarnation,
            request: self.request,
            command: self.command()?,
        };
        self.signature.check(&intention).map_err(|_bad| SubmissionError::Signature)?;
        for named in [&self.signature.principal, &self.key.principal] {
            if *named != grant.submitter {
                return Err(SubmissionError::Principal(named.clone()));
            }
        }
        if self.key.public_key == self.signature.key { Ok(()) } else { Err(SubmissionError::Key) }
    }

    /// The submitter's own operator, and no other, says that the key is the submitter's.
    fn vouched_for(&self, bundle: &EndorserBundle) -> Result<(), SubmissionError> {
        let operator = &self.key.principal.operator;
        let keys =
            bundle.keys(operator).ok_or_else(|| SubmissionError::Operator(operator.clone()))?;
        self.voucher
            .check(keys, &self.key)
            .map_err(|why| SubmissionError::Issuer(operator.clone(), why))
    }

    fn granted_as_signed(&self, grant: &Grant) -> Result<(), SubmissionError> {
        let (facts, wanted) = (&self.facts, &self.facts.resources);
        let same = [
            (facts.id == grant.job.whole() && facts.kind.has(grant.job.task), "job"),
            (facts.payload == grant.payload, "payload"),
            (wanted.class == grant.class, "class"),
            (wanted.gpus == grant.gpus, "gpus"),
            // The bucket may have more than was asked for.
            (wanted.memory_mib <= grant.memory_mib, "memory"),
            (wanted.units <= grant.units, "units"),
            (facts.group == grant.group && grant.rank < grant.group, "group"),
            (facts.on_disconnect == grant.on_disconnect, "on_disconnect"),
            (facts.time_limit_s == grant.time_limit_s, "time_limit"),
        ];
        if let Some((_, what)) = same.iter().find(|(same, _)| !same) {
            return Err(SubmissionError::Facts(what));
        }
        if wanted.sharing != grant.sharing() {
            return Err(SubmissionError::Sharing);
        }
        // All rule sets of a grant must allow the place: those beside the submitter's own can only narrow.
        let own = |bound: &BoundRules| bound.policy.is_none() && bound.rules == facts.residency;
        if !grant.rules.iter().any(own) {
            return Err(SubmissionError::Rules);
        }
        let named = |id: &PolicyId| {
            grant.rules.iter().any(|bound| bound.policy.as_ref().is_some_and(|(p, _)| p == id))
        };
        if !facts.policy.as_ref().is_none_or(named) {
            return Err(SubmissionError::Policy);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
