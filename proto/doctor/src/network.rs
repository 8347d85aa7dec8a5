//! Members asked over the network, and what their answers come to; ports of this host.
//!
//! Must hold: members are asked at once, each within its time, so that silent ones cost no more than one; what no member
//! said is not known, and not well.

use crate::catalogue::clock::{
    MEMBER_CLOCK_AHEAD, MEMBER_CLOCK_BEHIND, MEMBERS_AGREE, MEMBERS_UNHEARD,
};
use crate::catalogue::network::*;
use crate::check::Finding;
use crate::host::kernel_file;
use crate::host::program::{processes, user_can_see};
use crate::identity::{left, overdue};
use crate::limit::{MEMBER_AHEAD, MEMBER_BEHIND, MEMBER_WITHIN, MEMBERS_MAX};
use crate::unit::{brief, long};
use futures::future::join_all;
use sekisho_transport::address::Address;
use sekisho_transport::dial::Dialer;
use sekisho_transport::names::probe;
use sekisho_transport::probe::{Answer, Port, Trouble, port};
use sekisho_transport::verify::Expect;
use sekisho_types::cause::explain;
use sekisho_types::principal::Principal;
use sekisho_types::time::{Clock, Timestamp};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use tokio::time::timeout;

/// The check `resolver`: each of the settings is asked at once, unless nobody is to be asked.
pub async fn resolvers(addrs: &[SocketAddr], offline: bool) -> Vec<Finding> {
    if addrs.is_empty() {
        return vec![Finding::new(&RESOLVER_NONE)];
    }
    if offline {
        return vec![Finding::new(&RESOLVER_OFFLINE)];
    }
    let one = |addr: SocketAddr| async move {
        let about = |outcome| Finding::new(outcome).with("address", addr);
        match probe(addr).await {
            Ok(rtt) => about(&RESOLVER_ANSWERS).with("rtt", brief(rtt)),
            Err(error) => about(&RESOLVER_SILENT)
                .with("cause", explain(&error))
                .with("host", addr.ip())
                .with("port", addr.port()),
        }
    };
    join_all(addrs.iter().copied().map(one)).await
}

/// A member to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name, `members/1`.
    pub name: String,
    /// Whom its certificate must name.
    pub principal: Principal,
    /// `host:port`.
    pub address: String,
}

/// A member that was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Which.
    pub target: Target,
    /// What came of it.
    pub answer: Result<Answer, Trouble>,
    /// This host's wall clock before the question, and when the answer was there.
    pub between: (Timestamp, Timestamp),
}

/// Asks all of them at once.
pub async fn ask(dialer: &Dialer, clock: &dyn Clock, targets: Vec<Target>) -> Vec<Asked> {
    let one = |target: Target| async move {
        let before = clock.wall();
        let answer = match target.address.parse::<Address>() {
            Ok(address) => {
                let expect = Expect::Principal(target.principal.clone());
                let asked = timeout(MEMBER_WITHIN, dialer.probe(&address, &expect)).await;
                asked.unwrap_or_else(|_elapsed| {
                    let within = MEMBER_WITHIN.as_secs();
                    Err(Trouble::Unreachable(format!("no answer within {within} s")))
                })
            }
            Err(error) => Err(Trouble::Unreachable(error.to_string())),
        };
        Asked { target, answer, between: (before, clock.wall()) }
    };
    join_all(targets.into_iter().take(MEMBERS_MAX).map(one)).await
}

/// The check `member`, one finding for each.
#[must_use]
pub fn members(asked: &[Asked], now: Timestamp) -> Vec<Finding> {
    asked.iter().map(|asked| member(asked, now)).collect()
}

fn member(asked: &Asked, now: Timestamp) -> Finding {
    let about = |outcome| {
        Finding::new(outcome)
            .with("member", &asked.target.name)
            .with("address", &asked.target.address)
    };
    let answer = match &asked.answer {
        Ok(answer) => answer,
        Err(Trouble::Unreachable(why)) => return about(&MEMBER_UNREACHABLE).with("cause", why),
        Err(Trouble::Stranger(why)) => return about(&MEMBER_STRANGER).with("cause", why),
        Err(Trouble::Refused(why)) => return about(&MEMBER_REFUSES).with("cause", why),
    };
    let until = answer.identity.as_ref().map(|identity| identity.not_after).unwrap_or_default();
    // Its beginning is not told; a member's certificate lives a week.
    let week = 7 * 86_400_000;
    let ends = overdue(now, (Timestamp(until.0.saturating_sub(week)), until));
    about(if ends { &MEMBER_ENDS } else { &MEMBER_ANSWERS })
        .with("subject", &asked.target.principal)
        .with("until", until)
        .with("left", long(left(now, until)))
        .with("rtt", brief(answer.rtt))
}

/// The check `operators`: of how many companies somebody answers, where `k` are needed.
#[must_use]
pub fn operators(asked: &[Asked], k: u32) -> Finding {
    let of = |only: fn(&Asked) -> bool| {
        let chosen = asked.iter().filter(|asked| only(asked));
        chosen.map(|asked| &asked.target.principal.operator).collect::<BTreeSet<_>>().len()
    };
    let (all, count) = (of(|_asked| true), of(|asked| asked.answer.is_ok()));
    let need = usize::try_from(k).unwrap_or(usize::MAX);
    let outcome = if count < need {
        &OPERATORS_FEW
    } else if count == need && all > need {
        &OPERATORS_BARE
    } else {
        &OPERATORS_ENOUGH
    };
    Finding::new(outcome).with("count", count).with("operators", all).with("k", k)
}

