//! Landmarks, and what they measured of a node.

use super::agent::session;
use super::site::same_name;
use crate::field::{FieldError, FieldResult, array, etag, parsed, required};
use crate::internal::v1 as internal;
use crate::name::Resource as _;
use crate::v1;
use sekisho_evidence::canonical::{decode, encode};
use sekisho_evidence::grant::SessionId;
use sekisho_evidence::location::landmark::{LANDMARKS_MAX, Landmark, LandmarkId};
use sekisho_evidence::location::range::RANGES_MAX;
use sekisho_evidence::location::transcript::{FixId, SignedTranscript, Subject};
use sekisho_evidence::location::verdict::FIX_LANDMARKS_MAX;
use sekisho_types::id::{ClusterId, Digest, OperatorId};
use sekisho_types::principal::Principal;
use sekisho_types::revision::{Incarnation, Revision};

/// A landmark, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// What its operator says of it.
    pub landmark: Landmark,
    /// Of its exchange: `host:port`.
    pub address: String,
    /// Where it takes datagrams: `host:port`.
    pub datagrams: String,
}

/// A landmark to take out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteLandmark {
    /// Which.
    pub id: LandmarkId,
    /// Revision at which the caller read it.
    pub expected: Revision,
}

impl TryFrom<&v1::DeleteLandmarkRequest> for DeleteLandmark {
    type Error = FieldError;
    fn try_from(message: &v1::DeleteLandmarkRequest) -> FieldResult<Self> {
        let id = LandmarkId::from_field("name", &message.name)?;
        Ok(Self { id, expected: etag("etag", &message.etag)? })
    }
}

impl DeleteLandmark {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::DeleteLandmarkRequest {
        v1::DeleteLandmarkRequest {
            name: self.id.name(),
            etag: self.expected.to_string(),
            intent: Some(intent),
        }
    }
}

impl TryFrom<&v1::CreateLandmarkRequest> for Reached {
    type Error = FieldError;
    fn try_from(message: &v1::CreateLandmarkRequest) -> FieldResult<Self> {
        let content = required("landmark", message.landmark.as_ref())?;
        let operator = OperatorId::from_field("parent", &message.parent)?;
        let id = LandmarkId { operator, name: parsed("landmark_id", &message.landmark_id)? };
        same_name("landmark.name", &content.name, &id.name())?;
        let landmark = Landmark {
            id,
            position: parsed("landmark.position", &content.position)?,
            survey_m: content.survey_m,
            key: parsed("landmark.key", &content.key)?,
        };
        let (address, datagrams) = (content.address.clone(), content.datagrams.clone());
        Ok(Self { landmark, address, datagrams })
    }
}

impl Reached {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::CreateLandmarkRequest {
        v1::CreateLandmarkRequest {
            parent: format!("operators/{}", self.landmark.id.operator),
            landmark_id: self.landmark.id.name.to_string(),
            landmark: Some(v1::Landmark::from(self)),
            intent: Some(intent),
        }
    }
}

impl From<&Reached> for v1::Landmark {
    fn from(reached: &Reached) -> Self {
        let Reached { landmark, address, datagrams } = reached;
        Self {
            name: landmark.id.name(),
            position: landmark.position.to_string(),
            survey_m: landmark.survey_m,
            key: landmark.key.to_string(),
            address: address.clone(),
            datagrams: datagrams.clone(),
            ..Self::default()
        }
    }
}

impl TryFrom<&internal::LandmarkAddress> for Reached {
    type Error = FieldError;
    fn try_from(message: &internal::LandmarkAddress) -> FieldResult<Self> {
        let landmark = decode(&message.landmark);
        let landmark =
            landmark.map_err(|e| FieldError::new("landmarks.landmark", e.to_string()))?;
        let (address, datagrams) = (message.address.clone(), message.datagrams.clone());
        Ok(Self { landmark, address, datagrams })
    }
}

impl From<&Reached> for internal::LandmarkAddress {
    fn from(reached: &Reached) -> Self {
        Self {
            // Landmarks always encode; no bytes would be refused by the receiver.
            landmark: encode(&reached.landmark).unwrap_or_default().into(),
            address: reached.address.clone(),
            datagrams: reached.datagrams.clone(),
        }
    }
}

