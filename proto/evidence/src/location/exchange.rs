//! A timed exchange between a landmark and a subject: nonce out, keyed reply back.
//!
//! Must hold (D1): only who has the key of the session answers, and only after it saw the nonce. The key comes from the
//! TLS session of both (RFC 9266), so an answer cannot be fetched from a third party that is only told a public key; it
//! can from one that is given this key, and then the proof is about that party. One hash and no signature is between
//! nonce and reply: a signature would add kilometres.
//!
//! The landmark's side of the book is [`Exchange`]; the clock and the sockets are the caller's.

use super::landmark::LandmarkId;
use super::transcript::FixId;
use crate::canonical::{CanonicalError, encode};
use hmac::{Hmac, Mac as _};
use sekisho_types::id::{ClusterId, Digest};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Label of the TLS exporter (RFC 8446, section 7.5) that gives the key, 32 bytes.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-sekisho-ranging-v1";

/// Rounds that are asked at least: of so many, one mostly meets no queue on its way.
pub const ROUNDS_MIN: u32 = 32;

/// Rounds that are asked at most: more would load the landmark and improve the minimum little.
pub const ROUNDS_MAX: u32 = 64;

/// What a landmark sends in a round; drawn by it, never predictable.
pub type Nonce = [u8; 16];

/// What comes back.
pub type Reply = [u8; 16];

/// The key of one exchange. Does not print itself.
#[derive(Clone)]
pub struct RangingKey([u8; 32]);

impl fmt::Debug for RangingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RangingKey")
    }
}

/// Context of the TLS exporter: a key is for one landmark and one fix of one federation.
///
/// # Errors
/// Never for these types; see [`encode`].
pub fn exporter_context(
    cluster: &ClusterId,
    landmark: &LandmarkId,
    fix: &FixId,
) -> Result<Vec<u8>, CanonicalError> {
    encode(&(cluster, landmark, fix))
}

impl RangingKey {
    /// The key that the TLS exporter gave.
    #[must_use]
    pub fn new(exported: [u8; 32]) -> Self {
        Self(exported)
    }

    /// What a transcript says of the key, so that an auditor who is shown the key can tell.
    #[must_use]
    pub fn binding(&self) -> Digest {
        Digest::of(&[b"sekisho/ranging-binding/v1\0".as_slice(), &self.0].concat())
    }

    fn mac(&self, round: u32, nonce: &Nonce) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key");
        mac.update(&round.to_be_bytes());
        mac.update(nonce);
        mac
    }

    /// The reply to a nonce: the first 128 bits of HMAC-SHA-256 over round and nonce.
    #[must_use]
    pub fn reply(&self, round: u32, nonce: &Nonce) -> Reply {
        let full: [u8; 32] = self.mac(round, nonce).finalize().into_bytes().into();
        full.first_chunk().copied().unwrap_or_default()
    }

    /// Whether this is the reply, in a time that does not depend on where it differs.
    #[must_use]
    pub fn is_reply(&self, round: u32, nonce: &Nonce, reply: &Reply) -> bool {
        self.mac(round, nonce).verify_truncated_left(reply).is_ok()
    }
}

/// Why an answer does not count. None of these says anything about the subject: datagrams are lost, doubled and forged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// No such round was asked, or it has its answer already.
    #[error("round {0} waits for no answer")]
    NotAsked(u32),
    /// Not the reply to the round's nonce.
    #[error("the answer to round {0} is not its reply")]
    Wrong(u32),
}

/// What a transcript says of the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Rounds that were asked.
    pub asked: u32,
    /// Rounds that were answered rightly.
    pub answered: u32,
    /// The shortest of them, ns.
    pub rtt_min_ns: u64,
    /// SHA-256 of all nonces in the order of their rounds.
    pub nonces: Digest,
}

/// The landmark's book of one exchange.
#[derive(Debug, Clone)]
pub struct Exchange {
    key: RangingKey,
    /// Nonces by round; those that were answered are in `done`.
    nonces: Vec<Nonce>,
    /// A bit for each round: [`ROUNDS_MAX`] of them.
    done: u64,
    rtt_min_ns: u64,
}

const _: () = assert!(ROUNDS_MAX <= u64::BITS, "a round has a bit");

impl Exchange {
    /// An exchange under this key.
    #[must_use]
    pub fn new(key: RangingKey) -> Self {
        Self { key, nonces: Vec::new(), done: 0, rtt_min_ns: u64::MAX }
    }

