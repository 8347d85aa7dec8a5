//! The subject's side of an exchange: it answers nonces, and signs nothing but what it saw.
//!
//! Must hold: a signature is given for a transcript only that names this subject, this start of its program, this landmark
//! where the table has it, this fix and this key, and whose nonces and counts do not contradict those that came. What the
//! shortest delay was only the landmark knows: a shorter one than it measured is a lie of the landmark, against which f
//! stands, not the subject.

use super::exchange::{Nonce, ROUNDS_MAX, RangingKey, Reply};
use super::landmark::Landmark;
use super::transcript::{FixId, Subject, Transcript, TranscriptError};
use crate::grant::Instance;
use sekisho_types::id::{ClusterId, Digest};
use sekisho_types::limit::{CLOCK_AHEAD_MAX, CLOCK_BEHIND_MAX};
use sekisho_types::revision::Incarnation;
use sekisho_types::time::Timestamp;
use sha2::{Digest as _, Sha256};

/// The two clocks may be so far apart, ms; a transcript's time beyond it helps nobody.
#[expect(clippy::cast_possible_truncation, reason = "twenty seconds")]
const CLOCKS_MS: u64 = (CLOCK_AHEAD_MAX.as_millis() + CLOCK_BEHIND_MAX.as_millis()) as u64;

/// What a subject knows of an exchange before it begins.
#[derive(Debug, Clone, Copy)]
pub struct Due<'d> {
    /// Federation.
    pub cluster: &'d ClusterId,
    /// Its present life.
    pub incarnation: Incarnation,
    /// The landmark as it stands in the table.
    pub landmark: &'d Landmark,
    /// Who is measured.
    pub subject: &'d Subject,
    /// With which certificate key.
    pub subject_key: &'d Digest,
    /// In which start of its program.
    pub instance: Instance,
    /// For which fix.
    pub fix: FixId,
    /// Of the transcript, as the landmark said before the rounds.
    pub serial: u64,
}

/// The subject's book of one exchange.
#[derive(Debug, Clone)]
pub struct Answers {
    key: RangingKey,
    /// By round.
    seen: Vec<Option<Nonce>>,
}

impl Answers {
    /// An exchange under this key.
    #[must_use]
    pub fn new(key: RangingKey) -> Self {
        Self { key, seen: Vec::new() }
    }

    /// The reply to a nonce. The same question has the same answer; another one for a round that had its own has none.
    pub fn reply(&mut self, round: u32, nonce: Nonce) -> Option<Reply> {
        let at = usize::try_from(round).ok().filter(|_| round < ROUNDS_MAX)?;
        let length = self.seen.len().max(at.saturating_add(1));
        self.seen.resize(length, None);
        let known = self.seen.get_mut(at)?.get_or_insert(nonce);
        (*known == nonce).then(|| self.key.reply(round, &nonce))
    }

