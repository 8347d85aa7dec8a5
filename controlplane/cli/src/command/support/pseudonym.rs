//! Names that stand for names.
//!
//! Must hold: within a bundle the same name always has the same pseudonym, so that one can follow a node from file to file; the
//! pseudonym is a kind and a number in the order of appearance and nothing that the name could be guessed or tried from.

use std::collections::BTreeMap;

/// The names met so far.
#[derive(Debug)]
pub(super) struct Pseudonyms {
    hides: bool,
    met: BTreeMap<&'static str, BTreeMap<String, usize>>,
}

impl Pseudonyms {
    /// `hides` = false keeps every name as it is.
    pub(super) fn new(hides: bool) -> Self {
        Self { hides, met: BTreeMap::new() }
    }

    /// What stands for a name of this kind. An empty one stays empty.
    pub(super) fn of(&mut self, kind: &'static str, name: &str) -> String {
        if !self.hides || name.is_empty() {
            return name.to_owned();
        }
        let met = self.met.entry(kind).or_default();
        let next = met.len().saturating_add(1);
        let number = met.entry(name.to_owned()).or_insert(next);
        format!("{kind}-{number}")
    }

    /// The same for a resource's name, part by part: `sites/tokyo-1/nodes/n-01` is `sites/site-1/nodes/node-1`. A node is known
    /// by its site too: there is an `n-01` at each.
    pub(super) fn resource(&mut self, name: &str) -> String {
        if !self.hides {
            return name.to_owned();
        }
        let (mut told, mut whole) = (Vec::new(), String::new());
        let mut parts = name.split('/');
        while let Some(collection) = parts.next() {
            let id = parts.next().unwrap_or_default();
            whole.push('/');
            whole.push_str(id);
            match collection {
                "sites" => told.push(format!("sites/{}", self.of("site", id))),
                "nodes" => told.push(format!("nodes/{}", self.of("node", &whole))),
                "tenants" => told.push(format!("tenants/{}", self.of("tenant", id))),
                "policies" => told.push(format!("policies/{}", self.of("policy", id))),
                "operators" => told.push(format!("operators/{}", self.of("operator", id))),
                "budgets" => told.push(format!("budgets/{}", self.of("budget", &whole))),
                "offers" => told.push(format!("offers/{}", self.of("offer", &whole))),
                "reservations" => {
                    told.push(format!("reservations/{}", self.of("reservation", &whole)));
                }
                "quotas" => told.push(format!("quotas/{}", self.quota(id))),
                "vetoes" => told.push(format!("vetoes/{}", self.vetoed(id))),
                "escrows" => told.push(format!("escrows/{}", self.escrow(id))),
                // Members are numbers.
                "members" => told.push(format!("{collection}/{id}")),
                // Of what kind it is, nobody knows: it is hidden as a whole.
                _ => told.push(self.of("name", &format!("{collection}/{id}"))),
            }
        }
        told.join("/")
    }

    /// `CLASS` or `CLASS.AREA`: classes are products, an area is a place.
    fn quota(&mut self, id: &str) -> String {
        match id.split_once('.') {
            None => id.to_owned(),
            Some((class, area)) => format!("{class}.{}", self.of("area", area)),
        }
    }

    /// `TENANT` or `TENANT.JOB`.
    fn vetoed(&mut self, id: &str) -> String {
        match id.split_once('.') {
            None => self.of("tenant", id),
            Some((tenant, _)) => format!("{}.{}", self.of("tenant", tenant), self.of("job", id)),
        }
    }

    /// `TENANT.CLASS`.
    fn escrow(&mut self, id: &str) -> String {
        match id.split_once('.') {
            None => self.of("name", id),
            Some((tenant, class)) => format!("{}.{class}", self.of("tenant", tenant)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_pseudonym_and_nodes_of_two_sites_have_two() {
        let mut names = Pseudonyms::new(true);
        assert_eq!(names.of("tenant", "sapporo"), "tenant-1");
        assert_eq!(names.of("tenant", "minato"), "tenant-2");
        assert_eq!(names.of("tenant", "sapporo"), "tenant-1");
        assert_eq!(names.resource("tenants/minato/quotas/h200"), "tenants/tenant-2/quotas/h200");
        assert_eq!(names.resource("sites/tokyo-1/nodes/n-01"), "sites/site-1/nodes/node-1");
        assert_eq!(names.resource("sites/sakai-1/nodes/n-01"), "sites/site-2/nodes/node-2");
        assert_eq!(names.resource("members/3"), "members/3");
        assert_eq!(names.resource("novelties/secret"), "name-1");
        let named = names.resource("tenants/minato/budgets/fy");
        assert_eq!(named, "tenants/tenant-2/budgets/budget-1");
        let other = names.resource("tenants/sapporo/budgets/fy");
        assert_eq!(other, "tenants/tenant-1/budgets/budget-2");
        let somewhere = names.resource("tenants/minato/quotas/h200.012351");
        assert_eq!(somewhere, "tenants/tenant-2/quotas/h200.area-1");
        let vetoed = names.resource("operators/kanto/vetoes/minato.train");
        assert_eq!(vetoed, "operators/operator-1/vetoes/tenant-2.job-1");
        let held = names.resource("sites/tokyo-1/escrows/sapporo.h200");
        assert_eq!(held, "sites/site-1/escrows/tenant-1.h200");
        assert_eq!(Pseudonyms::new(false).resource("tenants/minato"), "tenants/minato");
    }
}
