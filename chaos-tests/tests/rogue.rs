//! A rogue quorum against one agent process. No federation runs: its keys are all that the rogues need of it.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a broken set-up should fail loudly")]

use sekisho_chaos::federation::beside;
use sekisho_chaos::rogue::{Attempt, Stolen, play};
use sekisho_cli::pki::{OperatorDir, Plan, genesis};
use sekisho_evidence::genesis::GenesisSite;
use sekisho_transport::clock::SystemClock;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::MemberId;
use sekisho_types::jurisdiction::Area;
use sekisho_types::principal::TrustDomain;
use sekisho_types::time::Clock as _;
use std::path::Path;

const OPERATORS: [(&str, &str, &str); 3] = [
    ("kanto", "tokyo-1", "131016"),
    ("naniwa", "sakai-1", "271403"),
    ("hokuto", "ishikari-1", "012351"),
];

/// Lays the keys and the genesis of three operators where `sekisho dev` would.
fn found(dir: &Path) {
    let (now, mut cards, mut dirs) = (SystemClock.wall(), Vec::new(), Vec::new());
    for (member, (operator, site, area)) in (1u64..).zip(OPERATORS) {
        let plan = Plan {
            operator: operator.parse().unwrap(),
            trust_domain: TrustDomain::parse(&format!("{operator}.example")).unwrap(),
            site: GenesisSite {
                site: site.parse().unwrap(),
                operator: operator.parse().unwrap(),
                area: Area::resolve(area).unwrap(),
                display_name: site.to_owned(),
            },
            members: vec![(MemberId(member), format!("127.0.0.1:{member}"))],
            admin: "admin".parse().unwrap(),
        };
        let own = OperatorDir::new(dir.join("operators").join(operator));
        cards.push(own.init(&plan, &[], now).unwrap());
        dirs.push(own);
    }
    let signed = genesis::sign(genesis::assemble(&cards, true, now).unwrap(), &dirs).unwrap();
    std::fs::write(dir.join("genesis.bin"), genesis::bytes(&signed).unwrap()).unwrap();
}

/// D4, A3: k operators' members sign all that they like; the agent starts nothing abroad, and nothing unsubmitted.
#[test]
fn an_agent_refuses_what_a_rogue_quorum_signs() {
    let dir = tempfile::tempdir().unwrap();
    found(dir.path());
    let stolen = Stolen::from(dir.path()).unwrap();
    let agent = beside().unwrap().join("sekisho-agent");
    let attempts = [
        (Attempt::ForeignArea, ErrorCode::ResidencyOutsideJp, "the grant names KR"),
        (Attempt::TaggedAbroad, ErrorCode::ResidencyOutsideJp, "this node's site tag names KR-26"),
        (
            Attempt::Unsubmitted,
            ErrorCode::GrantSubmission,
            "operator kanto does not vouch for the submitter's key",
        ),
    ];
    for (attempt, code, why) in attempts {
        let refusal = play(&stolen, attempt, &agent, &dir.path().join(format!("{attempt:?}")));
        let refusal = refusal.unwrap();
        assert_eq!((refusal.code, refusal.detail.as_str()), (code, why), "{attempt:?}");
    }
}
