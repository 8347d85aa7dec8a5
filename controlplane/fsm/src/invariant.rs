//! Self-checks of a state: one function per promise, each named by its id. Tests, the simulator and the auditor run
//! them after every step; they read everything, so a member does not.

mod charge;
mod held;
mod reservation;
mod topology;

use crate::jobs::Counts;
use crate::location::NodeProof;
use crate::state::{Job, Standing, State};
use sekisho_evidence::genesis::{GenesisMember, quorum_holder};
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_evidence::location::range::convicted;
use sekisho_types::device::{self, Bucket};
use sekisho_types::id::{Digest, JobId, NodeId, PolicyId, TenantId};
use sekisho_types::job::{JobPhase, Kind};
use sekisho_types::jurisdiction::Area;
use sekisho_types::sharing::Sharing;
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Checks every invariant.
///
/// # Errors
/// The id of the first that does not hold, and what was found.
pub fn check(state: &State) -> Result<(), String> {
    charge::usage_is_the_sum_of_living_placements(state)?;
    charge::the_tree_sums_up(state)?;
    charge::offers_are_charged_what_they_hold(state)?;
    charge::budgets_are_charged_what_goes_on(state)?;
    charge::what_is_kept_is_being_made_room(state)?;
    charge::sites_are_charged_what_may_be_drawn(state)?;
    reservation::stocks_are_what_is_reserved_and_lives(state)?;
    topology::jobs_that_keep_apart_share_no_node(state)?;
    topology::groups_stand_as_they_asked(state)?;
    capacity_is_not_exceeded(state)?;
    devices_are_counted_once_and_shared_by_agreement(state)?;
    queue_is_the_queued_jobs(state)?;
    wholes_count_their_tasks(state)?;
    jobs_are_counted(state)?;
    held::what_waits_is_found(state)?;
    held::what_is_over_is_counted(state)?;
    payloads_are_those_of_open_jobs(state)?;
    members_can_decide_and_sign(state)?;
    proofs_are_those_of_kept_fixes(state)?;
    ranges_are_of_landmarks(state)?;
    countersignatures_are_of_nodes(state)?;
    nothing_dangles(state)
}

/// D1, once the leader has caught up: nothing goes on where the rules in force refuse it, but what their `keep` keeps and what
/// no order reaches. Between a change of rules and the eviction it does not hold.
///
/// # Errors
/// The first job that is to leave.
pub fn nothing_goes_on_where_it_is_refused(state: &State) -> Result<(), String> {
    match state.denied().into_iter().next() {
        None => Ok(()),
        Some((job, (node, why))) => Err(format!("D1: {job} goes on at {node}: {why}")),
    }
}

/// D1: a node is proven by its kept fix, which rests on landmarks that are there.
fn proofs_are_those_of_kept_fixes(state: &State) -> Result<(), String> {
    for (id, node) in state.nodes() {
        let kept = state.fix(id);
        let proof = kept.and_then(|kept| kept.fix.proof(Timestamp(0))).map(NodeProof::from);
        if node.proof != proof {
            return Err(format!("D1: {id} says {:?}, its fix {proof:?}", node.proof));
        }
        let heard = kept.into_iter().flat_map(|kept| &kept.fix.transcripts);
        let known = |id| state.landmarks().table().get(id).is_some();
        if !heard.map(|signed| &signed.transcript.landmark).all(known) {
            return Err(format!("D1: the fix of {id} rests on a landmark that is gone"));
        }
    }
    if state.fixes().any(|(id, _)| state.node(id).is_none()) {
        return Err("D1: a fix of no node".to_owned());
    }
    Ok(())
}

/// D1: what was measured of landmarks is of such that stand or were taken out, and nobody stands whom too many contradict.
fn ranges_are_of_landmarks(state: &State) -> Result<(), String> {
    let stands = |id: &LandmarkId| state.landmarks().table().get(id).is_some();
    let known = |id: &LandmarkId| stands(id) || state.convicted(id).is_some();
    if let Some((pair, _)) = state.ranges().find(|((a, b), _)| !known(a) || !known(b)) {
        return Err(format!("D1: a range of {pair:?}, who are no landmarks"));
    }
    if let Some((id, _)) = state.convictions().find(|(id, _)| stands(id)) {
        return Err(format!("D1: {id} stands and was taken out"));
    }
    let left = convicted(state.contradictions());
    if left.is_empty() { Ok(()) } else { Err(format!("D1: {left:?} are contradicted and stand")) }
}

