//! What the development federation consists of. The companies are fictitious; the area codes are real.

use super::distance::{SEOUL, office, one_way};
use super::relay::Way;
use crate::failure::Failure;
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_types::id::{DeviceClass, MemberId, NodeId, OperatorId, PolicyId, SiteId, TenantId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::name::Name;
use sekisho_types::principal::TrustDomain;
use std::fmt::Display;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// Operator, trust domain, site, area, name of the site.
const OPERATORS: [[&str; 5]; 3] = [
    ["kanto", "kanto.example", "tokyo-1", "131016", "Kanto Cloud 東京第一 (千代田区)"],
    ["naniwa", "naniwa.example", "sakai-1", "271403", "Naniwa Telecom 堺第一"],
    ["hokuto", "hokuto.example", "ishikari-1", "012351", "Hokuto Internet 石狩第一"],
];

/// What each operator asks for one GPU and hour, yen.
const PRICES: [u64; 3] = [300, 320, 280];
/// What every operator's offer is called.
const OFFER: &str = "all";
/// What it offers: more than the machine could pretend to have.
const OFFERED: u64 = 1_000_000;

/// Node, operator, simulated GPUs, rack.
type NodeRow = (&'static str, &'static str, u32, &'static str);

const NODES: [NodeRow; 4] = [
    ("tokyo-1/n-01", "kanto", 4, "r1"),
    ("sakai-1/n-01", "naniwa", 4, "r1"),
    ("ishikari-1/n-01", "hokuto", 4, "r1"),
    ("ishikari-1/n-02", "hokuto", 2, "r2"),
];

/// A host that has a certificate and a tag of Tokyo and stands in Seoul; only if asked for.
const ABROAD: NodeRow = ("tokyo-1/n-31", "kanto", 4, "r2");

/// Class of the simulated GPUs.
pub(super) const CLASS: &str = "sim-h100";
/// Memory of each simulated GPU, MiB.
pub(super) const MEMORY_MIB: u64 = 81_920;
/// Power that each may draw, W.
pub(super) const WATTS: u32 = 700;
/// Every operator's administrator.
pub(super) const ADMIN: &str = "admin";

/// From the port on which a controller listens to the one on which it shows its metrics.
const METRICS_BESIDE: u16 = 7;

/// Landmarks: operator, site at which it stands in the imitation. Two operators at each site, because a fix counts by
/// operators, and only a near landmark excludes what is abroad.
const LANDMARKS: [(&str, &str); 6] = [
    ("kanto", "tokyo-1"),
    ("naniwa", "tokyo-1"),
    ("naniwa", "sakai-1"),
    ("hokuto", "sakai-1"),
    ("hokuto", "ishikari-1"),
    ("kanto", "ishikari-1"),
];

/// Last byte of the first landmark's loopback address. Landmarks and ways to them have addresses of their own and the
/// first of the federation's ports, so that federations beside each other need no more ports.
const LANDMARK_HOST: u8 = 16;

/// A landmark, served by the controller of its operator wherever it is said to stand.
#[derive(Debug)]
pub(super) struct LandmarkPlan {
    pub(super) id: LandmarkId,
    pub(super) area: Area,
    /// Where it stands in the imitation.
    pub(super) stands: Place,
    /// Where it is dialled, and hears datagrams.
    pub(super) address: SocketAddr,
}

/// Where a host stands in the imitation, whatever it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// At the site of its name.
    Site(SiteId),
    /// In Seoul.
    Seoul,
}

/// An imitated way to a landmark.
#[derive(Debug)]
pub(super) struct WayPlan {
    pub(super) from: Place,
    pub(super) landmark: LandmarkId,
    pub(super) way: Way,
}

/// An operator with one site and one controller.
#[derive(Debug)]
pub(super) struct Operator {
    pub(super) id: OperatorId,
    pub(super) trust_domain: TrustDomain,
    pub(super) site: SiteId,
    pub(super) area: Area,
    pub(super) display_name: &'static str,
    pub(super) member: MemberId,
    /// `127.0.0.1:PORT`: where others find its controller.
    pub(super) address: String,
    /// Where the controller listens: the same, unless something forwards.
    pub(super) listen: String,
    /// Where the controller shows its metrics.
    pub(super) metrics: String,
    /// Asks for one GPU and hour, yen.
    pub(super) yen_per_gpu_hour: u64,
}

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) operator: OperatorId,
    pub(super) area: Area,
    pub(super) gpus: u32,
    /// Of its site.
    pub(super) rack: Name,
    pub(super) stands: Place,
}

/// A tenant with its policy and quota.
#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) id: TenantId,
    pub(super) display_name: &'static str,
    pub(super) policy: PolicyId,
    pub(super) gpus: u64,
}

