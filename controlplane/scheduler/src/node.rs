//! What can be said about one node without knowing the job's rules.

use crate::filter::Filter;
use sekisho_fsm::State;
use sekisho_fsm::state::Node;
use sekisho_types::id::NodeId;

/// Whether grants may be made out to the node now.
///
/// # Errors
/// The first filter that it does not pass: [`Filter::Enrolled`], or one of those from [`Filter::Approved`] to
/// [`Filter::Tag`].
pub(crate) fn usable(state: &State, id: &NodeId, node: &Node) -> Result<(), Filter> {
    let site_stands = state.site(&id.site).is_some_and(|site| !site.revoked);
    if node.revoked || !site_stands {
        return Err(Filter::Enrolled);
    }
    if !node.approved {
        return Err(Filter::Approved);
    }
    if !node.is_fit() {
        return Err(Filter::Fit);
    }
    if node.drain.is_some() {
        return Err(Filter::Staying);
    }
    if node.quarantine.is_some() {
        return Err(Filter::Alone);
    }
    if !node.schedulable || node.live_session().is_none() {
        return Err(Filter::Usable);
    }
    if node.tag.check_time(state.clock()).is_err() {
        return Err(Filter::Tag);
    }
    Ok(())
}
