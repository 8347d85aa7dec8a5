//! What agents and members tell each other. Signed and hashed bytes pass through untouched.

use crate::convert::fitness;
use crate::field::{FieldError, FieldResult, array, parsed};
use crate::internal::v1::{self as internal, controller_message};
use bytes::Bytes;
use sekisho_evidence::canonical::{decode, encode};
use sekisho_evidence::checkpoint::{NOTE_MAX, SignatureLine};
use sekisho_evidence::grant::{Instance, SessionId};
use sekisho_evidence::merkle::PROOF_MAX;
use sekisho_evidence::tag::TagArea;
use sekisho_types::device::Bucket;
use sekisho_types::fitness::Unfit;
use sekisho_types::id::{Digest, NodeId, PublicKey};
use sekisho_types::limit::{BUCKET_DEVICES_MAX, BUCKETS_MAX, ENTRY_MAX};
use sekisho_types::name::Name;
use sekisho_types::placement::Phase;
use sekisho_types::revision::{Epoch, Incarnation, PlacementId, Revision};

/// Placements that one node can hold: every device of every bucket alone.
pub const PLACEMENTS_MAX: usize = 4096;
const _: () = assert!(PLACEMENTS_MAX as u64 == BUCKETS_MAX as u64 * BUCKET_DEVICES_MAX as u64);
/// Bytes of a certificate signing request.
pub const CSR_MAX: usize = 16 * 1024;

/// A session id.
///
/// # Errors
/// [`FieldError`] unless it has 16 bytes.
pub fn session(field: &str, bytes: &[u8]) -> FieldResult<SessionId> {
    array(field, bytes).map(SessionId)
}

fn bounded<T>(field: &str, list: &[T], max: usize) -> FieldResult<()> {
    if list.len() > max {
        return Err(FieldError::new(field, format!("must have at most {max} entries")));
    }
    Ok(())
}

/// A join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// SHA-256 of the token's secret.
    pub token: Digest,
    /// The node.
    pub node: NodeId,
    /// Where it says it stands.
    pub area: TagArea,
    /// PKCS#10, DER.
    pub csr: Bytes,
    /// Verifies its refusal receipts.
    pub receipt_key: PublicKey,
}

impl TryFrom<&internal::JoinRequest> for Join {
    type Error = FieldError;
    fn try_from(message: &internal::JoinRequest) -> FieldResult<Self> {
        let secret: [u8; 32] = array("secret", &message.secret)?;
        let area = TagArea::resolve(&message.area);
        if message.csr.len() > CSR_MAX {
            return Err(FieldError::new("csr", format!("must be at most {CSR_MAX} bytes")));
        }
        Ok(Self {
            token: Digest::of(&secret),
            node: NodeId {
                site: parsed("site", &message.site)?,
                name: parsed("node", &message.node)?,
            },
            area: area.map_err(|error| crate::field::area_error("area", &error))?,
            csr: message.csr.clone(),
            receipt_key: PublicKey(array("receipt_key", &message.receipt_key)?),
        })
    }
}

/// A session to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSession {
    /// The new session.
    pub session: SessionId,
    /// The session in the ledger.
    pub previous: Option<SessionId>,
    /// What the node has.
    pub buckets: Vec<Bucket>,
    /// Placements whose processes live.
    pub live: Vec<PlacementId>,
    /// Jurisdiction table of the agent's program.
    pub table: Digest,
    /// That the agent follows.
    pub incarnation: Incarnation,
    /// What the host's own checks find wrong.
    pub findings: Vec<Unfit>,
    /// The rack that the host stands in, if its agent was told.
    pub rack: Option<Name>,
}

impl TryFrom<&internal::OpenSessionRequest> for OpenSession {
    type Error = FieldError;
    fn try_from(message: &internal::OpenSessionRequest) -> FieldResult<Self> {
        bounded("buckets", &message.buckets, BUCKETS_MAX)?;
        bounded("live", &message.live, PLACEMENTS_MAX)?;
        let previous = Some(&message.previous).filter(|bytes| !bytes.is_empty());
        let buckets = message.buckets.iter();
        let buckets = buckets.map(|b| b.try_into().map_err(|e: FieldError| e.within("buckets")));
        let rack = Some(&message.rack).filter(|rack| !rack.is_empty());
        Ok(Self {
            session: session("session", &message.session)?,
            previous: previous.map(|bytes| session("previous", bytes)).transpose()?,
            buckets: buckets.collect::<FieldResult<_>>()?,
            live: message.live.iter().map(|id| parsed("live", id)).collect::<FieldResult<_>>()?,
            table: Digest(array("table", &message.table)?),
            incarnation: Incarnation(message.incarnation),
            findings: fitness::findings(&message.findings)?,
            rack: rack.map(|rack| parsed("rack", rack)).transpose()?,
        })
    }
}

