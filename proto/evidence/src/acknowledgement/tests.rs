//! Which acknowledgements hold for which renewals, and the bytes of both.

use super::*;
use crate::bundle::Endorser;
use proptest::prelude::*;

fn key(n: u8) -> SigningKey {
    SigningKey::from_seed(&[n; 32])
}

fn bundle() -> EndorserBundle {
    let endorser = |(operator, n): (&str, u8)| Endorser {
        operator: operator.parse().unwrap(),
        member: MemberId(u64::from(n)),
        public_key: key(n).public(),
    };
    EndorserBundle {
        cluster: ClusterId([1; 16]),
        incarnation: Incarnation(1),
        version: 1,
        terms: Digest([0; 32]),
        k: 2,
        endorsers: [("a", 1), ("b", 2)].map(endorser).to_vec(),
        operators: Vec::new(),
    }
}

fn counted() -> Counted {
    Counted {
        cluster: ClusterId([1; 16]),
        incarnation: Incarnation(1),
        member: MemberId(2),
        term: 7,
        revision: Revision(900),
    }
}

fn renewal(n: u64) -> Renewal {
    let node = format!("tokyo-1/n-{n:05}").parse().unwrap();
    Renewal { node, session: SessionId([9; 16]), sequence: n }
}

fn asked() -> Asked {
    Asked {
        cluster: ClusterId([1; 16]),
        incarnation: Incarnation(1),
        renewal: renewal(3),
        heard: Revision(900),
    }
}

#[test]
fn one_signature_acknowledges_each_renewal_of_a_batch_and_no_other() {
    for n in [1, 2, 3, 100, 1000] {
        let renewals: Vec<_> = (0..n).map(renewal).collect();
        let all = acknowledge(counted(), &renewals, &key(2)).unwrap();
        assert_eq!(all.len(), renewals.len());
        for (acknowledgement, renewal) in all.iter().zip(&renewals) {
            let bundle = bundle();
            let operator = acknowledgement.verify(&bundle, renewal).unwrap();
            assert_eq!(operator.as_str(), "b");
            assert!(acknowledgement.bytes().unwrap().len() <= ACKNOWLEDGEMENT_MAX);
            let other = |change: &dyn Fn(&mut Renewal)| {
                let mut other = renewal.clone();
                change(&mut other);
                acknowledgement.verify(&bundle, &other).unwrap_err()
            };
            let elsewhere = AcknowledgementError::Elsewhere(MerkleError::BadProof);
            assert_eq!(other(&|r| r.node = "tokyo-1/n-99999".parse().unwrap()), elsewhere);
            assert_eq!(other(&|r| r.session = SessionId([8; 16])), elsewhere);
            assert_eq!(other(&|r| r.sequence += 5000), elsewhere);
        }
    }
    assert_eq!(acknowledge(counted(), &[], &key(2)), Ok(vec![]));
}

#[test]
fn who_signs_must_be_whom_it_names_in_this_life_of_this_federation() {
    let renewals = [renewal(1), renewal(2)];
    let by = |counted: Counted, n: u8| {
        let all = acknowledge(counted, &renewals, &key(n)).unwrap();
        all[1].verify(&bundle(), &renewals[1]).map(|_operator| ()).unwrap_err()
    };
    let bad = AcknowledgementError::Signature(BadSignature);
    assert_eq!(by(counted(), 1), bad, "another member's key");
    assert_eq!(by(counted(), 9), bad, "nobody's key");
    let stranger = Counted { member: MemberId(9), ..counted() };
    assert_eq!(by(stranger, 9), AcknowledgementError::Stranger(MemberId(9)));
    for wrong in [
        Counted { cluster: ClusterId([2; 16]), ..counted() },
        Counted { incarnation: Incarnation(2), ..counted() },
    ] {
        assert_eq!(by(wrong, 2), AcknowledgementError::WrongCluster);
    }
    // A checkpoint, or any other thing that a member signs, is none: the purpose is under the signature.
    let mut all = acknowledge(counted(), &renewals, &key(2)).unwrap();
    let statement = encode(&all[0].statement).unwrap();
    all[0].signature = key(2).sign(Purpose::Renewal, &statement);
    assert_eq!(all[0].verify(&bundle(), &renewals[0]), Err(bad));
}

