//! Nodes, their buckets and join tokens.

use crate::field::{FieldError, FieldResult, parsed};
use crate::internal::v1 as internal;
use crate::name::Resource as _;
use crate::v1;
use sekisho_types::device::Bucket;
use sekisho_types::id::{Digest, NodeId};
use sekisho_types::time::Timestamp;

/// A join token to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// SHA-256 of its secret.
    pub token: Digest,
    /// The one node that may join with it.
    pub node: NodeId,
    /// Refused from this instant on.
    pub expires: Timestamp,
    /// Its node needs no approval.
    pub approved: bool,
}

impl TryFrom<&v1::CreateJoinTokenRequest> for NewToken {
    type Error = FieldError;
    fn try_from(message: &v1::CreateJoinTokenRequest) -> FieldResult<Self> {
        Ok(Self {
            token: parsed("secret_sha256", &message.secret_sha256)?,
            node: NodeId::from_field("node", &message.node)?,
            expires: Timestamp(message.expires_ms),
            approved: message.approved,
        })
    }
}

impl NewToken {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::CreateJoinTokenRequest {
        v1::CreateJoinTokenRequest {
            node: self.node.name(),
            secret_sha256: self.token.to_string(),
            expires_ms: self.expires.0,
            intent: Some(intent),
            approved: self.approved,
        }
    }
}

impl TryFrom<&internal::NodeBucket> for Bucket {
    type Error = FieldError;
    fn try_from(message: &internal::NodeBucket) -> FieldResult<Self> {
        let island = u16::try_from(message.island);
        Ok(Self {
            class: parsed("device_class", &message.device_class)?,
            memory_mib: message.memory_mib,
            island: island.map_err(|_range| FieldError::new("island", "must be 0 to 65535"))?,
            count: message.count,
        })
    }
}

impl From<&Bucket> for internal::NodeBucket {
    fn from(bucket: &Bucket) -> Self {
        Self {
            device_class: bucket.class.to_string(),
            memory_mib: bucket.memory_mib,
            island: u32::from(bucket.island),
            count: bucket.count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_round_trip_and_every_bad_field_is_named() {
        let token = NewToken {
            token: Digest([7; 32]),
            node: "tokyo-1/n-01".parse().unwrap(),
            expires: Timestamp(5),
            approved: true,
        };
        let message = token.request(v1::Intent::default());
        assert_eq!(NewToken::try_from(&message), Ok(token));
        let bad = v1::CreateJoinTokenRequest { node: "n-01".into(), ..message.clone() };
        assert_eq!(NewToken::try_from(&bad).unwrap_err().field, "node");
        let bad = v1::CreateJoinTokenRequest { secret_sha256: "ff".into(), ..message };
        assert_eq!(NewToken::try_from(&bad).unwrap_err().field, "secret_sha256");
    }

    #[test]
    fn buckets_round_trip_and_every_bad_field_is_named() {
        let bucket = Bucket {
            class: "h100-80g".parse().unwrap(),
            memory_mib: 81_559,
            island: u16::MAX,
            count: 8,
        };
        let message = internal::NodeBucket::from(&bucket);
        assert_eq!(Bucket::try_from(&message), Ok(bucket));
        let bad = internal::NodeBucket { island: 65_536, ..message.clone() };
        assert_eq!(Bucket::try_from(&bad).unwrap_err().field, "island");
        let bad = internal::NodeBucket { device_class: "H100".into(), ..message };
        assert_eq!(Bucket::try_from(&bad).unwrap_err().field, "device_class");
    }
}
