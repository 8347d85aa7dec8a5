//! Test-only: what the federation of the golden files holds. Names are as long as they come, in both scripts.

use super::beside;
use super::charge::charged;
use super::pending::pending;
use super::server::Answers;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1;
use sekisho_types::error_code::ErrorCode;

/// 2026-11-22T01:02:03Z.
pub(super) const AT: u64 = 1_795_309_323_000;
const CLUSTER: &str = "0123456789abcdef0123456789abcdef";
const LONG: &str = "独立行政法人 北海道先端的計算科学技術総合研究機構 石狩データセンター第二棟";

pub(super) fn site(id: &str, operator: &str, label: &str, display_name: &str) -> v1::Site {
    v1::Site {
        name: format!("sites/{id}"),
        operator: operator.into(),
        area_label: label.into(),
        display_name: display_name.into(),
        nodes: 24,
        etag: "17".into(),
        power_cap_watts: Some(96_000),
        power_used_watts: 88_200,
        ..Default::default()
    }
}

fn node(id: &str, state: v1::node::State, label: &str) -> v1::Node {
    let bucket = v1::Bucket {
        device_class: "nvidia-h200".into(),
        memory_mib: 143_771,
        island: 0,
        count: 8,
        used: 6,
        watts: 700,
        kind: v1::bucket::Kind::Whole.into(),
        ..Default::default()
    };
    v1::Node {
        name: format!("sites/{}", id.replace('/', "/nodes/")),
        operator: "hokuto".into(),
        area: "012351".into(),
        area_label: label.into(),
        country_tier: "T2".into(),
        area_tier: "T1".into(),
        state: state.into(),
        buckets: vec![bucket],
        schedulable: true,
        tag_expires_ms: AT,
        etag: "18".into(),
        node_key: "ab".repeat(32),
        joined_ms: AT,
        rack: "r12".into(),
        ..Default::default()
    }
}

pub(super) fn job(id: &str, phase: v1::job::Phase, message: &str) -> v1::Job {
    let spec = v1::JobSpec {
        group: 4,
        device_class: "nvidia-h200".into(),
        gpus: 8,
        memory_mib: 80 * 1024,
        priority: 50,
        policy: "policies/hokkaido-only".into(),
        residency: Some(v1::Rules { areas: vec!["010006".into()], ..Default::default() }),
        time_limit_s: 86_400,
        payload_sha256: "cd".repeat(32),
        payload_len: 812,
        ..Default::default()
    };
    let placement = |rank: u32| v1::Placement {
        id: format!("p-1-4711-{rank}"),
        rank,
        node: format!("sites/ishikari-1/nodes/n-{rank:02}"),
        operator: "hokuto".into(),
        area_label: "石狩市 (012351)".into(),
        gpus: 8,
        device_class: "nvidia-h200".into(),
        phase: "running".into(),
        changed_ms: AT,
        audit_index: 4711,
    };
    let runs = phase == v1::job::Phase::Running;
    v1::Job {
        name: format!("tenants/{}", id.replace('/', "/jobs/")),
        spec: Some(spec),
        phase: phase.into(),
        message: message.into(),
        submitter: "hokuto/user/sapporo".into(),
        submitted_ms: AT,
        submitted_revision: 4700,
        attempts: 1,
        placements: if runs { (0..4).map(placement).collect() } else { Vec::new() },
        etag: "4711".into(),
        ..Default::default()
    }
}

fn member(number: u64, operator: &str, site: &str, reachable: bool) -> v1::Member {
    v1::Member {
        name: format!("members/{number}"),
        operator: operator.into(),
        site: site.into(),
        address: format!("controller.{site}.{operator}.example:7443"),
        leader: number == 2,
        role: "voter".into(),
        lag: Some(if reachable { 0 } else { 812 }),
        reachable,
        signed_revision: 4711,
        standing: "voter".into(),
        matched: Some(4711),
        silent_for_ms: Some(if reachable { 12 } else { 65_000 }),
        ..Default::default()
    }
}

fn members() -> Vec<v1::Member> {
    vec![
        member(1, "kanto", "tokyo-1", true),
        member(2, "naniwa", "sakai-1", true),
        member(3, "hokuto", "ishikari-1", false),
    ]
}

fn status() -> v1::Status {
    let silent = v1::status::Finding {
        severity: v1::status::Severity::Bad.into(),
        what: "members/3 does not answer; 2 of 3 voters do".into(),
        command: "sekisho member list".into(),
        ..Default::default()
    };
    v1::Status {
        revision: 4711,
        term: 7,
        leader: "members/2".into(),
        audit_size: 98_765,
        audit_uncovered: 3,
        k: 2,
        missing_signers: vec!["hokuto".into()],
        findings: vec![silent],
        jobs_queued: 12,
        jobs_running: 34,
        nodes_ready: 70,
        nodes_total: 72,
        gpus_used: 512,
        gpus_total: 576,
        cluster: CLUSTER.into(),
        state_digest: "ef".repeat(32),
        members: members(),
    }
}

