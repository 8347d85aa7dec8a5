//! Making fixes: one at the start of the agent, and again before the last is too old.
//!
//! Must hold: a fix is made anew each time, under an id of its own, within the time that its transcripts may be apart;
//! after a failure it is tried again, later each time and never together with everyone else.

use super::attempts::Attempts;
use super::exchange::Occasion;
use super::limit::{EARLY_MAX, FIX_WITHIN, PARALLEL, RETRY_AFTER, RETRY_JITTER, RETRY_JITTER_MAX};
use super::{Fixes, Host, LandmarkAt, Landmarks, Table};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use sekisho_agent_core::location::OwnFix;
use sekisho_evidence::location::transcript::{FixId, SignedTranscript};
use sekisho_evidence::location::verdict::FIX_LANDMARKS_MAX;
use sekisho_proto::status::ApiError;
use sekisho_transport::deadline::{Deadline, within};
use sekisho_transport::retry::{Backoff, BackoffOptions};
use sekisho_types::cause::explain;
use sekisho_types::limit::FIX_AGE_MAX;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_stream::StreamExt as _;

/// Why there is no fix in force.
#[derive(Debug, thiserror::Error)]
pub enum FixError {
    /// Landmarks were not told, or the fix was not taken.
    #[error("{}: {}", .0.code, .0.message)]
    Call(ApiError),
    /// No landmark measured this host, of so many.
    #[error("none of {0} landmarks measured this host")]
    Unmeasured(usize),
}

impl From<ApiError> for FixError {
    fn from(error: ApiError) -> Self {
        Self::Call(error)
    }
}

/// How long a fix that was taken is left alone.
const FRESH: Duration = Duration::from_secs(FIX_AGE_MAX.as_secs() / 2);

/// Makes fixes and hands them over.
#[derive(Debug)]
pub struct Prover<L, F> {
    /// Who is measured.
    pub host: Host,
    /// Tells the landmarks.
    pub landmarks: L,
    /// Takes the fixes.
    pub fixes: F,
    /// Which one runs, and who wants one now.
    pub attempts: Arc<Attempts>,
}

impl<L: Landmarks, F: Fixes> Prover<L, F> {
    /// Until it is dropped.
    pub async fn run(self) {
        let options = BackoffOptions { base: RETRY_JITTER, max: RETRY_JITTER_MAX };
        let (mut backoff, mut random) = (Backoff::new(options), StdRng::from_os_rng());
        loop {
            self.attempts.begins();
            let made = self.once().await;
            self.attempts.ends(Instant::now());
            let pause = match made {
                Ok(landmarks) => {
                    metrics::counter!("sekisho_agent_fixes_total", "result" => "taken")
                        .increment(1);
                    tracing::info!(landmarks, "fix taken");
                    backoff.reset();
                    let mut early =
                        Backoff::new(BackoffOptions { base: EARLY_MAX, max: EARLY_MAX });
                    FRESH.saturating_sub(early.next_pause(&mut random))
                }
                Err(error) => {
                    metrics::counter!("sekisho_agent_fixes_total", "result" => "failed")
                        .increment(1);
                    // A federation without landmarks lacks nothing that anybody asked for.
                    if matches!(error, FixError::Unmeasured(0)) {
                        tracing::debug!("no landmarks are registered");
                    } else {
                        tracing::warn!(%error, "the place of this host is not proven");
                    }
                    RETRY_AFTER.saturating_add(backoff.next_pause(&mut random))
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.attempts.wanted() => {}
            }
        }
    }

    /// One fix, handed over: with how many landmarks.
    ///
    /// # Errors
    /// [`FixError`].
    pub async fn once(&self) -> Result<usize, FixError> {
        let table = self.landmarks.landmarks().await?;
        let asked = table.landmarks.len();
        let fix = fix(&self.host, table).await.ok_or(FixError::Unmeasured(asked))?;
        let landmarks = fix.transcripts.len();
        self.fixes.submit(fix).await?;
        Ok(landmarks)
    }
}

/// A fix with as many of the landmarks as answer in time; `None` if none did.
async fn fix(host: &Host, table: Table) -> Option<OwnFix> {
    let fix = FixId(rand::random());
    let Table { cluster, incarnation, mut landmarks } = table;
    // With more than count, chance tells which: an attacker must not choose them by their names.
    landmarks.shuffle(&mut StdRng::from_os_rng());
    landmarks.truncate(FIX_LANDMARKS_MAX);
    let occasion = Occasion { cluster: &cluster, incarnation, fix };
    let mut transcripts = Vec::new();
    let measured = measured(host, occasion, &landmarks, &mut transcripts);
    if within(Deadline::after(FIX_WITHIN), measured).await.is_err() {
        tracing::warn!(have = transcripts.len(), "a fix ends before every landmark was asked");
    }
    (!transcripts.is_empty()).then_some(OwnFix { fix, transcripts })
}

/// Exchanges with all, some at a time.
async fn measured(
    host: &Host,
    occasion: Occasion<'_>,
    landmarks: &[LandmarkAt],
    transcripts: &mut Vec<SignedTranscript>,
) {
    let mut waiting = landmarks.iter();
    let mut under_way = futures::stream::FuturesUnordered::new();
    under_way.extend(waiting.by_ref().take(PARALLEL).map(|at| one(host, occasion, at)));
    while let Some(transcript) = under_way.next().await {
        transcripts.extend(transcript);
        under_way.extend(waiting.next().map(|at| one(host, occasion, at)));
    }
}

async fn one(host: &Host, occasion: Occasion<'_>, at: &LandmarkAt) -> Option<SignedTranscript> {
    let landmark = &at.landmark.id;
    let exchanged = Box::pin(host.exchange(occasion, at)).await;
    let result = exchanged.as_ref().map_or_else(|error| error.label(), |_done| "done");
    metrics::counter!("sekisho_agent_exchanges_total", "result" => result).increment(1);
    match exchanged {
        Ok(signed) => {
            let rtt_min_ns = signed.transcript.rtt_min_ns;
            tracing::info!(%landmark, rtt_min_ns, "measured by a landmark");
            Some(signed)
        }
        Err(error) => {
            tracing::warn!(%landmark, error = explain(&error), "not measured by a landmark");
            None
        }
    }
}