/// A1: who countersigned is a node, and said no more than there was.
fn countersignatures_are_of_nodes(state: &State) -> Result<(), String> {
    let size = state.frontier.size();
    for (id, row) in state.countersignatures() {
        if state.node(id).is_none() || row.head.size > size || row.seen > state.revision() {
            return Err(format!("A1: {id} countersigned {row:?}, the log has {size} records"));
        }
    }
    Ok(())
}

/// P1: no bucket holds more than it has, and the node's count is that of its placements.
fn capacity_is_not_exceeded(state: &State) -> Result<(), String> {
    let mut used: BTreeMap<(NodeId, u16), u32> = BTreeMap::new();
    for (_, row) in state.placements().filter(|(_, row)| !row.phase.is_ended()) {
        let sum = used.entry((row.grant.node.clone(), row.bucket)).or_insert(0);
        *sum = sum.saturating_add(row.grant.gpus);
    }
    for (id, node) in state.nodes() {
        for (bucket, count) in &node.used {
            let living = used.remove(&(id.clone(), *bucket)).unwrap_or(0);
            let has = node.buckets.get(usize::from(*bucket)).map_or(0, |b| b.count);
            if *count != living || living > has {
                return Err(format!(
                    "P1: {id} bucket {bucket}: counted {count}, living {living}, has {has}"
                ));
            }
        }
    }
    if used.is_empty() { Ok(()) } else { Err(format!("P1: uncounted {used:?}")) }
}

/// P1: no device of a node is counted twice; on a shared one stand only jobs that agree, each with each.
fn devices_are_counted_once_and_shared_by_agreement(state: &State) -> Result<(), String> {
    for (id, node) in state.nodes() {
        device::check(&node.buckets).map_err(|why| format!("P1: {id}: {why}"))?;
        let rows: Vec<_> = node.placements.iter().filter_map(|id| state.placement(id)).collect();
        for (at, one) in rows.iter().enumerate() {
            let bucket = node.buckets.get(usize::from(one.bucket));
            let shared = bucket.and_then(Bucket::shared_device);
            if one.grant.share.map(|share| share.device) != shared {
                return Err(format!("P1: {id}: {} is not of its bucket", one.grant.placement));
            }
            let beside = rows.iter().skip(at.saturating_add(1));
            for other in beside.filter(|other| shared.is_some() && other.bucket == one.bucket) {
                let any = [one, other].iter().all(|row| row.grant.sharing() == Sharing::Any);
                if one.grant.job.tenant != other.grant.job.tenant && !any {
                    let (one, other) = (&one.grant.job, &other.grant.job);
                    return Err(format!("P1: {id}: {one} and {other} share, and did not agree"));
                }
            }
        }
    }
    Ok(())
}

fn queue_is_the_queued_jobs(state: &State) -> Result<(), String> {
    let queued: BTreeSet<_> =
        state.jobs().filter(|(_, job)| job.is_queued()).map(|(id, _)| id.clone()).collect();
    let queue: BTreeSet<_> = state.queue().map(|(_, id)| id.clone()).collect();
    if queued == queue && queue.len() == state.queue_len() {
        return Ok(());
    }
    Err(format!("queue {queue:?}, queued jobs {queued:?}"))
}

/// What is told of the jobs is what there is of them.
fn jobs_are_counted(state: &State) -> Result<(), String> {
    let of = |which: &dyn Fn(&Job) -> bool| {
        let found = state.jobs().filter(|(_, job)| which(job)).count();
        u64::try_from(found).unwrap_or(u64::MAX)
    };
    let counted = Counts {
        running: of(&|job| matches!(job.phase, JobPhase::Placed | JobPhase::Running)),
        held: of(&|job| job.phase == JobPhase::Held),
        tasks_open: of(&|job| job.facts.id.task.is_some() && !job.phase.is_final()),
        services_short: of(&Job::is_short),
    };
    let kept = state.job_counts();
    if kept == counted { Ok(()) } else { Err(format!("kept {kept:?}, there are {counted:?}")) }
}