fn transcripts(all: &[bytes::Bytes], max: usize) -> FieldResult<Vec<SignedTranscript>> {
    if all.len() > max {
        return Err(FieldError::new("transcripts", format!("must have at most {max} entries")));
    }
    let read = |bytes: &bytes::Bytes| {
        let parsed = SignedTranscript::parse(bytes);
        parsed.map_err(|error| {
            FieldError::new("transcripts", error.to_string()).with_code(error.code())
        })
    };
    all.iter().map(read).collect()
}

/// What landmarks measured of a node in one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmitFix {
    /// The session.
    pub session: SessionId,
    /// The attempt.
    pub fix: FixId,
    /// Signed by both sides.
    pub transcripts: Vec<SignedTranscript>,
}

impl TryFrom<&internal::SubmitFixRequest> for SubmitFix {
    type Error = FieldError;
    fn try_from(message: &internal::SubmitFixRequest) -> FieldResult<Self> {
        Ok(Self {
            session: session("session", &message.session)?,
            fix: FixId(array("fix", &message.fix)?),
            transcripts: transcripts(&message.transcripts, FIX_LANDMARKS_MAX)?,
        })
    }
}

impl From<&SubmitFix> for internal::SubmitFixRequest {
    fn from(submit: &SubmitFix) -> Self {
        let bytes = |signed: &SignedTranscript| signed.bytes().unwrap_or_default().into();
        Self {
            session: submit.session.0.to_vec().into(),
            fix: submit.fix.0.to_vec().into(),
            transcripts: submit.transcripts.iter().map(bytes).collect(),
        }
    }
}

/// Who wants to be measured by a landmark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judge {
    /// By its certificate.
    pub principal: Principal,
    /// SHA-256 of the SPKI of that certificate.
    pub key: Digest,
    /// As whom.
    pub subject: Subject,
}

impl TryFrom<&internal::JudgeRequest> for Judge {
    type Error = FieldError;
    fn try_from(message: &internal::JudgeRequest) -> FieldResult<Self> {
        let subject = decode(&message.subject);
        Ok(Self {
            principal: parsed("principal", &message.principal)?,
            key: Digest(array("key", &message.key)?),
            subject: subject.map_err(|error| FieldError::new("subject", error.to_string()))?,
        })
    }
}

impl From<&Judge> for internal::JudgeRequest {
    fn from(judge: &Judge) -> Self {
        Self {
            principal: judge.principal.to_string(),
            key: judge.key.0.to_vec().into(),
            // Subjects always encode; no bytes would be refused by the receiver.
            subject: encode(&judge.subject).unwrap_or_default().into(),
        }
    }
}

/// The landmarks of a federation, and how they are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Which federation.
    pub cluster: ClusterId,
    /// Its present life.
    pub incarnation: Incarnation,
    /// All of them.
    pub landmarks: Vec<Reached>,
}

impl TryFrom<&internal::ListAddressesResponse> for Addresses {
    type Error = FieldError;
    fn try_from(message: &internal::ListAddressesResponse) -> FieldResult<Self> {
        if message.landmarks.len() > LANDMARKS_MAX {
            let must = format!("must have at most {LANDMARKS_MAX} entries");
            return Err(FieldError::new("landmarks", must));
        }
        let landmarks = message.landmarks.iter().map(Reached::try_from);
        Ok(Self {
            cluster: ClusterId(array("cluster", &message.cluster)?),
            incarnation: Incarnation(message.incarnation),
            landmarks: landmarks.collect::<FieldResult<_>>()?,
        })
    }
}

/// What landmarks measured of one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmitRange {
    /// Signed by both landmarks.
    pub transcripts: Vec<SignedTranscript>,
}

impl TryFrom<&internal::SubmitRangeRequest> for SubmitRange {
    type Error = FieldError;
    fn try_from(message: &internal::SubmitRangeRequest) -> FieldResult<Self> {
        Ok(Self { transcripts: transcripts(&message.transcripts, RANGES_MAX)? })
    }
}

