//! The signed beginning of a federation: operators, members, first keys.
//!
//! Until a member has applied state, the genesis stands for it (D3): it names the peers that may be talked to.
//! Every operator signs it, so nobody is enrolled without its own agreement.

use crate::bundle::{EndorserBundle, OperatorSignature};
use crate::canonical::{decode, encode};
use crate::key::Purpose;
use crate::operator::{BundleRoot, OperatorKeys};
use sekisho_types::id::{Digest, MemberId, OperatorId, SiteId};
use sekisho_types::jurisdiction::{Area, table_hash};
use sekisho_types::principal::{KeyRecord, Workload};
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A controller as it is described to the federation: in the genesis, or when it is added later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GenesisMember {
    /// Raft id.
    pub member: MemberId,
    /// Whose controller.
    pub operator: OperatorId,
    /// Where it stands.
    pub site: SiteId,
    /// `host:port` that peers dial.
    pub address: String,
}

/// A site of the first registry. Members stand at sites, so the first sites are part of genesis.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GenesisSite {
    /// Its id.
    pub site: SiteId,
    /// Who runs it.
    pub operator: OperatorId,
    /// Where it stands.
    pub area: Area,
    /// Name for people.
    pub display_name: String,
}

/// The content of a genesis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// Endorsers and operator keys of incarnation 1.
    pub bundle: EndorserBundle,
    /// When it was made.
    pub created: Timestamp,
    /// Hash of the jurisdiction table that all programs must carry.
    pub table: Digest,
    /// First sites, ordered.
    pub sites: Vec<GenesisSite>,
    /// First members, ordered.
    pub members: Vec<GenesisMember>,
    /// First registered keys: the operators' administrators.
    pub keys: Vec<KeyRecord>,
    /// Root certificates of the operators, ordered as they are.
    pub roots: Vec<BundleRoot>,
    /// Whether this federation was made by `sekisho dev`: only there may one person sign for two operators.
    pub dev: bool,
}

/// A genesis with the agreement of every operator in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedGenesis {
    /// The content.
    pub genesis: Genesis,
    /// One per operator.
    pub signatures: Vec<OperatorSignature>,
}

/// Why a genesis does not stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// The file is not one.
    #[error("not a genesis file")]
    Malformed,
    /// A part contradicts another.
    #[error("the genesis is not consistent: {0}")]
    Inconsistent(&'static str),
    /// The program carries another jurisdiction table.
    #[error("the genesis was made for another jurisdiction table than this program has")]
    Table,
    /// An operator has not signed, or not validly.
    #[error("operator {0} has not signed the genesis")]
    Unsigned(OperatorId),
}

/// An operator that has a quorum of the votes for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumHolder {
    /// Who.
    pub operator: OperatorId,
    /// Its votes.
    pub votes: usize,
    /// All votes.
    pub of: usize,
    /// Votes of a quorum.
    pub quorum: usize,
}

/// The operator that could decide alone, given the operator of each voter (R5). There is at most one.
pub fn quorum_holder(voters: &[&OperatorId]) -> Option<QuorumHolder> {
    let mut own = BTreeMap::<&OperatorId, usize>::new();
    for operator in voters {
        let votes = own.entry(operator).or_default();
        *votes = votes.saturating_add(1);
    }
    let of = voters.len();
    let quorum = (of / 2).saturating_add(1);
    let (operator, votes) = own.into_iter().find(|(_, votes)| *votes >= quorum)?;
    Some(QuorumHolder { operator: operator.clone(), votes, of, quorum })
}

impl Genesis {
    /// Bytes that every operator signs.
    ///
    /// # Errors
    /// [`GenesisError::Malformed`] never for this type.
    pub fn bytes(&self) -> Result<Vec<u8>, GenesisError> {
        encode(self).map_err(|_canonical| GenesisError::Malformed)
    }

