//! Nodes, their buckets and join tokens.

use crate::field::{FieldError, FieldResult, array, parsed};
use crate::internal::v1 as internal;
use crate::name::Resource as _;
use crate::v1;
use sekisho_types::device::{Bucket, BucketKind, Part};
use sekisho_types::id::{Digest, NodeId};
use sekisho_types::limit::BUCKET_DEVICES_MAX;
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
        use internal::node_bucket::Kind;
        let most = usize::try_from(BUCKET_DEVICES_MAX).unwrap_or(usize::MAX);
        if message.parts.len() > most {
            return Err(FieldError::new("parts", format!("must have at most {most} entries")));
        }
        let island = u16::try_from(message.island);
        let kind = match Kind::try_from(message.kind) {
            Ok(Kind::Whole) => BucketKind::Whole,
            Ok(Kind::Mig) => BucketKind::Mig(parsed("profile", &message.profile)?),
            Ok(Kind::Shared) => BucketKind::Shared,
            Ok(Kind::Unspecified) | Err(_) => {
                return Err(FieldError::new("kind", "must be a known kind"));
            }
        };
        Ok(Self {
            class: parsed("device_class", &message.device_class)?,
            memory_mib: message.memory_mib,
            island: island.map_err(|_range| FieldError::new("island", "must be 0 to 65535"))?,
            count: message.count,
            units: message.units,
            kind,
            parts: message.parts.iter().map(part).collect::<FieldResult<_>>()?,
            watts: message.watts,
        })
    }
}

fn part(message: &internal::DevicePart) -> FieldResult<Part> {
    let id = Digest(array("parts.id", &message.id)?);
    let same = message.gpu.is_empty();
    let gpu = if same { id } else { Digest(array("parts.gpu", &message.gpu)?) };
    Ok(Part { id, gpu })
}

impl From<&Bucket> for internal::NodeBucket {
    fn from(bucket: &Bucket) -> Self {
        use internal::node_bucket::Kind;
        let (kind, profile) = match &bucket.kind {
            BucketKind::Whole => (Kind::Whole, String::new()),
            BucketKind::Mig(profile) => (Kind::Mig, profile.to_string()),
            BucketKind::Shared => (Kind::Shared, String::new()),
        };
        let part = |part: &Part| {
            let gpu = Some(part.gpu).filter(|gpu| *gpu != part.id);
            internal::DevicePart {
                id: part.id.0.to_vec().into(),
                gpu: gpu.map(|gpu| gpu.0.to_vec().into()).unwrap_or_default(),
            }
        };
        Self {
            device_class: bucket.class.to_string(),
            memory_mib: bucket.memory_mib,
            island: u32::from(bucket.island),
            count: bucket.count,
            units: bucket.units,
            kind: kind.into(),
            profile,
            parts: bucket.parts.iter().map(part).collect(),
            watts: bucket.watts,
        }
    }
}

/// A bucket as people see it, of which so many devices or shares are charged.
#[must_use]
pub fn shown(bucket: &Bucket, used: u32) -> v1::Bucket {
    use v1::bucket::Kind;
    let (kind, profile) = match &bucket.kind {
        BucketKind::Whole => (Kind::Whole, String::new()),
        BucketKind::Mig(profile) => (Kind::Mig, profile.to_string()),
        BucketKind::Shared => (Kind::Shared, String::new()),
    };
    v1::Bucket {
        device_class: bucket.class.to_string(),
        memory_mib: bucket.memory_mib,
        island: u32::from(bucket.island),
        count: bucket.count,
        used,
        units: bucket.units,
        kind: kind.into(),
        profile,
        watts: bucket.rated_watts(),
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
        let id = |n| Digest([n; 32]);
        let class = |class: &str| class.parse().unwrap();
        let whole = Bucket::whole(class("h100-80g"), 81_559, u16::MAX, [id(1), id(2)]);
        let mig = Bucket {
            class: class("h100-80g-1g-10gb"),
            count: 1,
            units: 1,
            kind: BucketKind::Mig("1g.10gb".parse().unwrap()),
            parts: vec![Part { id: id(4), gpu: id(3) }],
            watts: 100,
            ..whole
        };
        let shared = Bucket {
            class: class("h100-80g-shared"),
            count: 4,
            kind: BucketKind::Shared,
            parts: vec![Part::whole(id(5))],
            ..whole
        };
        for bucket in [&whole, &mig, &shared] {
            let message = internal::NodeBucket::from(bucket);
            assert_eq!(Bucket::try_from(&message).as_ref(), Ok(bucket));
        }
        let refused = |change: &dyn Fn(&mut internal::NodeBucket)| {
            let mut message = internal::NodeBucket::from(&mig);
            change(&mut message);
            Bucket::try_from(&message).unwrap_err().field
        };
        assert_eq!(refused(&|m| m.island = 65_536), "island");
        assert_eq!(refused(&|m| m.device_class = "H100".into()), "device_class");
        assert_eq!(refused(&|m| m.kind = 0), "kind");
        assert_eq!(refused(&|m| m.kind = 4), "kind");
        assert_eq!(refused(&|m| m.parts = vec![m.parts[0].clone(); 65]), "parts");
        assert_eq!(refused(&|m| m.profile.clear()), "profile");
        assert_eq!(refused(&|m| m.parts[0].id.clear()), "parts.id");
        assert_eq!(refused(&|m| m.parts[0].gpu.truncate(31)), "parts.gpu");
    }

    #[test]
    fn people_see_what_a_bucket_is_made_of() {
        let whole = Bucket::whole("h200".parse().unwrap(), 143_771, 1, [Digest([1; 32])]);
        let told = shown(&whole, 1);
        assert_eq!((told.count, told.used, told.kind()), (1, 1, v1::bucket::Kind::Whole));
        assert_eq!(told.watts, 700, "what its class is taken at");
        let kind = BucketKind::Mig("1g.18gb".parse().unwrap());
        let told = shown(&Bucket { kind, units: 1, ..whole }, 0);
        assert_eq!((told.profile.as_str(), told.units), ("1g.18gb", 1));
    }
}
