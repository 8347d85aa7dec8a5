//! What can be said about one node without knowing the job's rules.

use crate::filter::Filter;
use sekisho_fsm::State;
use sekisho_fsm::state::Node;
use sekisho_types::id::NodeId;
use sekisho_types::job::{JobFacts, Resources};

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

/// Buckets of the node with devices of the wanted class, memory and units, by index.
pub(crate) fn matching<'n>(
    node: &'n Node,
    wanted: &'n Resources,
) -> impl Iterator<Item = (u16, u32)> + 'n {
    (0u16..).zip(&node.buckets).filter_map(|(at, bucket)| {
        let suits = bucket.class == wanted.class
            && bucket.memory_mib >= wanted.memory_mib
            && bucket.units >= wanted.units;
        suits.then_some((at, bucket.count))
    })
}

/// Whether the node ever had room for one member, used or not.
pub(crate) fn has_devices(node: &Node, wanted: &Resources) -> bool {
    matching(node, wanted).any(|(_, count)| count >= wanted.gpus)
}

/// Whether one bucket has enough free devices for one member, whoever stands there.
pub(crate) fn has_free(node: &Node, wanted: &Resources) -> bool {
    matching(node, wanted).any(|(bucket, _)| node.free(bucket) >= wanted.gpus)
}

/// The same beside those with whom the job shares a device.
pub(crate) fn has_room(state: &State, node: &Node, facts: &JobFacts) -> bool {
    let wanted = &facts.resources;
    matching(node, wanted).any(|(bucket, _)| {
        node.free(bucket) >= wanted.gpus && state.agree_with(node, bucket, facts)
    })
}