    fn check(&self) -> Result<(), GenesisError> {
        let bad = |why| Err(GenesisError::Inconsistent(why));
        if self.table != table_hash() {
            return Err(GenesisError::Table);
        }
        if self.bundle.check().is_err()
            || self.bundle.version != 1
            || self.bundle.incarnation.0 != 1
        {
            return bad("the endorser bundle is not a first one");
        }
        if self.bundle.operators.iter().any(OperatorKeys::rotating) {
            return bad("an operator begins with keys that are being replaced");
        }
        let pinned = self.bundle.operators.iter().map(|o| (&o.operator, o.roots.current));
        if !self.roots.iter().map(|root| (&root.operator, root.hash())).eq(pinned) {
            return bad("the roots are not those of the endorser bundle");
        }
        if !self.sites.is_sorted_by(|a, b| a.site < b.site)
            || !self.members.is_sorted_by(|a, b| a.member < b.member)
        {
            return bad("sites and members must be ordered and without doubles");
        }
        let numbers = self.bundle.incarnation.members();
        if self.members.iter().any(|member| !numbers.contains(&member.member.0)) {
            return bad("the number of a member is not one of the first incarnation");
        }
        if self.members.is_empty() || self.keys.is_empty() {
            return bad("a federation needs a member and an administrator");
        }
        let known = |operator: &OperatorId| self.bundle.keys(operator).is_some();
        if self.sites.iter().any(|s| !known(&s.operator) || !Area::Japan.contains(s.area)) {
            return bad("a site is of no listed operator, or not in Japan");
        }
        let site_of = |m: &GenesisMember| self.sites.iter().find(|s| s.site == m.site);
        if self.members.iter().any(|m| site_of(m).is_none_or(|s| s.operator != m.operator)) {
            return bad("a member stands at a site that is not its operator's");
        }
        let members: BTreeSet<_> = self.members.iter().map(|m| (m.member, &m.operator)).collect();
        let endorsers: BTreeSet<_> =
            self.bundle.endorsers.iter().map(|e| (e.member, &e.operator)).collect();
        if members != endorsers {
            return bad("every member signs checkpoints, and nobody else");
        }
        let voters: Vec<_> = self.members.iter().map(|m| &m.operator).collect();
        let operators: BTreeSet<_> = voters.iter().collect();
        if operators.len() >= 3 && quorum_holder(&voters).is_some() {
            return bad("one of three or more operators holds a quorum of the members");
        }
        let person = |k: &KeyRecord| {
            matches!(k.principal.workload, Workload::User { .. }) && known(&k.principal.operator)
        };
        if !self.keys.iter().all(person) {
            return bad("first keys belong to users of listed operators");
        }
        Ok(())
    }
}

impl SignedGenesis {
    /// Reads and checks a genesis file.
    ///
    /// # Errors
    /// The first [`GenesisError`].
    pub fn open(bytes: &[u8]) -> Result<Self, GenesisError> {
        let signed: Self = decode(bytes).map_err(|_canonical| GenesisError::Malformed)?;
        signed.check()?;
        Ok(signed)
    }

    /// Checks consistency and that every operator signed.
    ///
    /// # Errors
    /// The first [`GenesisError`].
    pub fn check(&self) -> Result<(), GenesisError> {
        self.genesis.check()?;
        let bytes = self.genesis.bytes()?;
        for keys in &self.genesis.bundle.operators {
            let signed = self.signatures.iter().any(|s| {
                s.operator == keys.operator
                    && keys.issued(Purpose::Genesis, &bytes, &s.signature).is_ok()
            });
            if !signed {
                return Err(GenesisError::Unsigned(keys.operator.clone()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quorum_in_one_hand_is_named_with_its_votes() {
        let holder = |operators: &str| {
            let all: Vec<OperatorId> = operators.split(' ').map(|o| o.parse().unwrap()).collect();
            quorum_holder(&all.iter().collect::<Vec<_>>())
                .map(|h| (h.operator.to_string(), h.votes, h.of, h.quorum))
        };
        assert_eq!(holder("a"), Some(("a".to_owned(), 1, 1, 1)));
        assert_eq!(holder("a b"), None);
        assert_eq!(holder("a b b"), Some(("b".to_owned(), 2, 3, 2)));
        assert_eq!(holder("a b c"), None);
        // Two of four can stop the quorum, but not decide alone.
        assert_eq!(holder("a a b c"), None);
        assert_eq!(holder("a a a b c"), Some(("a".to_owned(), 3, 5, 3)));
        assert_eq!(quorum_holder(&[]), None);
    }
}
