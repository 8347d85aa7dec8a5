//! Founding: keys of three operators, the genesis that all of them sign, contexts for their people. On a directory
//! that was founded before, certificates are renewed and nothing else is touched.

use super::config::{write_controller, write_example, write_ways};
use super::layout::Layout;
use super::plan::{Operator, Plan, User};
use crate::context::{Context, Contexts, Endpoint, Root};
use crate::failure::{Failure, of_file};
use crate::pki::{self, CARD_FILE, GENESIS_FILE, OperatorDir, SIGN_FILE, genesis, private_dir};
use sekisho_evidence::genesis::{GenesisSite, SignedGenesis};
use sekisho_evidence::key::SigningKey;
use sekisho_transport::pki::file::{CHAIN_FILE, KEY_FILE, ROOT_FILE};
use sekisho_transport::pki::signing;
use sekisho_types::id::OperatorId;
use sekisho_types::name::Name;
use sekisho_types::principal::{KeyRecord, Role};
use sekisho_types::time::Timestamp;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn site(operator: &Operator) -> GenesisSite {
    GenesisSite {
        site: operator.site.clone(),
        operator: operator.id.clone(),
        area: operator.area,
        display_name: operator.display_name.to_owned(),
    }
}

/// Makes or renews everything that must lie there before the first program starts.
pub(super) fn prepare(layout: &Layout, plan: &Plan, now: Timestamp) -> Result<Contexts, Failure> {
    for operator in &plan.operators {
        let dir = OperatorDir::new(layout.operator(&operator.id));
        if dir.path().join(CARD_FILE).exists() {
            dir.renew_member(&site(operator), operator.member, &[LOOPBACK], now)?;
            dir.renew_user(&plan.admin, now)?;
        } else {
            let made = pki::Plan {
                operator: operator.id.clone(),
                trust_domain: operator.trust_domain.clone(),
                site: site(operator),
                members: vec![(operator.member, operator.address.clone())],
                admin: plan.admin.clone(),
            };
            dir.init(&made, &[LOOPBACK], now)?;
        }
    }
    let signed = signed_genesis(layout, plan, now)?;
    for operator in &plan.operators {
        write_controller(layout, plan, operator)?;
        // Where each operator's trust begins when it signs a change.
        let own = OperatorDir::new(layout.operator(&operator.id)).path().join(GENESIS_FILE);
        std::fs::write(&own, genesis::bytes(&signed)?).map_err(|error| of_file(&own, &error))?;
    }
    landmark_keys(layout, plan)?;
    write_ways(layout, plan)?;
    write_example(layout)?;
    let contexts = contexts(layout, plan, &signed);
    contexts.save(&layout.contexts())?;
    Contexts::load(&layout.contexts())
}

/// Makes the keys of landmarks that have none yet.
fn landmark_keys(layout: &Layout, plan: &Plan) -> Result<(), Failure> {
    for landmark in &plan.landmarks {
        let path = layout.landmark_key(&landmark.id);
        if path.exists() {
            continue;
        }
        private_dir(path.parent().unwrap_or_else(|| layout.dir()))?;
        let key = SigningKey::from_seed(&rand::random());
        signing::write(&path, &key).map_err(|error| of_file(&path, &error))?;
    }
    Ok(())
}

/// The ports of an earlier run.
pub(super) fn port_base(layout: &Layout) -> Result<Option<u16>, Failure> {
    let path = layout.genesis();
    if !path.exists() {
        return Ok(None);
    }
    let bytes = std::fs::read(&path).map_err(|error| of_file(&path, &error))?;
    let signed = SignedGenesis::open(&bytes).map_err(|error| of_file(&path, &error))?;
    let port = |address: &str| address.rsplit(':').next().and_then(|port| port.parse().ok());
    Ok(signed.genesis.members.first().and_then(|member| port(&member.address)))
}

fn signed_genesis(layout: &Layout, plan: &Plan, now: Timestamp) -> Result<SignedGenesis, Failure> {
    let path = layout.genesis();
    if path.exists() {
        let bytes = std::fs::read(&path).map_err(|error| of_file(&path, &error))?;
        let signed = SignedGenesis::open(&bytes).map_err(|error| of_file(&path, &error))?;
        let moved =
            signed.genesis.members.iter().zip(&plan.operators).any(|(a, b)| a.address != b.address);
        if moved {
            let fix = "use the ports of the first run, or begin anew: --fresh";
            return Err(
                Failure::invalid("--port-base: the federation has other addresses").remedy(fix)
            );
        }
        return Ok(signed);
    }
    let dirs: Vec<OperatorDir> =
        plan.operators.iter().map(|o| OperatorDir::new(layout.operator(&o.id))).collect();
    let cards = dirs.iter().map(OperatorDir::card).collect::<Result<Vec<_>, _>>()?;
    let signed = genesis::sign(genesis::assemble(&cards, true, now)?, &dirs)?;
    std::fs::write(&path, genesis::bytes(&signed)?).map_err(|error| of_file(&path, &error))?;
    Ok(signed)
}

