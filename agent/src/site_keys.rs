//! The keys of this host's site: what opens payloads that are sealed to it.
//!
//! Must hold: a key counts only under the signature of this host's operator, and if it opens here; what lies on the disk is
//! sealed to this host's own key; keys are asked for where one is missing, so a new epoch is here by the first job that
//! needs it.

use crate::calls::{Calls, GivenKey};
use crate::durable::{self, Magic};
use crate::enrolment::{Enrolment, Member};
use crate::failure::Failure;
use crate::limit::{SITE_KEYS_BYTES_MAX, SITE_KEYS_MAX};
use parking_lot::Mutex;
use sekisho_agent_core::verify::Fetched;
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::canonical::{decode, encode};
use sekisho_evidence::sealed::{
    NodeSealingKey, SealError, SealedSiteKey, SignedNodeSealing, SignedSiteKey, SiteSecretKey,
};
use sekisho_evidence::submission::Submission;
use sekisho_proto::status::ApiError;
use sekisho_transport::dial::Dialer;
use sekisho_types::id::{Digest, OperatorId};
use sekisho_types::revision::KeyEpoch;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: Magic = *b"SKSITEK\x01";

/// What this host has of its site's keys, shared by the calls that need them.
#[derive(Debug, Clone)]
pub(crate) struct SiteKeys(Arc<Shared>);

/// Whom to ask.
#[derive(Debug, Clone)]
pub(crate) struct Givers {
    pub(crate) dialer: Dialer,
    pub(crate) members: Vec<Member>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    operator: OperatorId,
    own: NodeSealingKey,
    record: SignedNodeSealing,
    held: Mutex<Vec<SiteSecretKey>>,
    /// One asks at a time, and writes the file.
    fetching: tokio::sync::Mutex<()>,
}

impl SiteKeys {
    /// The keys that an earlier run was given; those that do not open any more are left out.
    pub(crate) fn open(
        data_dir: &Path,
        enrolment: &Enrolment,
        bundle: &EndorserBundle,
        node_key: Digest,
    ) -> Result<Self, Failure> {
        let unusable = |error: SealError| Failure::new(error.code(), error.to_string());
        let receipt_key = enrolment.receipt_key();
        let own = NodeSealingKey::derive(&receipt_key);
        let record = own
            .record(bundle.cluster, enrolment.node.clone(), node_key, &receipt_key)
            .map_err(unusable)?;
        let keys = Self(Arc::new(Shared {
            path: data_dir.join("site-keys"),
            operator: enrolment.operator.clone(),
            own,
            record,
            held: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }));
        let kept = durable::read(&keys.0.path, MAGIC, SITE_KEYS_BYTES_MAX);
        let kept = kept.inspect_err(|error| {
            tracing::warn!(%error, "the kept keys of the site cannot be read: they are asked for");
        });
        let kept = kept.ok().flatten().and_then(|bytes| decode::<Vec<GivenKey>>(&bytes).ok());
        *keys.0.held.lock() = keys.judge(&kept.unwrap_or_default(), bundle);
        Ok(keys)
    }

    /// Those of the given keys that count.
    fn judge(&self, given: &[GivenKey], bundle: &EndorserBundle) -> Vec<SiteSecretKey> {
        let open = |(signed, sealed): &GivenKey| {
            let keys = bundle.keys(&self.0.operator);
            let site = || self.0.record.record.node.site.clone();
            let keys = keys.ok_or_else(|| SealError::Operator(site()))?;
            let signed = SignedSiteKey::parse(signed)?;
            let expected = signed.verify(&bundle.cluster, keys)?;
            SealedSiteKey::parse(sealed)?.open(&self.0.own, &self.0.record.record, expected)
        };
        let opened = given.iter().take(SITE_KEYS_MAX).map(open);
        let told = opened.filter_map(|key| {
            key.inspect_err(|error| tracing::warn!(%error, "a key of the site does not count")).ok()
        });
        told.collect()
    }

    /// What was fetched, with the keys to open it. Asks for them if the one that it needs is not here.
    ///
    /// # Errors
    /// That no member of the operator gives any: then it is too early to judge the payload.
    pub(crate) async fn complete(
        &self,
        fetched: Fetched,
        givers: &Givers,
        bundle: &EndorserBundle,
    ) -> Result<Fetched, ApiError> {
        // Not believed yet: the check list does not use a key that a lie would have had asked for.
        let Ok(submission) = Submission::parse(&fetched.submission) else { return Ok(fetched) };
        let site = &self.0.record.record.node.site;
        let Some(epoch) = submission.facts.sealed_to.get(site).copied() else {
            return Ok(fetched);
        };
        if !self.has(epoch) {
            let one = self.0.fetching.lock().await;
            if !self.has(epoch) {
                self.ask(givers, bundle).await?;
            }
            drop(one);
        }
        let keys = self.0.held.lock().clone();
        Ok(Fetched { keys, ..fetched })
    }

