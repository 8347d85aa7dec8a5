//! Changes of the membership that leave the endorser bundle as it is.

use crate::field::{FieldError, FieldResult};
use crate::name::Resource as _;
use crate::v1;
use sekisho_types::id::MemberId;
use sekisho_types::limit::TEXT_MAX;

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

/// Bounded here, judged in apply.
fn address(text: &str) -> FieldResult<String> {
    if text.len() > TEXT_MAX {
        return Err(FieldError::new("address", format!("must be at most {TEXT_MAX} bytes")));
    }
    Ok(text.to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_round_trip() {
        let intent = v1::Intent::default;
        let member = MemberId(4);
        for flags in [(true, false), (false, true)] {
            let (voter, accept_quorum_in_one_hand) = flags;
            let set = SetVoter { member, voter, accept_quorum_in_one_hand };
            assert_eq!(SetVoter::try_from(&set.request(intent())), Ok(set));
        }
        let moved = SetMemberAddress { member, address: "10.0.0.4:7104".to_owned() };
        assert_eq!(SetMemberAddress::try_from(&moved.request(intent())), Ok(moved));
    }

    #[test]
    fn every_bad_field_is_named() {
        let bad = v1::SetVoterRequest { name: "sites/4".into(), ..Default::default() };
        assert_eq!(SetVoter::try_from(&bad).unwrap_err().field, "name");
        let bad = v1::SetVoterRequest { name: "members/04".into(), ..Default::default() };
        assert_eq!(SetVoter::try_from(&bad).unwrap_err().field, "name");
        let name = "members/4".to_owned();
        let bad = v1::SetMemberAddressRequest { name, address: "x".repeat(9000), intent: None };
        assert_eq!(SetMemberAddress::try_from(&bad).unwrap_err().field, "address");
    }
}
