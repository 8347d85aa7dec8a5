//! What a job waits for before it is queued, beside what the funnel says of nodes.
//!
//! Must hold: what can never come true is said before what the nodes lack, and what may come true after what they can never
//! have. Nothing is said of when: it depends on others.

use super::{Explanation, Step, Verdict};
use sekisho_fsm::State;
use sekisho_types::error_code::Kind;
use sekisho_types::job::JobFacts;

/// The answer about a job, with what holds it.
pub(super) fn add(state: &State, facts: &JobFacts, mut found: Explanation) -> Explanation {
    let Some(hold) = state.hold(facts) else { return found };
    // It is no filter of nodes: as many are left as before it.
    let nodes_left = found.steps.last().map_or(0, |step| step.nodes_left);
    let token = hold.code.as_str();
    found.steps.push(Step { token, nodes_left, condition: hold.detail.clone() });
    found.estimate = None;
    let waits = hold.code.kind() == Kind::NotYet;
    if waits && found.verdict == Verdict::Never {
        for relaxation in &mut found.relaxations {
            relaxation.effect = relaxation.effect.max(Verdict::WouldWait);
        }
        return found;
    }
    found.verdict = if waits { Verdict::WouldWait } else { Verdict::Never };
    found.binding = Some(hold.code);
    found.detail = hold.detail;
    found.relaxations.clear();
    found
}