    /// Asks for the keys before a job needs them. What goes wrong is tried again by the job that does.
    pub(crate) async fn fetch(&self, givers: &Givers, bundle: &EndorserBundle) {
        let one = self.0.fetching.lock().await;
        if let Err(error) = self.ask(givers, bundle).await {
            tracing::info!(%error, "the keys of the site are not to be had now");
        }
        drop(one);
    }

    fn has(&self, epoch: KeyEpoch) -> bool {
        self.0.held.lock().iter().any(|key| key.public().epoch == epoch)
    }

    async fn ask(&self, givers: &Givers, bundle: &EndorserBundle) -> Result<(), ApiError> {
        let record = self.0.record.bytes();
        let record = record.map_err(|error| ApiError::new(error.code(), error.to_string()))?;
        let given = self.calls(givers)?.site_keys(record).await?;
        let keys = self.judge(&given, bundle);
        if keys.is_empty() {
            return Ok(());
        }
        tracing::info!(keys = keys.len(), "has the keys of its site");
        self.hold(keys);
        let (path, body) = (self.0.path.clone(), encode(&given).unwrap_or_default());
        let written =
            tokio::task::spawn_blocking(move || durable::write(&path, MAGIC, &body)).await;
        // Without the file they are asked for again.
        if !matches!(written, Ok(Ok(()))) {
            tracing::warn!(?written, "the keys of the site are not kept");
        }
        Ok(())
    }

    /// Members of other operators have none to give.
    fn calls(&self, givers: &Givers) -> Result<Calls, ApiError> {
        let own = |member: &&Member| member.operator == self.0.operator;
        let own: Vec<Member> = givers.members.iter().filter(own).cloned().collect();
        Calls::new(givers.dialer.clone(), &own)
            .map_err(|failure| ApiError::new(failure.code, failure.cause))
    }

    /// Keys of before stay: what was sealed to them under a site-tag key that was given up opens here, if anywhere.
    fn hold(&self, keys: Vec<SiteSecretKey>) {
        let mut held = self.0.held.lock();
        held.retain(|old| keys.iter().all(|key| key.public().epoch != old.public().epoch));
        held.extend(keys);
        held.sort_by_key(|key| key.public().epoch);
        let surplus = held.len().saturating_sub(SITE_KEYS_MAX);
        held.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrolment::tests::joined;
    use sekisho_evidence::key::SigningKey;
    use sekisho_evidence::sealed::SiteKeyRecord;
    use sekisho_types::jurisdiction::Area;

    /// The key of `ishikari-1` in an epoch, as its operator would give it to the host of `to`.
    fn given(to: &SiteKeys, epoch: u32, signed_by: u8) -> GivenKey {
        let (tags, node) = (SigningKey::from_seed(&[3; 32]), &to.0.record.record);
        let site = "ishikari-1".parse().unwrap();
        let key = SiteSecretKey::derive(&tags, &node.cluster, site, KeyEpoch(epoch)).unwrap();
        let record = SiteKeyRecord {
            cluster: node.cluster,
            operator: "hokuto".parse().unwrap(),
            area: Area::resolve("012351").unwrap(),
            key: key.public().clone(),
        };
        let signed = record.sign(&SigningKey::from_seed(&[signed_by; 32])).unwrap();
        let sealed = SealedSiteKey::seal(&key, node, &[8; 32]).unwrap();
        (signed.bytes().unwrap(), sealed.bytes().unwrap())
    }

    fn epochs(keys: &SiteKeys) -> Vec<u32> {
        keys.0.held.lock().iter().map(|key| key.public().epoch.0).collect()
    }

    #[test]
    fn a_key_counts_under_the_operators_signature_and_where_it_opens() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let host = joined();
        let open = |dir: &Path, host: &Enrolment| {
            SiteKeys::open(dir, host, &host.bundle, Digest([7; 32])).unwrap()
        };
        let keys = open(dir.path(), &host);
        let mut other = host.clone();
        other.secrets.receipt_seed = [5; 32];
        let other = open(elsewhere.path(), &other);
        let all = [given(&keys, 1, 3), given(&keys, 2, 2), given(&other, 3, 3)];
        let counts = keys.judge(&all, &host.bundle);
        assert_eq!(counts.iter().map(|key| key.public().epoch.0).collect::<Vec<_>>(), [1]);
        keys.hold(counts);
        keys.hold(keys.judge(&[given(&keys, 2, 3)], &host.bundle));
        assert_eq!(epochs(&keys), [1, 2], "what was sealed before still opens");

        // Over a restart, as far as it counts then; and on no other host.
        let body = encode(&all.to_vec()).unwrap();
        durable::write(&keys.0.path, MAGIC, &body).unwrap();
        durable::write(&other.0.path, MAGIC, &body).unwrap();
        assert_eq!(epochs(&open(dir.path(), &host)), [1]);
        let mut moved = host;
        moved.secrets.receipt_seed = [6; 32];
        assert_eq!(epochs(&open(elsewhere.path(), &moved)), Vec::<u32>::new());
    }
}