/// A tenant's person.
#[derive(Debug)]
pub(super) struct User {
    /// Who vouches.
    pub(super) operator: OperatorId,
    /// Login name.
    pub(super) name: Name,
    pub(super) tenant: TenantId,
}

/// The whole.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) operators: Vec<Operator>,
    pub(super) nodes: Vec<Node>,
    pub(super) landmarks: Vec<LandmarkPlan>,
    /// From every place at which a host stands to every landmark.
    pub(super) ways: Vec<WayPlan>,
    /// Policy and the areas that it allows.
    pub(super) policies: Vec<(PolicyId, Vec<Area>)>,
    pub(super) tenants: Vec<Tenant>,
    pub(super) class: DeviceClass,
    /// What every operator's offer is called, and how many GPUs it offers.
    pub(super) offer: (Name, u64),
    /// Administrators' login name.
    pub(super) admin: Name,
    /// Persons of tenants.
    pub(super) users: Vec<User>,
}

fn read<T>(text: &str) -> Result<T, Failure>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error: T::Err| Failure::invalid(format!("{text}: {error}")))
}

fn address(option: &str, base: u16, number: u16) -> Result<String, Failure> {
    let port = base.checked_add(number).filter(|_| base > 0);
    let port = port.ok_or_else(|| Failure::invalid(format!("{option}: needs ten ports")))?;
    Ok(format!("127.0.0.1:{port}"))
}

fn area(text: &str) -> Result<Area, Failure> {
    Area::resolve(text).map_err(|error| Failure::invalid(error.to_string()))
}

/// A host that stands at its site.
fn node(operators: &[Operator], (id, operator, gpus, rack): NodeRow) -> Result<Node, Failure> {
    let (id, operator): (NodeId, OperatorId) = (read(id)?, read(operator)?);
    let at = operators.iter().find(|known| known.site == id.site);
    let area = at.map_or(Area::Japan, |operator| operator.area);
    let stands = Place::Site(id.site.clone());
    Ok(Node { id, operator, area, gpus, rack: read(rack)?, stands })
}

/// A person named as their tenant.
fn user(operator: &str, tenant: &str) -> Result<User, Failure> {
    Ok(User { operator: read(operator)?, name: read(tenant)?, tenant: read(tenant)? })
}

fn landmarks(operators: &[Operator], port: u16) -> Result<Vec<LandmarkPlan>, Failure> {
    let mut landmarks = Vec::new();
    for (host, (operator, site)) in (LANDMARK_HOST..).zip(LANDMARKS) {
        let at = operators.iter().find(|known| known.site.as_str() == site);
        let area = at.ok_or_else(|| Failure::invalid(format!("no site {site}")))?.area;
        let id = LandmarkId { operator: read(operator)?, name: read(site)? };
        let address = SocketAddr::from(([127, 0, 0, host], port));
        let stands = Place::Site(read(site)?);
        landmarks.push(LandmarkPlan { id, area, stands, address });
    }
    Ok(landmarks)
}

/// The ways to all landmarks from a place: each landmark's address, with the number of the place in it.
fn ways(
    number: u8,
    from: &Place,
    landmarks: &[LandmarkPlan],
    delay: impl Fn(&LandmarkPlan) -> Result<Duration, Failure>,
) -> Result<Vec<WayPlan>, Failure> {
    let way = |(host, to): (u8, &LandmarkPlan)| {
        let way = Way {
            listen: SocketAddr::from(([127, 0, number, host], to.address.port())),
            landmark: to.address,
            delay_ns: u64::try_from(delay(to)?.as_nanos()).unwrap_or(u64::MAX),
        };
        Ok(WayPlan { from: from.clone(), landmark: to.id.clone(), way })
    };
    (LANDMARK_HOST..).zip(landmarks).map(way).collect()
}

impl Plan {
    /// The ways from a place.
    pub(super) fn ways_from(&self, place: &Place) -> impl Iterator<Item = &WayPlan> {
        self.ways.iter().filter(move |way| way.from == *place)
    }

