//! Refusal receipts: an agent's signed word that, and why, it refused a grant, as COSE_Sign1 (RFC 9052).
//!
//! Must hold: D4 and A2, every refusal leaves a receipt that reaches the log; the receipt releases the grant, so a
//! refused placement's capacity comes back without waiting for a lease (P2).

use crate::cose::{CoseError, Fields, open, seal};
use crate::grant::SessionId;
use crate::key::SigningKey;
use coset::cbor::value::Value;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{ClusterId, Digest, NodeId, PublicKey};
use sekisho_types::limit::TEXT_MAX;
use sekisho_types::revision::PlacementId;
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};

const CONTENT_TYPE: &str = "application/sekisho-refusal.v1+cbor";
const FIELDS: usize = 10;

/// What a receipt says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which federation.
    pub cluster: ClusterId,
    /// Who refuses.
    pub node: NodeId,
    /// In which session.
    pub session: SessionId,
    /// What is refused.
    pub placement: PlacementId,
    /// Digest of the grant as received; of no bytes if it did not parse.
    pub grant: Digest,
    /// The first check that failed.
    pub code: ErrorCode,
    /// In words, at most [`TEXT_MAX`] bytes.
    pub detail: String,
    /// Size of the agent's stored audit head.
    pub log_size: u64,
    /// The agent's wall clock.
    pub time: Timestamp,
}

/// The receipt as signed bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt(pub Vec<u8>);

impl Refusal {
    /// Signs the receipt with the node's receipt key.
    ///
    /// # Errors
    /// [`CoseError::Malformed`] if `detail` is too long.
    pub fn sign(&self, key: &SigningKey) -> Result<Receipt, CoseError> {
        if self.detail.len() > TEXT_MAX {
            return Err(CoseError::Malformed);
        }
        let fields = vec![
            Value::Bytes(self.cluster.0.to_vec()),
            Value::from(self.node.site.as_str()),
            Value::from(self.node.name.as_str()),
            Value::Bytes(self.session.0.to_vec()),
            Value::from(self.placement.to_string()),
            Value::Bytes(self.grant.0.to_vec()),
            Value::from(self.code.as_str()),
            Value::from(self.detail.as_str()),
            Value::from(self.log_size),
            Value::from(self.time.0),
        ];
        seal(CONTENT_TYPE, fields, key).map(Receipt)
    }
}

impl Receipt {
    /// Verifies form and signature; whose key it must be is the state's to say.
    ///
    /// # Errors
    /// [`CoseError`].
    pub fn verify(&self, key: &PublicKey) -> Result<Refusal, CoseError> {
        let opened = open(CONTENT_TYPE, FIELDS, &self.0)?;
        opened.verify(key)?;
        let mut fields = Fields::new(opened.fields);
        let refusal = Refusal {
            cluster: ClusterId(fields.bytes()?),
            node: NodeId { site: fields.parsed()?, name: fields.parsed()? },
            session: SessionId(fields.bytes()?),
            placement: fields.parsed()?,
            grant: Digest(fields.bytes()?),
            code: ErrorCode::parse(&fields.text()?).ok_or(CoseError::Malformed)?,
            detail: fields.text()?,
            log_size: fields.number()?,
            time: Timestamp(fields.number()?),
        };
        if refusal.detail.len() > TEXT_MAX {
            return Err(CoseError::Malformed);
        }
        Ok(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal() -> Refusal {
        Refusal {
            cluster: ClusterId([1; 16]),
            node: "tokyo-1/n-01".parse().unwrap(),
            session: SessionId([5; 16]),
            placement: "p-1-42-0".parse().unwrap(),
            grant: Digest([2; 32]),
            code: ErrorCode::ResidencyOutsideJp,
            detail: "the grant names KR".into(),
            log_size: 99,
            time: Timestamp(1_000),
        }
    }

    #[test]
    fn a_receipt_round_trips_and_every_flipped_bit_is_refused() {
        let key = SigningKey::from_seed(&[3; 32]);
        let receipt = refusal().sign(&key).unwrap();
        assert_eq!(receipt.verify(&key.public()), Ok(refusal()));
        for bit in 0..receipt.0.len() * 8 {
            let mut bytes = receipt.0.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Receipt(bytes).verify(&key.public()).is_err(), "bit {bit}");
        }
        let long = Refusal { detail: "x".repeat(TEXT_MAX + 1), ..refusal() };
        assert_eq!(long.sign(&key), Err(CoseError::Malformed));
    }
}
