//! What a snapshot holds: the state and the payloads that it refers to, as bytes.
//!
//! Must hold: equal images have equal bytes; a payload that the state does not refer to, or that stays in its job's area, is
//! damage.
//! Does not know: whose it is, where in the log it ends, and how the bytes are kept.

use crate::snapshot::SnapshotError;
use crate::state::State;
use sekisho_evidence::canonical::{CanonicalError, encode};
use sekisho_types::id::Digest;
use serde::{Deserialize, Serialize};

/// First byte of an image. A new layout is a new number, and this program keeps decoding the old ones.
pub const IMAGE_FORMAT: u8 = 1;

/// Why bytes are no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Not an image of this format.
    #[error("the image is malformed: {0}")]
    Malformed(String),
    /// The state in it cannot be read.
    #[error("the image holds no state")]
    State(#[from] SnapshotError),
    /// A payload in it is not what its digest says, or nobody refers to it.
    #[error("payload {0} of the image is damaged")]
    Payload(Digest),
}

/// A state with its payloads.
#[derive(Debug)]
pub struct Image {
    /// The state.
    pub state: State,
    /// Payloads by their digests.
    pub payloads: Vec<(Digest, Vec<u8>)>,
}

/// Bytes kept as bytes: a list of numbers would be decoded one by one.
#[derive(Serialize, Deserialize)]
struct Body<'b> {
    #[serde(borrow)]
    state: &'b [u8],
    #[serde(borrow)]
    payloads: Vec<&'b [u8]>,
}

impl Image {
    /// The bytes of a state with its payloads.
    ///
    /// # Errors
    /// Never for these types.
    pub fn encode(
        state: &State,
        payloads: &[(Digest, Vec<u8>)],
    ) -> Result<Vec<u8>, CanonicalError> {
        let state = state.to_snapshot()?;
        let payloads = payloads.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        encode(&(IMAGE_FORMAT, Body { state: &state, payloads }))
    }

    /// Reads an image.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ImageError> {
        let malformed = |why: &str| ImageError::Malformed(why.to_owned());
        let Some((&IMAGE_FORMAT, rest)) = bytes.split_first() else {
            return Err(malformed("its format is not known"));
        };
        let (body, left): (Body<'_>, _) =
            postcard::take_from_bytes(rest).map_err(|e| malformed(&e.to_string()))?;
        if !left.is_empty() {
            return Err(malformed("bytes left over"));
        }
        let state = State::from_snapshot(body.state)?;
        let mut payloads = Vec::with_capacity(body.payloads.len());
        for bytes in body.payloads {
            let digest = Digest::of(bytes);
            if !state.refers_to_payload(&digest) || state.area_only.contains(&digest) {
                return Err(ImageError::Payload(digest));
            }
            payloads.push((digest, bytes.to_vec()));
        }
        Ok(Self { state, payloads })
    }

    /// The first payload that the state refers to and the image lacks, of those that it has to have.
    #[must_use]
    pub fn lacks(&self) -> Option<Digest> {
        let held = |digest: &Digest| {
            self.payloads.iter().any(|(own, _)| own == digest)
                || self.state.area_only.contains(digest)
        };
        self.state.payloads.iter().map(|(digest, _)| *digest).find(|digest| !held(digest))
    }
}