fn rules() -> v1::Rules {
    v1::Rules {
        areas: vec!["010006".into()],
        denied_areas: vec!["012351".into()],
        operators: vec!["hokuto".into()],
        country_tier: "T2".into(),
        area_tier: "T1".into(),
        proof_f: Some(1),
        max_proof_age_s: Some(900),
        on_stale_proof: "drain".into(),
        ..Default::default()
    }
}

/// Everything there is.
pub(super) fn full() -> Answers {
    let hello = v1::HelloResponse {
        principal: "kanto/user/admin".into(),
        roles: vec!["federation-admin".into()],
        member: "members/1".into(),
        cluster: CLUSTER.into(),
        incarnation: 1,
        revision: 4711,
        feature_level: 1,
        dev: true,
    };
    let members_list = v1::ListMembersResponse {
        members: members(),
        term: 7,
        revision: 4711,
        can_stop_quorum: vec!["sites/tokyo-1".into()],
        ..Default::default()
    };
    let answers = Answers::default()
        .with("MemberService/Hello", &hello)
        .with("MemberService/GetStatus", &status())
        .with("MemberService/GetMember", &members()[1])
        .with("MemberService/ListMembers", &members_list)
        .with("AuditService/ListRecords", &v1::ListRecordsResponse::default())
        .with("AuditService/ListDenials", &beside::denials())
        .with("AuditService/ListForks", &beside::forks());
    charged(pending(rights(work(places(answers)))))
}

/// Sites, nodes and landmarks.
fn places(answers: Answers) -> Answers {
    let sites = vec![
        site("ishikari-1", "hokuto", "石狩市 (012351)", LONG),
        site("tokyo-1", "kanto", "千代田区 (131016)", "Otemachi"),
    ];
    let nodes = vec![
        node("ishikari-1/n-01", v1::node::State::Ready, "石狩市 (012351)"),
        node("ishikari-1/n-02", v1::node::State::Unreachable, "石狩市 (012351)"),
    ];
    let landmark = v1::Landmark {
        name: "operators/hokuto/landmarks/ishikari".into(),
        position: "43.171,141.315".into(),
        survey_m: 100,
        key: "09".repeat(32),
        address: "landmark.ishikari-1.hokuto.example:7445".into(),
        datagrams: "landmark.ishikari-1.hokuto.example:7446".into(),
        etag: "21".into(),
        reach_m: 412_000,
        ..Default::default()
    };
    let unreachable = vec!["sites/sakai-1".to_owned()];
    answers
        .with("SiteService/GetSite", &sites[0])
        .with(
            "SiteService/ListSites",
            &v1::ListSitesResponse {
                sites,
                revision: 4711,
                unreachable: unreachable.clone(),
                ..Default::default()
            },
        )
        .with("NodeService/GetNode", &nodes[0])
        .with(
            "NodeService/ListNodes",
            &v1::ListNodesResponse { nodes, revision: 4711, unreachable, ..Default::default() },
        )
        .with("LandmarkService/GetLandmark", &landmark)
        .with(
            "LandmarkService/ListLandmarks",
            &v1::ListLandmarksResponse {
                landmarks: vec![landmark],
                revision: 4711,
                ..Default::default()
            },
        )
}

/// Tenants and their jobs.
fn work(answers: Answers) -> Answers {
    let why = "waits for 8 free nvidia-h200 inside 北海道: 4 of 32 GPUs are free, and tenant sapporo may hold 64";
    let jobs = vec![
        job("sapporo/train", v1::job::Phase::Running, "4 of 4 members run"),
        job(
            "sapporo/a-very-long-name-of-a-job-that-somebody-chose-0123456789",
            v1::job::Phase::Queued,
            why,
        ),
    ];
    let tenant = |id: &str, name: &str, parent: &str| v1::Tenant {
        name: format!("tenants/{id}"),
        display_name: name.into(),
        policy: "policies/hokkaido-only".into(),
        open_jobs: 46,
        etag: "20".into(),
        parent: parent.into(),
    };
    let tenants = vec![tenant("minato", "港区", ""), tenant("sapporo", LONG, "tenants/minato")];
    answers
        .with("TenantService/GetTenant", &tenants[1])
        .with(
            "TenantService/ListTenants",
            &v1::ListTenantsResponse { tenants, revision: 4711, ..Default::default() },
        )
        .with("JobService/GetJob", &jobs[0])
        .with(
            "JobService/ListJobs",
            &v1::ListJobsResponse { jobs, revision: 4711, ..Default::default() },
        )
        .with("JobService/ExplainJob", &explanation(why))
}

