//! Sealing what a job runs to the sites that may run it.
//!
//! Must hold: a key counts only under the site-tag key that the pinned endorser bundle leads to, and the site's operator and
//! place are those under that signature: no member can have a payload sealed to a key of its own, or to a site that the spec
//! itself excludes. With `payload: sealed`, or a secret in it, a payload is sealed or not sent. With `payload: area-only` it is
//! sealed too, and what is sealed is sent to nobody from here ([`super::upload`] does).
//!
//! Does not hold: what a *named* policy says is the word of the member that is asked, as it is in a grant; a site that has
//! several areas is a recipient if one of them is allowed. Who leaves `payload:` out lets members that hide a key have the
//! payload sent as it is.

use crate::app::{App, Session};
use crate::ask;
use crate::command::agreement::package;
use crate::command::list::ListArgs;
use crate::command::site;
use crate::failure::Failure;
use crate::spec::{JobSpec, Sealing};
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::genesis::GenesisMember;
use sekisho_evidence::package::{Trust, TrustPackage};
use sekisho_evidence::sealed::{Context, SignedSiteKey, SiteKeyRecord, seal};
use sekisho_proto::convert::job::NewJob;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, OperatorId, PolicyId, RequestId, SiteId};
use sekisho_types::job::JobFacts;
use sekisho_types::jurisdiction::Area;
use sekisho_types::residency::{Rules, may_pass};
use sekisho_types::time::Timestamp;
use tokio::sync::OnceCell;

/// A job as it is sent, and where what it runs may lie if that stays in its area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sealed {
    /// The job. What it runs is in it, also if it is not sent along.
    pub(super) job: NewJob,
    /// Members that may keep it, by signed word alone; none unless it stays in its area.
    pub(super) keepers: Vec<GenesisMember>,
}

impl From<NewJob> for Sealed {
    fn from(job: NewJob) -> Self {
        Self { job, keepers: Vec::new() }
    }
}

/// A site as its members tell of it, and as its operator does.
#[derive(Debug)]
struct Told {
    id: SiteId,
    operator: OperatorId,
    area: Area,
    /// Under the operator's signature; `None` = there is none that counts.
    key: Option<SiteKeyRecord>,
}

/// What is known of the sites and members, asked for once.
#[derive(Debug)]
struct Sites {
    told: Vec<Told>,
    /// At which site each stands is signed, as the endorser bundle is.
    members: Vec<GenesisMember>,
}

/// The jobs as they are sent.
pub(super) async fn seal_all(
    app: &mut App<'_>,
    session: &Session,
    specs: Vec<JobSpec>,
    plain: bool,
) -> Result<Vec<Sealed>, Failure> {
    let request = app.request()?;
    let (sites, mut jobs) = (OnceCell::new(), Vec::with_capacity(specs.len()));
    for mut spec in specs {
        if plain && spec.sealing == Sealing::AreaOnly {
            let why = format!("{}: --plain contradicts `payload: area-only`", spec.facts.id);
            return Err(Failure::invalid(why).remedy("leave one of the two out"));
        }
        if plain {
            spec.sealing = Sealing::Plain;
        }
        if spec.sealing == Sealing::Plain {
            jobs.push(as_it_is(spec)?.into());
            continue;
        }
        // What does not depend on one another is asked for at once: each answer is a way to a member and back.
        let (known, rules) = tokio::try_join!(
            sites.get_or_try_init(|| Sites::ask(app, session)),
            rules_of(app, session, &spec.facts)
        )?;
        let (sealed_to, missing) = known.allowed(&rules);
        let apart = spec.sealing == Sealing::AreaOnly;
        let must = apart || spec.sealing == Sealing::Sealed || spec.secret.is_some();
        if !must && (sealed_to.is_empty() || !missing.is_empty()) {
            jobs.push(as_it_is(spec)?.into());
            continue;
        }
        if sealed_to.is_empty() {
            return Err(no_key(session, spec.secret.as_deref(), &missing));
        }
        if !missing.is_empty() {
            let sites = missing.join(", ");
            let note = app.output.pick(
                format!("payload not sealed to {sites}: no key yet; `sekisho job reseal` adds them"),
                format!("鍵がまだないため {sites} には封緘していません。`sekisho job reseal` で追加できます"),
            );
            app.output.note(&note)?;
        }
        let keepers = if apart { known.keepers(&sealed_to, &rules, app.now()) } else { Vec::new() };
        if apart && keepers.is_empty() {
            return Err(no_keeper(&spec.facts));
        }
        jobs.push(Sealed { job: sealed(session, &request, spec, &sealed_to)?, keepers });
    }
    Ok(jobs)
}