#[test]
fn a_batch_is_bounded_on_both_sides() {
    let renewals: Vec<_> = (0..=u64::try_from(BATCH_MAX).unwrap()).map(renewal).collect();
    let all = acknowledge(counted(), &renewals, &key(2)).unwrap();
    assert_eq!(all.len(), BATCH_MAX);
    let last = all.last().unwrap();
    assert_eq!(last.path.len(), PATH_MAX);
    assert!(last.bytes().unwrap().len() <= ACKNOWLEDGEMENT_MAX);
    let mut wide = last.clone();
    wide.statement.size += 1;
    let size = wide.statement.size;
    let bundle = bundle();
    last.verify(&bundle, &renewals[BATCH_MAX - 1]).unwrap();
    let refused = wide.verify(&bundle, &renewals[BATCH_MAX - 1]);
    assert_eq!(refused, Err(AcknowledgementError::Batch(size)));
}

#[test]
fn a_carried_renewal_is_its_agents_own() {
    let signed = asked().sign(&key(5)).unwrap();
    let bytes = signed.bytes().unwrap();
    let read = SignedRenewal::parse(&bytes).unwrap();
    assert_eq!(read.verify(&bundle(), &key(5).public()), Ok(&asked()));
    let bad = Err(AcknowledgementError::Signature(BadSignature));
    assert_eq!(read.verify(&bundle(), &key(6).public()), bad);
    let mut newer = read.clone();
    newer.asked.heard = Revision(901);
    assert_eq!(newer.verify(&bundle(), &key(5).public()), bad);
    let elsewhere = EndorserBundle { incarnation: Incarnation(2), ..bundle() };
    let refused = read.verify(&elsewhere, &key(5).public());
    assert_eq!(refused, Err(AcknowledgementError::WrongCluster));
    let long = "n".repeat(63);
    let node = format!("{long}/{long}").parse().unwrap();
    let renewal = Renewal { node, session: SessionId([9; 16]), sequence: u64::MAX };
    let largest =
        Asked { incarnation: Incarnation(u64::MAX), heard: Revision(u64::MAX), renewal, ..asked() };
    assert!(largest.sign(&key(5)).unwrap().bytes().unwrap().len() <= RENEWAL_MAX);
}

#[test]
fn every_flipped_bit_is_refused() {
    let renewals: Vec<_> = (0..5).map(renewal).collect();
    let good = acknowledge(counted(), &renewals, &key(2)).unwrap()[3].bytes().unwrap();
    let signed = asked().sign(&key(5)).unwrap().bytes().unwrap();
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let read = Acknowledgement::parse(&bytes);
        assert!(read.is_err() || read.unwrap().verify(&bundle(), &renewals[3]).is_err(), "{bit}");
    }
    for bit in 0..signed.len() * 8 {
        let mut bytes = signed.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let read = SignedRenewal::parse(&bytes);
        let holds = |read: SignedRenewal| read.verify(&bundle(), &key(5).public()).is_ok();
        assert!(!read.is_ok_and(holds), "{bit}");
    }
    let more = [good.as_slice(), &[0]].concat();
    assert!(matches!(Acknowledgement::parse(&more), Err(AcknowledgementError::Form(_))));
    let vast = vec![0; ACKNOWLEDGEMENT_MAX + 1];
    assert_eq!(Acknowledgement::parse(&vast), Err(AcknowledgementError::TooLarge(769)));
    let vast = vec![0; RENEWAL_MAX + 1];
    assert_eq!(SignedRenewal::parse(&vast), Err(AcknowledgementError::TooLarge(385)));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..800)) {
        if let Ok(read) = Acknowledgement::parse(&bytes) {
            prop_assert!(read.verify(&bundle(), &renewal(1)).is_err());
        }
        if let Ok(read) = SignedRenewal::parse(&bytes) {
            prop_assert!(read.verify(&bundle(), &key(5).public()).is_err());
        }
    }
}

/// Agents of one version hear members of another.
#[test]
fn golden_bytes_of_version_1() {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let renewals = [renewal(1), renewal(2), renewal(3)];
    let all = acknowledge(counted(), &renewals, &key(2)).unwrap();
    let bytes = hex(&all[2].bytes().unwrap());
    assert_eq!(
        Digest::of(bytes.as_bytes()).to_string(),
        "cde97d0f441a42294d73961bfa01831ac33e79c9652fb7c14b006d550cdec7c8",
        "{bytes}"
    );
    let bytes = hex(&asked().sign(&key(5)).unwrap().bytes().unwrap());
    assert_eq!(
        Digest::of(bytes.as_bytes()).to_string(),
        "61c366dd133644905a01777110b088a8330accf8bb349ebe8d26b2602ba49cd2",
        "{bytes}"
    );
}
