//! Every metric: its name, what it counts and in which unit. The one place that explains them.
//!
//! Must hold: names begin with `sekisho_`, counters end in `_total`, what has a unit names it (`_seconds`, `_bytes`, `_watts`)
//! before that; no label value is unbounded (never a job, a tenant or an address). `xtask tidy` holds every metric in
//! the code, and every one that a dashboard or an alert names, to this table.

/// What a metric does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; 0 at start.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// What its numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Watts.
    Watts,
}

impl Unit {
    /// For the exporter.
    #[must_use]
    pub fn described(self) -> metrics::Unit {
        match self {
            // The exporter knows no watts.
            Self::Count | Self::Watts => metrics::Unit::Count,
            Self::Seconds => metrics::Unit::Seconds,
            Self::Bytes => metrics::Unit::Bytes,
        }
    }

    /// Upper bounds of a histogram's buckets. Seconds: from a tenth of a local fsync to the longest deadline of a
    /// call. Bytes: from a vote to the largest snapshot, by fours. Counts: to the largest batch, by twos.
    #[must_use]
    pub fn buckets(self) -> &'static [f64] {
        match self {
            Self::Seconds => &[
                0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                1.0, 2.5, 5.0, 10.0,
            ],
            Self::Bytes => &[
                256.0,
                1_024.0,
                4_096.0,
                16_384.0,
                65_536.0,
                262_144.0,
                1_048_576.0,
                4_194_304.0,
                16_777_216.0,
                67_108_864.0,
                268_435_456.0,
                1_073_741_824.0,
            ],
            Self::Count | Self::Watts => &[
                1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0,
                4_096.0,
            ],
        }
    }

    /// What a name of this unit ends in, `_total` left off.
    #[must_use]
    pub fn suffix(self) -> Option<&'static str> {
        match self {
            Self::Count => None,
            Self::Seconds => Some("_seconds"),
            Self::Bytes => Some("_bytes"),
            Self::Watts => Some("_watts"),
        }
    }
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub kind: Kind,
    /// What its numbers are.
    pub unit: Unit,
    /// What it says, one line.
    pub help: &'static str,
}

const fn metric(name: &'static str, kind: Kind, unit: Unit, help: &'static str) -> Metric {
    Metric { name, kind, unit, help }
}
const fn counter(name: &'static str, help: &'static str) -> Metric {
    metric(name, Kind::Counter, Unit::Count, help)
}
const fn counter_bytes(name: &'static str, help: &'static str) -> Metric {
    metric(name, Kind::Counter, Unit::Bytes, help)
}
const fn gauge(name: &'static str, help: &'static str) -> Metric {
    metric(name, Kind::Gauge, Unit::Count, help)
}
const fn gauge_seconds(name: &'static str, help: &'static str) -> Metric {
    metric(name, Kind::Gauge, Unit::Seconds, help)
}
const fn gauge_watts(name: &'static str, help: &'static str) -> Metric {
    metric(name, Kind::Gauge, Unit::Watts, help)
}
const fn gauge_bytes(name: &'static str, help: &'static str) -> Metric {
    metric(name, Kind::Gauge, Unit::Bytes, help)
}
const fn histogram(name: &'static str, help: &'static str) -> Metric {
    metric(name, Kind::Histogram, Unit::Count, help)
}
const fn histogram_seconds(name: &'static str, help: &'static str) -> Metric {
    metric(name, Kind::Histogram, Unit::Seconds, help)
}
const fn histogram_bytes(name: &'static str, help: &'static str) -> Metric {
    metric(name, Kind::Histogram, Unit::Bytes, help)
}

