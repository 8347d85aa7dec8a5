//! `make demo`: a narrated tour of a whole federation. Ends with 0 only if every step came out right.

mod access;
mod audit;
mod leader;
mod places;
mod proven;
pub(crate) mod rogue;

use crate::federation::Federation;
use anyhow::{Context as _, Result};
use std::io::Write as _;
use std::path::Path;
use tokio::time::Instant;

/// Port of the first controller: outside the ephemeral range, unlikely to be taken.
pub const PORT_BASE: u16 = 27_100;

/// Tells the story, one line a step.
#[derive(Debug)]
pub struct Narrator {
    begun: Instant,
    steps: u32,
}

impl Narrator {
    fn say(&self, line: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").context("the terminal is gone")
    }

    /// A step that came out right.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn step(&mut self, what: &str, found: &str) -> Result<()> {
        self.steps = self.steps.saturating_add(1);
        self.say(&format!(
            "{:>5.1}s  ok  {what}\n            {found}",
            self.begun.elapsed().as_secs_f32()
        ))
    }
}

/// Walks the whole tour in `dir`.
///
/// # Errors
/// The first step that did not come out right.
pub fn run(dir: &Path, port_base: u16) -> Result<()> {
    let mut narrator = Narrator { begun: Instant::now(), steps: 0 };
    narrator.say("関所 Sekisho: three companies, three controllers, five GPU hosts, one rule: nothing leaves Japan.\n")?;
    let started = Federation::start_with(dir, port_base, &["--abroad"]);
    let mut federation = started.context("starting the federation")?;
    narrator.step(
        "a federation of kanto (Tokyo), naniwa (Sakai) and hokuto (Ishikari) over mutual TLS",
        "3 controllers on RocksDB, 5 agents ready, 2 of 3 companies must vouch for every start",
    )?;
    proven::hosts(&federation, &mut narrator).context("hosts that are proven")?;
    proven::policy(&federation, &mut narrator).context("a policy that asks for a proof")?;
    places::bound_to_hokkaido(&federation, &mut narrator).context("a job bound to Hokkaido")?;
    places::gang(&federation, &mut narrator).context("a gang of two nodes")?;
    places::topology(&federation, &mut narrator).context("gangs that say where they stand")?;
    places::nowhere(&federation, &mut narrator).context("a job for a prefecture without a site")?;
    places::over_quota(&federation, &mut narrator).context("a job over quota")?;
    access::break_glass(&federation, &mut narrator).context("a broken glass")?;
    rogue::busan_joins(&federation, &mut narrator).context("an agent in Busan")?;
    rogue::foreign_area(&federation, &mut narrator).context("a rogue grant for a foreign area")?;
    rogue::tagged_abroad(&federation, &mut narrator)
        .context("a rogue grant to a node tagged abroad")?;
    leader::killed(&mut federation, &mut narrator).context("the leader killed")?;
    audit::verified_and_altered(&federation, &mut narrator).context("the audit bundle")?;
    narrator.say(&format!(
        "\n{} steps, all as promised. Try it yourself:\n  \
         sekisho dev                        # PATH: {}\n  \
         sekisho status && sekisho job explain TENANT/JOB && sekisho audit export bundle.bin",
        narrator.steps,
        federation.program("").display(),
    ))
}
