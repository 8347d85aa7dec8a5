//! One signature and many get one answer, at the edges of the curve too.

use super::super::{SigningKey, verify};
use super::*;
use proptest::prelude::{Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};

const MESSAGE: &[u8] = b"edge";

fn hex<const N: usize>(text: &str) -> [u8; N] {
    let mut digits = text.as_bytes().chunks(2).map(|two| std::str::from_utf8(two).unwrap());
    std::array::from_fn(|_| u8::from_str_radix(digits.next().unwrap(), 16).unwrap())
}

const KEY: &str = "c8f4cfd7ec9c81e16c77144a4d1ce0dca0339661df313cceb9203113468fb608";
/// The same key with a point of order 8 added.
const MIXED_KEY: &str = "5e3c61e750df5f4b2c2d91c167ef3f6c5636c71b5cdc5e117920f6b9c33d9780";

/// Key, point and number of signatures under [`MESSAGE`] that only the holder of the key can make, and on which
/// libraries differ: the strict check refuses all of them, and batch and single check of a library without ZIP 215
/// need not agree on any.
const EDGES: [(&str, &str, &str); 4] = [
    // The point is of small order.
    (
        KEY,
        "0000000000000000000000000000000000000000000000000000000000000000",
        "18c106c2bb5d213f90afdaef0f35129aa82bd7af9ae425521418da54a62f8106",
    ),
    // The same, written in another way.
    (
        KEY,
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "e99310906d0757d2d16de4aaa8bd060b4cc993de730cc15357d4e274184e9f01",
    ),
    // The point has a part of small order.
    (
        KEY,
        "c57077b154392b0b71e903bd8831bf29222550dad8280c56d2b0cc32ee16ee1f",
        "c1dca2057d6a9bab0c15805e951e8fb8bef8b9dd7928a6384373b32b9c23ae05",
    ),
    // The key has one.
    (
        MIXED_KEY,
        "4e2d5e5f22c631c518b5788308749f25283adc389d39c8e9263933c708796a6d",
        "d82b1857b128cf5d22878baf83943b0c1da6a4e2febede1b069018fa2ec5b003",
    ),
];

fn edge(index: usize) -> (PublicKey, Signature) {
    let (key, point, number) = EDGES[index];
    let (point, number) = (hex::<32>(point), hex::<32>(number));
    let signature = [point, number].concat().try_into().unwrap();
    (PublicKey(hex(key)), Signature(signature))
}

fn batch(of: &[(PublicKey, Signature)]) -> Batch {
    let mut batch = Batch::default();
    for (key, signature) in of {
        batch.add(key, Purpose::Command, MESSAGE, signature);
    }
    assert_eq!((batch.len(), batch.is_empty()), (of.len(), of.is_empty()));
    batch
}

/// One signature: of some key, honest or not.
fn one() -> impl Strategy<Value = (PublicKey, Signature)> {
    let honest = (0..4_u8).prop_map(|seed| {
        let key = SigningKey::from_seed(&[seed; 32]);
        (key.public(), key.sign(Purpose::Command, MESSAGE))
    });
    let edge = (0..EDGES.len()).prop_map(edge);
    let flipped = (0..4_u8, 0..512_usize).prop_map(|(seed, bit)| {
        let key = SigningKey::from_seed(&[seed; 32]);
        let mut signature = key.sign(Purpose::Command, MESSAGE);
        signature.0[bit / 8] ^= 1 << (bit % 8);
        (key.public(), signature)
    });
    let weak = (0..7_usize, any::<bool>()).prop_map(|(index, sign)| {
        let mut key = super::super::SMALL_ORDER[index];
        key[31] |= u8::from(sign) << 7;
        (PublicKey(key), Signature([0; 64]))
    });
    prop_oneof![20 => honest, 4 => edge, 1 => flipped, 1 => weak]
}

proptest! {
    #[test]
    fn a_batch_is_good_if_and_only_if_each_of_it_is(all in prop::collection::vec(one(), 0..12)) {
        let each = all.iter().all(|(key, s)| verify(key, Purpose::Command, MESSAGE, s).is_ok());
        prop_assert_eq!(batch(&all).verify().is_ok(), each);
    }
}

#[test]
fn what_libraries_differ_on_is_good_here_alone_and_in_a_batch() {
    for index in 0..EDGES.len() {
        let (key, signature) = edge(index);
        assert_eq!(verify(&key, Purpose::Command, MESSAGE, &signature), Ok(()), "{index}");
        assert_eq!(batch(&[edge(index), edge(index)]).verify(), Ok(()), "{index}");
        // What makes them a choice of rules: the other library's strict check refuses them.
        let strict = ed25519_dalek::VerifyingKey::from_bytes(&key.0).unwrap();
        let parsed = ed25519_dalek::Signature::from_bytes(&signature.0);
        let said = strict.verify_strict(&statement(Purpose::Command, MESSAGE), &parsed);
        assert!(said.is_err(), "{index}");
    }
}

/// With equal weights these two would cancel: what one has too much the other has too little.
#[test]
fn two_bad_signatures_do_not_make_up_for_each_other() {
    let key = SigningKey::from_seed(&[7; 32]);
    let good = key.sign(Purpose::Command, MESSAGE);
    let (mut more, mut less) = (good, good);
    // The number is little endian and ends here with a byte that neither carries nor borrows.
    let at = (32..63).find(|at| (1..255).contains(&good.0[*at])).unwrap();
    more.0[at] += 1;
    less.0[at] -= 1;
    let both = |a, b| batch(&[(key.public(), a), (key.public(), b)]).verify();
    assert_eq!(both(more, less), Err(BadSignature));
    assert_eq!(both(good, good), Ok(()));
}

/// The weights come from everything in the batch, in its order, and no two of them are alike.
#[test]
fn the_weights_change_with_every_byte_of_the_batch() {
    let seed = |of: &[(PublicKey, Signature)]| batch(of).transcript.finalize();
    let [a, b] = [edge(0), edge(2)];
    let seeds = [seed(&[a, b]), seed(&[b, a]), seed(&[a]), seed(&[a, a])];
    let mut other = a;
    other.1.0[63] ^= 1;
    assert!(!seeds.contains(&seed(&[other, b])));
    for (i, one) in seeds.iter().enumerate() {
        assert!(!seeds[..i].contains(one));
    }
    let mut weights = Weights::new([1; 32]);
    let drawn: Vec<[u8; 16]> = (0..64)
        .map(|_| {
            let mut weight = [0; 16];
            RngCore::fill_bytes(&mut weights, &mut weight);
            weight
        })
        .collect();
    for (i, one) in drawn.iter().enumerate() {
        assert!(!drawn[..i].contains(one), "weight {i}");
    }
}
