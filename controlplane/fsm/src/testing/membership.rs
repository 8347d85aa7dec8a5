//! Controllers that come and go, with the bundles that their coming and going needs.

use super::{Federation, OPERATORS, checkpoint_key, key};
use crate::command::Command;
use sekisho_evidence::bundle::{Endorser, EndorserBundle, OperatorSignature, SignedBundle};
use sekisho_evidence::genesis::GenesisMember;
use sekisho_evidence::key::Purpose;
use sekisho_types::id::MemberId;

/// A further controller of an operator, at its site.
#[must_use]
pub fn newcomer(id: u64, operator: &str) -> GenesisMember {
    let (operator, site, _) = OPERATORS.iter().find(|(name, _, _)| *name == operator).unwrap();
    GenesisMember {
        member: MemberId(id),
        operator: operator.parse().unwrap(),
        site: site.parse().unwrap(),
        address: format!("127.0.0.1:{}", id.saturating_add(7000)),
    }
}

/// The key of a member, as the endorser bundle lists it.
#[must_use]
pub fn endorser(member: &GenesisMember) -> Endorser {
    Endorser {
        operator: member.operator.clone(),
        member: member.member,
        public_key: checkpoint_key(member.member).public(),
    }
}

/// A bundle signed by the issuers of these operators.
#[must_use]
pub fn signed_bundle(bundle: EndorserBundle, by: &[&str]) -> SignedBundle {
    let bytes = crate::apply::bytes_of(&bundle);
    let sign = |operator: &&str| OperatorSignature {
        operator: operator.parse().unwrap(),
        signature: key("issuer", operator).sign(Purpose::Bundle, &bytes),
    };
    SignedBundle { signatures: by.iter().map(sign).collect(), bundle }
}

impl Federation {
    /// The state's endorser bundle, changed and signed by the issuers of these operators.
    #[must_use]
    pub fn successor(
        &self,
        change: impl FnOnce(&EndorserBundle) -> EndorserBundle,
        by: &[&str],
    ) -> Box<SignedBundle> {
        Box::new(signed_bundle(change(&self.state.federation().unwrap().bundle), by))
    }

    /// The command that takes in a further controller of an operator, at its site.
    #[must_use]
    pub fn newcomer(&self, id: u64, operator: &str) -> Command {
        let member = newcomer(id, operator);
        let endorser = endorser(&member);
        let successor = self.successor(|held| held.with(endorser), &["kanto", "naniwa"]);
        Command::AddMember { member, successor }
    }

    /// The command that takes a controller out.
    #[must_use]
    pub fn leaver(&self, id: u64) -> Command {
        let member = MemberId(id);
        let successor = self.successor(|held| held.without(member), &["kanto", "naniwa"]);
        Command::RemoveMember { member, successor }
    }
}
