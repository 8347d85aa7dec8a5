//! Buckets of the fixture, of each kind.

use super::{CLASS, Federation, OPERATORS, admin, agent, offer};
use crate::command::Command;
use crate::outcome::Applied;
use sekisho_types::device::{Bucket, BucketKind, MigProfile, Part};
use sekisho_types::id::{DeviceClass, Digest, NodeId, TenantId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::offer::OfferSpec;
use sekisho_types::quota::{Allotment, Limit};
use sekisho_types::revision::Revision;

fn id(device: &str) -> Digest {
    Digest::of(device.as_bytes())
}

/// So many whole devices, told apart by their number.
#[must_use]
pub fn bucket(gpus: u32) -> Bucket {
    let devices = (0..gpus).map(|n| id(&format!("GPU-{n}")));
    Bucket::whole(CLASS.parse().unwrap(), 81_920, 0, devices)
}

/// So many MIG instances of one profile on the device of a number.
#[must_use]
pub fn instances(gpu: u32, count: u32) -> Bucket {
    let (profile, whole): (MigProfile, DeviceClass) =
        ("1g.10gb".parse().unwrap(), CLASS.parse().unwrap());
    let gpu = id(&format!("GPU-{gpu}"));
    let part = |n| Part { id: id(&format!("MIG-{gpu}-{n}")), gpu };
    Bucket {
        class: profile.class(&whole).unwrap(),
        memory_mib: 9856,
        island: 0,
        count,
        units: 1,
        kind: BucketKind::Mig(profile),
        parts: (0..count).map(part).collect(),
        watts: 100,
    }
}

/// So many shares of the device of a number.
#[must_use]
pub fn shares(gpu: u32, count: u32) -> Bucket {
    let whole: DeviceClass = CLASS.parse().unwrap();
    let gpu = id(&format!("GPU-{gpu}"));
    Bucket {
        class: whole.shared().unwrap(),
        memory_mib: 20_480,
        island: 0,
        count,
        units: 0,
        kind: BucketKind::Shared,
        parts: vec![Part::whole(gpu)],
        watts: 0,
    }
}

impl Federation {
    /// Opens the next session of a node, with these buckets.
    pub fn equip(&mut self, node: &NodeId, buckets: Vec<Bucket>) -> Applied {
        let row = self.state.node(node);
        let previous = row.and_then(|row| Some(row.session.as_ref()?.id));
        let mut open = self.session_of(node, (self.fresh_session(node), previous), 1, None);
        if let Command::OpenSession { buckets: told, .. } = &mut open {
            *told = buckets;
        }
        self.run(agent(node), open)
    }

    /// Every site offers a class, of which tenants may hold so many.
    pub fn open_class(&mut self, class: &DeviceClass, tenants: &[&str], limit: Limit) {
        for (operator, site, _) in OPERATORS {
            let spec = OfferSpec { class: class.clone(), ..offer(1_000_000) };
            let (site, name) = (site.parse().unwrap(), class.0.clone());
            let put = Command::PutOffer { site, name, offer: Box::new(spec), expected: None };
            self.accept(admin(operator), put);
        }
        for tenant in tenants {
            let (tenant, class): (TenantId, _) = (tenant.parse().unwrap(), class.clone());
            let (area, allotment) = (Area::Japan, Allotment::own(limit));
            let set = Command::SetQuota { tenant, class, area, allotment, expected: Revision(0) };
            self.accept(admin("kanto"), set);
        }
    }
}
