//! Members that answer, differ or are silent, judged without a network; ports of this machine.

use super::*;
use sekisho_transport::bundle::TrustBundles;
use sekisho_transport::clock::SystemClock;
use sekisho_transport::credential::Identity;
use sekisho_transport::identity::PeerIdentity;
use sekisho_transport::listen::{Limits, Listener};
use sekisho_transport::pki::{OperatorCa, Validity};
use sekisho_transport::task::TaskGroup;
use sekisho_types::id::Digest;
use sekisho_types::principal::TrustDomain;
use std::sync::Arc;
use std::time::Duration;

const NOW: Timestamp = Timestamp(1_795_910_400_000);
const DAY: u64 = 86_400_000;

fn target(number: u64, operator: &str) -> Target {
    let principal = format!("{operator}/site/tokyo-1/member/{number}").parse().unwrap();
    Target { name: format!("members/{number}"), principal, address: format!("127.0.0.1:{number}") }
}

/// A member whose clock differs by `seconds`, and whose certificate lives for `life_ms` more.
fn answers(number: u64, operator: &str, seconds: i64, life_ms: u64) -> Asked {
    let target = target(number, operator);
    let identity = PeerIdentity {
        site: target.principal.site().cloned(),
        principal: target.principal.clone(),
        trust_domain: TrustDomain::parse("kanto.example").unwrap(),
        spki_sha256: Digest([0; 32]),
        residency: None,
        not_after: NOW.plus_ms(life_ms),
    };
    let date = NOW.0.checked_add_signed(seconds * 1000).map(Timestamp);
    let answer = Answer {
        addr: target.address.parse().unwrap(),
        identity: Some(Arc::new(identity)),
        rtt: Duration::from_micros(2300),
        date,
    };
    Asked { target, answer: Ok(answer), between: (NOW, NOW.plus_ms(5)) }
}

fn silent(number: u64, operator: &str, trouble: Trouble) -> Asked {
    Asked { target: target(number, operator), answer: Err(trouble), between: (NOW, NOW) }
}

fn gone(number: u64, operator: &str) -> Asked {
    silent(number, operator, Trouble::Unreachable("no route to host".to_owned()))
}

fn codes(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|found| found.outcome.code).collect()
}

#[test]
fn each_member_is_told_with_what_it_said_or_why_it_did_not() {
    let asked = [
        answers(1, "kanto", 0, 6 * DAY),
        answers(2, "kanto", 0, DAY),
        gone(3, "kanto"),
        silent(4, "kanto", Trouble::Stranger("unknown issuer".to_owned())),
        silent(5, "kanto", Trouble::Refused("it was revoked".to_owned())),
    ];
    let found = members(&asked, NOW);
    let expected = [
        "MEMBER_ANSWERS",
        "MEMBER_ENDS",
        "MEMBER_UNREACHABLE",
        "MEMBER_STRANGER",
        "MEMBER_REFUSES",
    ];
    assert_eq!(codes(&found), expected);
    assert_eq!(found[0].values()["rtt"], "2.3 ms");
    assert_eq!(found[2].values()["cause"], "no route to host");
}

#[test]
fn companies_and_members_are_counted_against_what_is_needed() {
    let well = |number, operator| answers(number, operator, 0, 6 * DAY);
    let all = [well(1, "kanto"), well(2, "naniwa"), well(3, "hokuto")];
    assert_eq!(operators(&all, 2).outcome.code, "OPERATORS_ENOUGH");
    let two = [well(1, "kanto"), well(4, "kanto"), well(2, "naniwa"), gone(3, "hokuto")];
    assert_eq!(operators(&two, 2).outcome.code, "OPERATORS_BARE");
    let one = [well(1, "kanto"), well(4, "kanto"), gone(2, "naniwa"), gone(3, "hokuto")];
    assert_eq!(operators(&one, 2).outcome.code, "OPERATORS_FEW");
    assert_eq!(
        operators(&[well(1, "kanto")], 1).outcome.code,
        "OPERATORS_ENOUGH",
        "of one company"
    );
    // With this one: two of three, one of three, and alone.
    assert_eq!(majority(&[well(1, "kanto"), gone(2, "naniwa")]).outcome.code, "MAJORITY_SEEN");
    assert_eq!(majority(&[gone(1, "kanto"), gone(2, "naniwa")]).outcome.code, "MAJORITY_MISSING");
    assert_eq!(majority(&[]).outcome.code, "MAJORITY_SEEN");
}