/// P7: each task has a whole, which is not over before it, so that nobody else gets its name and numbers; a whole counts its tasks,
/// and has given no number that it would give again.
fn wholes_count_their_tasks(state: &State) -> Result<(), String> {
    for (id, task) in state.jobs().filter(|(id, _)| id.task.is_some()) {
        let whole = state.job(&id.whole()).filter(|whole| whole.tasks.is_some());
        let phase = whole.map(|whole| whole.phase);
        if phase.is_none_or(|phase| phase.is_final() && !task.phase.is_final()) {
            return Err(format!("P7: {id} is {}, its whole {phase:?}", task.phase));
        }
    }
    for (id, job) in state.jobs().filter(|(_, job)| !job.phase.is_final()) {
        let Some(tasks) = &job.tasks else { continue };
        let of = |phase: JobPhase| {
            let rows = state.tasks(id).filter(|(_, task)| task.phase == phase).count();
            u32::try_from(rows).unwrap_or(u32::MAX)
        };
        let open = state.tasks(id).filter(|(_, task)| !task.phase.is_final()).count();
        let open = u32::try_from(open).unwrap_or(u32::MAX);
        let last = state.tasks(id).next_back().and_then(|(id, _)| id.task);
        let numbered = last.is_none_or(|last| last < tasks.next);
        // Of what ended a service keeps the last rows only.
        let ended =
            of(JobPhase::Succeeded) <= tasks.succeeded && of(JobPhase::Failed) <= tasks.failed;
        let counted = of(JobPhase::Running) == tasks.running
            && of(JobPhase::Stopping) == tasks.stopping
            && (!matches!(job.facts.kind, Kind::Service { .. })
                || state.tasks(id).filter(|(_, task)| task.phase.is_final()).count()
                    == usize::try_from(tasks.kept).unwrap_or(usize::MAX));
        if open != tasks.open || !counted || !numbered || !ended {
            return Err(format!("P7: {id} counts {tasks:?}, it has {open} open, last {last:?}"));
        }
        if state.wants_more(job) != (state.wanted(job) > 0) {
            return Err(format!("{id} wants {}, and by its counters not", state.wanted(job)));
        }
        // What hosts bring over from the incarnation before runs, however many it is.
        if let Kind::Array { tasks: all, at_most } = job.facts.kind
            && (tasks.next > all || (tasks.open > at_most && job.fate.is_none()))
        {
            return Err(format!("P7: {id} has {tasks:?} of {all}, {at_most} at once"));
        }
    }
    Ok(())
}

/// L4: a payload or submission is kept for open jobs and no longer, and each open job has both; what stays in an area is of
/// one job, and told apart.
fn payloads_are_those_of_open_jobs(state: &State) -> Result<(), String> {
    let mut uses: BTreeMap<Digest, u32> = BTreeMap::new();
    for (_, job) in state.jobs().filter(|(_, job)| !job.phase.is_final()) {
        for digest in [job.facts.payload, job.submission] {
            let count = uses.entry(digest).or_insert(0);
            *count = count.saturating_add(1);
        }
    }
    let kept: BTreeMap<_, _> = state.payloads.iter().map(|(d, row)| (*d, row.jobs)).collect();
    if kept != uses {
        return Err(format!("L4: kept {kept:?}, used {uses:?}"));
    }
    let open = state.jobs().filter(|(_, job)| !job.phase.is_final() && job.facts.area_only);
    let apart: BTreeMap<Digest, _> =
        open.map(|(id, job)| (job.facts.payload, id.whole())).collect();
    let told: BTreeMap<Digest, _> =
        state.area_only.iter().map(|(d, row)| (*d, row.job.whole())).collect();
    // A task has what its whole has.
    let open = state.jobs().filter(|(_, job)| !job.phase.is_final() && job.facts.area_only);
    let mut wholes: BTreeMap<Digest, BTreeSet<JobId>> = BTreeMap::new();
    for (id, job) in open {
        wholes.entry(job.facts.payload).or_default().insert(id.whole());
    }
    let alone = |digest: &Digest| wholes.get(digest).is_some_and(|jobs| jobs.len() == 1);
    if apart == told && told.keys().all(alone) {
        return Ok(());
    }
    Err(format!("L4: payloads {told:?} stay in an area, those of {apart:?} have to"))
}

