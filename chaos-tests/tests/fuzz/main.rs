//! Hostile bytes: every decoder that meets what strangers, partners, agents, members or files may send.
//!
//! Must hold: none panics, loops or takes memory that its input does not pay for; what has one canonical form and is read
//! comes out as the same bytes again, so that no two byte strings are one signed thing; and each reads at least one sample of
//! ours, so that its mutants get past the first check.
//!
//! Three ways in the tests: samples made today by the code itself, with every byte flipped and every length cut, and blocks
//! moved about by a fixed seed; random bytes; and the files beside this one, `__fuzz__/NAME/corpus` (what a coverage-guided
//! run of `cargo bolero` found) and `__fuzz__/NAME/crashes` (what once went wrong). `make fuzz` is the long form: as many
//! times the mutants and random bytes as [`ROUNDS`] says, by the seed in [`SEED`].
#![expect(unexpected_cfgs, reason = "the coverage-guided run sets `fuzzing`; no crate declares it")]
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests: a broken set-up should fail loudly"
)]

mod charge;
mod evidence;
mod request;
mod sample;
mod scheduler;
mod text;

use std::panic::{RefUnwindSafe, UnwindSafe};

/// Bytes of a random input at most: longer ones are repetitions of what a decoder refuses at its bound, and the samples.
const RANDOM_MAX: usize = 2048;
/// Random inputs for each decoder: they rarely pass the first check, the mutants do.
const RANDOM: usize = 300;
/// Mutants of each sample at most, beside the flips.
const MUTANTS: u64 = 300;
/// Bytes of a sample that are flipped one by one at most; of a longer one, evenly spread ones.
const FLIPS: usize = 600;
/// Names the variable that multiplies [`MUTANTS`] and [`RANDOM`]; 1 without it.
const ROUNDS: &str = "SEKISHO_FUZZ_ROUNDS";
/// Names the variable with the seed of the mutants; without it, they are the same ones each time.
const SEED: &str = "SEKISHO_FUZZ_SEED";

/// A number that a variable gives.
fn told(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

/// Times the short form.
pub(crate) fn rounds() -> u64 {
    told(ROUNDS, 1)
}

/// What reading some bytes came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// They are no such thing.
    Refused,
    /// They are, and this is its canonical form.
    Canonical(Vec<u8>),
    /// They are one of several forms of it.
    Accepted,
}

impl Read {
    /// Of something that has other forms too, or none to give back.
    pub(crate) fn any<T, E>(result: Result<T, E>) -> Self {
        if result.is_ok() { Self::Accepted } else { Self::Refused }
    }
}

/// A decoder and what it must read.
pub(crate) trait Decoder: Fn(&[u8]) -> Read + Copy + UnwindSafe + RefUnwindSafe {}
impl<F: Fn(&[u8]) -> Read + Copy + UnwindSafe + RefUnwindSafe> Decoder for F {}

fn check(decode: impl Decoder, bytes: &[u8]) -> bool {
    match decode(bytes) {
        Read::Refused => false,
        Read::Accepted => true,
        Read::Canonical(again) => {
            assert_eq!(again, bytes, "read, and written otherwise");
            true
        }
    }
}

/// A small generator with a fixed seed (xorshift64*): a failing mutant comes again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let x = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(x).unwrap() % n.max(1)
    }
}

/// Samples and their mutants.
pub(crate) fn mutate(decode: impl Decoder, samples: &[Vec<u8>]) {
    assert!(!samples.is_empty());
    for (number, sample) in samples.iter().enumerate() {
        assert!(check(decode, sample), "sample {number} is not read");
        let step = sample.len().div_ceil(FLIPS).max(1);
        for at in (0..sample.len()).step_by(step) {
            for bit in [0x01, 0x80, 0xff] {
                let mut mutant = sample.clone();
                mutant[at] ^= bit;
                check(decode, &mutant);
            }
            check(decode, &sample[..at]);
        }
        let seed = told(SEED, 0x9e37_79b9_7f4a_7c15);
        // Nought would stay nought.
        let mut dice = Dice((seed ^ u64::try_from(number).unwrap()).max(1));
        for _ in 0..MUTANTS * rounds() {
            check(decode, &shuffled(sample, &samples[dice.below(samples.len())], &mut dice));
        }
    }
}

/// A sample with a block of another or of its own put in, left out, doubled, or made long varints of.
fn shuffled(sample: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut mutant = sample.to_vec();
    for _ in 0..=dice.below(3) {
        let at = dice.below(mutant.len() + 1);
        let length = dice.below(64).min(mutant.len() - at);
        match dice.below(5) {
            0 => drop(mutant.drain(at..at + length)),
            1 => {
                let from = dice.below(other.len() + 1);
                let block = other[from..(from + length).min(other.len())].to_vec();
                drop(mutant.splice(at..at, block));
            }
            2 => {
                let block = mutant[at..at + length].to_vec();
                drop(mutant.splice(at..at, block));
            }
            3 => mutant[at..at + length].fill(0xff),
            _ => drop(mutant.splice(at..at, [0xff, 0xff, 0xff, 0xff, 0x0f])),
        }
    }
    mutant
}

/// One test for each decoder. Under a coverage-guided run only that runs.
macro_rules! decoders {
    ($($(#[$doc:meta])* $name:ident: $samples:expr, $decode:expr;)+) => {$(
        $(#[$doc])*
        #[test]
        fn $name() {
            let decode = $decode;
            if cfg!(not(fuzzing)) {
                $crate::mutate(decode, &$samples);
            }
            bolero::check!()
                .with_iterations($crate::RANDOM * usize::try_from($crate::rounds()).unwrap())
                .with_max_len($crate::RANDOM_MAX)
                .for_each(move |bytes: &[u8]| {
                    let _judged = $crate::check(decode, bytes);
                });
        }
    )+};
}
pub(crate) use decoders;