#[test]
fn only_a_difference_that_is_certain_is_told() {
    let of = |seconds: &[i64]| {
        let asked: Vec<_> = seconds.iter().map(|s| answers(1, "kanto", *s, DAY)).collect();
        codes(&clocks(&asked))
    };
    assert_eq!(of(&[]), ["MEMBERS_UNHEARD"]);
    assert_eq!(codes(&clocks(&[gone(1, "kanto")])), ["MEMBERS_UNHEARD"]);
    assert_eq!(of(&[0, -1, 5, -17]), ["MEMBERS_AGREE"]);
    assert_eq!(of(&[0, 6]), ["MEMBER_CLOCK_AHEAD"]);
    assert_eq!(of(&[-18, 900]), ["MEMBER_CLOCK_BEHIND", "MEMBER_CLOCK_AHEAD"]);
    let agree = &clocks(&[answers(1, "kanto", 3, DAY), answers(2, "kanto", -4, DAY)])[0];
    assert_eq!((agree.values()["least"].as_str(), agree.values()["most"].as_str()), ("-4", "3"));
}

#[tokio::test]
async fn who_is_not_there_is_unreachable_and_a_bad_address_is_told() {
    let trust = TrustBundles::new(Arc::new(SystemClock));
    let dialer = Dialer::new(None, trust);
    let bad = Target { address: "nowhere".to_owned(), ..target(2, "kanto") };
    let clock = SystemClock;
    let asked = ask(&dialer, &clock, vec![target(1, "kanto"), bad]).await;
    assert_eq!(codes(&members(&asked, NOW)), ["MEMBER_UNREACHABLE"; 2]);
    assert!(members(&asked, NOW)[1].values()["cause"].contains("HOST:PORT"));
}

#[tokio::test]
async fn resolvers_are_asked_unless_none_is_set_or_nobody_is_to_be_asked() {
    // Nobody has this port, and the kernel says so.
    let addr: SocketAddr = "127.0.0.1:1".parse().unwrap();
    assert_eq!(codes(&resolvers(&[], false).await), ["RESOLVER_NONE"]);
    assert_eq!(codes(&resolvers(&[addr], true).await), ["RESOLVER_OFFLINE"]);
    let found = resolvers(&[addr], false).await;
    assert_eq!(codes(&found), ["RESOLVER_SILENT"]);
    assert_eq!(found[0].values()["address"], addr.to_string());
}

/// A port that this process listens on for as long as the runtime lives.
fn listener() -> (tokio::runtime::Runtime, SocketAddr) {
    let now = SystemClock.wall();
    let domain = TrustDomain::parse("kanto.example").unwrap();
    let issuer = OperatorCa::create("kanto".parse().unwrap(), domain, now).unwrap();
    let issuer = issuer.issuer(&[], now).unwrap();
    let validity = Validity { now, lifetime: Duration::from_secs(3600) };
    let site = "tokyo-1".parse().unwrap();
    let (issued, key) = issuer.issue_member(&site, 1, &[], None, validity).unwrap();
    let identity = Identity::from_pem(&issued.chain_pem, key.expose()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let trust = TrustBundles::new(Arc::new(SystemClock));
    let anywhere = "127.0.0.1:0".parse().unwrap();
    let tasks = TaskGroup::new();
    let bound = Listener::bind(anywhere, &identity, &trust, &tasks, Limits::default());
    let addr = runtime.block_on(bound).unwrap().addr;
    (runtime, addr)
}

#[test]
fn a_port_is_ours_somebodys_or_free() {
    let (listener, addr) = listener();
    let own = std::process::id();
    assert_eq!(listen(addr, Some(own)).outcome.code, "LISTEN_OURS");
    let taken = listen(addr, None);
    assert_eq!(taken.outcome.code, "LISTEN_TAKEN");
    assert!(taken.values()["who"].contains(&own.to_string()), "{taken:?}");
    drop(listener);
    assert_eq!(listen(addr, None).outcome.code, "LISTEN_FREE");
    assert_eq!(listen(addr, Some(own)).outcome.code, "LISTEN_SILENT");
    assert_eq!(listen("192.0.2.1:9".parse().unwrap(), None).outcome.code, "LISTEN_REFUSED");
}

#[test]
fn the_kernels_table_of_sockets_is_read_by_port_and_state() {
    let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
        0: 0100007F:1BBD 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100\n\
        1: 0100007F:1BBD 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100\n";
    assert_eq!(listening_in(table, 0x1bbd), [4711]);
    assert!(listening_in(table, 0x1bbe).is_empty());
}