/// R5 and what checkpoints need: members, standings and endorsers agree, somebody votes, no foreign site has a member,
/// and k operators can sign.
fn members_can_decide_and_sign(state: &State) -> Result<(), String> {
    let Some(federation) = state.federation() else { return Ok(()) };
    let in_it = federation.standings.iter().filter(|(_, standing)| **standing != Standing::Removed);
    let standing: BTreeSet<_> = in_it.map(|(member, _)| *member).collect();
    let members: BTreeSet<_> = federation.members.keys().copied().collect();
    let signing: BTreeSet<_> = federation.bundle.endorsers.iter().map(|e| e.member).collect();
    if standing != members || signing != members || federation.voters().is_empty() {
        return Err(format!("R5: members {members:?}, standing {standing:?}, signing {signing:?}"));
    }
    let abroad = |member: &GenesisMember| {
        state
            .site(&member.site)
            .is_none_or(|site| site.operator != member.operator || !Area::Japan.contains(site.area))
    };
    if let Some(member) = federation.members.values().find(|member| abroad(member)) {
        return Err(format!("R5: member {} stands at no site of its operator", member.member));
    }
    let voters = federation.voters();
    let of = voters.iter().filter_map(|id| Some(&federation.members.get(id)?.operator));
    let operators: BTreeSet<_> = federation.members.values().map(|m| &m.operator).collect();
    if let Some(holder) = quorum_holder(&of.collect::<Vec<_>>()).filter(|_| operators.len() >= 3) {
        return Err(format!("R5: {holder:?}"));
    }
    let signers = federation.bundle.operators().count();
    if u32::try_from(signers).is_ok_and(|signers| signers >= federation.bundle.k) {
        return Ok(());
    }
    Err(format!("D4: {signers} operators can sign, {} are needed", federation.bundle.k))
}

/// P6 in the state: every living placement has its job and node, and each of them knows it.
fn nothing_dangles(state: &State) -> Result<(), String> {
    for (id, row) in state.placements() {
        let job = state.job(&row.grant.job).ok_or_else(|| format!("P6: {id} has no job"))?;
        if !job.placements.contains(id) {
            return Err(format!("P6: job {} does not know {id}", row.grant.job));
        }
        let Some(node) = state.node(&row.grant.node) else {
            // One that was decommissioned held nothing that lives.
            if row.phase.is_ended() {
                continue;
            }
            return Err(format!("P6: {id} has no node"));
        };
        if node.placements.contains(id) == row.phase.is_ended() {
            return Err(format!("P6: node {} and {id} disagree", row.grant.node));
        }
    }
    if let Some((id, _)) = state.nodes().find(|(_, node)| state.retired(&node.node_key).is_some()) {
        return Err(format!("P5: the key of {id} was retired"));
    }
    what_is_named_exists(state)?;
    for (tenant, row) in state.tenants() {
        let open =
            state.jobs().filter(|(id, job)| id.tenant == *tenant && !job.phase.is_final()).count();
        if u32::try_from(open).ok() != Some(row.open_jobs) {
            return Err(format!("tenant {tenant} counts {} open jobs, has {open}", row.open_jobs));
        }
    }
    Ok(())
}

/// D1, Q1: policies that bind something exist, and quotas and open jobs are of tenants.
fn what_is_named_exists(state: &State) -> Result<(), String> {
    let tenant = |id: &TenantId| state.tenant(id).is_some();
    let policy = |id: &Option<PolicyId>| id.as_ref().is_none_or(|id| state.policy(id).is_some());
    if let Some((id, _)) = state.tenants().find(|(_, row)| !policy(&row.policy)) {
        return Err(format!("D1: tenant {id} is bound by a policy that is gone"));
    }
    let open = state.jobs().filter(|(_, job)| !job.phase.is_final());
    for (id, job) in open {
        if !tenant(&id.tenant) || !policy(&job.facts.policy) {
            return Err(format!("D1: the tenant or policy of {id} is gone"));
        }
    }
    if let Some((key, _)) = state.holdings().find(|((of, _), _)| !tenant(of)) {
        return Err(format!("Q1: a holding {key:?} of no tenant"));
    }
    if let Some((key, _)) = state.budgets().find(|((of, _), _)| !tenant(of)) {
        return Err(format!("Q1: a budget {key:?} of no tenant"));
    }
    Ok(())
}