/// Policies and keys.
fn rights(answers: Answers) -> Answers {
    let policy = v1::Policy {
        name: "policies/hokkaido-only".into(),
        rules: Some(rules()),
        etag: "19".into(),
        since_ms: AT,
    };
    let key = v1::Key {
        name: format!("operators/hokuto/users/sapporo/keys/{}", "07".repeat(32)),
        principal: "hokuto/user/sapporo".into(),
        public_key: vec![7; 32].into(),
        role: "tenant-user:sapporo".into(),
        expires_ms: AT,
    };
    answers
        .with("PolicyService/GetPolicy", &policy)
        .with(
            "PolicyService/ListPolicies",
            &v1::ListPoliciesResponse {
                policies: vec![policy],
                revision: 4711,
                ..Default::default()
            },
        )
        .with("KeyService/GetKey", &key)
        .with(
            "KeyService/ListKeys",
            &v1::ListKeysResponse { keys: vec![key], revision: 4711, ..Default::default() },
        )
}

fn explanation(why: &str) -> v1::Explanation {
    let step = |reason: &str, condition: &str, nodes_left| v1::explanation::Step {
        reason: reason.into(),
        condition: condition.into(),
        nodes_left,
    };
    v1::Explanation {
        revision: 4711,
        verdict: v1::explanation::Verdict::WouldWait.into(),
        steps: vec![
            step("", "enrolled", 72),
            step("RESIDENCY_AREA", "inside 北海道", 24),
            step("CAPACITY_FULL", "8 free nvidia-h200", 0),
        ],
        binding: "CAPACITY_FULL".into(),
        relaxations: vec![v1::explanation::Relaxation {
            change: "allow 東京都".into(),
            effect: "placed now at tokyo-1".into(),
        }],
        queue_position: Some(3),
        summary: why.into(),
        ..Default::default()
    }
}

/// A job that would be placed, then would wait, then never.
pub(super) fn plans() -> Answers {
    use v1::explanation::Verdict;
    let plan =
        |verdict: Verdict| v1::Explanation { verdict: verdict.into(), ..explanation("so it is") };
    Answers::default()
        .with("JobService/PlanJob", &plan(Verdict::PlacedNow))
        .with("JobService/PlanJob", &plan(Verdict::WouldWait))
        .with("JobService/PlanJob", &plan(Verdict::Never))
}

/// A job that runs, then another beside it, then the first is over and the second unchanged.
pub(super) fn changing() -> Answers {
    let list =
        |jobs: &[v1::Job]| v1::ListJobsResponse { jobs: jobs.to_vec(), ..Default::default() };
    let (runs, waits) = (
        job("sapporo/train", v1::job::Phase::Running, "4 of 4 members run"),
        job("sapporo/next", v1::job::Phase::Queued, "waits"),
    );
    let over = job("sapporo/train", v1::job::Phase::Succeeded, "");
    // An event wakes; what it says is not shown.
    let item = Some(v1::watch_response::Item::Job(over.clone()));
    let event = v1::WatchResponse { revision: 4712, item };
    Answers::default()
        .with("JobService/ListJobs", &list(std::slice::from_ref(&runs)))
        .with("JobService/ListJobs", &list(&[runs, waits.clone()]))
        .with("JobService/ListJobs", &list(&[over, waits]))
        .refusing("JobService/ListJobs", ApiError::new(ErrorCode::PermissionDenied, "enough"))
        .with("EventService/Watch", &event)
}

/// Nothing of any kind.
pub(super) fn empty() -> Answers {
    Answers::default()
        .with("SiteService/ListSites", &v1::ListSitesResponse::default())
        .with("JobService/ListJobs", &v1::ListJobsResponse::default())
        .with("QuotaService/ListQuotas", &v1::ListQuotasResponse::default())
}

/// Each exit of an error code that a member can cause.
pub(super) fn refusing() -> Answers {
    let gone = ApiError::new(ErrorCode::NotFound, "tenants/sapporo/jobs/gone");
    Answers::default()
        .refusing("JobService/GetJob", gone)
        .refusing(
            "SiteService/ListSites",
            ApiError::new(ErrorCode::PermissionDenied, "for federation-admins"),
        )
        .refusing(
            "MemberService/TransferLeader",
            ApiError::new(ErrorCode::RevisionMismatch, "etag 17, not 16"),
        )
        .refusing(
            "JobService/ExplainJob",
            ApiError::new(ErrorCode::QuotaNone, "tenant sapporo, nvidia-h200"),
        )
        .refusing(
            "NodeService/ListNodes",
            ApiError::new(ErrorCode::NoLeader, "an election is under way"),
        )
        .refusing("QuotaService/ListQuotas", ApiError::new(ErrorCode::Internal, "a fault"))
}
