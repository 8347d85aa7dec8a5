//! The genesis out of the operators' cards: put together by anyone, signed by each.

use super::{Card, OperatorDir};
use crate::app::random;
use crate::failure::Failure;
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::canonical::encode;
use sekisho_evidence::genesis::{Genesis, SignedGenesis};
use sekisho_types::id::{ClusterId, Digest};
use sekisho_types::jurisdiction::table_hash;
use sekisho_types::revision::Incarnation;
use sekisho_types::time::Timestamp;

/// Puts cards together, in the order that the genesis demands.
///
/// # Errors
/// `INTERNAL` without randomness.
pub fn assemble(cards: &[Card], dev: bool, now: Timestamp) -> Result<Genesis, Failure> {
    let mut endorsers: Vec<_> = cards.iter().flat_map(|card| card.endorsers.clone()).collect();
    let mut operators: Vec<_> = cards.iter().map(|card| card.keys.clone()).collect();
    let mut sites: Vec<_> = cards.iter().flat_map(|card| card.sites.clone()).collect();
    let mut members: Vec<_> = cards.iter().flat_map(|card| card.members.clone()).collect();
    endorsers.sort_by_key(|endorser| endorser.member);
    operators.sort_by(|a, b| a.operator.cmp(&b.operator));
    sites.sort_by(|a, b| a.site.cmp(&b.site));
    members.sort_by_key(|member| member.member);
    let bundle = EndorserBundle {
        cluster: ClusterId(random()?),
        incarnation: Incarnation(1),
        version: 1,
        terms: Digest([0; 32]),
        k: EndorserBundle::threshold(operators.len()),
        endorsers,
        operators,
    };
    let mut roots: Vec<_> = cards.iter().map(|card| card.root.clone()).collect();
    roots.sort_by(|a, b| a.operator.cmp(&b.operator));
    let admins = cards.iter().flat_map(|card| &card.admins);
    let keys = admins.map(|admin| admin.record.clone()).collect();
    Ok(Genesis { bundle, created: now, table: table_hash(), sites, members, keys, roots, dev })
}

/// Has every operator sign from its own directory, and checks the result as a member will.
///
/// # Errors
/// `INVALID_ARGUMENT` if the genesis does not stand.
pub fn sign(genesis: Genesis, operators: &[OperatorDir]) -> Result<SignedGenesis, Failure> {
    let mut signatures = Vec::new();
    for dir in operators {
        signatures.push(dir.sign(&dir.card()?.keys.operator, &genesis)?);
    }
    let signed = SignedGenesis { genesis, signatures };
    signed.check().map_err(|error| Failure::invalid(error.to_string()))?;
    Ok(signed)
}

/// The file's bytes.
///
/// # Errors
/// Never for this type.
pub fn bytes(signed: &SignedGenesis) -> Result<Vec<u8>, Failure> {
    encode(signed).map_err(|error| Failure::invalid(error.to_string()))
}