/// The check `majority`: of the members that were asked and this one.
#[must_use]
pub fn majority(asked: &[Asked]) -> Finding {
    let members = asked.len().saturating_add(1);
    let count = asked.iter().filter(|asked| asked.answer.is_ok()).count().saturating_add(1);
    let need = (members / 2).saturating_add(1);
    Finding::new(if count < need { &MAJORITY_MISSING } else { &MAJORITY_SEEN })
        .with("count", count)
        .with("members", members)
        .with("need", need)
}

/// By how much a member's clock differs from this host's at least and at most, ms: it tells whole seconds, up to one late,
/// and the answer was under way.
fn offset(asked: &Asked) -> Option<(i64, i64)> {
    const VAGUE_MS: i64 = 2000;
    let told = i64::try_from(asked.answer.as_ref().ok()?.date?.0).ok()?;
    let (before, after) = asked.between;
    let (before, after) = (i64::try_from(before.0).ok()?, i64::try_from(after.0).ok()?);
    Some((told.saturating_sub(after), told.saturating_add(VAGUE_MS).saturating_sub(before)))
}

/// The check `clock-members`. Only a difference that is certain is told as one.
#[must_use]
pub fn clocks(asked: &[Asked]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (mut least, mut most, mut count) = (i64::MAX, i64::MIN, 0_usize);
    for asked in asked {
        let Some((from, to)) = offset(asked) else { continue };
        let middle = from.midpoint(to).div_euclid(1000);
        (least, most, count) = (least.min(middle), most.max(middle), count.saturating_add(1));
        let differs = |outcome, bound: i64| {
            Finding::new(outcome)
                .with("member", &asked.target.name)
                .with("seconds", middle.unsigned_abs())
                .with("bound", bound)
        };
        if from > MEMBER_AHEAD.saturating_mul(1000) {
            findings.push(differs(&MEMBER_CLOCK_AHEAD, MEMBER_AHEAD));
        } else if to < MEMBER_BEHIND.saturating_mul(-1000) {
            findings.push(differs(&MEMBER_CLOCK_BEHIND, MEMBER_BEHIND));
        }
    }
    if count == 0 {
        return vec![Finding::new(&MEMBERS_UNHEARD)];
    }
    if findings.is_empty() {
        let agree = Finding::new(&MEMBERS_AGREE);
        findings.push(agree.with("count", count).with("least", least).with("most", most));
    }
    findings
}

/// The check `listen`, of a program that runs as `running`, or does not.
#[must_use]
pub fn listen(addr: SocketAddr, running: Option<u32>) -> Finding {
    let about = |outcome| Finding::new(outcome).with("address", addr);
    let whose = |pid: u32| about(&LISTEN_OURS).with("pid", pid);
    match (port(addr), running) {
        (Port::Free, None) => about(&LISTEN_FREE),
        (Port::Free, Some(pid)) => about(&LISTEN_SILENT).with("pid", pid),
        (Port::Refused(error), _) => about(&LISTEN_REFUSED).with("cause", error),
        // Whose sockets are hidden may well hold it.
        (Port::Taken, Some(pid)) if !user_can_see(pid) => whose(pid),
        (Port::Taken, running) => {
            let inodes = listening(addr.port());
            match (running, holders(&inodes)) {
                (Some(pid), held) if held.iter().any(|(holder, _)| *holder == pid) => whose(pid),
                (_, held) => {
                    let named = held.iter().map(|(pid, name)| format!("{name} (process {pid})"));
                    let who = named.collect::<Vec<_>>().join(", ");
                    let who =
                        if who.is_empty() { "another user's program".to_owned() } else { who };
                    about(&LISTEN_TAKEN).with("who", who)
                }
            }
        }
    }
}

/// Inodes of the sockets that listen on a port of any of this host's addresses.
fn listening(port: u16) -> BTreeSet<u64> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let texts = tables.iter().filter_map(|path| kernel_file(path).ok());
    texts.flat_map(|text| listening_in(&text, port)).collect()
}

fn listening_in(table: &str, port: u16) -> Vec<u64> {
    const LISTENS: &str = "0A";
    let inode = |line: &str| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (_, found) = words.next()?.rsplit_once(':')?;
        let is_it = u16::from_str_radix(found, 16).ok()? == port && words.nth(1)? == LISTENS;
        is_it.then(|| words.nth(5)?.parse().ok()).flatten()
    };
    table.lines().filter_map(inode).collect()
}

/// Processes that have one of these sockets open, as far as they can be seen.
fn holders(inodes: &BTreeSet<u64>) -> Vec<(u32, String)> {
    let links: BTreeSet<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let holds = |pid: u32| {
        let Ok(open) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        open.flatten().any(|entry| {
            let link = std::fs::read_link(entry.path());
            link.is_ok_and(|link| link.to_str().is_some_and(|link| links.contains(link)))
        })
    };
    processes().into_iter().filter(|(pid, _)| holds(*pid)).collect()
}

#[cfg(test)]
mod tests;