/// What a controller shows, in the order of its parts.
#[rustfmt::skip]
pub const CONTROLLER: &[Metric] = &[
    gauge("sekisho_build_info", "1, with the version of the program as label."),

    // Consensus.
    gauge("sekisho_raft_is_leader", "1 on the member that leads."),
    gauge("sekisho_raft_term", "Term that this member is in."),
    counter("sekisho_raft_elections_total", "Elections that this member stood in."),
    counter("sekisho_raft_leader_changes_total", "Changes of leader or of its term that this member saw."),
    counter("sekisho_raft_votes_total", "Requests for a vote that this member received."),
    counter("sekisho_raft_heartbeats_total", "Heartbeats that this member sent as leader."),
    counter("sekisho_raft_appends_total", "Append requests that this member received."),
    gauge("sekisho_raft_last_log_index", "Last entry in the log."),
    gauge("sekisho_raft_committed_index", "Last entry known to be committed."),
    gauge("sekisho_raft_applied_index", "Last entry applied."),
    gauge("sekisho_raft_snapshot_index", "Last entry in the newest snapshot."),
    gauge("sekisho_raft_purged_index", "Last entry that was purged from the log."),
    gauge("sekisho_raft_peer_lag_entries", "Entries that a member is behind the leader, by peer; NaN on members that do not lead."),
    histogram_seconds("sekisho_raft_propose_to_commit_seconds", "From an entry's arrival in the leader's engine to its application; the commit latency."),
    gauge("sekisho_raft_in_flight", "Units of proposals in flight, by lane."),
    gauge("sekisho_raft_in_flight_limit", "Units of proposals that may be in flight, by lane."),
    counter("sekisho_raft_shed_total", "Proposals refused because too much was in flight, by lane."),
    counter("sekisho_raft_applied_entries_total", "Entries applied."),
    histogram("sekisho_raft_apply_entries", "Entries in one batch of apply."),
    histogram("sekisho_raft_append_entries", "Entries in one append request."),
    histogram("sekisho_raft_write_entries", "Entries in one write of proposals."),
    histogram_seconds("sekisho_raft_snapshot_seconds", "Time to build and save a snapshot."),
    histogram_bytes("sekisho_raft_snapshot_bytes", "Size of a snapshot that was built."),
    counter("sekisho_raft_refused_total", "Messages of members refused because their header did not stand."),
    counter("sekisho_raft_claims_refused_total", "Data directories of members that were refused: wiped, set back, copied or twice alive (R6)."),
    counter("sekisho_raft_backfill_refused_total", "Audit records of a member that did not lead to the tree of the snapshot before which they belong."),
    counter("sekisho_raft_member_failures_total", "1 once this member stopped because it could not trust itself (R7)."),

    // Storage.
    histogram_seconds("sekisho_store_fsync_seconds", "One durable write of the log: write and fsync."),
    histogram_bytes("sekisho_store_batch_bytes", "Size of one durable write of the log."),
    histogram("sekisho_store_queue_depth", "Operations that waited for the log when its thread took them."),
    counter("sekisho_store_writes_total", "Durable writes of the log."),
    counter("sekisho_store_entries_total", "Entries written to the log."),
    gauge_bytes("sekisho_store_cache_bytes", "Recent entries held in memory."),
    counter("sekisho_store_failures_total", "Storage errors; the member stops at the first (R7)."),
    gauge_bytes("sekisho_store_disk_free_bytes", "Free space for the data directory; NaN while it cannot be asked."),
    gauge_bytes("sekisho_store_disk_size_bytes", "Size of the data directory's file system; NaN while it cannot be asked."),

    // Audit and checkpoints.
    gauge("sekisho_audit_records", "Records in the audit log."),
    gauge("sekisho_audit_uncovered_records", "Audit records under no checkpoint of k operators that this member knows."),
    gauge_seconds("sekisho_checkpoint_age_seconds", "Age of the newest checkpoint of k operators; since the member's start while it knows none."),
    gauge("sekisho_checkpoint_missing_signers", "Operators whose members signed nothing lately."),
    counter("sekisho_checkpoint_signed_total", "Checkpoints that this member signed."),
    counter("sekisho_checkpoint_refusals_total", "Checkpoints that this member refused to sign: clock, or a fork."),
    counter("sekisho_checkpoint_missed_total", "Points left out because signing fell behind."),
    counter("sekisho_checkpoint_failures_total", "Batches of checkpoints that could not be signed or kept."),
    gauge("sekisho_audit_accused_members", "Members that sign for the federation and signed what this member's audit log contradicts; must read 0 (A1)."),
    gauge("sekisho_audit_contradicted_countersignatures", "Nodes that say that they were shown an audit head which this log never had; must read 0 (A1)."),
    counter("sekisho_countersignatures_total", "Agents' countersignatures heard by this member, by what became of them: recorded, contradicted (and recorded), refused, shed."),
    counter("sekisho_journal_entries_total", "Denials written to this member's journal, sums included (A2)."),
    counter("sekisho_journal_summed_total", "Denials that were counted instead of written one by one: their sender was above its share of the minute."),
    counter("sekisho_journal_failures_total", "Writes of the journal that failed."),
    counter("sekisho_api_audit_forks_total", "Signatures of members under another history; must read 0 (A1)."),

    // Leases, nodes, jobs.
    gauge("sekisho_leases", "Leases that the leader counts; NaN on members that do not lead."),
    gauge("sekisho_leases_expiring", "Leases being taken back; NaN on members that do not lead."),
    gauge("sekisho_nodes_unreachable", "Nodes that missed three beats; NaN on members that do not lead."),
    counter("sekisho_lease_renewals_total", "Renewals by what the leader answered."),
    counter("sekisho_lease_unconfirmed_total", "Rounds in which no majority confirmed the leader."),
    counter("sekisho_lease_signatures_total", "Signatures under acknowledgements; each is for all renewals of a moment."),
    counter("sekisho_api_renewals_carried_total", "Renewals carried to the leader for agents that do not reach it, by result."),
    counter("sekisho_leases_expired_total", "Leases that ended without a renewal."),
    counter("sekisho_api_renewals_withheld_total", "Renewals not acknowledged by a member that was behind or cut off."),
    gauge("sekisho_nodes", "Nodes by state, as this member sees them."),
    gauge("sekisho_gpus_capacity", "Devices that the nodes advertise."),
    gauge("sekisho_gpus_used", "Devices that are granted."),
    gauge_watts("sekisho_site_power_watts", "What the granted devices of a site may draw, and its cap, by kind: used or cap; NaN where it is not capped."),
    gauge("sekisho_jobs_queued", "Jobs that wait for a placement."),
    gauge("sekisho_jobs_running", "Jobs that are placed or run."),
    gauge("sekisho_jobs_held", "Jobs that wait for other jobs, or for their time."),
    gauge("sekisho_tasks_open", "Tasks of arrays and services that are not over."),
    gauge("sekisho_services_short", "Services of which fewer replicas run than they have."),
    gauge("sekisho_placement_waiting", "Jobs at the head of the queue by what they wait for; NaN on members that do not lead."),
    counter("sekisho_placement_granted_total", "Groups granted."),
    counter("sekisho_placement_rejected_total", "Groups that apply rejected."),
    counter("sekisho_placement_preempted_total", "Jobs that were moved to make room for others."),
    histogram_seconds("sekisho_placement_plan_seconds", "Time of one plan."),
    counter("sekisho_drain_evictions_total", "Nodes on which what was left at the end of a drain's deadline was ordered to stop."),
    counter("sekisho_eviction_jobs_total", "Jobs that were ordered to leave a node which the rules in force no longer allow."),
    gauge("sekisho_eviction_overdue_placements", "Placements that the rules in force refuse and that should have stopped; must read 0 (D1)."),
    counter("sekisho_duty_failures_total", "Failed runs of a leader's duty, by duty."),

    // API.
    counter("sekisho_api_requests_total", "Calls by method and code; a stream counts when it begins."),
    histogram_seconds("sekisho_api_request_seconds", "Time to the answer, of a stream to its beginning, by method."),
    gauge("sekisho_api_in_flight", "Calls whose answer has not begun."),
    gauge("sekisho_api_agents", "Agents whose session is attached to this member."),
    gauge("sekisho_api_watches", "Watches of this member that are read."),
    counter("sekisho_api_watch_events_total", "Rows sent to watchers."),
    counter("sekisho_api_watches_ended_total", "Watches that ended, by error code; GONE where the reader went away."),
    counter("sekisho_api_agents_put_off_total", "Agents told to come again later, because too many came at once."),
    gauge("sekisho_api_payloads_held", "Payloads that stay in their area and lie here."),
    gauge_bytes("sekisho_api_payloads_held_bytes", "Bytes of payloads that stay in their area and lie here."),
    gauge("sekisho_api_payloads_lacking", "Payloads that should lie here and do not; more than a minute: no keeper gives them."),
    counter("sekisho_api_payload_uploads_total", "Uploads of payloads that stay in their area, by result: taken, or outside."),
    counter("sekisho_api_denied_total", "Calls and handshakes refused before the log for who called; each is in the journal of denials (A2)."),
    counter("sekisho_api_joins_outside_japan_total", "Hosts refused because they stand outside Japan."),
    counter("sekisho_api_logins_total", "Logins by outcome: ok, token, role, provider, or refused in apply."),
    counter("sekisho_metrics_scrapes_total", "Requests for metrics by code."),

    // Members, connections, clocks.
    gauge("sekisho_member_reachable", "1 for a member that this one hears from, by peer."),
    counter_bytes("sekisho_transport_unproven_peer_bytes_total", "Bytes sent on dialled connections to peers that applied state does not list; must read 0 (D3)."),
    counter_bytes("sekisho_transport_bytes_total", "Application data above TLS, datagrams of landmarks and questions to resolvers and identity providers, by direction and class of peer."),
    gauge("sekisho_transport_connections", "Live connections by class of peer."),
    counter("sekisho_transport_refused_total", "Accepted sockets that became no connection, by reason."),
    counter("sekisho_transport_dial_errors_total", "Dials that failed at every address."),
    counter("sekisho_landmark_exchanges_total", "Exchanges that this member's landmarks were asked for, by result."),
    counter("sekisho_landmark_rounds_total", "Timed rounds of exchanges that came to an end, by result."),
    counter("sekisho_landmark_ranges_total", "Exchanges that landmarks here had with other operators' landmarks, by result."),
    gauge("sekisho_landmark_contradictions", "Pairs of landmarks that count and cannot both be where they are registered; should read 0."),
    gauge("sekisho_landmarks_convicted", "Landmarks that were taken out because they contradict others; should read 0."),
    gauge("sekisho_break_glass_open", "Emergency rights that are open; should read 0."),
    gauge("sekisho_approvals_pending", "Changes that wait for the signature of another operator."),
    counter("sekisho_task_panics_total", "Panics of tasks, by task."),
    gauge_seconds("sekisho_clock_offset_seconds", "State clock minus this member's clock."),
    gauge_seconds("sekisho_certificate_end_timestamp_seconds", "End of this member's certificate, Unix time."),
];