    /// Adds the host that is not where it says.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn add_abroad(&mut self) -> Result<(), Failure> {
        let mut host = node(&self.operators, ABROAD)?;
        host.stands = Place::Seoul;
        let number = u8::try_from(self.operators.len()).unwrap_or(u8::MAX).saturating_add(1);
        self.ways.extend(ways(number, &host.stands, &self.landmarks, |_to| Ok(SEOUL))?);
        self.nodes.push(host);
        Ok(())
    }

    /// The plan with controllers on three ports from `port_base` on.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if there are not that many ports.
    pub(super) fn new(port_base: u16) -> Result<Self, Failure> {
        Self::behind(port_base, port_base)
    }

    /// The plan with controllers that are found on three ports from `port_base` on, and listen on three from
    /// `listen_base` on.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if there are not that many ports.
    pub(super) fn behind(port_base: u16, listen_base: u16) -> Result<Self, Failure> {
        let mut operators = Vec::new();
        let all = (0u16..).zip(OPERATORS.into_iter().zip(PRICES));
        for (number, ([id, domain, site, code, display_name], yen_per_gpu_hour)) in all {
            let found_at = address("--port-base", port_base, number)?;
            let listen = address("--listen-base", listen_base, number)?;
            let beside = number.saturating_add(METRICS_BESIDE);
            let metrics = address("--listen-base", listen_base, beside)?;
            operators.push(Operator {
                id: read(id)?,
                trust_domain: TrustDomain::parse(domain)
                    .map_err(|e| Failure::invalid(e.to_string()))?,
                site: read(site)?,
                area: area(code)?,
                display_name,
                member: MemberId(u64::from(number).saturating_add(1)),
                address: found_at,
                listen,
                metrics,
                yen_per_gpu_hour,
            });
        }
        let nodes = NODES.into_iter().map(|row| node(&operators, row)).collect::<Result<_, _>>()?;
        let landmarks = landmarks(&operators, port_base)?;
        let mut all = Vec::new();
        for (number, from) in (1_u8..).zip(&operators) {
            let delay = |to: &LandmarkPlan| Ok(one_way(office(from.area)?, office(to.area)?));
            all.extend(ways(number, &Place::Site(from.site.clone()), &landmarks, delay)?);
        }
        let tenant = |id, display_name, policy, gpus| {
            Ok::<_, Failure>(Tenant { id: read(id)?, display_name, policy: read(policy)?, gpus })
        };
        Ok(Self {
            operators,
            nodes,
            landmarks,
            ways: all,
            policies: vec![
                (read("domestic")?, Vec::new()),
                (read("hokkaido-only")?, vec![area("JP-01")?]),
            ],
            tenants: vec![
                tenant("sapporo", "Sapporo City (demo) 札幌市", "hokkaido-only", 6)?,
                tenant("minato", "Minato Bank (demo) みなと銀行", "domestic", 8)?,
            ],
            class: read(CLASS)?,
            offer: (read(OFFER)?, OFFERED),
            admin: read(ADMIN)?,
            users: vec![user("hokuto", "sapporo")?, user("kanto", "minato")?],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_plan_is_sound_and_its_ports_fit() {
        let plan = Plan::new(17_440).unwrap();
        assert_eq!(plan.operators.len(), 3);
        assert_eq!(plan.operators[2].address, "127.0.0.1:17442");
        assert!(plan.nodes.iter().all(|node| node.area != Area::Japan));
        assert!(plan.tenants.iter().all(|t| plan.policies.iter().any(|(id, _)| *id == t.policy)));
        assert!(Plan::new(65_534).is_err() && Plan::new(0).is_err());
        assert_eq!(plan.operators[0].metrics, "127.0.0.1:17447");
        assert_eq!(plan.operators[2].listen, plan.operators[2].address);
        let behind = Plan::behind(17_440, 18_440).unwrap();
        assert_eq!(behind.operators[1].address, plan.operators[1].address);
        assert_eq!(behind.operators[1].listen, "127.0.0.1:18441");
        assert!(Plan::behind(17_440, 65_534).unwrap_err().detail.contains("--listen-base"));
        let hosts: BTreeSet<SocketAddr> = (plan.ways.iter().map(|way| way.way.listen))
            .chain(plan.landmarks.iter().map(|landmark| landmark.address))
            .collect();
        assert_eq!(hosts.len(), 18 + 6, "no two at one address");
        assert!(hosts.iter().all(|addr| addr.ip().is_loopback() && addr.port() == 17_440));
    }

    #[test]
    fn every_site_has_near_landmarks_of_two_operators() {
        let plan = Plan::new(17_440).unwrap();
        for operator in &plan.operators {
            let near: BTreeSet<&OperatorId> = plan
                .ways_from(&Place::Site(operator.site.clone()))
                .filter(|way| way.way.delay_ns < 200_000)
                .map(|way| &way.landmark.operator)
                .collect();
            assert_eq!(near.len(), 2, "{}", operator.site);
        }
    }

    #[test]
    fn the_host_abroad_has_a_good_name_and_long_ways() {
        let mut plan = Plan::new(17_440).unwrap();
        plan.add_abroad().unwrap();
        let host = plan.nodes.last().unwrap();
        assert_eq!((host.id.site.as_str(), host.area), ("tokyo-1", plan.operators[0].area));
        let ways: Vec<_> = plan.ways_from(&host.stands).collect();
        assert_eq!(ways.len(), 6);
        assert!(ways.iter().all(|way| way.way.delay_ns == 15_500_000));
        let hosts: BTreeSet<SocketAddr> = plan.ways.iter().map(|way| way.way.listen).collect();
        assert_eq!(hosts.len(), 24, "no two at one address");
    }
}
