//! A look at nodes and members every now and then, as a person would: what was lost, and who led.

use super::limit::OBSERVE_EVERY;
use super::load::Shell;
use crate::federation::{Federation, rows};
use anyhow::Result;
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// What was seen.
#[derive(Debug, Default)]
pub struct Sights {
    /// Nodes that became lost.
    pub lost: u64,
    /// Times that another member led.
    pub leaders: u64,
    now_lost: BTreeSet<String>,
    leader: Option<String>,
}

impl Sights {
    fn nodes(&mut self, nodes: &[Value]) {
        let lost = nodes.iter().filter(|node| node["state"] == "lost");
        let lost: BTreeSet<String> =
            lost.filter_map(|node| node["name"].as_str()).map(str::to_owned).collect();
        let fresh = u64::try_from(lost.difference(&self.now_lost).count()).unwrap_or(0);
        self.lost = self.lost.saturating_add(fresh);
        self.now_lost = lost;
    }

    fn members(&mut self, members: &[Value]) {
        let leader = members.iter().find(|member| member["leader"] == true);
        let Some(leader) = leader.and_then(|member| member["name"].as_str()) else { return };
        if self.leader.as_deref().is_some_and(|before| before != leader) {
            self.leaders = self.leaders.saturating_add(1);
        }
        self.leader = Some(leader.to_owned());
    }
}

/// Looks until it is dropped.
#[derive(Debug)]
pub struct Observer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Observer {
    /// Begins.
    ///
    /// # Errors
    /// There is no thread for it.
    pub fn begin(federation: &Federation, sights: &Arc<Mutex<Sights>>) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (shell, stopped, sights) =
            (Shell::of(federation), Arc::clone(&stop), Arc::clone(sights));
        let observe = move || {
            while !stopped.load(Ordering::Relaxed) {
                // While nobody answers there is nothing to see.
                if let Ok(nodes) = listed(&shell, "node") {
                    sights.lock().nodes(&nodes);
                }
                if let Ok(members) = listed(&shell, "member") {
                    sights.lock().members(&members);
                }
                // waits: until the next look
                std::thread::sleep(OBSERVE_EVERY);
            }
        };
        let thread = Some(std::thread::Builder::new().name("observer".to_owned()).spawn(observe)?);
        Ok(Self { stop, thread })
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing more to say.
            drop(thread.join());
        }
    }
}

fn listed(shell: &Shell, noun: &str) -> Result<Vec<Value>> {
    let printed = shell.run("kanto", &[noun, "list", "-o", "json"])?;
    Ok(rows(&serde_json::from_str(&printed)?, "items"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn changes_are_counted_and_states_are_not() {
        let mut sights = Sights::default();
        let nodes = |a: &str| {
            vec![json!({"name": "a", "state": a}), json!({"name": "b", "state": "ready"})]
        };
        for state in ["ready", "lost", "lost", "ready", "lost"] {
            sights.nodes(&nodes(state));
        }
        assert_eq!(sights.lost, 2);
        for leader in ["1", "1", "2", "1"] {
            sights.members(&[
                json!({"name": leader, "leader": true}),
                json!({"name": "9", "leader": false}),
            ]);
        }
        sights.members(&[]);
        assert_eq!(sights.leaders, 2);
    }
}
