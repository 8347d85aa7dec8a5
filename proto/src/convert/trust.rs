//! Changes of the endorser bundle. An agreement travels as the canonical bytes that operators sign.

use crate::field::{FieldError, FieldResult};
use crate::v1;
use sekisho_evidence::canonical::{CanonicalError, decode, encode};
use sekisho_evidence::terms::Agreement;

/// Largest agreement, bytes: a bundle of 16 operators and 16 members with all signatures stays below 16 KiB, terms with
/// sixteen sites and administrators below 32 KiB.
pub const AGREEMENT_MAX: usize = 64 * 1024;

/// What operators agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeBundle {
    /// Terms and signed bundle.
    pub agreement: Box<Agreement>,
}

impl TryFrom<&v1::ChangeBundleRequest> for ChangeBundle {
    type Error = FieldError;
    fn try_from(message: &v1::ChangeBundleRequest) -> FieldResult<Self> {
        let bad = |why: String| FieldError::new("agreement", why);
        if message.agreement.len() > AGREEMENT_MAX {
            return Err(bad(format!("must be at most {AGREEMENT_MAX} bytes")));
        }
        let agreement = decode(&message.agreement).map_err(|error| bad(error.to_string()))?;
        Ok(Self { agreement: Box::new(agreement) })
    }
}

impl ChangeBundle {
    /// The request that stands for it.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn request(&self, intent: v1::Intent) -> Result<v1::ChangeBundleRequest, CanonicalError> {
        let agreement = encode(&self.agreement)?.into();
        Ok(v1::ChangeBundleRequest { agreement, intent: Some(intent) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_evidence::bundle::{EndorserBundle, OperatorSignature, SignedBundle};
    use sekisho_evidence::terms::Terms;
    use sekisho_types::id::{ClusterId, Digest, MemberId, Signature};
    use sekisho_types::revision::Incarnation;

    #[test]
    fn an_agreement_round_trips_and_anything_else_is_refused() {
        let bundle = EndorserBundle {
            cluster: ClusterId([1; 16]),
            incarnation: Incarnation(1),
            version: 2,
            terms: Digest([3; 32]),
            k: 2,
            endorsers: vec![],
            operators: vec![],
        };
        let operator = "kanto".parse().unwrap();
        let signatures = vec![OperatorSignature { operator, signature: Signature([7; 64]) }];
        let signed = SignedBundle { bundle, signatures };
        let terms = Terms::RemoveMember(MemberId(4));
        let change = ChangeBundle { agreement: Box::new(Agreement { terms, signed }) };
        let good = change.request(v1::Intent::default()).unwrap();
        assert_eq!(ChangeBundle::try_from(&good), Ok(change));
        for bad in [vec![], vec![1, 2, 3], vec![0; AGREEMENT_MAX + 1]] {
            let bad = v1::ChangeBundleRequest { agreement: bad.into(), intent: None };
            assert_eq!(ChangeBundle::try_from(&bad).unwrap_err().field, "agreement");
        }
    }
}
