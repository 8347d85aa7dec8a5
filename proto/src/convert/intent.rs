//! Request id and signatures of a mutating request.

use crate::field::{FieldError, FieldResult, array, parsed, required};
use crate::v1;
use sekisho_evidence::command::CommandSignature;
use sekisho_types::id::{PublicKey, RequestId, Signature};
use sekisho_types::revision::Incarnation;

/// Signatures that one request may carry: one for each operator of a large federation.
pub const SIGNATURES_MAX: usize = 16;

/// What every mutating request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The client's id for this intention.
    pub request: RequestId,
    /// Check everything, change nothing.
    pub validate_only: bool,
    /// The caller's own signatures.
    pub signatures: Vec<CommandSignature>,
    /// The incarnation that was signed for, if the caller tells.
    pub incarnation: Option<Incarnation>,
}

impl Intent {
    /// Reads the intent of a request; it is required, because without an id no retry is safe (R3).
    ///
    /// # Errors
    /// [`FieldError`].
    pub fn of(message: Option<&v1::Intent>) -> FieldResult<Self> {
        Self::try_from(required("intent", message)?).map_err(|error| error.within("intent"))
    }
}

impl TryFrom<&v1::Intent> for Intent {
    type Error = FieldError;
    fn try_from(message: &v1::Intent) -> FieldResult<Self> {
        if message.signatures.len() > SIGNATURES_MAX {
            return Err(FieldError::new("signatures", format!("must be at most {SIGNATURES_MAX}")));
        }
        Ok(Self {
            request: parsed("request_id", &message.request_id)?,
            validate_only: message.validate_only,
            signatures: message
                .signatures
                .iter()
                .map(|signature| {
                    signature.try_into().map_err(|e: FieldError| e.within("signatures"))
                })
                .collect::<FieldResult<_>>()?,
            incarnation: Some(Incarnation(message.incarnation)).filter(|told| told.0 > 0),
        })
    }
}

impl From<&Intent> for v1::Intent {
    fn from(intent: &Intent) -> Self {
        Self {
            request_id: intent.request.to_string(),
            validate_only: intent.validate_only,
            signatures: intent.signatures.iter().map(Into::into).collect(),
            incarnation: intent.incarnation.map_or(0, |told| told.0),
        }
    }
}

impl TryFrom<&v1::Signature> for CommandSignature {
    type Error = FieldError;
    fn try_from(message: &v1::Signature) -> FieldResult<Self> {
        Ok(Self {
            principal: parsed("principal", &message.principal)?,
            key: PublicKey(array("public_key", &message.public_key)?),
            signature: Signature(array("signature", &message.signature)?),
        })
    }
}

impl From<&CommandSignature> for v1::Signature {
    fn from(signature: &CommandSignature) -> Self {
        Self {
            principal: signature.principal.to_string(),
            public_key: signature.key.0.to_vec().into(),
            signature: signature.signature.0.to_vec().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent() -> Intent {
        let signature = CommandSignature {
            principal: "kanto/user/alice".parse().unwrap(),
            key: PublicKey([2; 32]),
            signature: Signature([3; 64]),
        };
        let request = RequestId([1; 16]);
        let incarnation = Some(Incarnation(2));
        Intent { request, validate_only: true, signatures: vec![signature], incarnation }
    }

    #[test]
    fn an_intent_round_trips() {
        assert_eq!(Intent::of(Some(&(&intent()).into())), Ok(intent()));
    }

    #[test]
    fn every_bad_field_is_named() {
        assert_eq!(Intent::of(None).unwrap_err().field, "intent");
        let good = v1::Intent::from(&intent());
        let refused = |change: &dyn Fn(&mut v1::Intent)| {
            let mut message = good.clone();
            change(&mut message);
            Intent::of(Some(&message)).unwrap_err().field
        };
        assert_eq!(refused(&|m| m.request_id.clear()), "intent.request_id");
        assert_eq!(refused(&|m| m.request_id.push('0')), "intent.request_id");
        assert_eq!(
            refused(&|m| m.signatures[0].principal = "alice".into()),
            "intent.signatures.principal"
        );
        assert_eq!(
            refused(&|m| m.signatures[0].public_key = vec![0; 31].into()),
            "intent.signatures.public_key"
        );
        assert_eq!(
            refused(&|m| m.signatures[0].signature = vec![0; 65].into()),
            "intent.signatures.signature"
        );
        assert_eq!(
            refused(&|m| m.signatures = vec![m.signatures[0].clone(); 17]),
            "intent.signatures"
        );
    }
}
