//! Changes of the membership. The endorser bundle travels as the canonical bytes that operators sign.

use crate::field::{FieldError, FieldResult, parsed};
use crate::name::Resource as _;
use crate::v1;
use sekisho_evidence::bundle::SignedBundle;
use sekisho_evidence::canonical::{CanonicalError, decode, encode};
use sekisho_evidence::genesis::GenesisMember;
use sekisho_types::id::MemberId;
use sekisho_types::limit::TEXT_MAX;

/// A controller to take in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddMember {
    /// The controller.
    pub member: GenesisMember,
    /// The endorser bundle with its key.
    pub successor: Box<SignedBundle>,
}

/// A vote to give or take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetVoter {
    /// Whose.
    pub member: MemberId,
    /// Whether it shall vote.
    pub voter: bool,
    /// With fewer than three operators: one of them may hold a quorum alone.
    pub accept_quorum_in_one_hand: bool,
}

/// A new address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetMemberAddress {
    /// Whose.
    pub member: MemberId,
    /// `host:port`.
    pub address: String,
}

/// A controller to take out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveMember {
    /// Which.
    pub member: MemberId,
    /// The endorser bundle without its key.
    pub successor: Box<SignedBundle>,
}

/// Bounded here, judged in apply.
fn address(text: &str) -> FieldResult<String> {
    if text.len() > TEXT_MAX {
        return Err(FieldError::new("address", format!("must be at most {TEXT_MAX} bytes")));
    }
    Ok(text.to_owned())
}

fn successor(bytes: &[u8]) -> FieldResult<Box<SignedBundle>> {
    decode(bytes).map(Box::new).map_err(|error| FieldError::new("successor", error.to_string()))
}

impl TryFrom<&v1::AddMemberRequest> for AddMember {
    type Error = FieldError;
    fn try_from(message: &v1::AddMemberRequest) -> FieldResult<Self> {
        let member = GenesisMember {
            member: MemberId(message.member_id),
            operator: parsed("operator", &message.operator)?,
            site: parsed("site", &message.site)?,
            address: address(&message.address)?,
        };
        if message.member_id == 0 {
            return Err(FieldError::new("member_id", "must be above 0"));
        }
        Ok(Self { member, successor: successor(&message.successor)? })
    }
}

impl AddMember {
    /// The request that stands for it.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn request(&self, intent: v1::Intent) -> Result<v1::AddMemberRequest, CanonicalError> {
        Ok(v1::AddMemberRequest {
            member_id: self.member.member.0,
            operator: self.member.operator.to_string(),
            site: self.member.site.to_string(),
            address: self.member.address.clone(),
            successor: encode(&self.successor)?.into(),
            intent: Some(intent),
        })
    }
}

impl TryFrom<&v1::SetVoterRequest> for SetVoter {
    type Error = FieldError;
    fn try_from(message: &v1::SetVoterRequest) -> FieldResult<Self> {
        Ok(Self {
            member: MemberId::from_field("name", &message.name)?,
            voter: message.voter,
            accept_quorum_in_one_hand: message.accept_quorum_in_one_hand,
        })
    }
}

impl SetVoter {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::SetVoterRequest {
        v1::SetVoterRequest {
            name: self.member.name(),
            voter: self.voter,
            accept_quorum_in_one_hand: self.accept_quorum_in_one_hand,
            intent: Some(intent),
        }
    }
}

impl TryFrom<&v1::SetMemberAddressRequest> for SetMemberAddress {
    type Error = FieldError;
    fn try_from(message: &v1::SetMemberAddressRequest) -> FieldResult<Self> {
        let member = MemberId::from_field("name", &message.name)?;
        Ok(Self { member, address: address(&message.address)? })
    }
}

impl SetMemberAddress {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::SetMemberAddressRequest {
        v1::SetMemberAddressRequest {
            name: self.member.name(),
            address: self.address.clone(),
            intent: Some(intent),
        }
    }
}

