//! Operations of `google.longrunning`: their names, what they carry, and how one is cancelled with a signature.
//!
//! Must hold: a name says which operation it is, in one spelling and without the state; ids have no dots, so dots part them.

use crate::field::{FieldError, FieldResult};
use crate::google::longrunning::Operation;
use crate::name::Resource;
use crate::v1;
use prost::Message;
use prost_types::Any;
use sekisho_types::id::{MemberId, NodeId, PolicyId, SiteId};
use sekisho_types::revision::Revision;
use std::str::FromStr;
use tonic::metadata::{MetadataMap, MetadataValue};

/// What a member shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// With a vote.
    Voter,
    /// Without one.
    Learner,
    /// Out.
    Removed,
}

impl Aim {
    const ALL: [Self; 3] = [Self::Voter, Self::Learner, Self::Removed];

    fn word(self) -> &'static str {
        match self {
            Self::Voter => "voter",
            Self::Learner => "learner",
            Self::Removed => "removed",
        }
    }
}

/// Which operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationId {
    /// A node is emptied, as the entry of this revision says.
    Drain(NodeId, Revision),
    /// The version of a policy is enforced.
    Enforcement(PolicyId, Revision),
    /// The members' group follows what a member shall be.
    Membership(MemberId, Aim),
    /// What runs at a site that was revoked by the entry of this revision stops.
    WindDown(SiteId, Revision),
}

impl OperationId {
    /// The same, ordered by the entry of this revision.
    #[must_use]
    pub fn at(self, revision: Revision) -> Self {
        match self {
            Self::Drain(node, _) => Self::Drain(node, revision),
            Self::Enforcement(policy, _) => Self::Enforcement(policy, revision),
            Self::WindDown(site, _) => Self::WindDown(site, revision),
            member @ Self::Membership(..) => member,
        }
    }
}