impl State {
    /// The first table in which this state differs from one that the audit records gave again. Revision, clock and the
    /// kept replies are left out: ticks and repeated requests move them and are in no record.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one line for each table, and nothing else")]
    pub fn differs(&self, replayed: &Self) -> Option<&'static str> {
        // Every field by name: a new one makes the compiler ask.
        let Self {
            federation,
            revision: _,
            clock: _,
            feature_level,
            frontier,
            sites,
            nodes,
            tokens,
            keys,
            tenants,
            policies,
            quotas,
            budgets,
            escrows,
            offers,
            vetoes,
            reservations,
            stocks,
            powers,
            preemptions,
            fair,
            fair_base,
            jobs,
            queue,
            calls,
            dependents,
            unjudged,
            timers,
            ended,
            kept_jobs,
            placements,
            payloads,
            replies: _,
            reply_order: _,
            retired,
            landmarks,
            fixes,
            site_keys,
            ranges,
            convicted,
            area_only,
            countersigned,
            contradicted,
            journals,
            approvals,
            break_glasses,
        } = self;
        let other = replayed;
        let tables = [
            ("federation", *federation == other.federation),
            ("feature_level", *feature_level == other.feature_level),
            ("frontier", *frontier == other.frontier),
            ("sites", sites.sum() == other.sites.sum()),
            ("nodes", nodes.sum() == other.nodes.sum()),
            ("tokens", tokens.sum() == other.tokens.sum()),
            ("keys", keys.sum() == other.keys.sum()),
            ("tenants", tenants.sum() == other.tenants.sum()),
            ("policies", policies.sum() == other.policies.sum()),
            ("quotas", quotas.sum() == other.quotas.sum()),
            ("budgets", budgets.sum() == other.budgets.sum()),
            ("escrows", escrows.sum() == other.escrows.sum()),
            ("offers", offers.sum() == other.offers.sum()),
            ("vetoes", vetoes.sum() == other.vetoes.sum()),
            ("reservations", reservations.sum() == other.reservations.sum()),
            ("stocks", stocks.sum() == other.stocks.sum()),
            ("powers", powers.sum() == other.powers.sum()),
            ("preemptions", preemptions.sum() == other.preemptions.sum()),
            ("fair", fair.sum() == other.fair.sum() && *fair_base == other.fair_base),
            ("jobs", jobs.sum() == other.jobs.sum()),
            ("queue", queue.sum() == other.queue.sum()),
            ("calls", *calls == other.calls),
            ("dependents", dependents.sum() == other.dependents.sum()),
            ("unjudged", unjudged.sum() == other.unjudged.sum()),
            ("timers", timers.sum() == other.timers.sum()),
            ("ended", ended.sum() == other.ended.sum()),
            ("kept_jobs", kept_jobs.sum() == other.kept_jobs.sum()),
            ("placements", placements.sum() == other.placements.sum()),
            ("payloads", payloads.sum() == other.payloads.sum()),
            ("retired", retired.sum() == other.retired.sum()),
            ("landmarks", *landmarks == other.landmarks),
            ("fixes", fixes.sum() == other.fixes.sum()),
            ("site_keys", site_keys.sum() == other.site_keys.sum()),
            ("ranges", ranges.sum() == other.ranges.sum()),
            ("convicted", convicted.sum() == other.convicted.sum()),
            ("area_only", area_only.sum() == other.area_only.sum()),
            ("countersigned", countersigned.sum() == other.countersigned.sum()),
            ("contradicted", contradicted.sum() == other.contradicted.sum()),
            ("journals", journals.sum() == other.journals.sum()),
            ("approvals", approvals.sum() == other.approvals.sum()),
            ("break_glasses", break_glasses.sum() == other.break_glasses.sum()),
        ];
        tables.into_iter().find(|(_, same)| !same).map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::testing::{self, Federation, PAYLOAD};

    fn federation() -> Federation {
        let mut federation = Federation::furnished();
        federation.submit(testing::job("train", 1, 1, &[]));
        federation
    }

    #[test]
    fn an_image_is_read_as_it_was_written_and_names_what_it_lacks() {
        let state = federation().state;
        let held = [(Digest::of(PAYLOAD), PAYLOAD.to_vec())];
        let image = Image::decode(&Image::encode(&state, &held).unwrap()).unwrap();
        assert_eq!(image.state.digest(), state.digest());
        assert_eq!(image.payloads, held);
        // The submission lies beside the payload.
        let job = state.jobs().next().unwrap().1.submission;
        assert_eq!(image.lacks(), Some(job));
        let stranger = Image::encode(&state, &[(Digest::of(b"x"), b"x".to_vec())]).unwrap();
        assert_eq!(Image::decode(&stranger).unwrap_err(), ImageError::Payload(Digest::of(b"x")));
    }

    #[test]
    fn a_state_that_the_records_do_not_give_is_named_by_its_table() {
        let federation = federation();
        let mut other = federation.clone();
        assert_eq!(federation.state.differs(&other.state), None);
        other.state.clock = other.state.clock.plus_ms(1);
        other.state.replies = Default::default();
        assert_eq!(federation.state.differs(&other.state), None);
        let mut cordoned = federation.clone();
        let node = "tokyo-1/n-01".parse().unwrap();
        cordoned.state.nodes.update(&node, |row| row.schedulable = false);
        assert_eq!(federation.state.differs(&cordoned.state), Some("nodes"));
        let user = testing::user("kanto", "sapporo");
        let job = federation.state.jobs().next().unwrap().0.clone();
        let mut cancelled = federation.clone();
        cancelled.accept(user, Command::CancelJob { job });
        assert_eq!(federation.state.differs(&cancelled.state), Some("frontier"));
    }
}