impl TryFrom<&v1::RemoveMemberRequest> for RemoveMember {
    type Error = FieldError;
    fn try_from(message: &v1::RemoveMemberRequest) -> FieldResult<Self> {
        let member = MemberId::from_field("name", &message.name)?;
        Ok(Self { member, successor: successor(&message.successor)? })
    }
}

impl RemoveMember {
    /// The request that stands for it.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn request(&self, intent: v1::Intent) -> Result<v1::RemoveMemberRequest, CanonicalError> {
        Ok(v1::RemoveMemberRequest {
            name: self.member.name(),
            successor: encode(&self.successor)?.into(),
            intent: Some(intent),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_evidence::bundle::{EndorserBundle, OperatorSignature};
    use sekisho_types::id::{ClusterId, Signature};
    use sekisho_types::revision::Incarnation;

    fn bundle() -> Box<SignedBundle> {
        let operator = "kanto".parse().unwrap();
        let bundle = EndorserBundle {
            cluster: ClusterId([1; 16]),
            incarnation: Incarnation(1),
            version: 2,
            k: 2,
            endorsers: vec![],
            operators: vec![],
        };
        let signatures = vec![OperatorSignature { operator, signature: Signature([7; 64]) }];
        Box::new(SignedBundle { bundle, signatures })
    }

    fn add() -> AddMember {
        let member = GenesisMember {
            member: MemberId(4),
            operator: "kanto".parse().unwrap(),
            site: "tokyo-1".parse().unwrap(),
            address: "tokyo-1.example:7104".to_owned(),
        };
        AddMember { member, successor: bundle() }
    }

    #[test]
    fn changes_round_trip() {
        let intent = v1::Intent::default;
        let add = add();
        assert_eq!(AddMember::try_from(&add.request(intent()).unwrap()), Ok(add));
        let member = MemberId(4);
        for flags in [(true, false), (false, true)] {
            let (voter, accept_quorum_in_one_hand) = flags;
            let set = SetVoter { member, voter, accept_quorum_in_one_hand };
            assert_eq!(SetVoter::try_from(&set.request(intent())), Ok(set));
        }
        let moved = SetMemberAddress { member, address: "10.0.0.4:7104".to_owned() };
        assert_eq!(SetMemberAddress::try_from(&moved.request(intent())), Ok(moved));
        let remove = RemoveMember { member, successor: bundle() };
        assert_eq!(RemoveMember::try_from(&remove.request(intent()).unwrap()), Ok(remove));
    }

    #[test]
    fn every_bad_field_is_named() {
        let refused = |change: &dyn Fn(&mut v1::AddMemberRequest)| {
            let mut message = add().request(v1::Intent::default()).unwrap();
            change(&mut message);
            AddMember::try_from(&message).unwrap_err().field
        };
        assert_eq!(refused(&|m| m.member_id = 0), "member_id");
        assert_eq!(refused(&|m| m.operator.clear()), "operator");
        assert_eq!(refused(&|m| m.site = "Tokyo".into()), "site");
        assert_eq!(refused(&|m| m.address = "x".repeat(TEXT_MAX + 1)), "address");
        assert_eq!(refused(&|m| m.successor = vec![1, 2, 3].into()), "successor");
        let bad = v1::RemoveMemberRequest { name: "members/04".into(), ..Default::default() };
        assert_eq!(RemoveMember::try_from(&bad).unwrap_err().field, "name");
        let bad = v1::RemoveMemberRequest { name: "members/4".into(), ..Default::default() };
        assert_eq!(RemoveMember::try_from(&bad).unwrap_err().field, "successor");
        let bad = v1::SetVoterRequest { name: "sites/4".into(), ..Default::default() };
        assert_eq!(SetVoter::try_from(&bad).unwrap_err().field, "name");
        let name = "members/4".to_owned();
        let bad = v1::SetMemberAddressRequest { name, address: "x".repeat(9000), intent: None };
        assert_eq!(SetMemberAddress::try_from(&bad).unwrap_err().field, "address");
    }
}
