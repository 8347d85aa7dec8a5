//! Being measured by the landmarks of other operators, as they are by this one.
//!
//! Must hold: nothing is signed that was not had here, whatever the other one says of the delay: a lie about it stands
//! under its name (`docs/location.md`); a round asks few, drawn by chance, one after the other, and ends (L3, L4).

use super::Others;
use super::limit::{RANGES_EVERY, RANGES_FIRST, RANGES_JITTER, RANGES_WITHIN};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use sekisho_evidence::grant::Instance;
use sekisho_evidence::key::SigningKey;
use sekisho_evidence::location::landmark::{Landmark, LandmarkId};
use sekisho_evidence::location::range::{RANGES_MAX, occasion};
use sekisho_evidence::location::transcript::{SignedTranscript, Subject};
use sekisho_proto::convert::landmark::{Addresses, Reached};
use sekisho_proto::status::ApiError;
use sekisho_transport::credential::Identity;
use sekisho_transport::deadline::{Deadline, within};
use sekisho_transport::dial::Dialer;
use sekisho_transport::ranging::exchange::{Host, LandmarkAt, Occasion, Via};
use sekisho_transport::retry::{Backoff, BackoffOptions};
use sekisho_types::cause::explain;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::time::Clock;
use std::sync::Arc;

/// A landmark that has itself measured.
#[derive(Debug)]
pub struct Ranging {
    /// Which it is.
    pub id: LandmarkId,
    /// What it signs with.
    pub key: SigningKey,
    /// With whose certificate it dials.
    pub identity: Identity,
    /// Dials with it.
    pub dialer: Dialer,
    /// The other landmarks.
    pub others: Arc<dyn Others>,
    /// The wall clock, to compare with theirs.
    pub clock: Arc<dyn Clock>,
    /// Where something forwards.
    pub via: Via,
}

impl Ranging {
    /// Until it is dropped.
    pub async fn run(self) {
        let mut random = StdRng::from_os_rng();
        let instance = Instance(rand::random());
        let mut some =
            |max| Backoff::new(BackoffOptions { base: max, max }).next_pause(&mut random);
        // Those that were started together begin apart.
        let mut pause = RANGES_FIRST.saturating_add(some(RANGES_JITTER));
        loop {
            tokio::time::sleep(pause).await;
            match self.once(instance).await {
                Ok(ranges) => tracing::info!(landmark = %self.id, ranges, "measured by others"),
                Err(error) => {
                    tracing::info!(landmark = %self.id, %error, "not measured by others");
                }
            }
            pause = RANGES_EVERY.saturating_sub(some(RANGES_JITTER));
        }
    }

    /// One round: by how many others this one was measured.
    ///
    /// # Errors
    /// `NOT_FOUND` for one that does not count; what the calls say.
    pub async fn once(&self, instance: Instance) -> Result<usize, ApiError> {
        let told = self.others.addresses().await?;
        let own = self.own(&told)?.clone();
        let mut others: Vec<LandmarkAt> = told
            .landmarks
            .iter()
            .filter(|other| other.landmark.id.operator != self.id.operator)
            .filter_map(found_at)
            .collect();
        others.shuffle(&mut StdRng::from_os_rng());
        others.truncate(RANGES_MAX);
        let mut transcripts = Vec::new();
        let measured = self.measured(&told, (&own, instance), &others, &mut transcripts);
        if within(Deadline::after(RANGES_WITHIN), measured).await.is_err() {
            tracing::info!(landmark = %self.id, have = transcripts.len(), "a round ends early");
        }
        let count = transcripts.len();
        if count > 0 {
            self.others.submit(transcripts).await?;
        }
        Ok(count)
    }

    fn own<'t>(&self, told: &'t Addresses) -> Result<&'t Landmark, ApiError> {
        let own = told.landmarks.iter().map(|one| &one.landmark).find(|one| one.id == self.id);
        own.filter(|own| own.key == self.key.public()).ok_or_else(|| {
            let why = format!("landmark {} is not registered with this key", self.id);
            ApiError::new(ErrorCode::NotFound, why)
        })
    }

    async fn measured(
        &self,
        told: &Addresses,
        (own, instance): (&Landmark, Instance),
        others: &[LandmarkAt],
        transcripts: &mut Vec<SignedTranscript>,
    ) {
        let host = Host {
            subject: Subject::Landmark(self.id.clone()),
            subject_key: self.identity.key(),
            instance,
            receipt_key: self.key.clone(),
            dialer: self.dialer.clone(),
            clock: Arc::clone(&self.clock),
            via: self.via.clone(),
        };
        let Ok(fix) = occasion(own) else { return };
        let occasion = Occasion { cluster: &told.cluster, incarnation: told.incarnation, fix };
        // One after the other: two would answer more slowly, and the other one does not know why.
        for at in others {
            let exchanged = Box::pin(host.exchange(occasion, at)).await;
            let result = exchanged.as_ref().map_or_else(|error| error.label(), |_done| "done");
            metrics::counter!("sekisho_landmark_ranges_total", "result" => result).increment(1);
            match exchanged {
                Ok(signed) => transcripts.push(signed),
                Err(error) => {
                    let (by, error) = (&at.landmark.id, explain(&error));
                    tracing::info!(landmark = %self.id, %by, error, "not measured by another one");
                }
            }
        }
    }
}

/// One whose addresses cannot be read measures nobody.
fn found_at(reached: &Reached) -> Option<LandmarkAt> {
    let (address, datagrams) = (reached.address.parse().ok()?, reached.datagrams.parse().ok()?);
    Some(LandmarkAt { landmark: reached.landmark.clone(), address, datagrams: Some(datagrams) })
}