impl From<&OpenSession> for internal::OpenSessionRequest {
    fn from(open: &OpenSession) -> Self {
        Self {
            session: open.session.0.to_vec().into(),
            previous: open.previous.map(|id| id.0.to_vec().into()).unwrap_or_default(),
            buckets: open.buckets.iter().map(Into::into).collect(),
            live: open.live.iter().map(PlacementId::to_string).collect(),
            table: open.table.0.to_vec().into(),
            incarnation: open.incarnation.0,
            findings: fitness::told(&open.findings),
            rack: open.rack.as_ref().map(Name::to_string).unwrap_or_default(),
        }
    }
}

/// What to fetch: payload and submission of this placement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchPayload {
    /// The placement.
    pub placement: PlacementId,
}

impl TryFrom<&internal::FetchPayloadRequest> for FetchPayload {
    type Error = FieldError;
    fn try_from(message: &internal::FetchPayloadRequest) -> FieldResult<Self> {
        Ok(Self { placement: parsed("placement", &message.placement)? })
    }
}

impl From<&FetchPayload> for internal::FetchPayloadRequest {
    fn from(fetch: &FetchPayload) -> Self {
        Self { placement: fetch.placement.to_string() }
    }
}

/// How a session's placements fare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The session.
    pub session: SessionId,
    /// New phases.
    pub phases: Vec<(PlacementId, Phase)>,
}

impl TryFrom<&internal::ReportRequest> for Report {
    type Error = FieldError;
    fn try_from(message: &internal::ReportRequest) -> FieldResult<Self> {
        bounded("phases", &message.phases, PLACEMENTS_MAX)?;
        let read = |entry: &internal::PlacementPhase| {
            let phase = decode(&entry.phase);
            let phase = phase.map_err(|e| FieldError::new("phases.phase", e.to_string()))?;
            Ok((parsed("phases.placement", &entry.placement)?, phase))
        };
        Ok(Self {
            session: session("session", &message.session)?,
            phases: message.phases.iter().map(read).collect::<FieldResult<_>>()?,
        })
    }
}

impl From<&Report> for internal::ReportRequest {
    fn from(report: &Report) -> Self {
        let phase = |(id, phase): &(PlacementId, Phase)| internal::PlacementPhase {
            placement: id.to_string(),
            // Phases always encode; bytes of another length would be refused by the receiver.
            phase: encode(phase).unwrap_or_default().into(),
        };
        Self {
            session: report.session.0.to_vec().into(),
            phases: report.phases.iter().map(phase).collect(),
        }
    }
}

/// First message of an agent's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attach {
    /// Its session.
    pub session: SessionId,
    /// Size of its stored audit head.
    pub head_size: u64,
    /// Epoch of the newest desired set that it accepted; zero for none.
    pub accepted: Epoch,
    /// Which start of the agent.
    pub instance: Instance,
}

impl TryFrom<&internal::agent_message::Attach> for Attach {
    type Error = FieldError;
    fn try_from(message: &internal::agent_message::Attach) -> FieldResult<Self> {
        Ok(Self {
            session: session("attach.session", &message.session)?,
            head_size: message.head_size,
            accepted: Epoch {
                incarnation: Incarnation(message.incarnation),
                revision: Revision(message.accepted_revision),
            },
            instance: Instance(array("attach.instance", &message.instance)?),
        })
    }
}

impl From<&Attach> for internal::agent_message::Attach {
    fn from(attach: &Attach) -> Self {
        Self {
            session: attach.session.0.to_vec().into(),
            head_size: attach.head_size,
            incarnation: attach.accepted.incarnation.0,
            accepted_revision: attach.accepted.revision.0,
            instance: attach.instance.0.to_vec().into(),
        }
    }
}

/// A record with its place in the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// Canonical bytes.
    pub record: Bytes,
    /// Index in the log.
    pub index: u64,
    /// Inclusion path.
    pub path: Vec<Digest>,
}

/// A node's desired set with everything that it is judged by, as one member delivers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The `NodeDesired` record.
    pub desired: Proved,
    /// Records of its grants, by placement.
    pub grants: Vec<Proved>,
    /// Text of the checkpoint that the paths lead to.
    pub checkpoint: String,
    /// The member's signature line under it.
    pub line: SignatureLine,
    /// Size that the consistency proof starts from.
    pub from_size: u64,
    /// Consistency of the checkpoint with the head of that size.
    pub consistency: Vec<Digest>,
    /// Entry that made the set.
    pub revision: Revision,
}

