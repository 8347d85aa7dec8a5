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
            ("sites", sites.lanes() == other.sites.lanes()),
            ("nodes", nodes.lanes() == other.nodes.lanes()),
            ("tokens", tokens.lanes() == other.tokens.lanes()),
            ("keys", keys.lanes() == other.keys.lanes()),
            ("tenants", tenants.lanes() == other.tenants.lanes()),
            ("policies", policies.lanes() == other.policies.lanes()),
            ("quotas", quotas.lanes() == other.quotas.lanes()),
            ("budgets", budgets.lanes() == other.budgets.lanes()),
            ("escrows", escrows.lanes() == other.escrows.lanes()),
            ("offers", offers.lanes() == other.offers.lanes()),
            ("vetoes", vetoes.lanes() == other.vetoes.lanes()),
            ("reservations", reservations.lanes() == other.reservations.lanes()),
            ("stocks", stocks.lanes() == other.stocks.lanes()),
            ("powers", powers.lanes() == other.powers.lanes()),
            ("preemptions", preemptions.lanes() == other.preemptions.lanes()),
            ("fair", fair.lanes() == other.fair.lanes() && *fair_base == other.fair_base),
            ("jobs", jobs.lanes() == other.jobs.lanes()),
            ("queue", queue.lanes() == other.queue.lanes()),
            ("dependents", dependents.lanes() == other.dependents.lanes()),
            ("unjudged", unjudged.lanes() == other.unjudged.lanes()),
            ("timers", timers.lanes() == other.timers.lanes()),
            ("ended", ended.lanes() == other.ended.lanes()),
            ("kept_jobs", kept_jobs.lanes() == other.kept_jobs.lanes()),
            ("placements", placements.lanes() == other.placements.lanes()),
            ("payloads", payloads.lanes() == other.payloads.lanes()),
            ("retired", retired.lanes() == other.retired.lanes()),
            ("landmarks", *landmarks == other.landmarks),
            ("fixes", fixes.lanes() == other.fixes.lanes()),
            ("site_keys", site_keys.lanes() == other.site_keys.lanes()),
            ("ranges", ranges.lanes() == other.ranges.lanes()),
            ("convicted", convicted.lanes() == other.convicted.lanes()),
            ("area_only", area_only.lanes() == other.area_only.lanes()),
            ("countersigned", countersigned.lanes() == other.countersigned.lanes()),
            ("contradicted", contradicted.lanes() == other.contradicted.lanes()),
            ("journals", journals.lanes() == other.journals.lanes()),
            ("approvals", approvals.lanes() == other.approvals.lanes()),
            ("break_glasses", break_glasses.lanes() == other.break_glasses.lanes()),
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
