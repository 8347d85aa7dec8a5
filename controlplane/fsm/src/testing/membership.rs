//! Controllers and companies that come and go, with the agreements that this needs.

use super::{
    BEGIN, Federation, OPERATORS, admin, checkpoint_key, key, operator_keys, root, user_key,
};
use crate::command::Command;
use sekisho_evidence::bundle::{Endorser, EndorserBundle, OperatorSignature, SignedBundle};
use sekisho_evidence::genesis::{GenesisMember, GenesisSite};
use sekisho_evidence::key::Purpose;
use sekisho_evidence::opening::{Cause, Opening, Restored, Withdrawn};
use sekisho_evidence::operator::OperatorKeys;
use sekisho_evidence::snapshot_file::LastLog;
use sekisho_evidence::terms::{Agreement, IssuedKey, Newcomer, Rotation, Terms};
use sekisho_types::id::{Digest, MemberId, OperatorId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::principal::{KeyRecord, Role};
use std::collections::BTreeSet;

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

/// A bundle signed by the issuers of these operators. `NAME/KEY` signs for NAME with its key of that name.
#[must_use]
pub fn signed_bundle(bundle: EndorserBundle, by: &[&str]) -> SignedBundle {
    let bytes = crate::apply::bytes_of(&bundle);
    let sign = |by: &&str| {
        let (operator, purpose) = by.split_once('/').unwrap_or((by, "issuer"));
        let signature = key(purpose, operator).sign(Purpose::Bundle, &bytes);
        OperatorSignature { operator: operator.parse().unwrap(), signature }
    };
    SignedBundle { signatures: by.iter().map(sign).collect(), bundle }
}

/// An agreement on a bundle, signed by the issuers of these operators.
#[must_use]
pub fn agreement(terms: Terms, bundle: EndorserBundle, by: &[&str]) -> Agreement {
    Agreement { terms, signed: signed_bundle(bundle, by) }
}

/// The key of an operator's administrator, vouched for by its issuer.
#[must_use]
pub fn administrator(operator: &str) -> IssuedKey {
    let record = KeyRecord {
        principal: admin(operator),
        role: Role::FederationAdmin,
        public_key: user_key(&admin(operator)).public(),
        expires: BEGIN.plus_ms(365 * 86_400_000),
    };
    let bytes = crate::apply::bytes_of(&record);
    let issuer = key("issuer", operator).sign(Purpose::KeyRecord, &bytes);
    IssuedKey { record, issuer }
}

/// What an operator of this name brings when it joins: a site NAME-1 in the prefecture of Aichi, its administrator.
#[must_use]
pub fn company(name: &str) -> (Newcomer, OperatorKeys) {
    let operator: OperatorId = name.parse().unwrap();
    let site = GenesisSite {
        site: format!("{name}-1").parse().unwrap(),
        operator: operator.clone(),
        area: Area::resolve("Aichi").unwrap(),
        display_name: name.to_owned(),
    };
    let newcomer = Newcomer {
        operator,
        sites: vec![site],
        admins: vec![administrator(name)],
        root: root(name).der,
    };
    (newcomer, operator_keys(name))
}

impl Federation {
    fn held(&self) -> EndorserBundle {
        self.state.federation().unwrap().bundle.clone()
    }

    /// The command for a change of the bundle in force, signed by the issuers of these operators.
    #[must_use]
    pub fn agreed(
        &self,
        terms: Terms,
        next: impl FnOnce(&EndorserBundle, Digest) -> EndorserBundle,
        by: &[&str],
    ) -> Command {
        let bundle = next(&self.held(), terms.digest());
        Command::ChangeBundle(Box::new(agreement(terms, bundle, by)))
    }

    /// What opens the next incarnation on this state, with a founder of each of these operators.
    #[must_use]
    pub fn opening(&self, operators: &[&str]) -> Opening {
        let first = self.held().incarnation.0.saturating_mul(1000).saturating_add(1);
        let numbered = (first..).zip(operators);
        Opening {
            cause: Cause::Restored,
            opened: self.now,
            restored: Restored {
                revision: self.state.revision(),
                last: LastLog { term: 3, leader: MemberId(1), index: self.state.revision().0 },
                head: self.state.audit_head().unwrap(),
                image: Digest::of(b"image"),
            },
            highest: None,
            founders: numbered.map(|(id, operator)| newcomer(id, operator)).collect(),
            withdrawn: Withdrawn::default(),
            keys: operators.iter().map(|name| administrator(name)).collect(),
            accept_quorum_in_one_hand: false,
        }
    }

    /// The agreement on an opening, signed by the issuers of these operators.
    #[must_use]
    pub fn opened(&self, opening: Opening, by: &[&str]) -> Agreement {
        let endorsers = opening.founders.iter().map(endorser).collect();
        let terms = Terms::Open(Box::new(opening));
        let bundle = self.held().opened(endorsers, terms.digest());
        agreement(terms, bundle, by)
    }

    /// The command that takes in a further controller of an operator, at its site.
    #[must_use]
    pub fn newcomer(&self, id: u64, operator: &str) -> Command {
        let by: BTreeSet<&str> = ["kanto", "naniwa", operator].into();
        self.taking_in(newcomer(id, operator), &by.into_iter().collect::<Vec<_>>())
    }

    /// The command that takes in this controller, signed by the issuers of these operators.
    #[must_use]
    pub fn taking_in(&self, member: GenesisMember, by: &[&str]) -> Command {
        let endorser = endorser(&member);
        self.agreed(Terms::AddMember(member), |held, terms| held.with(endorser, terms), by)
    }

    /// The command that takes a controller out.
    #[must_use]
    pub fn leaver(&self, id: u64) -> Command {
        let (member, by) = (MemberId(id), ["kanto", "naniwa"]);
        self.agreed(Terms::RemoveMember(member), |held, terms| held.without(member, terms), &by)
    }

    /// The command that takes in a company.
    #[must_use]
    pub fn joining(&self, name: &str, by: &[&str]) -> Command {
        let (newcomer, keys) = company(name);
        let terms = Terms::AddOperator(Box::new(newcomer));
        self.agreed(terms, |held, terms| held.joined_by(keys, terms), by)
    }

    /// The command that lets a company go.
    #[must_use]
    pub fn leaving(&self, name: &str, by: &[&str]) -> Command {
        let operator: OperatorId = name.parse().unwrap();
        let terms = Terms::RemoveOperator(operator.clone());
        self.agreed(terms, |held, terms| held.left_by(&operator, terms), by)
    }

    /// The command for a step of a rotation, which makes these the operator's keys.
    #[must_use]
    pub fn rotating(&self, keys: OperatorKeys, rotation: Rotation, by: &[&str]) -> Command {
        let terms = Terms::RotateOperator { operator: keys.operator.clone(), rotation };
        self.agreed(terms, |held, terms| held.replacing(keys, terms), by)
    }
}
