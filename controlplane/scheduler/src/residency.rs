//! Residency verdicts, remembered per distinct place (D1).
//!
//! Must hold: the verdict is the one of `State::may_reside`, which apply uses. Beside the tag's time, which is a filter
//! of its own, it depends on a node's place alone: ten thousand nodes stand at a few dozen places. A proof is taken for
//! up to a minute older than it is, or each node would be a place of its own: what is denied by that alone, the next
//! proof allows.

use crate::filter::Filter;
use sekisho_evidence::grant::BoundRules;
use sekisho_fsm::State;
use sekisho_fsm::location::NodeProof;
use sekisho_fsm::state::Node;
use sekisho_types::id::{OperatorId, PolicyId, TenantId};
use sekisho_types::job::{JobFacts, OnDisconnect};
use sekisho_types::jurisdiction::Area;
use sekisho_types::rare::Rare;
use sekisho_types::residency::{PlaceProof, Rules, Tier};
use sekisho_types::time::Timestamp;
use std::collections::BTreeMap;

/// What a verdict depends on.
pub(crate) type PlaceKey = (OperatorId, Option<Area>, Tier, Tier, Option<PlaceProof>);

/// Proofs of one such time count as one.
const PROOF_STEP_MS: u64 = 60_000;

/// The place of a node at `now` on the state clock.
pub(crate) fn place_key(node: &Node, now: Timestamp) -> PlaceKey {
    let place = node.place(now);
    let proof = place.proof.map(|proof| {
        let step = proof.oldest.0.checked_rem(PROOF_STEP_MS).unwrap_or_default();
        PlaceProof { oldest: Timestamp(proof.oldest.0.saturating_sub(step)), ..proof }
    });
    (place.operator, place.area, place.country_tier, place.area_tier, proof)
}

/// A node that stands for all at a place, with a tag that never expires: otherwise a place abroad would look like one whose
/// tag only needs renewal.
pub(crate) fn example(node: &Node, place: &PlaceKey) -> Node {
    let mut example = node.clone();
    (example.tag.issued, example.tag.expires) = (Timestamp(0), Timestamp(u64::MAX));
    example.proof = place.4.map(|proof| NodeProof { proof, expires: Timestamp(u64::MAX) });
    example
}

/// Whether nodes like `example` may hold a job that `rules` bind.
///
/// # Errors
/// The residency filter that denies.
pub(crate) fn judge(state: &State, rules: &[BoundRules], example: &Node) -> Result<(), Filter> {
    // A denial without a filter of its own is about an area: a rule names a retired code.
    state
        .may_reside(rules, example)
        .map_err(|rejection| Filter::of_residency(rejection.code).unwrap_or(Filter::Area))
}

/// Everything of a job that `State::rules_for` reads.
type RulesKey<'s> = (&'s TenantId, Option<&'s PolicyId>, bool, &'s Rare<Rules>);

#[derive(Debug)]
struct Binding {
    /// `None` if a policy or the tenant does not exist: unknown = denied.
    rules: Option<Vec<BoundRules>>,
    /// By place, as far as it was asked.
    verdicts: BTreeMap<PlaceKey, bool>,
}

/// Verdicts of one planning round, by distinct rules and place.
#[derive(Debug, Default)]
pub(crate) struct Verdicts<'s> {
    numbers: BTreeMap<RulesKey<'s>, usize>,
    bindings: Vec<Binding>,
}

impl<'s> Verdicts<'s> {
    /// The number of the job's rules; `None` if they are not known.
    pub(crate) fn number(&mut self, state: &'s State, facts: &'s JobFacts) -> Option<usize> {
        let completes = facts.on_disconnect == OnDisconnect::RunToCompletion;
        let key = (&facts.id.tenant, facts.policy.as_ref(), completes, &facts.residency);
        let bindings = &mut self.bindings;
        let number = *self.numbers.entry(key).or_insert_with(|| {
            let rules = state.rules_for(facts).ok();
            bindings.push(Binding { rules, verdicts: BTreeMap::new() });
            bindings.len().saturating_sub(1)
        });
        self.bindings.get(number)?.rules.as_ref().map(|_known| number)
    }

    /// Whether nodes of a place may hold jobs with the rules of this number.
    pub(crate) fn allows(
        &mut self,
        state: &State,
        rules: usize,
        place: &PlaceKey,
        example: &Node,
    ) -> bool {
        let Some(binding) = self.bindings.get_mut(rules) else { return false };
        let Some(bound) = &binding.rules else { return false };
        if let Some(verdict) = binding.verdicts.get(place) {
            return *verdict;
        }
        let verdict = judge(state, bound, example).is_ok();
        binding.verdicts.insert(place.clone(), verdict);
        verdict
    }
}
