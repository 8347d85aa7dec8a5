//! Reading a grant's record in its one strict form, and telling a foreign area apart from rubbish.
//!
//! An area of another country is no [`Area`], so a grant that names one does not decode. It must not pass for a
//! transmission fault: it is refused as `RESIDENCY_OUTSIDE_JP` (D2, D4).

use crate::reason::Reason;
use sekisho_evidence::canonical::decode;
use sekisho_evidence::grant::{Grant, SessionId, Share};
use sekisho_evidence::record::{Body, Record};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{ClusterId, DeviceClass, Digest, JobId, NodeId, OperatorId, PolicyId};
use sekisho_types::job::OnDisconnect;
use sekisho_types::jurisdiction::{Area, AreaError};
use sekisho_types::limit::{GPUS_PER_TASK_MAX, GROUP_MAX, TIME_LIMIT_MAX};
use sekisho_types::principal::Principal;
use sekisho_types::residency::{OnStaleProof, Tier};
use sekisho_types::revision::{PlacementId, Revision};
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Tag of [`Body::Grant`] in the canonical bytes of a record.
const GRANT_TAG: u32 = 1;

/// A record that holds a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRecord {
    /// The entry that it comes from.
    pub revision: Revision,
    /// The placement that it names.
    pub placement: PlacementId,
    /// The federation that it names.
    pub cluster: ClusterId,
    /// SHA-256 of the grant's bytes.
    pub digest: Digest,
    /// The grant, or the area abroad that it names.
    pub grant: Result<Box<Grant>, String>,
}

/// What could be made out of a record that is not in its strict form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MalformedGrant {
    /// The placement, if the bytes go that far.
    pub placement: Option<PlacementId>,
    /// What is wrong.
    pub reason: Reason,
}

/// Reads the record of a grant.
///
/// # Errors
/// [`MalformedGrant`] with `GRANT_MALFORMED`.
pub fn read(bytes: &[u8]) -> Result<GrantRecord, Box<MalformedGrant>> {
    let header = header(bytes);
    let placement = header.as_ref().map(|header| header.placement);
    let malformed = |detail: &dyn std::fmt::Display| {
        Box::new(MalformedGrant {
            placement,
            reason: Reason::new(ErrorCode::GrantMalformed, detail),
        })
    };
    let Some(header) = header else { return Err(malformed(&"not the record of a grant")) };
    let digest = Digest::of(header.grant);
    let made = |grant| GrantRecord {
        revision: header.revision,
        placement: header.placement,
        cluster: header.cluster,
        digest,
        grant,
    };
    match Record::parse(bytes) {
        Ok(Record { body: Body::Grant(grant), revision, .. }) => {
            check(&grant, revision).map_err(|what| malformed(&what))?;
            Ok(made(Ok(grant)))
        }
        Ok(Record {
            body:
                Body::Entry { .. } | Body::Desired(_) | Body::Approval { .. } | Body::BreakGlass { .. },
            ..
        }) => Err(malformed(&"not the record of a grant")),
        Err(error) => match foreign_area(header.grant) {
            Some(area) => Ok(made(Err(area))),
            None => Err(malformed(&error)),
        },
    }
}

/// Bounds that the types do not hold by themselves.
fn check(grant: &Grant, revision: Revision) -> Result<(), &'static str> {
    let rules = [
        // One that was taken over from the incarnation before has a record of its own in this one.
        (grant.placement.epoch.revision <= revision, "the epoch is not the record's entry"),
        ((1..=GPUS_PER_TASK_MAX).contains(&grant.gpus), "number of GPUs out of bounds"),
        (grant.share.is_none() || grant.gpus == 1, "a share of more than one GPU"),
        (grant.rank < grant.group && grant.group <= GROUP_MAX, "rank or group out of bounds"),
        ((1..=TIME_LIMIT_MAX.as_secs()).contains(&grant.time_limit_s), "time limit out of bounds"),
        (
            grant.on_disconnect == OnDisconnect::Stop
                || grant.rules.iter().all(|bound| bound.rules.allow_run_to_completion),
            "run_to_completion against its own rules",
        ),
    ];
    rules.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, what)| Err(what))
}

struct Header<'b> {
    revision: Revision,
    placement: PlacementId,
    cluster: ClusterId,
    grant: &'b [u8],
}

/// The beginning of a grant's record, which decodes even where the grant does not.
fn header(bytes: &[u8]) -> Option<Header<'_>> {
    let ((revision, _time, tag), grant) =
        postcard::take_from_bytes::<(Revision, Timestamp, u32)>(bytes).ok()?;
    let ((cluster, placement), _rest) =
        postcard::take_from_bytes::<(ClusterId, PlacementId)>(grant).ok()?;
    (tag == GRANT_TAG).then_some(Header { revision, placement, cluster, grant })
}