/// What an agent counts. It has no listener, and nobody dials a GPU host: these are there for the day it pushes.
#[rustfmt::skip]
pub const AGENT: &[Metric] = &[
    counter("sekisho_agent_job_starts_total", "Job processes started."),
    counter("sekisho_agent_job_exits_total", "Job processes that ended, by how."),
    counter("sekisho_agent_exit_events_dropped_total", "Ends of jobs that nobody took note of in time."),
    counter("sekisho_agent_refusals_total", "Grants refused with a receipt, by code."),
    counter("sekisho_agent_notes_total", "What the agent noticed and went on, by code."),
    counter("sekisho_agent_stream_messages_dropped_total", "Messages to a controller dropped because its stream was full."),
    counter("sekisho_agent_exchanges_total", "Exchanges with landmarks that were tried, by result."),
    counter("sekisho_agent_fixes_total", "Attempts to have the place of the host proven, by result."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_follow_the_convention_and_help_says_something() {
        let all = || CONTROLLER.iter().chain(AGENT);
        let names: BTreeSet<&str> = all().map(|metric| metric.name).collect();
        assert_eq!(names.len(), all().count(), "a name stands twice");
        for Metric { name, kind, unit, help } in all() {
            let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(name.starts_with("sekisho_") && name.chars().all(is_word), "{name}");
            let rest = name.strip_suffix("_total");
            assert_eq!(rest.is_some(), *kind == Kind::Counter, "{name}: only counters are totals");
            let rest = rest.unwrap_or(name);
            for suffix in [Unit::Seconds, Unit::Bytes].map(|unit| unit.suffix().unwrap()) {
                let ends = rest.ends_with(suffix);
                assert_eq!(ends, unit.suffix() == Some(suffix), "{name}: the unit and its name");
            }
            for kept in ["_bucket", "_count", "_sum"] {
                assert!(!rest.ends_with(kept), "{name}: the exporter's own ending");
            }
            assert!(help.len() > 10 && help.ends_with(['.', ')']), "{name}: {help}");
        }
    }

    #[test]
    fn buckets_rise() {
        for unit in [Unit::Count, Unit::Seconds, Unit::Bytes] {
            assert!(unit.buckets().is_sorted() && unit.buckets().len() < 20);
        }
    }
}
