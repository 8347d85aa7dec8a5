//! Hosts and grants from abroad.

use super::Narrator;
use crate::federation::{Answer, Federation};
use crate::rogue::{Attempt, Stolen, play};
use anyhow::{Result, ensure};
use sekisho_types::error_code::ErrorCode;

/// A host that says it stands in Busan, with a good token of the Tokyo site.
pub(super) fn busan_joins(federation: &Federation, narrator: &mut Narrator) -> Result<()> {
    let answer = join_from_busan(federation, &[])?;
    ensure!(answer.code != 0, "the host joined: {}", answer.stdout);
    let code = ErrorCode::ResidencyOutsideJp.as_str();
    ensure!(answer.stderr.contains(code), "refused, but as: {}", answer.stderr);
    let said = answer.stderr.lines().next().unwrap_or_default();
    narrator.step("a host in Busan with a good token was refused at join", said)
}

/// What that host is answered; a command may be put before its own.
pub(crate) fn join_from_busan(federation: &Federation, before: &[String]) -> Result<Answer> {
    let dir = federation.dir().join("busan");
    std::fs::create_dir_all(&dir)?;
    let token = dir.join("token").to_string_lossy().into_owned();
    federation
        .run("kanto", &["node", "token", "create", "tokyo-1/busan-1", "--out", &token])?
        .ok()?;
    let config = dir.join("agent.toml");
    let text = format!(
        "node = \"tokyo-1/busan-1\"\narea = \"KR-26\"\ndata_dir = \"{}\"\nlog = \"warn\"\n\n[devices]\n\
         kind = \"simulated\"\ndir = \"{}\"\n\n[[devices.groups]]\nclass = \"sim-h100\"\nmemory_mib = 81920\n\
         islands = 1\ndevices = 2\n",
        dir.join("data").display(),
        dir.join("devices").display()
    );
    std::fs::write(&config, text)?;
    let config = config.to_string_lossy();
    federation.agent_under(before, &["join", "--token-file", &token, "--config", &config])
}

pub(super) fn foreign_area(federation: &Federation, narrator: &mut Narrator) -> Result<()> {
    refused(
        federation,
        narrator,
        Attempt::ForeignArea,
        "two turned controllers signed a grant naming a foreign area: the Tokyo agent refused, with a receipt",
    )
}

pub(super) fn tagged_abroad(federation: &Federation, narrator: &mut Narrator) -> Result<()> {
    refused(
        federation,
        narrator,
        Attempt::TaggedAbroad,
        "they signed a good grant for an agent tagged Busan: it refused by itself, with a receipt",
    )
}

fn refused(
    federation: &Federation,
    narrator: &mut Narrator,
    attempt: Attempt,
    what: &str,
) -> Result<()> {
    let stolen = Stolen::from(federation.dir())?;
    let dir = federation.dir().join(format!("rogue-{attempt:?}").to_lowercase());
    let refusal = play(&stolen, attempt, &federation.program("sekisho-agent"), &dir)?;
    ensure!(
        refusal.code == ErrorCode::ResidencyOutsideJp,
        "refused, but as {}: {}",
        refusal.code,
        refusal.detail
    );
    narrator.step(
        what,
        &format!("signed receipt of {}: {} ({})", refusal.node, refusal.code, refusal.detail),
    )
}
