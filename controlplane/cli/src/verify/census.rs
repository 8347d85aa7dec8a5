//! What happened, counted: for a reader who wants to know how much of what a log tells of.
//!
//! Must hold: counts are of what the log says, whoever is right; nothing is judged here. Keys are names of the federation and
//! codes of the vocabulary, so that counts of two reports can be compared.

use sekisho_evidence::genesis::{Genesis, GenesisSite};
use sekisho_evidence::record::{Body, Record};
use sekisho_evidence::terms::Terms;
use sekisho_fsm::command::Command;
use sekisho_fsm::entry::Entry;
use sekisho_types::id::{ApprovalId, OperatorId, SiteId, TenantId};
use sekisho_types::joint::Joint;
use sekisho_types::jurisdiction::Area;
use serde::Serialize;
use std::collections::BTreeMap;

/// So many of each.
pub type Counts = BTreeMap<String, u64>;

/// What a log tells of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Census {
    /// Commands, accepted and rejected.
    pub entries: u64,
    /// Placements granted.
    pub placements: u64,
    /// Of them, by prefecture of the site (ISO 3166-2).
    pub placements_by_prefecture: Counts,
    /// By operator of the site.
    pub placements_by_operator: Counts,
    /// By tenant.
    pub placements_by_tenant: Counts,
    /// Commands that the log rejected, by code.
    pub rejections: Counts,
    /// Grants that agents refused with a receipt, by code.
    pub refusals: Counts,
    /// What was taken away, by command.
    pub revocations: Counts,
    /// Entries that only a break-glass allowed.
    pub break_glass_uses: u64,
    /// Heads that agents countersigned.
    pub countersignatures: u64,
    /// Denials before the log, by member; of those whose journal is in the file.
    pub denials_by_member: Counts,
    /// The same, by code.
    pub denials_by_code: Counts,
    /// Members whose journal is not in the file, and why.
    pub missing_members: BTreeMap<String, String>,
    #[serde(skip)]
    sites: BTreeMap<SiteId, (OperatorId, Area)>,
    #[serde(skip)]
    proposed: BTreeMap<ApprovalId, (SiteId, (OperatorId, Area))>,
    #[serde(skip)]
    at_site: BTreeMap<SiteId, u64>,
    #[serde(skip)]
    of_tenant: BTreeMap<TenantId, u64>,
}

/// Adds to a count.
pub(super) fn add(counts: &mut Counts, key: impl ToString, by: u64) {
    let count = counts.entry(key.to_string()).or_default();
    *count = count.saturating_add(by);
}

/// Adds one to a count without making its key anew.
fn one<K: Ord + Clone>(counts: &mut BTreeMap<K, u64>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_add(1);
    } else {
        counts.insert(key.clone(), 1);
    }
}

impl Census {
    /// Of the federation that begins so.
    #[must_use]
    pub fn new(genesis: &Genesis) -> Self {
        let mut census = Self::default();
        genesis.sites.iter().for_each(|site| census.site(site));
        census
    }

    fn site(&mut self, site: &GenesisSite) {
        self.sites.insert(site.site.clone(), (site.operator.clone(), site.area));
    }

    /// Counts a record.
    pub(super) fn record(&mut self, record: &Record, entry: Option<&Entry>) {
        match &record.body {
            Body::Desired(_) => {}
            Body::Approval { id, failed } => {
                let site = self.proposed.remove(id).filter(|_| failed.is_none());
                self.sites.extend(site);
            }
            Body::BreakGlass { .. } => {
                self.break_glass_uses = self.break_glass_uses.saturating_add(1);
            }
            Body::Grant(grant) => {
                self.placements = self.placements.saturating_add(1);
                one(&mut self.at_site, &grant.node.site);
                one(&mut self.of_tenant, &grant.job.tenant);
            }
            Body::Entry { rejected, .. } => {
                self.entries = self.entries.saturating_add(1);
                if let Some(code) = rejected {
                    add(&mut self.rejections, code.as_str(), 1);
                } else if let Some(entry) = entry {
                    self.propose(entry);
                    self.accepted(&entry.command);
                }
            }
        }
    }

    /// Remembers a site that two operators are asked for.
    fn propose(&mut self, entry: &Entry) {
        if let Command::Propose { joint, .. } = &entry.command
            && let Joint::CreateSite { site, operator, area, .. } = joint.as_ref()
        {
            let row = (site.clone(), (operator.clone(), *area));
            self.proposed.insert(ApprovalId(entry.request.0), row);
        }
    }

    fn accepted(&mut self, command: &Command) {
        if let Some(what) = revocation(command) {
            add(&mut self.revocations, what, 1);
        } else if let Command::CreateSite { site, operator, area, .. } = command {
            self.sites.insert(site.clone(), (operator.clone(), *area));
        } else if let Command::ChangeBundle(agreement) = command {
            if let Terms::AddOperator(newcomer) = &agreement.terms {
                newcomer.sites.iter().for_each(|site| self.site(site));
            } else if matches!(agreement.terms, Terms::RemoveOperator(_) | Terms::RemoveMember(_)) {
                add(&mut self.revocations, "ChangeBundle", 1);
            }
        } else if let Command::Countersign { heads } = command {
            let more = u64::try_from(heads.len()).unwrap_or(u64::MAX);
            self.countersignatures = self.countersignatures.saturating_add(more);
        }
    }

    /// After the last record: sums by what people know.
    pub(super) fn settle(&mut self) {
        for (site, count) in std::mem::take(&mut self.at_site) {
            let known = self.sites.get(&site);
            let prefecture = known.and_then(|(_, area)| area.prefecture());
            let prefecture = prefecture.map_or_else(|| "?".to_owned(), |area| area.to_string());
            let operator = known.map_or_else(|| "?".to_owned(), |(of, _)| of.to_string());
            add(&mut self.placements_by_prefecture, prefecture, count);
            add(&mut self.placements_by_operator, operator, count);
        }
        for (tenant, count) in std::mem::take(&mut self.of_tenant) {
            add(&mut self.placements_by_tenant, tenant, count);
        }
    }
}

/// The word of a command that takes something away for good.
fn revocation(command: &Command) -> Option<&'static str> {
    let word = if matches!(command, Command::RevokeSite { .. }) {
        "RevokeSite"
    } else if matches!(command, Command::RevokeNode { .. }) {
        "RevokeNode"
    } else if matches!(command, Command::DecommissionNode { .. }) {
        "DecommissionNode"
    } else if matches!(command, Command::RevokeKey { .. }) {
        "RevokeKey"
    } else if matches!(command, Command::RemoveLandmark { .. }) {
        "RemoveLandmark"
    } else if matches!(command, Command::QuarantineNode { .. }) {
        "QuarantineNode"
    } else {
        return None;
    };
    Some(word)
}
