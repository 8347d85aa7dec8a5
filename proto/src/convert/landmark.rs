//! Landmarks, and what they measured of a node.

use super::agent::session;
use super::site::same_name;
use crate::field::{FieldError, FieldResult, array, parsed, required};
use crate::internal::v1 as internal;
use crate::name::Resource as _;
use crate::v1;
use sekisho_evidence::canonical::{decode, encode};
use sekisho_evidence::grant::SessionId;
use sekisho_evidence::location::landmark::{Landmark, LandmarkId};
use sekisho_evidence::location::transcript::{FixId, SignedTranscript};
use sekisho_evidence::location::verdict::FIX_LANDMARKS_MAX;
use sekisho_types::id::OperatorId;

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

/// The operator of a parent `operators/OPERATOR`; `None` for `operators/-`.
///
/// # Errors
/// [`FieldError`] if it has another form.
pub fn operator_of(field: &str, parent: &str) -> FieldResult<Option<OperatorId>> {
    let bad = || FieldError::new(field, "must be a name `operators/OPERATOR`");
    let id = parent.strip_prefix("operators/").ok_or_else(bad)?;
    if id == crate::name::ANY { Ok(None) } else { id.parse().map(Some).map_err(|_form| bad()) }
}

impl TryFrom<&v1::CreateLandmarkRequest> for Reached {
    type Error = FieldError;
    fn try_from(message: &v1::CreateLandmarkRequest) -> FieldResult<Self> {
        let content = required("landmark", message.landmark.as_ref())?;
        let operator = operator_of("parent", &message.parent)?;
        let operator =
            operator.ok_or_else(|| FieldError::new("parent", "must name one operator"))?;
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
        if message.transcripts.len() > FIX_LANDMARKS_MAX {
            let must = format!("must have at most {FIX_LANDMARKS_MAX} entries");
            return Err(FieldError::new("transcripts", must));
        }
        let read = |bytes: &bytes::Bytes| {
            let parsed = SignedTranscript::parse(bytes);
            parsed.map_err(|error| {
                FieldError::new("transcripts", error.to_string()).with_code(error.code())
            })
        };
        Ok(Self {
            session: session("session", &message.session)?,
            fix: FixId(array("fix", &message.fix)?),
            transcripts: message.transcripts.iter().map(read).collect::<FieldResult<_>>()?,
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
