//! The same health as numbers, set when somebody asks for metrics.
//!
//! Must hold: what this member does not know now reads NaN, never the last value that it knew: a member that lost
//! leadership must not go on showing what it saw as leader.

use super::{Fleet, Health, ms};
use crate::core::Core;
use crate::vitals::Load;
use sekisho_fsm::jobs::Counts;
use sekisho_fsm::power::SitePower;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1::node::State as Phase;
use sekisho_types::id::SiteId;
use std::time::Duration;

/// A count as a gauge: exact to 2^53.
fn number(n: u64) -> f64 {
    let high = u32::try_from(n >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(n & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    f64::from(high).mul_add(4_294_967_296.0, f64::from(low))
}

fn seconds(ms: u64) -> f64 {
    Duration::from_millis(ms).as_secs_f64()
}

fn yes(is: bool) -> f64 {
    f64::from(u8::from(is))
}

impl Core {
    /// Sets every gauge that is looked up instead of being kept. Walks the state once.
    pub fn record_gauges(&self) {
        self.record_vitals();
        let state = self.replica.state();
        metrics::gauge!("sekisho_audit_records").set(number(state.audit_size()));
        metrics::gauge!("sekisho_jobs_queued").set(number(count(state.queue_len())));
        record_jobs(state.job_counts());
        let wall = self.clock.wall();
        let (ahead, behind) = (state.clock().since_ms(wall), wall.since_ms(state.clock()));
        metrics::gauge!("sekisho_clock_offset_seconds").set(seconds(ahead) - seconds(behind));
        let overdue = number(count(state.overdue().count()));
        metrics::gauge!("sekisho_eviction_overdue_placements").set(overdue);
        let open = number(count(state.open_break_glasses().count()));
        metrics::gauge!("sekisho_break_glass_open").set(open);
        let pending = number(count(state.pending_approvals().count()));
        metrics::gauge!("sekisho_approvals_pending").set(pending);
        for (id, _) in state.sites() {
            record_power(id, state.power(id));
        }
        // Before the first entry there is no federation whose health could be told.
        let Ok(health) = Health::of(self, &state) else { return };
        health.record_members();
        health.record_checkpoints();
        let accused = number(count(self.accused().len()));
        metrics::gauge!("sekisho_audit_accused_members").set(accused);
        let agents = number(count(state.contradictions_seen().count()));
        metrics::gauge!("sekisho_audit_contradicted_countersignatures").set(agents);
        health.record_landmarks();
        record_fleet(&health.fleet());
    }

    fn record_vitals(&self) {
        let vitals = self.vitals.vitals();
        let (free, size) =
            vitals.disk.map_or((f64::NAN, f64::NAN), |disk| (number(disk.free), number(disk.size)));
        metrics::gauge!("sekisho_store_disk_free_bytes").set(free);
        metrics::gauge!("sekisho_store_disk_size_bytes").set(size);
        let ends = vitals.certificate_ends.map_or(f64::NAN, |ends| seconds(ends.0));
        metrics::gauge!("sekisho_certificate_end_timestamp_seconds").set(ends);
        for (lane, Load { in_flight, bound, .. }) in
            [("ordinary", vitals.ordinary), ("internal", vitals.internal)]
        {
            metrics::gauge!("sekisho_raft_in_flight", "lane" => lane).set(in_flight);
            metrics::gauge!("sekisho_raft_in_flight_limit", "lane" => lane).set(bound);
        }
    }
}

impl Health<'_> {
    fn record_members(&self) {
        for id in self.federation.members.keys() {
            let peer = id.name();
            let lag = self.membership.lag.get(id).map_or(f64::NAN, |lag| number(*lag));
            metrics::gauge!("sekisho_raft_peer_lag_entries", "peer" => peer.clone()).set(lag);
            let reachable = self.core.hears(*id, self.now_ns);
            metrics::gauge!("sekisho_member_reachable", "peer" => peer).set(yes(reachable));
        }
    }

    fn record_landmarks(&self) {
        let pairs = number(count(self.pairs().len()));
        metrics::gauge!("sekisho_landmark_contradictions").set(pairs);
        let out = number(count(self.state.convictions().count()));
        metrics::gauge!("sekisho_landmarks_convicted").set(out);
    }

    fn record_checkpoints(&self) {
        metrics::gauge!("sekisho_audit_uncovered_records").set(number(self.uncovered()));
        let missing = number(count(self.missing_signers().len()));
        metrics::gauge!("sekisho_checkpoint_missing_signers").set(missing);
        let wall = self.core.clock.wall();
        // From this member's start while it knows none: an age that is missing would alarm nobody.
        let none = Duration::from_nanos(self.now_ns.saturating_sub(self.core.started_ns));
        let age = self
            .core
            .notes
            .newest()
            .map_or_else(|| ms(none), |note| wall.since_ms(note.checkpoint.time));
        metrics::gauge!("sekisho_checkpoint_age_seconds").set(seconds(age));
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn record_jobs(counts: Counts) {
    let Counts { running, held, tasks_open, services_short } = counts;
    metrics::gauge!("sekisho_jobs_running").set(number(running));
    metrics::gauge!("sekisho_jobs_held").set(number(held));
    metrics::gauge!("sekisho_tasks_open").set(number(tasks_open));
    metrics::gauge!("sekisho_services_short").set(number(services_short));
}

/// A site without a cap reads NaN, so that none is shown that was lifted.
fn record_power(site: &SiteId, power: SitePower) {
    let cap = power.cap.map_or(f64::NAN, number);
    for (kind, watts) in [("used", number(power.used)), ("cap", cap)] {
        let site = site.to_string();
        metrics::gauge!("sekisho_site_power_watts", "site" => site, "kind" => kind).set(watts);
    }
}

fn record_fleet(fleet: &Fleet) {
    for (phase, name) in [
        (Phase::Enrolled, "enrolled"),
        (Phase::Ready, "ready"),
        (Phase::Unreachable, "unreachable"),
        (Phase::Lost, "lost"),
        (Phase::Revoked, "revoked"),
        (Phase::Quarantined, "quarantined"),
    ] {
        metrics::gauge!("sekisho_nodes", "state" => name).set(fleet.count(phase));
    }
    metrics::gauge!("sekisho_gpus_used").set(number(fleet.gpus_used));
    metrics::gauge!("sekisho_gpus_capacity").set(number(fleet.gpus_total));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_keep_their_value_as_gauges() {
        for n in [0, 1, u64::from(u32::MAX), 1 << 32, (1 << 53) - 1] {
            assert_eq!(format!("{:.0}", number(n)), n.to_string());
        }
    }
}
