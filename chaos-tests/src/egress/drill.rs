//! A federation under watch: started, worked with, asked to take in a host abroad, backed up and measured, while the kernel
//! tells of every socket.

use super::rule::{Rule, Seen};
use super::trace;
use crate::ceremony::office;
use crate::demo::rogue::join_from_busan;
use crate::federation::{Answer, Federation, PATIENCE};
use crate::work::{spec, submit};
use anyhow::{Context as _, Result, ensure};
use sekisho_transport::address::Address;
use sekisho_transport::bundle::{Bundle, TrustBundles};
use sekisho_transport::clock::SystemClock;
use sekisho_transport::credential::Identity;
use sekisho_transport::dial::Dialer;
use sekisho_transport::listen::Protocol;
use sekisho_transport::verify::Expect;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::principal::TrustDomain;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

/// Companies of the development federation, in the order of their ports.
pub const OPERATORS: [&str; 3] = ["kanto", "naniwa", "hokuto"];
/// From a controller's port to that of its metrics.
const METRICS_BESIDE: u16 = 7;
/// Must read 0 on every member.
const UNPROVEN: &str = "sekisho_transport_unproven_peer_bytes_total";
/// How `status` would tell.
const FINDING: &str = "UNPROVEN_BYTES";
/// Counted by a landmark that has timed somebody.
const ROUNDS: &str = "sekisho_landmark_rounds_total";
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(300);

/// The federation and the traces of what was started.
#[derive(Debug)]
pub struct Watched {
    /// The federation.
    pub federation: Federation,
    port_base: u16,
    dir: PathBuf,
    traces: Vec<PathBuf>,
}