fn number(text: &str) -> Option<u64> {
    // One spelling: `07` and `+7` would be other names of the same operation.
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

fn id<T: FromStr>(text: Option<&str>) -> Option<T> {
    text?.parse().ok()
}

impl Resource for OperationId {
    const FORM: &'static str = "operations/OPERATION";

    fn name(&self) -> String {
        match self {
            Self::Drain(NodeId { site, name }, revision) => {
                format!("operations/drain.{site}.{name}.{revision}")
            }
            Self::Enforcement(policy, revision) => {
                format!("operations/enforcement.{policy}.{revision}")
            }
            Self::Membership(member, aim) => {
                format!("operations/membership.{member}.{}", aim.word())
            }
            Self::WindDown(site, revision) => format!("operations/wind-down.{site}.{revision}"),
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix("operations/")?.split('.');
        let kind = parts.next()?;
        let (first, mut rest) = (parts.next(), parts);
        let found = match kind {
            "drain" => {
                let node = NodeId { site: id(first)?, name: id(rest.next())? };
                Self::Drain(node, Revision(number(rest.next()?)?))
            }
            "enforcement" => Self::Enforcement(id(first)?, Revision(number(rest.next()?)?)),
            "membership" => {
                let (member, word) = (MemberId(number(first?)?), rest.next()?);
                let aim = Aim::ALL.into_iter().find(|aim| aim.word() == word)?;
                Self::Membership(member, aim)
            }
            "wind-down" => Self::WindDown(id(first)?, Revision(number(rest.next()?)?)),
            _ => return None,
        };
        rest.next().is_none().then_some(found)
    }
}

/// A message that travels in an operation, and its full name.
pub trait Carried: Message + Default {
    /// `sekisho.v1.…`.
    const TYPE: &'static str;
}

macro_rules! carried {
    ($($message:ident)+) => {$(
        impl Carried for v1::$message {
            const TYPE: &'static str = concat!("sekisho.v1.", stringify!($message));
        }
    )+};
}

carried! { OperationMetadata Node PolicyStatus Member Site }

/// Packs a message.
pub fn pack<M: Carried>(message: &M) -> Any {
    Any { type_url: format!("type.googleapis.com/{}", M::TYPE), value: message.encode_to_vec() }
}

/// The answer of an operation that has none.
#[must_use]
pub fn nothing() -> Any {
    let type_url = "type.googleapis.com/google.protobuf.Empty".to_owned();
    Any { type_url, value: Vec::new() }
}

/// Unpacks a message of this kind; `None` for another one, or damaged bytes.
#[must_use]
pub fn unpack<M: Carried>(any: &Any) -> Option<M> {
    any.type_url.ends_with(&format!("/{}", M::TYPE)).then(|| M::decode(&any.value[..]).ok())?
}

/// What an operation of ours says of itself.
#[must_use]
pub fn metadata(operation: &Operation) -> Option<v1::OperationMetadata> {
    unpack(operation.metadata.as_ref()?)
}

/// Where the intent of a cancellation travels: the message of `google.longrunning` has no place for it.
const INTENT: &str = "sekisho-intent-bin";

/// Puts an intent beside a request.
pub fn put_intent(metadata: &mut MetadataMap, intent: &v1::Intent) {
    metadata.insert_bin(INTENT, MetadataValue::from_bytes(&intent.encode_to_vec()));
}

/// The intent beside a request, if there is one.
///
/// # Errors
/// [`FieldError`] of bytes that are none.
pub fn intent(metadata: &MetadataMap) -> FieldResult<Option<v1::Intent>> {
    let bad = || FieldError::new(INTENT, "must be an encoded sekisho.v1.Intent");
    let Some(value) = metadata.get_bin(INTENT) else { return Ok(None) };
    let bytes = value.to_bytes().map_err(|_encoding| bad())?;
    v1::Intent::decode(bytes).map(Some).map_err(|_form| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_in_one_spelling() {
        for name in [
            "operations/drain.tokyo-1.n-01.77",
            "operations/enforcement.gov.5",
            "operations/membership.3.voter",
            "operations/membership.3.removed",
            "operations/wind-down.tokyo-1.12",
        ] {
            assert_eq!(OperationId::from_name(name).map(|id| id.name()).as_deref(), Some(name));
        }
        for bad in [
            "operations/",
            "drain.tokyo-1.n-01.77",
            "operations/drain.tokyo-1.n-01",
            "operations/drain.tokyo-1.n-01.077",
            "operations/drain.tokyo-1.n-01.7.7",
            "operations/drain.TOKYO.n-01.7",
            "operations/membership.3.king",
            "operations/membership.+3.voter",
            "operations/backup.3.4",
        ] {
            assert_eq!(OperationId::from_name(bad), None, "{bad}");
        }
        let node: NodeId = "tokyo-1/n-01".parse().unwrap();
        let drain = OperationId::Drain(node, Revision(0)).at(Revision(7));
        assert_eq!(drain.name(), "operations/drain.tokyo-1.n-01.7");
    }

    #[test]
    fn what_is_packed_is_unpacked_and_nothing_else_is() {
        let site = v1::Site { name: "sites/tokyo-1".into(), ..Default::default() };
        let packed = pack(&site);
        assert_eq!(unpack::<v1::Site>(&packed), Some(site));
        assert_eq!(unpack::<v1::Node>(&packed), None);
        let damaged = Any { value: vec![0xff], ..packed };
        assert_eq!(unpack::<v1::Site>(&damaged), None);
        assert_eq!(unpack::<v1::Site>(&nothing()), None);
    }

    #[test]
    fn an_intent_travels_beside_a_request() {
        let mut map = MetadataMap::new();
        assert_eq!(intent(&map), Ok(None));
        let sent = v1::Intent { request_id: "ab".repeat(16), ..Default::default() };
        put_intent(&mut map, &sent);
        assert_eq!(intent(&map), Ok(Some(sent)));
        map.insert_bin(INTENT, MetadataValue::from_bytes(&[0xff]));
        intent(&map).unwrap_err();
    }
}