fn path(field: &str, hashes: &[Bytes]) -> FieldResult<Vec<Digest>> {
    bounded(field, hashes, PROOF_MAX)?;
    hashes.iter().map(|hash| array(field, hash).map(Digest)).collect()
}

fn hashes(path: &[Digest]) -> Vec<Bytes> {
    path.iter().map(|hash| hash.0.to_vec().into()).collect()
}

fn proved(field: &str, message: &controller_message::Proved) -> FieldResult<Proved> {
    if message.record.len() > ENTRY_MAX {
        return Err(FieldError::new(field, format!("must be at most {ENTRY_MAX} bytes")));
    }
    let path = path(field, &message.path)?;
    Ok(Proved { record: message.record.clone(), index: message.index, path })
}

impl From<&Proved> for controller_message::Proved {
    fn from(proved: &Proved) -> Self {
        let (record, index) = (proved.record.clone(), proved.index);
        Self { record, index, path: hashes(&proved.path) }
    }
}

impl TryFrom<&controller_message::Desired> for Desired {
    type Error = FieldError;
    fn try_from(message: &controller_message::Desired) -> FieldResult<Self> {
        bounded("grants", &message.grants, PLACEMENTS_MAX)?;
        for (field, text) in [("checkpoint", &message.checkpoint), ("line", &message.line)] {
            bounded(field, text.as_bytes(), NOTE_MAX)?;
        }
        let record = crate::field::required("desired", message.desired.as_ref())?;
        let grants = message.grants.iter().map(|grant| proved("grants", grant));
        Ok(Self {
            desired: proved("desired", record)?,
            grants: grants.collect::<FieldResult<_>>()?,
            checkpoint: message.checkpoint.clone(),
            line: SignatureLine(message.line.clone()),
            from_size: message.from_size,
            consistency: path("consistency", &message.consistency)?,
            revision: Revision(message.revision),
        })
    }
}