impl Watched {
    /// Starts one whose whole life is traced, in `dir`.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(dir: &Path, port_base: u16) -> Result<Self> {
        let own = dir.join("federation");
        std::fs::create_dir(&own)?;
        let first = dir.join("trace-0");
        let federation = Federation::start_under(&own, port_base, &trace::tracer(&first, true))?;
        Ok(Self { federation, port_base, dir: dir.to_owned(), traces: vec![first] })
    }

    /// Words to put before a command so that it is traced.
    fn tracer(&mut self) -> Vec<String> {
        let file = self.dir.join(format!("trace-{}", self.traces.len()));
        self.traces.push(file.clone());
        trace::tracer(&file, false)
    }

    fn run(&mut self, context: &str, args: &[&str]) -> Result<Answer> {
        let tracer = self.tracer();
        self.federation.run_under(&tracer, context, args)
    }

    /// Everything that moves state, once.
    ///
    /// # Errors
    /// The first thing that does not come out as it should.
    pub fn work(&mut self) -> Result<()> {
        let job = submit(&self.federation, "watched", &spec("watched", 1, 1, "Hokkaido", "true"))?;
        self.federation.await_job(&job, &["succeeded"])?;
        self.run("sapporo", &["job", "list"])?.ok()?;
        let tracer = self.tracer();
        let refused = join_from_busan(&self.federation, &tracer)?;
        let code = ErrorCode::ResidencyOutsideJp.as_str();
        ensure!(refused.code != 0 && refused.stderr.contains(code), "a host abroad: {refused:?}");
        self.backup()?;
        let bundle = self.dir.join("bundle.bin").to_string_lossy().into_owned();
        let tracer = self.tracer();
        self.federation.until("an audit bundle", || {
            self.federation
                .run_under(&tracer, "kanto", &["audit", "export", &bundle])?
                .ok()
                .map(drop)
        })
    }

    /// A backup to a site of the company's own, and none to whoever has no such site.
    fn backup(&mut self) -> Result<()> {
        let path = self.dir.join("backup.age").to_string_lossy().into_owned();
        let refused = self.run("naniwa", &["snapshot", "save", &path])?;
        ensure!(
            refused.code != 0 && !Path::new(&path).exists(),
            "a backup to nowhere: {refused:?}"
        );
        let issuer = office(&self.federation, "kanto").join("issuer-ed25519.key");
        let (issuer, key) = (issuer.to_string_lossy().into_owned(), "b2".repeat(32));
        let args = ["key", "register", "kanto/user/admin", "--role", "archivist:tokyo-1"];
        let more = ["--public-key", &key, "--issuer-key", &issuer];
        self.run("kanto", &[&args[..], &more].concat())?.ok()?;
        self.run("kanto", &["snapshot", "save", &path])?.ok().map(drop)
    }

    /// Reads the metrics of every member as a monitor would, and `status`: nothing went to anybody unproven.
    ///
    /// # Errors
    /// Something did, or nothing can be read.
    pub async fn measured(&self) -> Result<()> {
        for (operator, beside) in OPERATORS.iter().zip(METRICS_BESIDE..) {
            let text = self.scrape(operator, beside).await?;
            ensure!(
                value(&text, UNPROVEN, &[]) == Some(0),
                "{operator}: {UNPROVEN} does not read 0"
            );
            for (class, direction) in [("member", "sent"), ("member", "received")] {
                let labels = [("class", class), ("direction", direction)];
                let bytes = value(&text, "sekisho_transport_bytes_total", &labels);
                ensure!(
                    bytes > Some(0),
                    "{operator}: no bytes of {class} {direction} were counted"
                );
            }
        }
        let status = self.federation.run("kanto", &["status", "-o", "json"])?;
        ensure!(!status.stdout.is_empty() && !status.stdout.contains(FINDING), "{status:?}");
        Ok(())
    }

    /// Waits until a host had itself measured by a landmark: those dials and datagrams are to be in the trace.
    ///
    /// # Errors
    /// None does, in time.
    pub async fn ranged(&self) -> Result<()> {
        let ranged = async {
            while value(&self.scrape(OPERATORS[0], METRICS_BESIDE).await?, ROUNDS, &[]).is_none() {
                tokio::time::sleep(LOOK).await;
            }
            Ok(())
        };
        timeout(PATIENCE, ranged).await.context("no host is measured")?
    }

    async fn scrape(&self, operator: &str, beside: u16) -> Result<String> {
        let person = office(&self.federation, "kanto").join("users/admin");
        let dialer = Dialer::new(Some(Identity::load(&person)?), self.trust()?);
        let port = self.port_base.checked_add(beside).context("a port")?;
        let address: Address = format!("127.0.0.1:{port}").parse()?;
        let expect = Expect::MemberOf([operator.parse()?].into());
        let mut conn = dialer.connect_for(Protocol::Http1, &address, &expect).await?;
        conn.write_all(b"GET /metrics HTTP/1.1\r\nHost: member\r\n\r\n").await?;
        conn.flush().await?;
        let mut answer = Vec::new();
        // It ends with the answer; whether it says goodbye is its own affair.
        drop(conn.read_to_end(&mut answer).await);
        let answer = String::from_utf8(answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{operator}: {:?}", answer.lines().next());
        Ok(answer)
    }

    /// The roots of all companies.
    ///
    /// # Errors
    /// A file is missing.
    pub fn trust(&self) -> Result<Arc<TrustBundles>> {
        let mut roots = BTreeMap::new();
        for operator in OPERATORS {
            let pem = std::fs::read_to_string(office(&self.federation, operator).join("root.pem"))?;
            let domain = TrustDomain::parse(&format!("{operator}.example"))?;
            roots.insert(domain, Bundle::from_pem(operator.parse()?, &pem)?);
        }
        let trust = TrustBundles::new(Arc::new(SystemClock));
        trust.replace(&roots)?;
        Ok(trust)
    }

    /// Stops everything and judges what was seen.
    ///
    /// # Errors
    /// A trace cannot be read, or the settings name an address elsewhere.
    pub fn judged(self) -> Result<Seen> {
        let rule = Rule::of(self.federation.dir())?;
        self.federation.stop();
        let mut seen = Seen::default();
        for trace in &self.traces {
            trace::await_end(trace)?;
            rule.judge(trace, &mut seen)?;
        }
        Ok(seen)
    }
}

/// A sample of an exposition: the first of this name with all these labels.
fn value(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<u64> {
    let line = text.lines().find(|line| {
        let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']));
        rest.is_some_and(|rest| {
            labels.iter().all(|(label, value)| rest.contains(&format!("{label}=\"{value}\"")))
        })
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_found_by_name_and_labels() {
        let text = "# TYPE a_total counter\na_total_more 9\na_total 0\nb{class=\"member\",direction=\"sent\"} 7\n\
                    b{direction=\"sent\",class=\"agent\"} 8\n";
        assert_eq!(value(text, "a_total", &[]), Some(0));
        assert_eq!(value(text, "b", &[("class", "agent"), ("direction", "sent")]), Some(8));
        assert_eq!(value(text, "b", &[("class", "user")]), None);
        assert_eq!(value(text, "c", &[]), None);
    }
}
