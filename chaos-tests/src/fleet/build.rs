//! The state of a made-up fleet, by the commands that would make it: sites, tenants, offers, nodes, jobs.
//!
//! Must hold: everything is signed and applied as in the product. Nothing is kept beside the state: the fixture's log of a
//! million jobs would take more memory than they do. The state clock stands still.

use super::node::Node;
use super::tenant::Tenant;
use super::{Fleet, Job};
use anyhow::{Context as _, Result};
use sekisho_evidence::batch::ITEMS_MAX;
use sekisho_evidence::grant::SessionId;
use sekisho_evidence::tag::{SiteTag, TagArea};
use sekisho_fsm::command::{Command, Item};
use sekisho_fsm::outcome::Reply;
use sekisho_fsm::testing::{
    Federation, OPERATORS, admin, cluster, key, member, node_key, offer, receipt_key, user,
    user_key,
};
use sekisho_types::id::{Digest, TenantId};
use sekisho_types::jurisdiction::{Area, table_hash};
use sekisho_types::offer::OfferSpec;
use sekisho_types::patch::Patch;
use sekisho_types::principal::{KeyRecord, Principal, Role, Workload};
use sekisho_types::revision::Revision;
use std::collections::BTreeMap;

/// Whose people submit.
const HOME: &str = "kanto";
/// Of each class at each site: more than any has.
const OFFERED: u64 = 10_000_000;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 86_400_000;

/// Who submits the jobs of a tenant.
#[must_use]
pub fn submitter(tenant: &TenantId) -> Principal {
    user(HOME, tenant.as_str())
}

/// Applies a command, signed as it has to be, and keeps nothing of it but the state.
///
/// # Errors
/// It was refused.
pub fn done(federation: &mut Federation, actor: Principal, command: Command) -> Result<Reply> {
    let applied = federation.run(actor, command);
    federation.log.clear();
    federation.applied.clear();
    Ok(applied.outcome?)
}

/// Submits jobs, in batches as large as may be: those of one tenant in their order.
///
/// # Errors
/// One was refused.
pub fn submit(federation: &mut Federation, jobs: impl IntoIterator<Item = Job>) -> Result<()> {
    let mut gathered: BTreeMap<TenantId, Vec<Item>> = BTreeMap::new();
    for job in jobs {
        let tenant = job.id.tenant.clone();
        let items = gathered.entry(tenant.clone()).or_default();
        items.push(Item::SubmitJob { facts: Box::new(job.facts()) });
        if items.len() >= ITEMS_MAX {
            let full = std::mem::take(items);
            done(federation, submitter(&tenant), Command::Batch(full)).context("jobs")?;
        }
    }
    for (tenant, items) in gathered.into_iter().filter(|(_, items)| !items.is_empty()) {
        done(federation, submitter(&tenant), Command::Batch(items)).context("jobs")?;
    }
    Ok(())
}

impl Fleet {
    /// A federation with this fleet, idle and without jobs.
    ///
    /// # Errors
    /// A command was refused.
    pub fn federation(&self) -> Result<Federation> {
        let mut federation = Federation::begun();
        self.put_sites(&mut federation).context("sites")?;
        for tenant in &self.tenants {
            put_tenant(&mut federation, tenant).with_context(|| tenant.id.to_string())?;
        }
        for (node, number) in self.nodes.iter().zip(1u128..) {
            enrol(&mut federation, node, number).with_context(|| node.id.to_string())?;
        }
        Ok(federation)
    }

    /// Sites that the genesis does not have, and what each offers.
    fn put_sites(&self, federation: &mut Federation) -> Result<()> {
        for site in &self.sites {
            if !OPERATORS.iter().any(|(_, known, _)| *known == site.id.as_str()) {
                let create = Command::CreateSite {
                    site: site.id.clone(),
                    operator: site.operator.clone(),
                    area: Area::resolve(site.area)?,
                    display_name: site.id.to_string(),
                };
                done(federation, admin(HOME), create)?;
            }
            for class in &self.classes {
                let spec = OfferSpec { class: class.name.clone(), ..offer(OFFERED) };
                let put = Command::PutOffer {
                    site: site.id.clone(),
                    name: class.name.0.clone(),
                    offer: Box::new(spec),
                    expected: None,
                };
                done(federation, admin(site.operator.as_str()), put)?;
            }
        }
        Ok(())
    }
}

fn put_tenant(federation: &mut Federation, tenant: &Tenant) -> Result<()> {
    let put = Command::PutTenant {
        tenant: tenant.id.clone(),
        display_name: Patch::Set(tenant.id.to_string()),
        policy: Patch::Keep,
        parent: Patch::Set(tenant.parent.clone()),
        expected: None,
    };
    done(federation, admin(HOME), put)?;
    for (class, allotment) in &tenant.quotas {
        let set = Command::SetQuota {
            tenant: tenant.id.clone(),
            class: class.clone(),
            area: Area::Japan,
            allotment: *allotment,
            expected: Revision(0),
        };
        done(federation, admin(HOME), set)?;
    }
    if tenant.jobs > 0 {
        let principal = submitter(&tenant.id);
        federation.register(KeyRecord {
            public_key: user_key(&principal).public(),
            principal,
            role: Role::TenantUser(tenant.id.clone()),
            expires: federation.now.plus_ms(DAY_MS),
        });
    }
    Ok(())
}

/// Enrols a node and opens its session: ready for work, with all that it has.
fn enrol(federation: &mut Federation, node: &Node, number: u128) -> Result<()> {
    let (id, operator) = (&node.id, node.operator.as_str());
    let token = Digest::of(format!("token/{id}").as_bytes());
    let create = Command::CreateToken {
        token,
        node: id.clone(),
        expires: federation.now.plus_ms(HOUR_MS),
        approved: true,
    };
    done(federation, admin(operator), create)?;
    let tag = SiteTag {
        cluster: cluster(),
        operator: node.operator.clone(),
        node: id.clone(),
        area: TagArea::resolve(node.area)?,
        node_key: node_key(id),
        issued: federation.now,
        expires: federation.now.plus_ms(DAY_MS),
        serial: 1,
    };
    let enrol = Command::EnrollNode {
        token,
        node: id.clone(),
        node_key: node_key(id),
        receipt_key: receipt_key(id).public(),
        tag: tag.sign(&key("site-tag", operator))?,
    };
    done(federation, member(operator), enrol)?;
    let workload = Workload::Agent { site: id.site.clone(), node: id.name.clone() };
    let open = Command::OpenSession {
        node: id.clone(),
        session: SessionId(number.to_be_bytes()),
        previous: None,
        buckets: vec![node.bucket.clone()],
        live: Vec::new(),
        table: table_hash(),
        findings: Vec::new(),
        rack: Some(node.rack.clone()),
    };
    done(federation, Principal { operator: node.operator.clone(), workload }, open)?;
    Ok(())
}