fn no_keeper(facts: &JobFacts) -> Failure {
    let why =
        format!("{}: no controller stands wholly inside the areas that it may run in", facts.id);
    Failure::new(ErrorCode::PayloadOutside, why)
}

/// Not sealed, which nothing that looks like a secret may be.
fn as_it_is(spec: JobSpec) -> Result<NewJob, Failure> {
    match spec.secret {
        Some(what) => Err(Failure::new(ErrorCode::SecretRefused, what)),
        None => Ok(NewJob { facts: spec.facts, payload: spec.payload.into() }),
    }
}

fn no_key(session: &Session, secret: Option<&str>, missing: &[String]) -> Failure {
    let code = secret.map_or(ErrorCode::PayloadNotSealed, |_| ErrorCode::SecretRefused);
    let what = secret.map(|what| format!("{what}; ")).unwrap_or_default();
    if session.context.bundle.is_none() {
        let why = format!("{what}the context names no endorser bundle to believe keys of sites by");
        return Failure::new(code, why)
            .remedy("Renew it: `sekisho operator trust --genesis FILE --write`.");
    }
    if missing.is_empty() {
        let why = format!("{what}by its rules, and by those that bind it, no site may run it");
        return Failure::new(code, why)
            .remedy("See what its tenant's policy allows: `sekisho policy get POLICY`.");
    }
    let why =
        format!("{what}no site that may run it has a key; without one: {}", missing.join(", "));
    Failure::new(code, why)
        .remedy("A site has one when a controller of its operator with the site-tag key runs.")
}

fn sealed(
    session: &Session,
    request: &RequestId,
    spec: JobSpec,
    sites: &[&SiteKeyRecord],
) -> Result<NewJob, Failure> {
    let refused = |error: sekisho_evidence::sealed::SealError| {
        Failure::new(error.code(), error.to_string()).remedy(
            "Narrow the policy, or write `payload: plain` if it may be read by every member.",
        )
    };
    let mut facts = spec.facts;
    let context = Context::of_job(session.context.cluster, &facts.id).map_err(refused)?;
    let seed = session.seal_seed(request, &context)?;
    let keys: Vec<_> = sites.iter().map(|site| site.key.clone()).collect();
    let (payload, _key) = seal(&spec.payload, &keys, &context, &seed).map_err(refused)?;
    facts.sealed_to = payload.sites().map(|(site, epoch)| (site.clone(), epoch)).collect();
    let payload = payload.bytes().map_err(refused)?;
    facts.payload = Digest::of(&payload);
    facts.payload_len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    Ok(NewJob { facts, payload: payload.into() })
}

impl Sites {
    async fn ask(app: &App<'_>, session: &Session) -> Result<Self, Failure> {
        let trust = async {
            let Some(pinned) = session.context.bundle else { return Ok(None) };
            walked(&package(app, session).await?, &pinned).map(Some)
        };
        let all = ListArgs::default();
        let (trust, (sites, _)) = tokio::try_join!(trust, site::all(app, session, &all))?;
        let (bundle, members) = trust.map(|trust| (trust.bundle, trust.members)).unzip();
        let members = members.unwrap_or_default();
        let standing = sites.iter().filter(|site| !site.revoked);
        let told = standing.filter_map(|site| told(site, bundle.as_ref())).collect();
        Ok(Self { told, members })
    }