    /// Opens the next round with this nonce and returns its number; `None` after [`ROUNDS_MAX`].
    pub fn ask(&mut self, nonce: Nonce) -> Option<u32> {
        let round = u32::try_from(self.nonces.len()).ok().filter(|round| *round < ROUNDS_MAX)?;
        self.nonces.push(nonce);
        Some(round)
    }

    /// Takes the answer to a round, `rtt_ns` after its nonce left, rounded up.
    ///
    /// # Errors
    /// [`AnswerError`]; the round then still waits.
    pub fn answer(&mut self, round: u32, reply: &Reply, rtt_ns: u64) -> Result<(), AnswerError> {
        let bit = 1_u64.checked_shl(round).ok_or(AnswerError::NotAsked(round))?;
        let nonce = usize::try_from(round).ok().and_then(|at| self.nonces.get(at));
        let nonce = nonce.filter(|_| self.done & bit == 0).ok_or(AnswerError::NotAsked(round))?;
        if !self.key.is_reply(round, nonce, reply) {
            return Err(AnswerError::Wrong(round));
        }
        self.done |= bit;
        self.rtt_min_ns = self.rtt_min_ns.min(rtt_ns);
        Ok(())
    }

    /// What the transcript is to say; `None` while too few rounds were asked or none was answered.
    #[must_use]
    pub fn tally(&self) -> Option<Tally> {
        let asked = u32::try_from(self.nonces.len()).ok().filter(|asked| *asked >= ROUNDS_MIN)?;
        let answered = self.done.count_ones();
        let nonces = Digest(Sha256::digest(self.nonces.concat()).into());
        let tally = Tally { asked, answered, rtt_min_ns: self.rtt_min_ns, nonces };
        (answered > 0).then_some(tally)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> RangingKey {
        RangingKey::new([7; 32])
    }

    /// Landmark and subject may be of two versions of the program.
    #[test]
    fn golden_reply_of_version_1() {
        let reply = key().reply(3, &[9; 16]);
        assert_eq!(u128::from_be_bytes(reply), 0x68c0a4c19b81914d6f3519a8126c6d6c);
        assert_eq!(
            key().binding().to_string(),
            "690a75522724dffde41c4d45c284dc028fc50d6ae01d0f4cc5618f0a3784de6d"
        );
    }

    #[test]
    fn a_reply_is_to_one_key_round_and_nonce_and_every_flipped_bit_is_refused() {
        let reply = key().reply(3, &[9; 16]);
        assert!(key().is_reply(3, &[9; 16], &reply));
        assert!(!RangingKey::new([8; 32]).is_reply(3, &[9; 16], &reply));
        assert!(!key().is_reply(2, &[9; 16], &reply));
        assert!(!key().is_reply(3, &[8; 16], &reply));
        for bit in 0..128 {
            let mut wrong = reply;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!key().is_reply(3, &[9; 16], &wrong), "bit {bit}");
        }
        assert_eq!(format!("{:?}", key()), "RangingKey");
    }

    #[test]
    fn the_minimum_of_right_answers_counts_and_each_round_once() {
        let mut exchange = Exchange::new(key());
        let nonce = |round: u32| [u8::try_from(round).unwrap(); 16];
        for round in 0..ROUNDS_MAX {
            assert_eq!(exchange.tally(), None);
            assert_eq!(exchange.ask(nonce(round)), Some(round));
        }
        assert_eq!(exchange.ask([0; 16]), None, "rounds are bounded");
        let reply = |round| key().reply(round, &nonce(round));
        assert_eq!(exchange.answer(5, &reply(6), 1), Err(AnswerError::Wrong(5)));
        assert_eq!(exchange.answer(64, &reply(6), 1), Err(AnswerError::NotAsked(64)));
        assert_eq!(exchange.answer(u32::MAX, &reply(6), 1), Err(AnswerError::NotAsked(u32::MAX)));
        assert_eq!(exchange.tally(), None, "no right answer");
        for (round, rtt) in [(5, 900), (63, 700), (0, 800)] {
            assert_eq!(exchange.answer(round, &reply(round), rtt), Ok(()));
            assert_eq!(exchange.answer(round, &reply(round), 1), Err(AnswerError::NotAsked(round)));
        }
        let tally = exchange.tally().unwrap();
        assert_eq!((tally.asked, tally.answered, tally.rtt_min_ns), (64, 3, 700));
        let all: Vec<u8> = (0..ROUNDS_MAX).flat_map(nonce).collect();
        assert_eq!(tally.nonces, Digest::of(&all));
    }
}