/// The first area abroad of a grant that is sound but for its areas.
fn foreign_area(grant: &[u8]) -> Option<String> {
    let grant: GrantText = decode(grant).ok()?;
    let areas = grant
        .rules
        .into_iter()
        .flat_map(|bound| bound.rules.areas.into_iter().chain(bound.rules.denied_areas));
    areas.map(Area::try_from).find_map(|read| match read {
        Err(AreaError::Foreign(area)) => Some(area),
        Ok(_)
        | Err(AreaError::Unknown(_) | AreaError::Ambiguous { .. } | AreaError::Retired { .. }) => {
            None
        }
    })
}

/// [`Grant`] with areas as text; the test holds the two together.
#[derive(Serialize, Deserialize)]
struct GrantText {
    cluster: ClusterId,
    placement: PlacementId,
    job: JobId,
    rank: u32,
    group: u32,
    node: NodeId,
    node_key: Digest,
    session: SessionId,
    class: DeviceClass,
    memory_mib: u64,
    units: u32,
    island: u16,
    gpus: u32,
    share: Option<Share>,
    rules: Vec<BoundText>,
    table: Digest,
    landmarks: Digest,
    submitter: Principal,
    payload: Digest,
    submission: Digest,
    on_disconnect: OnDisconnect,
    time_limit_s: u64,
}

#[derive(Serialize, Deserialize)]
struct BoundText {
    policy: Option<(PolicyId, Revision)>,
    rules: RulesText,
}

#[derive(Serialize, Deserialize)]
struct RulesText {
    areas: Vec<String>,
    denied_areas: Vec<String>,
    operators: Vec<OperatorId>,
    denied_operators: Vec<OperatorId>,
    country_tier: Tier,
    area_tier: Tier,
    allow_run_to_completion: bool,
    proof_f: u32,
    max_proof_age_s: Option<u64>,
    on_stale_proof: OnStaleProof,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Federation, grant_bytes_abroad};
    use proptest::prelude::*;
    use sekisho_types::sharing::Sharing;

    fn record() -> (Grant, Vec<u8>) {
        let grant = Federation::new().grant(10, 0);
        let body = Body::Grant(Box::new(grant.clone()));
        let record = Record { revision: Revision(10), time: Timestamp(1), body };
        (grant, record.bytes().unwrap())
    }

    #[test]
    fn a_sound_grant_is_read_with_the_digest_of_its_own_bytes() {
        let (grant, bytes) = record();
        let read = read(&bytes).unwrap();
        assert_eq!(read.digest, grant.digest().unwrap());
        assert_eq!(read.grant.unwrap().as_ref(), &grant);
    }

    #[test]
    fn an_area_abroad_is_told_apart_from_rubbish() {
        let (grant, _) = record();
        let abroad = read(&grant_bytes_abroad(&grant, "KR-26")).unwrap();
        assert_eq!(abroad.grant, Err("KR-26".to_owned()));
        assert_eq!(abroad.placement, grant.placement);
        let nowhere = read(&grant_bytes_abroad(&grant, "Atlant")).unwrap_err();
        assert_eq!(nowhere.reason.code, ErrorCode::GrantMalformed);
        assert_eq!(nowhere.placement, Some(grant.placement));
    }

    #[test]
    fn bounds_and_tails_are_malformed() {
        let (grant, bytes) = record();
        let share = |g: &mut Grant| {
            let device = Digest([3; 32]);
            (g.share, g.gpus) = (Some(Share { device, with: Sharing::Any }), 2);
        };
        let spoil: [fn(&mut Grant); 7] = [
            share,
            |g| g.gpus = 0,
            |g| g.gpus = GPUS_PER_TASK_MAX + 1,
            |g| g.rank = g.group,
            |g| g.time_limit_s = 0,
            |g| g.placement.epoch.revision = Revision(11),
            |g| {
                g.on_disconnect = OnDisconnect::RunToCompletion;
                g.rules[0].rules.allow_run_to_completion = false;
            },
        ];
        for (number, spoil) in spoil.iter().enumerate() {
            let mut grant = grant.clone();
            spoil(&mut grant);
            let body = Body::Grant(Box::new(grant));
            let record = Record { revision: Revision(10), time: Timestamp(1), body };
            let error = read(&record.bytes().unwrap()).unwrap_err();
            assert_eq!(error.reason.code, ErrorCode::GrantMalformed, "case {number}");
        }
        let tail = [bytes.as_slice(), &[0]].concat();
        assert_eq!(read(&tail).unwrap_err().reason.code, ErrorCode::GrantMalformed);
        let entry = Body::Entry { entry: vec![1], rejected: None };
        let entry = Record { revision: Revision(10), time: Timestamp(1), body: entry };
        assert_eq!(read(&entry.bytes().unwrap()).unwrap_err().placement, None);
    }

    proptest! {
        #[test]
        fn no_bytes_do_more_than_be_refused(at in 0usize..400, with in any::<u8>(), cut in 0usize..400) {
            let (_, mut bytes) = record();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = with;
            }
            bytes.truncate(cut.max(1));
            if let Ok(read) = read(&bytes) && let Ok(grant) = read.grant {
                // What is taken is canonical: it has the one digest that the set commits to.
                prop_assert_eq!(grant.digest().unwrap(), read.digest);
            }
        }
    }
}