    /// Sites that all of these rules allow: those with a key, and the names of those without one.
    fn allowed(&self, rules: &[Rules]) -> (Vec<&SiteKeyRecord>, Vec<String>) {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for site in &self.told {
            match &site.key {
                Some(key) if may_run(rules, &key.operator, key.area) => with.push(key),
                Some(_) => {}
                None if may_run(rules, &site.operator, site.area) => {
                    without.push(site.id.to_string());
                }
                None => {}
            }
        }
        (with, without)
    }

    /// Members at these sites that stand wholly inside what all of these rules allow.
    fn keepers(
        &self,
        sites: &[&SiteKeyRecord],
        rules: &[Rules],
        now: Timestamp,
    ) -> Vec<GenesisMember> {
        let rules: Vec<&Rules> = rules.iter().collect();
        let keeps = |member: &&GenesisMember| {
            let site = sites.iter().find(|site| site.key.site == member.site);
            site.is_some_and(|site| {
                site.operator == member.operator && may_pass(&site.operator, site.area, &rules, now)
            })
        };
        self.members.iter().filter(keeps).cloned().collect()
    }
}

/// Whether a node at a site of this operator, somewhere in `area`, can be what the rules allow, at its best.
fn may_run(rules: &[Rules], operator: &OperatorId, area: Area) -> bool {
    let meets = |allowed: &Area| allowed.contains(area) || area.contains(*allowed);
    rules.iter().all(|rules| {
        (rules.areas.is_empty() || rules.areas.iter().any(meets))
            && !rules.denied_areas.iter().any(|denied| denied.contains(area))
            && (rules.operators.is_empty() || rules.operators.contains(operator))
            && !rules.denied_operators.contains(operator)
    })
}

/// The endorser bundle in force and its members, walked from the one that the context pins.
fn walked(package: &TrustPackage, pinned: &Digest) -> Result<Trust, Failure> {
    let mismatch = |why: String| Failure::new(ErrorCode::BundleMismatch, why);
    let first = [&package.genesis.genesis.bundle].into_iter();
    let mut known = first.chain(package.steps.iter().map(|step| &step.signed.bundle));
    let held = known.find(|bundle| bundle.hash().is_ok_and(|hash| hash == *pinned));
    let none = || mismatch("the controller's package does not lead through it".to_owned());
    package.walk(held.ok_or_else(none)?).map_err(|error| mismatch(error.to_string()))
}

/// A site of a list, with its key if that counts; `None` for one that cannot be read.
fn told(site: &v1::Site, bundle: Option<&EndorserBundle>) -> Option<Told> {
    let id = SiteId::from_name(&site.name)?;
    let verified = |bundle: &EndorserBundle| {
        let signed = SignedSiteKey::parse(&site.sealing_key).ok()?;
        let keys = bundle.keys(&signed.record.operator)?;
        let key = signed.verify(&bundle.cluster, keys).ok()?;
        (key.site == id).then(|| signed.record.clone())
    };
    Some(Told {
        operator: site.operator.parse().ok()?,
        area: Area::resolve(&site.area).ok()?,
        key: bundle.and_then(verified),
        id,
    })
}

/// Every rule set that binds the job.
async fn rules_of(
    app: &App<'_>,
    session: &Session,
    facts: &JobFacts,
) -> Result<Vec<Rules>, Failure> {
    let request = v1::GetTenantRequest { name: facts.id.tenant.name(), read: app.read() };
    let tenant =
        ask!(session.client, tenant_service_client::TenantServiceClient, get_tenant, request)?;
    let named = facts.policy.as_ref().map(PolicyId::name);
    let mut rules = vec![Rules::clone(&facts.residency)];
    for name in named.into_iter().chain(Some(tenant.policy).filter(|name| !name.is_empty())) {
        let request = v1::GetPolicyRequest { name: name.clone(), read: app.read() };
        let policy =
            ask!(session.client, policy_service_client::PolicyServiceClient, get_policy, request)?;
        let told = Rules::try_from(&policy.rules.unwrap_or_default());
        rules.push(told.map_err(|error| Failure::invalid(format!("{name}: {error}")))?);
    }
    Ok(rules)
}

#[cfg(test)]
mod tests;