impl From<&Desired> for controller_message::Desired {
    fn from(desired: &Desired) -> Self {
        Self {
            desired: Some((&desired.desired).into()),
            grants: desired.grants.iter().map(Into::into).collect(),
            checkpoint: desired.checkpoint.clone(),
            line: desired.line.0.clone(),
            from_size: desired.from_size,
            consistency: hashes(&desired.consistency),
            revision: desired.revision.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_types::error_code::ErrorCode;
    use sekisho_types::placement::Ending;

    fn open() -> OpenSession {
        OpenSession {
            session: SessionId([1; 16]),
            previous: Some(SessionId([2; 16])),
            buckets: vec![Bucket::whole(
                "h100-80g".parse().unwrap(),
                1,
                0,
                (0..8).map(|n| Digest([n; 32])),
            )],
            live: vec!["p-1-42-0".parse().unwrap()],
            table: Digest([3; 32]),
            incarnation: Incarnation(2),
            findings: Vec::new(),
            rack: Some("r12".parse().unwrap()),
        }
    }

    #[test]
    fn sessions_round_trip_and_every_bad_field_is_named() {
        for open in [open(), OpenSession { previous: None, live: vec![], rack: None, ..open() }] {
            assert_eq!(OpenSession::try_from(&internal::OpenSessionRequest::from(&open)), Ok(open));
        }
        let refused = |change: &dyn Fn(&mut internal::OpenSessionRequest)| {
            let mut message = internal::OpenSessionRequest::from(&open());
            change(&mut message);
            OpenSession::try_from(&message).unwrap_err().field
        };
        assert_eq!(refused(&|m| m.session = Bytes::new()), "session");
        assert_eq!(refused(&|m| m.previous = Bytes::from_static(b"x")), "previous");
        assert_eq!(refused(&|m| m.buckets[0].device_class.clear()), "buckets.device_class");
        assert_eq!(refused(&|m| m.buckets = vec![m.buckets[0].clone(); 65]), "buckets");
        assert_eq!(refused(&|m| m.live = vec!["x".into()]), "live");
        assert_eq!(refused(&|m| m.live = vec!["p-1-1-1".into(); PLACEMENTS_MAX + 1]), "live");
        assert_eq!(refused(&|m| m.table = Bytes::new()), "table");
        assert_eq!(refused(&|m| m.rack = "R 12".into()), "rack");
    }

    #[test]
    fn reports_round_trip_and_every_bad_field_is_named() {
        let id = || "p-1-42-0".parse().unwrap();
        let endings = [Ending::Exited(3), Ending::Refused(ErrorCode::GrantSigners), Ending::Lost];
        let mut phases = vec![(id(), Phase::Starting), (id(), Phase::Running)];
        phases.extend(endings.map(|ending| (id(), Phase::Ended(ending))));
        let report = Report { session: SessionId([1; 16]), phases };
        let message = internal::ReportRequest::from(&report);
        assert_eq!(Report::try_from(&message), Ok(report));
        let refused = |change: &dyn Fn(&mut internal::ReportRequest)| {
            let mut message = message.clone();
            change(&mut message);
            Report::try_from(&message).unwrap_err().field
        };
        assert_eq!(refused(&|m| m.session = Bytes::new()), "session");
        assert_eq!(refused(&|m| m.phases[0].placement.clear()), "phases.placement");
        // A trailing byte is a second spelling.
        assert_eq!(refused(&|m| m.phases[0].phase = vec![1, 0].into()), "phases.phase");
        assert_eq!(
            refused(&|m| m.phases = vec![m.phases[0].clone(); PLACEMENTS_MAX + 1]),
            "phases"
        );
    }

    #[test]
    fn a_fetch_names_one_placement() {
        let fetch = FetchPayload { placement: "p-1-42-0".parse().unwrap() };
        let message = internal::FetchPayloadRequest::from(&fetch);
        assert_eq!(FetchPayload::try_from(&message), Ok(fetch));
        for bad in ["", "p-1-42", "p-1-42-0-0", "p-1-42-4294967296"] {
            let message = internal::FetchPayloadRequest { placement: bad.into() };
            assert_eq!(FetchPayload::try_from(&message).unwrap_err().field, "placement", "{bad}");
        }
    }

    #[test]
    fn a_join_keeps_the_hash_of_the_secret_only_and_a_foreign_place_as_such() {
        let message = internal::JoinRequest {
            secret: vec![9; 32].into(),
            site: "busan-1".into(),
            node: "n-01".into(),
            area: "KR-26".into(),
            csr: Bytes::from_static(b"csr"),
            receipt_key: vec![1; 32].into(),
        };
        let join = Join::try_from(&message).unwrap();
        assert_eq!(join.token, Digest::of(&[9; 32]));
        assert_eq!(join.area, TagArea::Foreign("KR-26".into()));
        let refused = |change: &dyn Fn(&mut internal::JoinRequest)| {
            let mut message = message.clone();
            change(&mut message);
            let error = Join::try_from(&message).unwrap_err();
            (error.field, error.code)
        };
        let invalid = |field: &str| (field.to_owned(), ErrorCode::InvalidArgument);
        assert_eq!(refused(&|m| m.secret = Bytes::new()), invalid("secret"));
        assert_eq!(refused(&|m| m.site = "-".into()), invalid("site"));
        assert_eq!(refused(&|m| m.node.clear()), invalid("node"));
        assert_eq!(refused(&|m| m.area = "x".into()), ("area".into(), ErrorCode::AreaUnknown));
        assert_eq!(refused(&|m| m.csr = vec![0; CSR_MAX + 1].into()), invalid("csr"));
        assert_eq!(refused(&|m| m.receipt_key = Bytes::new()), invalid("receipt_key"));
    }

    #[test]
    fn desired_sets_round_trip_and_every_bad_field_is_named() {
        let proved = |index| Proved {
            record: Bytes::from_static(b"record"),
            index,
            path: vec![Digest([4; 32]), Digest([5; 32])],
        };
        let desired = Desired {
            desired: proved(7),
            grants: vec![proved(5), proved(6)],
            checkpoint: "text\n".into(),
            line: SignatureLine("— name sig\n".into()),
            from_size: 3,
            consistency: vec![Digest([6; 32])],
            revision: Revision(42),
        };
        let message = controller_message::Desired::from(&desired);
        assert_eq!(Desired::try_from(&message), Ok(desired));
        let refused = |change: &dyn Fn(&mut controller_message::Desired)| {
            let mut message = message.clone();
            change(&mut message);
            Desired::try_from(&message).unwrap_err().field
        };
        assert_eq!(refused(&|m| m.desired = None), "desired");
        assert_eq!(refused(&|m| m.grants[0].path[0] = Bytes::new()), "grants");
        assert_eq!(refused(&|m| m.grants[0].path = vec![m.consistency[0].clone(); 66]), "grants");
        assert_eq!(refused(&|m| m.consistency = vec![Bytes::new()]), "consistency");
        assert_eq!(refused(&|m| m.checkpoint = "x".repeat(NOTE_MAX + 1)), "checkpoint");
        let attach = Attach {
            session: SessionId([1; 16]),
            head_size: 9,
            accepted: Epoch { incarnation: Incarnation(1), revision: Revision(40) },
            instance: Instance([2; 16]),
        };
        let message = internal::agent_message::Attach::from(&attach);
        assert_eq!(Attach::try_from(&message), Ok(attach));
    }
}
