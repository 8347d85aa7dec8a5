//! What the API asks of the leader's duties and the signer, answered by them. Consensus and store it knows itself.

use futures::future::BoxFuture;
use sekisho_api::duty::{LeaseNews, LeaseRenewals, Renewal, SignedHead, SignedHeads, Silence};
use sekisho_controllers::checkpoint::{Signatures, Signed, SignerState};
use sekisho_controllers::lease::table::Silence as Counts;
use sekisho_controllers::lease::{Answer, Leases, NotCounted};
use sekisho_controllers::limit::LEASE_SCAN_EVERY;
use sekisho_evidence::acknowledgement::Renewal as Asked;
use sekisho_raft::consensus::Consensus;
use sekisho_types::id::{MemberId, PublicKey};
use sekisho_types::revision::Revision;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

/// Leases as the API renews them.
#[derive(Debug)]
pub struct LeasePort(pub Leases<Consensus>);

impl LeaseRenewals for LeasePort {
    fn renew<'a>(
        &'a self,
        renewal: &'a Asked,
        received_ns: u64,
        carried: Option<Revision>,
    ) -> BoxFuture<'a, Renewal> {
        Box::pin(async move {
            match self.0.renew(renewal, received_ns, carried).await {
                Ok(Answer::Acknowledged(word)) => Renewal::Acknowledged(Box::new(word)),
                // A session that is over has nothing to renew: its agent stops and opens another.
                Ok(Answer::Expiring | Answer::UnknownSession) => Renewal::Expiring,
                Err(NotCounted::NotLeader | NotCounted::NotConfirmed) => Renewal::NotLeader,
                Err(NotCounted::NotSigned | NotCounted::Old) => Renewal::NotLeader,
            }
        })
    }

    fn news(&self) -> Option<Arc<LeaseNews>> {
        let news = self.0.news()?;
        let silence = |counted: &Counts| Silence {
            silent: Duration::from_nanos(counted.silent_ns),
            left: Duration::from_nanos(counted.left_ns).saturating_add(LEASE_SCAN_EVERY),
            expiring: counted.expiring,
        };
        let left = |left_ns: &u64| Duration::from_nanos(*left_ns).saturating_add(LEASE_SCAN_EVERY);
        Some(Arc::new(LeaseNews {
            at_ns: news.at_ns,
            silent: news.silent.iter().map(|(id, one)| (id.clone(), silence(one))).collect(),
            stopping: news.stopping.iter().map(|(id, ns)| (*id, left(ns))).collect(),
            whole: news.whole,
        }))
    }
}

/// Own signatures as the API hands them out.
#[derive(Debug)]
pub struct HeadsPort {
    signatures: Signatures,
    changes: watch::Receiver<Revision>,
}

impl HeadsPort {
    /// A port, and the task that tells of news for it.
    pub fn new(signatures: Signatures) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (tell, changes) = watch::channel(Revision::default());
        let news = signatures.clone();
        let follow = async move {
            let mut made = news.subscribe();
            loop {
                match made.recv().await {
                    Ok(_) | Err(RecvError::Lagged(_)) => {
                        let newest = news.latest().map(|signed| signed.checkpoint.revision);
                        tell.send_replace(newest.unwrap_or_default());
                    }
                    Err(RecvError::Closed) => return,
                }
            }
        };
        (Self { signatures, changes }, follow)
    }
}

fn head(signed: &Signed) -> Option<Arc<SignedHead>> {
    let text = signed.checkpoint.text().ok()?;
    Some(Arc::new(SignedHead { checkpoint: signed.checkpoint, text, line: signed.line.clone() }))
}

impl SignedHeads for HeadsPort {
    fn latest(&self) -> Option<Arc<SignedHead>> {
        head(self.signatures.latest()?.as_ref())
    }

    fn at(&self, revision: Revision) -> Option<Arc<SignedHead>> {
        head(self.signatures.at(revision)?.as_ref())
    }

    fn after(&self, revision: Revision, max: usize) -> Vec<Arc<SignedHead>> {
        self.signatures.after(revision, max).iter().filter_map(|signed| head(signed)).collect()
    }

    fn changes(&self) -> watch::Receiver<Revision> {
        self.changes.clone()
    }

    fn accuse(&self, member: MemberId, key: PublicKey) {
        self.signatures.accuse(member, key);
    }

    fn problem(&self) -> Option<String> {
        match self.signatures.status().state {
            SignerState::Idle | SignerState::Signing => None,
            SignerState::Missing => Some("no checkpoint key".to_owned()),
            SignerState::NotEndorsed => Some("its key is not in the endorser bundle".to_owned()),
            SignerState::Refusing(refusal) => Some(refusal.to_string()),
            SignerState::StoreFailed(why) => Some(format!("its last head cannot be kept: {why}")),
        }
    }
}
