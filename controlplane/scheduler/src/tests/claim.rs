//! Backfill: what waits for much is passed, and not held up.

use super::*;
use crate::{Waiting, plan};
use sekisho_fsm::testing::job;
use sekisho_types::job::JobFacts;
use sekisho_types::quota::Limit;

/// Two nodes of four GPUs in Tokyo; a job holds one of them for an hour.
fn half_full() -> Federation {
    let mut federation = Federation::new();
    federation.tenant("sapporo", Limit::Unlimited);
    for node in ["tokyo-1/n-1", "tokyo-1/n-2"] {
        federation.ready_node(node, 4);
    }
    federation.submit(job("runs", 1, 4, &[]));
    assert_eq!(commit(&mut federation), 1);
    federation
}

fn lasting(name: &str, group: u32, gpus: u32, minutes: u64) -> JobFacts {
    JobFacts { time_limit_s: minutes.saturating_mul(60), ..job(name, group, gpus, &[]) }
}

#[test]
fn a_gang_is_passed_by_what_is_over_before_it_starts() {
    let mut federation = half_full();
    federation.submit(lasting("gang", 2, 4, 60));
    federation.submit(lasting("long", 1, 1, 61));
    federation.submit(lasting("short", 1, 1, 59));
    let found = plan(&federation.state);
    assert_eq!(shown(&found), ["short: tokyo-1/n-2"]);
    assert_eq!(found.waiting, Waiting { room: 2, ..Waiting::default() });
}

#[test]
fn what_leaves_the_gang_enough_may_last() {
    let mut federation = half_full();
    federation.submit(lasting("gang", 2, 3, 60));
    for name in ["long-1", "long-2"] {
        federation.submit(lasting(name, 1, 1, 600));
    }
    // One device of each node is over; that of the full one is not free yet.
    assert_eq!(shown(&plan(&federation.state)), ["long-1: tokyo-1/n-2"]);
}

#[test]
fn a_quota_is_kept_for_whom_it_will_suffice() {
    let mut federation = Federation::furnished();
    federation.submit(job("runs", 2, 3, &[]));
    assert_eq!(commit(&mut federation), 1);
    federation.submit(lasting("large", 2, 4, 60));
    federation.submit(lasting("long", 1, 2, 61));
    federation.submit(lasting("short", 1, 2, 59));
    let found = plan(&federation.state);
    assert_eq!(found.groups.len(), 1, "{:?}", shown(&found));
    assert_eq!(found.groups[0].job.name.to_string(), "short");
    assert_eq!(found.waiting, Waiting { quota: 2, ..Waiting::default() });
}

#[test]
fn a_large_job_starts_when_what_ran_before_it_is_over_however_many_small_ones_come() {
    let mut federation = Federation::new();
    for (tenant, gpus) in [("sapporo", 64), ("osaka", 64)] {
        federation.tenant(tenant, Limit::Gpus(gpus));
    }
    for node in 0..4 {
        federation.ready_node(&format!("tokyo-1/n-{node}"), 4);
    }
    let mut made = 0;
    let mut small = |federation: &mut Federation| {
        // Always more of both tenants in the queue than there is room for.
        while federation.state.queue_len() < 24 {
            made += 1;
            let facts = lasting(&format!("s-{made}"), 1, 1 + made % 2, 10 + u64::from(made % 3));
            let tenant = ["sapporo", "osaka"][usize::from(made % 2 == 0)].parse().unwrap();
            let id = JobId { tenant, ..facts.id.clone() };
            federation.submit(JobFacts { id, ..facts });
        }
    };
    for _ in 0..5 {
        small(&mut federation);
        commit(&mut federation);
        minute(&mut federation);
    }
    let large = federation.submit(lasting("large", 4, 4, 30));
    let mut waited = 0;
    while federation.placements(&large).is_empty() {
        small(&mut federation);
        commit(&mut federation);
        minute(&mut federation);
        waited += 1;
        // What was queued before it takes 25 minutes of the whole fleet; then the nodes drain, once for what started in turns of
        // others before its own came.
        assert!(waited <= 60, "it waited {waited} minutes");
    }
    assert!(waited > 2, "the fleet was full");
}