fn relative(operator: &OperatorId) -> PathBuf {
    Path::new("operators").join(operator.as_str())
}

fn context(plan: &Plan, signed: &SignedGenesis, operator: &OperatorId, user: &Name) -> Context {
    let person = relative(operator).join("users").join(user.as_str());
    let bundle = &signed.genesis.bundle;
    // The own operator's member first: nearest.
    let mut near: Vec<&Operator> = plan.operators.iter().collect();
    near.sort_by_key(|o| o.id != *operator);
    let endpoint = |o: &&Operator| Endpoint {
        address: o.address.clone(),
        operator: o.id.clone(),
        site: o.site.clone(),
    };
    let root = |o: &Operator| Root {
        operator: o.id.clone(),
        trust_domain: o.trust_domain.clone(),
        file: relative(&o.id).join(ROOT_FILE),
    };
    Context {
        cluster: bundle.cluster,
        incarnation: bundle.incarnation,
        bundle_version: bundle.version,
        bundle: bundle.hash().ok(),
        operator: operator.clone(),
        identity: person.join(CHAIN_FILE),
        identity_key: person.join(KEY_FILE),
        signing_key: Some(person.join(SIGN_FILE)),
        dev: signed.genesis.dev,
        // Addresses only: nobody is asked for anything.
        resolvers: Vec::new(),
        login: None,
        endpoints: near.iter().map(endpoint).collect(),
        roots: plan.operators.iter().map(root).collect(),
    }
}

fn contexts(layout: &Layout, plan: &Plan, signed: &SignedGenesis) -> Contexts {
    let mut contexts = Contexts { current: Some("kanto".to_owned()), ..Contexts::default() };
    for operator in &plan.operators {
        let made = context(plan, signed, &operator.id, &plan.admin);
        contexts.context.insert(operator.id.to_string(), made);
    }
    for User { operator, name, tenant } in &plan.users {
        // Before the person exists the context would only confuse.
        if OperatorDir::new(layout.operator(operator)).user(name).join(SIGN_FILE).exists() {
            contexts.context.insert(tenant.to_string(), context(plan, signed, operator, name));
        }
    }
    contexts
}

/// Adds a tenant's person: certificate, signing key and context. Returns the record to register; `None` if the
/// person exists, whose certificate is renewed then.
pub(super) fn tenant_user(
    layout: &Layout,
    plan: &Plan,
    user: &User,
    now: Timestamp,
) -> Result<Option<KeyRecord>, Failure> {
    let User { operator, name, tenant } = user;
    let dir = OperatorDir::new(layout.operator(operator));
    let record = if dir.user(name).join(SIGN_FILE).exists() {
        dir.renew_user(name, now)?;
        None
    } else {
        Some(dir.add_user(operator, name, Role::TenantUser(tenant.clone()), now)?)
    };
    let signed = signed_genesis(layout, plan, now)?;
    contexts(layout, plan, &signed).save(&layout.contexts())?;
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::identity;
    use sekisho_types::error_code::Language;

    const NOW: Timestamp = Timestamp(1_780_000_000_000);

    #[test]
    fn founding_makes_contexts_that_load_and_repeating_it_keeps_the_federation() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(&dir.path().join("dev")).unwrap();
        let plan = Plan::new(17_440).unwrap();
        let contexts = prepare(&layout, &plan, NOW).unwrap();
        let names: Vec<&str> = contexts.context.keys().map(String::as_str).collect();
        assert_eq!(names, ["hokuto", "kanto", "naniwa"]);
        let (_, kanto) = contexts.pick(None, Language::En).unwrap();
        identity(kanto).unwrap();
        assert_eq!(kanto.endpoints[0].site.as_str(), "tokyo-1");
        for user in &plan.users {
            assert!(tenant_user(&layout, &plan, user, NOW).unwrap().is_some());
            assert!(tenant_user(&layout, &plan, user, NOW).unwrap().is_none());
        }
        let again = prepare(&layout, &plan, NOW.plus_ms(60_000)).unwrap();
        assert_eq!(again.context["kanto"].cluster, kanto.cluster);
        let key = |at: usize| signing::read(&layout.landmark_key(&plan.landmarks[at].id)).unwrap();
        assert_ne!(key(0).public(), key(5).public(), "both are kanto's");
        assert_eq!(again.context["sapporo"].operator.as_str(), "hokuto");
        assert_eq!(again.context["minato"].operator.as_str(), "kanto");
        let elsewhere = prepare(&layout, &Plan::new(18_000).unwrap(), NOW).unwrap_err();
        assert!(elsewhere.detail.contains("--port-base"));
        assert_eq!(port_base(&layout).unwrap(), Some(17_440));
    }
}