    /// How many rounds had a reply.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.seen.iter().flatten().count()
    }

    /// Whether a transcript may be signed.
    ///
    /// # Errors
    /// What of it is not so.
    pub fn check(
        &self,
        said: &Transcript,
        due: Due<'_>,
        now: Timestamp,
    ) -> Result<(), TranscriptError> {
        if said.cluster != *due.cluster || said.incarnation != due.incarnation {
            return Err(TranscriptError::WrongCluster);
        }
        let checks = [
            (said.landmark == due.landmark.id, "landmark"),
            (said.position == due.landmark.position, "position"),
            (said.subject == *due.subject, "subject"),
            (said.subject_key == *due.subject_key, "key"),
            (said.instance == due.instance, "instance"),
            (said.fix == due.fix, "fix"),
            (said.binding == self.key.binding(), "connection"),
            (said.serial == due.serial, "serial"),
            (self.may_be_of(said.asked, &said.nonces), "nonces"),
        ];
        if let Some((_, what)) = checks.iter().find(|(same, _)| !same) {
            return Err(TranscriptError::Mismatch(what));
        }
        said.check_bounds()?;
        let more = usize::try_from(said.answered).map_or(true, |said| said > self.answered());
        let apart = said.ended.since_ms(now).max(now.since_ms(said.ended));
        let bounds = [(!more, "number of answers"), (apart <= CLOCKS_MS, "time")];
        let wrong = bounds.iter().find(|(holds, _)| !holds);
        wrong.map_or(Ok(()), |(_, what)| Err(TranscriptError::Bounds(what)))
    }

    /// Whether the digest can be that of what was seen. If a nonce was lost on its way, all that can be told is that more
    /// were asked than are missing.
    fn may_be_of(&self, asked: u32, nonces: &Digest) -> bool {
        let Ok(asked) = usize::try_from(asked) else { return false };
        let seen: Vec<Nonce> = self.seen.iter().flatten().copied().collect();
        if self.seen.len() > asked {
            return false;
        }
        seen.len() < asked || Digest(Sha256::digest(seen.concat()).into()) == *nonces
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::exchange::{Exchange, ROUNDS_MIN, Tally};
    use sekisho_types::id::PublicKey;

    const NOW: Timestamp = Timestamp(1_780_000_000_000);

    fn nonce(round: u32) -> Nonce {
        [u8::try_from(round).unwrap(); 16]
    }

    /// A whole exchange of which the subject sees all rounds but `lost`.
    fn exchange(lost: &[u32]) -> (Answers, Tally) {
        let key = RangingKey::new([7; 32]);
        let (mut asks, mut answers) = (Exchange::new(key.clone()), Answers::new(key));
        for round in 0..ROUNDS_MIN {
            asks.ask(nonce(round)).unwrap();
            if !lost.contains(&round) {
                let reply = answers.reply(round, nonce(round)).unwrap();
                asks.answer(round, &reply, 1_000).unwrap();
            }
        }
        (answers, asks.tally().unwrap())
    }

    struct World {
        cluster: ClusterId,
        landmark: Landmark,
        subject: Subject,
    }

    impl World {
        fn new() -> Self {
            Self {
                cluster: ClusterId([1; 16]),
                landmark: Landmark {
                    id: "kanto/otemachi".parse().unwrap(),
                    position: "35.686,139.764".parse().unwrap(),
                    survey_m: 10,
                    key: PublicKey([1; 32]),
                },
                subject: Subject::Node("tokyo-1/n-01".parse().unwrap()),
            }
        }
        fn due(&self) -> Due<'_> {
            Due {
                cluster: &self.cluster,
                incarnation: Incarnation(3),
                landmark: &self.landmark,
                subject: &self.subject,
                subject_key: &Digest([2; 32]),
                instance: Instance([3; 16]),
                fix: FixId([4; 16]),
                serial: 5,
            }
        }
        fn transcript(&self, answers: &Answers, tally: Tally) -> Transcript {
            Transcript {
                cluster: self.cluster,
                incarnation: Incarnation(3),
                landmark: self.landmark.id.clone(),
                position: self.landmark.position,
                subject: self.subject.clone(),
                subject_key: Digest([2; 32]),
                instance: Instance([3; 16]),
                fix: FixId([4; 16]),
                binding: answers.key.binding(),
                asked: 0,
                answered: 0,
                rtt_min_ns: 0,
                nonces: Digest([0; 32]),
                started: NOW,
                ended: NOW.plus_ms(700),
                serial: 5,
            }
            .with_tally(tally)
        }
    }

    #[test]
    fn what_was_seen_is_signed_and_nothing_else() {
        let world = World::new();
        let (answers, tally) = exchange(&[]);
        let good = world.transcript(&answers, tally);
        let check = |spoil: &dyn Fn(&mut Transcript)| {
            let mut said = good.clone();
            spoil(&mut said);
            answers.check(&said, world.due(), NOW)
        };
        assert_eq!(check(&|_| {}), Ok(()));
        let mismatch = |what| Err(TranscriptError::Mismatch(what));
        let seoul = "37.5665,126.978".parse().unwrap();
        assert_eq!(check(&|t| t.position = seoul), mismatch("position"));
        assert_eq!(check(&|t| t.landmark = "kanto/x".parse().unwrap()), mismatch("landmark"));
        assert_eq!(
            check(&|t| t.subject = Subject::Node("tokyo-1/n-02".parse().unwrap())),
            mismatch("subject")
        );
        assert_eq!(check(&|t| t.subject_key = Digest([9; 32])), mismatch("key"));
        assert_eq!(check(&|t| t.instance = Instance([9; 16])), mismatch("instance"));
        assert_eq!(check(&|t| t.fix = FixId([9; 16])), mismatch("fix"));
        assert_eq!(check(&|t| t.binding = Digest([9; 32])), mismatch("connection"));
        assert_eq!(check(&|t| t.serial = 6), mismatch("serial"));
        assert_eq!(check(&|t| t.nonces = Digest([9; 32])), mismatch("nonces"));
        assert_eq!(check(&|t| t.asked -= 1), mismatch("nonces"));
        assert_eq!(check(&|t| t.incarnation = Incarnation(4)), Err(TranscriptError::WrongCluster));
        let bounds = |what| Err(TranscriptError::Bounds(what));
        assert_eq!(check(&|t| t.rtt_min_ns = 0), bounds("delay"));
        assert_eq!(check(&|t| t.ended = NOW.plus_ms(30_001)), bounds("time"));
        let shifted = |t: &mut Transcript| {
            t.started = NOW.plus_ms(30_000);
            t.ended = t.started;
        };
        assert_eq!(check(&shifted), bounds("time"), "an hour that is another one's");
    }

    #[test]
    fn a_lost_nonce_leaves_what_the_others_say() {
        let world = World::new();
        let (answers, tally) = exchange(&[3]);
        let good = world.transcript(&answers, tally);
        assert_eq!(answers.check(&good, world.due(), NOW), Ok(()));
        let boast = Transcript { answered: good.answered + 1, ..good };
        assert_eq!(
            answers.check(&boast, world.due(), NOW),
            Err(TranscriptError::Bounds("number of answers"))
        );
    }

    #[test]
    fn a_round_has_one_question() {
        let mut answers = Answers::new(RangingKey::new([7; 32]));
        let first = answers.reply(63, nonce(1));
        assert!(first.is_some());
        assert_eq!(answers.reply(63, nonce(1)), first);
        assert_eq!(answers.reply(63, nonce(2)), None);
        assert_eq!(answers.reply(64, nonce(1)), None);
        assert_eq!(answers.reply(u32::MAX, nonce(1)), None);
        assert_eq!(answers.answered(), 1);
    }
}
