//! Gathers the signatures of several members under one text (design section 6, step 9).
//!
//! Must hold: lines of different members count together only under the byte-identical checkpoint text; each line is
//! verified by itself as it comes, so that a liar's line cannot spoil the others'; a member can crowd out nobody's
//! texts but its own (L4). What a member says the set holds is tried on its own merits: records prove themselves.

use crate::desired::{Consistency, Delivery, SignedSet};
use crate::limit::TEXTS_PER_MEMBER;
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::checkpoint::{Checkpoint, SignatureLine, assemble, verify_note};
use sekisho_types::id::{MemberId, OperatorId};
use std::collections::{BTreeMap, BTreeSet};

/// What one member delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Text of its checkpoint.
    pub text: String,
    /// Its signature line.
    pub line: SignatureLine,
    /// The set.
    pub delivery: Delivery,
    /// From a head of the agent's to this checkpoint.
    pub consistency: Consistency,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gathered {
    /// Not enough operators yet.
    Waiting,
    /// The line is not this member's under this text.
    BadLine,
    /// Enough operators, but no proof from the stored head: the members have to hear of it.
    NeedsProof,
    /// To be judged, the likeliest first: the same text and lines, each member's word for the set.
    Ready(Vec<SignedSet>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Voice {
    operator: OperatorId,
    line: SignatureLine,
    delivery: Delivery,
    consistency: Consistency,
    arrived: u64,
}

/// Texts that gather signatures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assembly {
    texts: BTreeMap<String, BTreeMap<MemberId, Voice>>,
    arrivals: u64,
}

impl Assembly {
    /// Takes a delivery of `member`. `head_size` is the size of the stored head.
    pub fn offer(
        &mut self,
        bundle: &EndorserBundle,
        head_size: u64,
        member: MemberId,
        delivered: Delivered,
    ) -> Gathered {
        let Some(operator) = signer(bundle, member, &delivered.text, &delivered.line) else {
            return Gathered::BadLine;
        };
        let text = delivered.text.clone();
        self.arrivals = self.arrivals.saturating_add(1);
        let voice = Voice {
            operator,
            line: delivered.line,
            delivery: delivered.delivery,
            consistency: delivered.consistency,
            arrived: self.arrivals,
        };
        self.texts.entry(text.clone()).or_default().insert(member, voice);
        self.bound(member);
        self.gathered(bundle, head_size, &text)
    }

    fn gathered(&self, bundle: &EndorserBundle, head_size: u64, text: &str) -> Gathered {
        let Some(voices) = self.texts.get(text) else { return Gathered::Waiting };
        let operators: BTreeSet<&OperatorId> = voices.values().map(|v| &v.operator).collect();
        if u32::try_from(operators.len()).unwrap_or(u32::MAX) < bundle.k {
            return Gathered::Waiting;
        }
        let lines: Vec<SignatureLine> = voices.values().map(|voice| voice.line.clone()).collect();
        let consistency = voices
            .values()
            .map(|voice| &voice.consistency)
            .find(|given| given.from_size == head_size);
        let trivial = head_size == 0
            || Checkpoint::parse(text).is_ok_and(|parsed| parsed.head.size <= head_size);
        if consistency.is_none() && !trivial {
            return Gathered::NeedsProof;
        }
        let mut sets: Vec<SignedSet> = Vec::new();
        for voice in voices.values() {
            if sets.iter().all(|set| set.delivery != voice.delivery) {
                sets.push(SignedSet {
                    text: text.to_owned(),
                    lines: lines.clone(),
                    delivery: voice.delivery.clone(),
                    consistency: consistency.cloned(),
                });
            }
        }
        Gathered::Ready(sets)
    }

    /// A member's oldest text makes room for its newest.
    fn bound(&mut self, member: MemberId) {
        loop {
            let mut mine: Vec<(u64, String)> = self
                .texts
                .iter()
                .filter_map(|(text, voices)| Some((voices.get(&member)?.arrived, text.clone())))
                .collect();
            if mine.len() <= TEXTS_PER_MEMBER {
                return;
            }
            mine.sort();
            for (_, text) in mine.into_iter().take(1) {
                self.drop_voice(&text, member);
            }
        }
    }

    fn drop_voice(&mut self, text: &str, member: MemberId) {
        if let Some(voices) = self.texts.get_mut(text) {
            voices.remove(&member);
            if voices.is_empty() {
                self.texts.remove(text);
            }
        }
    }

    /// Forgets a text that was judged.
    pub fn forget(&mut self, text: &str) {
        self.texts.remove(text);
    }

    /// Texts in hand.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether nothing is in hand.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

/// The operator whose member signed the text with this line, if it did.
fn signer(
    bundle: &EndorserBundle,
    member: MemberId,
    text: &str,
    line: &SignatureLine,
) -> Option<OperatorId> {
    let endorser = bundle.endorsers.iter().find(|endorser| endorser.member == member)?;
    let alone = EndorserBundle { k: 1, endorsers: vec![endorser.clone()], ..bundle.clone() };
    let note = assemble(text, std::slice::from_ref(line));
    verify_note(&alone, &note).ok().map(|_verified| endorser.operator.clone())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::arithmetic_side_effects, reason = "test values are small")]
    use super::*;
    use crate::fixture::Federation;

    fn deliver(federation: &Federation, revision: u64) -> impl Fn(u64) -> Delivered {
        let mut history = federation.history();
        let set = history.desire(revision, &[federation.grant(revision, 0)]);
        let (text, lines) = history.sign(revision, &[1, 2, 3]);
        let delivery = history.deliver(&set);
        move |member| Delivered {
            text: text.clone(),
            line: lines[usize::try_from(member).unwrap() - 1].clone(),
            delivery: delivery.clone(),
            consistency: Consistency { from_size: 0, proof: vec![] },
        }
    }

    #[test]
    fn operators_count_together_under_one_text_only() {
        let federation = Federation::new();
        let bundle = federation.bundle();
        let (ten, eleven) = (deliver(&federation, 10), deliver(&federation, 11));
        let mut assembly = Assembly::default();
        let mut offer = |member, delivered| assembly.offer(&bundle, 0, MemberId(member), delivered);
        assert_eq!(offer(1, ten(1)), Gathered::Waiting);
        assert_eq!(offer(1, ten(1)), Gathered::Waiting, "the same member again");
        assert_eq!(offer(2, eleven(2)), Gathered::Waiting, "another text");
        let Gathered::Ready(sets) = offer(3, ten(3)) else { panic!("two operators") };
        assert_eq!((sets.len(), sets[0].lines.len()), (1, 2));
        assembly.forget(&ten(1).text);
        assert_eq!(assembly.len(), 1);
    }

    #[test]
    fn a_line_of_another_member_or_text_is_bad() {
        let federation = Federation::new();
        let bundle = federation.bundle();
        let (ten, eleven) = (deliver(&federation, 10), deliver(&federation, 11));
        let mut assembly = Assembly::default();
        assert_eq!(assembly.offer(&bundle, 0, MemberId(1), ten(2)), Gathered::BadLine);
        assert_eq!(assembly.offer(&bundle, 0, MemberId(9), ten(1)), Gathered::BadLine);
        let moved = Delivered { line: eleven(1).line, ..ten(1) };
        assert_eq!(assembly.offer(&bundle, 0, MemberId(1), moved), Gathered::BadLine);
        assert!(assembly.is_empty());
    }

    #[test]
    fn a_lying_set_stands_beside_the_honest_one() {
        let federation = Federation::new();
        let bundle = federation.bundle();
        let ten = deliver(&federation, 10);
        let mut lie = ten(1);
        lie.delivery.grants.clear();
        let mut assembly = Assembly::default();
        assembly.offer(&bundle, 0, MemberId(1), lie.clone());
        let Gathered::Ready(sets) = assembly.offer(&bundle, 0, MemberId(2), ten(2)) else {
            panic!("two operators")
        };
        let deliveries: Vec<_> = sets.into_iter().map(|set| set.delivery).collect();
        assert_eq!(deliveries, [lie.delivery, ten(2).delivery]);
    }

    #[test]
    fn a_proof_from_the_stored_head_is_asked_for() {
        let federation = Federation::new();
        let bundle = federation.bundle();
        let ten = deliver(&federation, 10);
        let mut assembly = Assembly::default();
        assembly.offer(&bundle, 1, MemberId(1), ten(1));
        assert_eq!(assembly.offer(&bundle, 1, MemberId(2), ten(2)), Gathered::NeedsProof);
        let proof = Consistency { from_size: 1, proof: vec![] };
        let with = Delivered { consistency: proof.clone(), ..ten(2) };
        let Gathered::Ready(sets) = assembly.offer(&bundle, 1, MemberId(2), with) else {
            panic!("with proof")
        };
        assert_eq!(sets[0].consistency, Some(proof));
    }

    #[test]
    fn a_member_crowds_out_only_itself() {
        let federation = Federation::new();
        let bundle = federation.bundle();
        let mut assembly = Assembly::default();
        assembly.offer(&bundle, 0, MemberId(1), deliver(&federation, 10)(1));
        for revision in 11..20 {
            assembly.offer(&bundle, 0, MemberId(2), deliver(&federation, revision)(2));
        }
        assert_eq!(assembly.len(), 1 + TEXTS_PER_MEMBER);
        let third = assembly.offer(&bundle, 0, MemberId(3), deliver(&federation, 10)(3));
        assert!(matches!(third, Gathered::Ready(_)));
    }
}
