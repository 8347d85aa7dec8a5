//! Over real mutual TLS: a monitor reads, everybody else gets nothing; what is read is Prometheus's own format.

use super::*;
use parking_lot::Mutex;
use sekisho_fsm::testing::{self, BEGIN};
use sekisho_transport::address::Address;
use sekisho_transport::bundle::TrustBundles;
use sekisho_transport::conn::Conn;
use sekisho_transport::credential::Identity;
use sekisho_transport::dial::Dialer;
use sekisho_transport::listen::{Listener, Protocol};
use sekisho_transport::pki::{Issuer, OperatorCa, Validity};
use sekisho_transport::verify::Expect;
use sekisho_types::principal::TrustDomain;
use sekisho_types::quota::Limit;
use sekisho_types::time::{Clock, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const LIFE: Duration = Duration::from_secs(3600);

#[derive(Debug)]
struct Standing;

impl Clock for Standing {
    fn wall(&self) -> Timestamp {
        BEGIN
    }
    fn boottime_ns(&self) -> u64 {
        0
    }
}

/// The real rule over a state of the fixture, and a recorder of its own.
struct Fixture {
    state: Mutex<State>,
    recorder: PrometheusRecorder,
}

impl Source for Fixture {
    fn may_read(&self, principal: &Principal) -> bool {
        may_read(&self.state.lock(), principal)
    }
    fn render(&self) -> String {
        self.recorder.handle().render()
    }
}

struct Site {
    address: Address,
    issuer: Issuer,
    bundles: Arc<TrustBundles>,
    source: Arc<Fixture>,
    _tasks: TaskGroup,
}

/// A listener of operator kanto; its users are `monitor`, with that role, `sapporo`, a tenant's, and whoever has a
/// certificate.
async fn site() -> Site {
    site_within(Duration::from_secs(10)).await
}

async fn site_within(deadline: Duration) -> Site {
    let domain = TrustDomain::parse("kanto.example").unwrap();
    let ca = OperatorCa::create("kanto".parse().unwrap(), domain.clone(), BEGIN).unwrap();
    let issuer = ca.issuer(&[], BEGIN).unwrap();
    let validity = Validity { now: BEGIN, lifetime: LIFE };
    let (member, key) =
        issuer.issue_member(&"tokyo-1".parse().unwrap(), 2, &[], None, validity).unwrap();
    let identity = Identity::from_pem(&member.chain_pem, key.expose()).unwrap();
    let bundles = TrustBundles::new(Arc::new(Standing));
    bundles.replace(&BTreeMap::from([(domain, ca.bundle())])).unwrap();

    let mut federation = testing::Federation::furnished();
    federation.tenant("sapporo-2", Limit::Unlimited);
    let monitor = testing::user("kanto", "monitor");
    federation.register(sekisho_types::principal::KeyRecord {
        public_key: testing::user_key(&monitor).public(),
        principal: monitor,
        role: Role::Monitor,
        expires: BEGIN.plus_ms(86_400_000),
    });
    let recorder = recorder().unwrap();
    let source = Arc::new(Fixture { state: Mutex::new(federation.state), recorder });
    let tasks = TaskGroup::new();
    let any = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(any, &identity, &bundles, &tasks, serve::limits()).await.unwrap();
    let served = Arc::clone(&source) as Arc<dyn Source>;
    serve::serve_within(deadline, listener.authenticated, served, &tasks);
    Site { address: listener.addr.into(), issuer, bundles, source, _tasks: tasks }
}

impl Site {
    async fn dial(&self, user: Option<&str>) -> Conn {
        let identity = user.map(|user| {
            let validity = Validity { now: BEGIN, lifetime: LIFE };
            let (issued, key) = self.issuer.issue_user(&user.parse().unwrap(), validity).unwrap();
            Identity::from_pem(&issued.chain_pem, key.expose()).unwrap()
        });
        let dialer = Dialer::new(identity, Arc::clone(&self.bundles));
        dialer.connect_for(Protocol::Http1, &self.address, &Expect::AnyMember).await.unwrap()
    }

    /// Everything that the server says to one request.
    async fn ask(&self, user: Option<&str>, request: &str) -> String {
        let mut connection = self.dial(user).await;
        let head = format!("{request} HTTP/1.1\r\nHost: member\r\n\r\n");
        // A server that is not there for this peer may be gone before it has read anything.
        let written = connection.write_all(head.as_bytes()).await.is_ok();
        let flushed = connection.flush().await.is_ok();
        let mut answer = Vec::new();
        let read = connection.read_to_end(&mut answer).await.is_ok();
        tracing::debug!(written, flushed, read, "asked");
        String::from_utf8(answer).unwrap()
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test]
async fn a_monitor_reads_and_everybody_else_gets_nothing() {
    let site = site().await;
    metrics::with_local_recorder(&site.source.recorder, || {
        describe();
        metrics::counter!("sekisho_transport_unproven_peer_bytes_total").increment(0);
    });
    let answer = site.ask(Some("monitor"), "GET /metrics").await;
    assert_eq!(status(&answer), "200", "{answer}");
    assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(samples(body)["sekisho_transport_unproven_peer_bytes_total"], ["0"]);
    for (user, request, expected) in [
        ("monitor", "GET /", "404"),
        ("monitor", "GET /metrics/", "404"),
        ("monitor", "POST /metrics", "405"),
        ("admin", "GET /metrics", "200"),
        ("sapporo", "GET /metrics", "403"),
        ("sapporo", "GET /elsewhere", "403"),
        ("stranger", "GET /metrics", "403"),
    ] {
        let answer = site.ask(Some(user), request).await;
        assert_eq!(status(&answer), expected, "{user} {request}: {answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("connection: close"), "{head}");
        assert!(expected == "200" || body.is_empty(), "{user} {request}: {body}");
    }
    // Without a certificate there is not even a refusal.
    assert_eq!(site.ask(None, "GET /metrics").await, "");
    // So is everybody whose operator has no site in Japan any more (D3), whatever the role.
    let mut homeless = testing::Federation::furnished();
    let site_of = "tokyo-1".parse().unwrap();
    homeless.accept(
        testing::admin("kanto"),
        sekisho_fsm::command::Command::RevokeSite { site: site_of },
    );
    let before = std::mem::replace(&mut *site.source.state.lock(), homeless.state);
    assert_eq!(status(&site.ask(Some("admin"), "GET /metrics").await), "403");
    *site.source.state.lock() = before;
    assert_eq!(status(&site.ask(Some("admin"), "GET /metrics").await), "200");
    // A role that was taken back is gone with the next request.
    *site.source.state.lock() = testing::Federation::furnished().state;
    assert_eq!(status(&site.ask(Some("monitor"), "GET /metrics").await), "403");
}

#[tokio::test]
async fn a_request_that_is_none_and_one_that_is_too_long_end_their_connection() {
    let site = site().await;
    let long = format!("GET /metrics?{}", "x".repeat(64 * 1024));
    for (request, expected) in [("NONSENSE", "400"), (long.as_str(), "431")] {
        let answer = site.ask(Some("monitor"), request).await;
        assert!(answer.is_empty() || status(&answer) == expected, "{answer}");
    }
    assert_eq!(status(&site.ask(Some("monitor"), "GET /metrics").await), "200");
}

/// Whoever says nothing is cut when its time is over, and its slot is free again.
#[tokio::test]
async fn a_silent_reader_holds_its_slot_for_a_bounded_time() {
    let site = site_within(Duration::from_millis(50)).await;
    let mut silent = site.dial(Some("monitor")).await;
    let read = tokio::time::timeout(Duration::from_secs(5), silent.read_u8()).await.unwrap();
    assert!(read.is_err(), "{read:?}");
}

/// The samples of an exposition by name, after a check of its form: HELP and TYPE before the first sample of each
/// name, names and values readable, labels quoted, no sample twice.
fn samples(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
    let (mut found, mut seen) = (BTreeMap::<String, Vec<String>>::new(), BTreeSet::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kinds.insert(name, kind), None, "{line}: twice");
            continue;
        }
        if line.starts_with('#') {
            assert!(line.starts_with("# HELP sekisho_"), "{line}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        value.parse::<f64>().unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        assert!(labels.ends_with('}') && labels.matches('"').count() % 2 == 0, "{line}");
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|s| name.strip_suffix(s));
        let base = base.filter(|base| kinds.get(base) == Some(&"histogram")).unwrap_or(name);
        assert!(kinds.contains_key(base), "{line}: without a type");
        assert!(seen.insert(series.to_owned()), "{line}: twice");
        found.entry(name.to_owned()).or_default().push(value.to_owned());
    }
    found
}

/// Each metric of the table is exposed under its name, with its help and its kind.
#[test]
fn every_metric_is_exposed_as_the_table_says() {
    let recorder = recorder().unwrap();
    metrics::with_local_recorder(&recorder, || {
        describe();
        for Metric { name, kind, .. } in CONTROLLER {
            match kind {
                Kind::Counter => metrics::counter!(*name, "peer" => "a \"b\"\n").increment(7),
                Kind::Gauge => metrics::gauge!(*name).set(f64::NAN),
                Kind::Histogram => metrics::histogram!(*name).record(0.3),
            }
        }
    });
    let text = recorder.handle().render();
    let found = samples(&text);
    for Metric { name, kind, help, .. } in CONTROLLER {
        assert!(text.contains(&format!("# HELP {name} {help}\n")), "{name}");
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name}");
        let sample =
            if kind == "histogram" { format!("{name}_bucket") } else { (*name).to_owned() };
        assert!(found.contains_key(&sample), "{name}");
    }
}
