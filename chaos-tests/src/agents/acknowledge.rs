//! How many acknowledgements one core signs and verifies (budget row 11).

use anyhow::{Context as _, Result};
use sekisho_evidence::acknowledgement::{Acknowledgement, Counted, Renewal, acknowledge};
use sekisho_evidence::grant::SessionId;
use sekisho_fsm::testing::{checkpoint_key, genesis};
use sekisho_types::id::MemberId;
use sekisho_types::revision::Revision;
use std::io::Write as _;
use std::time::Duration;
use tokio::time::Instant;

/// Renewals under one signature.
const BATCHES: [u64; 4] = [1, 100, 1_000, 10_000];
/// Longer than any noise of this machine.
const MEASURED: Duration = Duration::from_secs(1);

/// Prints, for batches of several sizes, renewals signed and verified a second on one core.
///
/// # Errors
/// Something does not encode, or standard output is gone.
pub fn measure() -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:>10} {:>12} {:>12}", "batch", "signed/s", "verified/s")?;
    for size in BATCHES {
        let (signed, verified) = rates(size)?;
        writeln!(out, "{size:>10} {signed:>12.0} {verified:>12.0}")?;
    }
    Ok(())
}

/// Renewals signed, and acknowledgements read and verified, a second.
fn rates(size: u64) -> Result<(f64, f64)> {
    let bundle = genesis().genesis.bundle;
    let member = MemberId(2);
    let counted = Counted {
        cluster: bundle.cluster,
        incarnation: bundle.incarnation,
        member,
        term: 7,
        revision: Revision(1),
    };
    let renewal = |n: u64| {
        let node = format!("tokyo-1/a-{n:05}").parse()?;
        Ok(Renewal { node, session: SessionId([9; 16]), sequence: n })
    };
    let renewals: Vec<Renewal> = (0..size).map(renewal).collect::<Result<_>>()?;
    let key = checkpoint_key(member);
    let (begun, mut signed, mut bytes) = (Instant::now(), 0u64, Vec::new());
    while begun.elapsed() < MEASURED {
        let all = acknowledge(counted, &renewals, &key)?;
        bytes = all.iter().map(Acknowledgement::bytes).collect::<Result<_, _>>()?;
        signed = signed.saturating_add(size);
    }
    let signing = f64::from(u32::try_from(signed)?) / begun.elapsed().as_secs_f64();
    let (begun, mut verified) = (Instant::now(), 0u32);
    while begun.elapsed() < MEASURED {
        let at = usize::try_from(u64::from(verified).checked_rem(size).context("a batch")?)?;
        let (bytes, renewal) = (bytes.get(at).context("one")?, renewals.get(at).context("one")?);
        Acknowledgement::parse(bytes)?.verify(&bundle, renewal)?;
        verified = verified.saturating_add(1);
    }
    Ok((signing, f64::from(verified) / begun.elapsed().as_secs_f64()))
}
