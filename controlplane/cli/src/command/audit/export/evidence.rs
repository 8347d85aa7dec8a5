//! What one member keeps as evidence of a fork, and how much of it goes into a bundle.
//!
//! Must hold: no member crowds out what another one shows. What verifies under the keys of today comes first; what does not may
//! be of keys that were replaced since, and comes as far as there is room.

use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::canonical::decode;
use sekisho_evidence::fork::KeptFork;

/// Of one member.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Evidence {
    /// Bytes of each piece that is taken.
    pub(super) pieces: Vec<Vec<u8>>,
    /// Readable ones for which there was no room.
    pub(super) left_out: usize,
    /// Why one cannot be read, if one cannot: then nobody knows what it would have shown.
    pub(super) unreadable: Option<String>,
}

/// Chooses at most `room` of what a member told. `known` is there already.
pub(super) fn choose<B: AsRef<[u8]>>(
    bundle: &EndorserBundle,
    told: &[B],
    known: &[Vec<u8>],
    room: usize,
) -> Evidence {
    let (mut verified, mut other, mut unreadable) = (Vec::new(), Vec::new(), None);
    for bytes in told {
        let kept = decode::<KeptFork>(bytes.as_ref()).map_err(|error| error.to_string());
        let read = kept.and_then(|kept| {
            let bytes = kept.fork.bytes().map_err(|error| error.to_string())?;
            Ok((kept.fork.judge(bundle).is_ok(), bytes))
        });
        match read {
            Ok((stands, bytes)) => {
                let pieces = if stands { &mut verified } else { &mut other };
                if !known.contains(&bytes) && !pieces.contains(&bytes) {
                    pieces.push(bytes);
                }
            }
            Err(why) => unreadable = Some(why),
        }
    }
    let mut pieces = verified;
    pieces.append(&mut other);
    let left_out = pieces.len().saturating_sub(room);
    pieces.truncate(room);
    Evidence { pieces, left_out, unreadable }
}

#[cfg(test)]
pub(in crate::command::audit) mod tests {
    use super::*;
    use sekisho_evidence::canonical::encode;
    use sekisho_evidence::checkpoint::{Checkpoint, assemble};
    use sekisho_evidence::fork::Fork;
    use sekisho_evidence::merkle::Head;
    use sekisho_fsm::testing::{checkpoint_key, cluster, genesis};
    use sekisho_types::id::{Digest, MemberId};
    use sekisho_types::revision::{Incarnation, Revision};
    use sekisho_types::time::Timestamp;

    fn kept(first: Vec<u8>, second: Vec<u8>) -> Vec<u8> {
        let fork = Fork { first, second, extended: None };
        let key = checkpoint_key(MemberId(2)).public();
        let (at, accused) = (Timestamp(1), MemberId(2));
        encode(&KeptFork { at, accused, key, bundle: 1, fork }).unwrap()
    }

    /// What member 2 signed twice.
    pub(in crate::command::audit) fn lie() -> Vec<u8> {
        let note = |root: u8| {
            let checkpoint = Checkpoint {
                cluster: cluster(),
                incarnation: Incarnation(1),
                head: Head { size: 5, root: Digest([root; 32]) },
                revision: Revision(9),
                time: Timestamp(9),
            };
            let (operator, member) = ("kanto".parse().unwrap(), MemberId(2));
            let line = checkpoint.sign(&operator, member, &checkpoint_key(member)).unwrap();
            assemble(&checkpoint.text().unwrap(), &[line])
        };
        kept(note(1), note(2))
    }

    #[test]
    fn junk_of_one_member_takes_no_room_from_what_verifies() {
        let bundle = genesis().genesis.bundle;
        let mut told: Vec<Vec<u8>> = (0..100).map(|n| kept(vec![n], vec![n])).collect();
        told.push(lie());
        told.push(lie());
        let of = |bytes: &[u8]| decode::<KeptFork>(bytes).unwrap().fork.bytes().unwrap();
        let chosen = choose(&bundle, &told, &[], 3);
        assert_eq!(chosen.pieces.len(), 3);
        assert_eq!(chosen.pieces[0], of(&lie()));
        assert_eq!((chosen.left_out, chosen.unreadable), (98, None));
        // Another member has shown it.
        let again = choose(&bundle, &[lie()], &[of(&lie())], 3);
        assert_eq!(again, Evidence::default());
        let broken = choose(&bundle, &[b"?".to_vec(), lie()], &[], 3);
        assert_eq!((broken.pieces.len(), broken.unreadable.is_some()), (1, true));
    }
}