impl From<&SubmitRange> for internal::SubmitRangeRequest {
    fn from(submit: &SubmitRange) -> Self {
        let bytes = |signed: &SignedTranscript| signed.bytes().unwrap_or_default().into();
        Self { transcripts: submit.transcripts.iter().map(bytes).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_types::error_code::ErrorCode;
    use sekisho_types::id::PublicKey;

    fn reached() -> Reached {
        let landmark = Landmark {
            id: "kanto/otemachi".parse().unwrap(),
            position: "35.686,139.764".parse().unwrap(),
            survey_m: 10,
            key: PublicKey([7; 32]),
        };
        let (address, datagrams) = ("a.example:7100".to_owned(), "a.example:7101".to_owned());
        Reached { landmark, address, datagrams }
    }

    #[test]
    fn landmarks_round_trip_and_every_bad_field_is_named() {
        let request = || reached().request(v1::Intent::default());
        assert_eq!(Reached::try_from(&request()), Ok(reached()));
        let inside = internal::LandmarkAddress::from(&reached());
        assert_eq!(Reached::try_from(&inside), Ok(reached()));
        let refused = |change: &dyn Fn(&mut v1::CreateLandmarkRequest, &mut v1::Landmark)| {
            let mut message = request();
            let mut content = message.landmark.take().unwrap();
            change(&mut message, &mut content);
            message.landmark = Some(content);
            Reached::try_from(&message).unwrap_err().field
        };
        assert_eq!(refused(&|m, _| m.parent = "operators/-".into()), "parent");
        assert_eq!(refused(&|m, _| m.parent = "sites/kanto".into()), "parent");
        assert_eq!(refused(&|m, _| m.landmark_id = "A".into()), "landmark_id");
        assert_eq!(refused(&|_, l| l.name = "operators/a/landmarks/b".into()), "landmark.name");
        assert_eq!(refused(&|_, l| l.position = "north".into()), "landmark.position");
        assert_eq!(refused(&|_, l| l.key = "00".into()), "landmark.key");
        let broken = internal::LandmarkAddress { landmark: vec![1].into(), ..inside };
        assert_eq!(Reached::try_from(&broken).unwrap_err().field, "landmarks.landmark");
    }

    #[test]
    fn what_a_landmark_asks_and_hears_round_trips_and_bad_fields_are_named() {
        let judge = Judge {
            principal: "kanto/site/tokyo-1/node/n-01".parse().unwrap(),
            key: Digest([3; 32]),
            subject: Subject::Node("tokyo-1/n-01".parse().unwrap()),
        };
        let message = internal::JudgeRequest::from(&judge);
        assert_eq!(Judge::try_from(&message), Ok(judge));
        let bad = |spoil: fn(&mut internal::JudgeRequest)| {
            let mut message = message.clone();
            spoil(&mut message);
            Judge::try_from(&message).unwrap_err().field
        };
        assert_eq!(bad(|m| m.principal = "kanto".into()), "principal");
        assert_eq!(bad(|m| m.key = vec![1].into()), "key");
        assert_eq!(bad(|m| m.subject = vec![9, 9].into()), "subject");
        let told = internal::ListAddressesResponse {
            cluster: vec![7; 16].into(),
            incarnation: 2,
            landmarks: vec![internal::LandmarkAddress::from(&reached())],
        };
        let addresses = Addresses::try_from(&told).unwrap();
        assert_eq!((addresses.incarnation, addresses.landmarks), (Incarnation(2), vec![reached()]));
        let many =
            internal::SubmitRangeRequest { transcripts: vec![Vec::new().into(); RANGES_MAX + 1] };
        assert_eq!(SubmitRange::try_from(&many).unwrap_err().field, "transcripts");
    }

    #[test]
    fn a_fix_with_too_many_or_malformed_transcripts_is_refused() {
        let empty =
            SubmitFix { session: SessionId([1; 16]), fix: FixId([2; 16]), transcripts: Vec::new() };
        let message = internal::SubmitFixRequest::from(&empty);
        assert_eq!(SubmitFix::try_from(&message), Ok(empty));
        let garbled = internal::SubmitFixRequest {
            transcripts: vec![vec![1, 2, 3].into()],
            ..message.clone()
        };
        let error = SubmitFix::try_from(&garbled).unwrap_err();
        assert_eq!((error.field.as_str(), error.code), ("transcripts", ErrorCode::LocationInvalid));
        let many = internal::SubmitFixRequest {
            transcripts: vec![Vec::new().into(); FIX_LANDMARKS_MAX + 1],
            ..message.clone()
        };
        assert_eq!(SubmitFix::try_from(&many).unwrap_err().field, "transcripts");
        let short = internal::SubmitFixRequest { fix: vec![1].into(), ..message };
        assert_eq!(SubmitFix::try_from(&short).unwrap_err().field, "fix");
    }
}
