//! Membership as the state wants it: who may be taken in, who may vote, who may leave (R5).

use super::*;
use crate::event::Event;
use crate::state::Standing;
use crate::testing::{endorser, newcomer};
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::genesis::GenesisMember;
use sekisho_evidence::terms::Terms;
use sekisho_types::id::MemberId;

fn set_voter(id: u64, voter: bool) -> Command {
    Command::SetVoter { member: MemberId(id), voter, accept_quorum_in_one_hand: false }
}

fn accepting(id: u64, voter: bool) -> Command {
    Command::SetVoter { member: MemberId(id), voter, accept_quorum_in_one_hand: true }
}

fn accept(f: &mut Federation, command: Command) -> Applied {
    let applied = f.accept(admin("kanto"), command);
    assert_eq!(invariant::check(&f.state), Ok(()));
    applied
}

fn standing(f: &Federation, id: u64) -> Option<Standing> {
    f.state.federation().unwrap().standing(MemberId(id))
}

#[test]
fn a_newcomer_learns_then_votes_and_its_id_is_gone_with_it() {
    let mut f = Federation::new();
    let add = f.newcomer(4, "kanto");
    let applied = accept(&mut f, add.clone());
    // Whose signatures count has changed: every voter says so.
    assert!(applied.checkpoint.is_some());
    assert_eq!(applied.events, [Event::Trust, Event::Member(MemberId(4))]);
    let federation = f.state.federation().unwrap();
    assert_eq!((federation.bundle.version, federation.bundle.endorsers.len()), (2, 4));
    assert_eq!(standing(&f, 4), Some(Standing::Learner));
    assert_eq!(federation.voters(), [1, 2, 3].map(MemberId).into());
    // Two of four: kanto can stop the quorum, and holds none.
    accept(&mut f, set_voter(4, true));
    assert_eq!(standing(&f, 4), Some(Standing::Voter));
    let again = accept(&mut f, set_voter(4, true));
    assert!(again.events.is_empty(), "nothing changed");
    // kanto's first member died: it is replaced by the fourth.
    let remove = f.leaver(2);
    let applied = accept(&mut f, remove.clone());
    assert!(applied.checkpoint.is_some());
    assert_eq!(standing(&f, 2), Some(Standing::Removed));
    assert!(!f.state.federation().unwrap().members.contains_key(&MemberId(2)));
    // It speaks for nobody any more, and nobody takes its number.
    let tick = f.run(member("kanto"), Command::Tick);
    assert_eq!(code(&tick), Some(ErrorCode::PermissionDenied));
    refused(&mut f, admin("kanto"), remove, ErrorCode::WrongPhase);
    refused(&mut f, admin("kanto"), set_voter(2, true), ErrorCode::WrongPhase);
    let back = f.newcomer(2, "kanto");
    refused(&mut f, admin("kanto"), back, ErrorCode::MemberIdUsed);
    refused(&mut f, admin("kanto"), add, ErrorCode::AlreadyExists);
}

#[test]
fn no_operator_gets_a_quorum_for_itself() {
    let mut f = Federation::new();
    for id in [4, 5] {
        let add = f.newcomer(id, "kanto");
        accept(&mut f, add);
    }
    accept(&mut f, set_voter(4, true));
    let one_hand = ErrorCode::MemberQuorumInOneHand;
    // Three of five; with three operators no flag helps.
    refused(&mut f, admin("kanto"), set_voter(5, true), one_hand);
    refused(&mut f, admin("kanto"), accepting(5, true), one_hand);
    let told = f.run(admin("kanto"), set_voter(5, true)).outcome.unwrap_err().detail;
    assert!(told.starts_with("kanto would have 3 of 5 votes, and 3 decide; promote"), "{told}");
    // Two of three, by another's leaving.
    refused(&mut f, admin("naniwa"), set_voter(3, false), one_hand);
    let remove = f.leaver(3);
    refused(&mut f, admin("hokuto"), remove, one_hand);
    // One for one it goes.
    accept(&mut f, set_voter(4, false));
    accept(&mut f, set_voter(3, false));
    // hokuto and kanto are left to vote: nobody of them alone can be taken out either.
    refused(&mut f, admin("kanto"), set_voter(1, false), one_hand);
}

#[test]
fn two_operators_may_accept_it_and_the_signers_stay() {
    let mut f = Federation::new();
    let gone = f.leaver(1);
    accept(&mut f, gone);
    let add = f.newcomer(4, "kanto");
    accept(&mut f, add);
    let one_hand = ErrorCode::MemberQuorumInOneHand;
    refused(&mut f, admin("kanto"), set_voter(4, true), one_hand);
    accept(&mut f, accepting(4, true));
    // It is in that hand already: what does not change that is free.
    let add = f.newcomer(5, "kanto");
    accept(&mut f, add);
    accept(&mut f, set_voter(5, true));
    // A third operator ends what only two may accept.
    let third = f.newcomer(6, "hokuto");
    refused(&mut f, admin("kanto"), third, one_hand);
    // naniwa's last member signs for it: without it no grant would count.
    accept(&mut f, set_voter(3, false));
    let last = f.leaver(3);
    refused(&mut f, admin("naniwa"), last, ErrorCode::MemberNeeded);
    for id in [4, 5] {
        accept(&mut f, set_voter(id, false));
    }
    refused(&mut f, admin("kanto"), set_voter(2, false), ErrorCode::MemberNeeded);
}

#[test]
fn a_member_stands_in_japan_at_a_site_of_its_operator() {
    let mut f = Federation::new();
    let with = |f: &Federation, change: &dyn Fn(&mut GenesisMember)| {
        let mut member = newcomer(4, "kanto");
        change(&mut member);
        f.taking_in(member, &["hokuto", "kanto"])
    };
    for (bad, expected) in [
        (with(&f, &|m| m.site = "nowhere-1".parse().unwrap()), ErrorCode::NotFound),
        (with(&f, &|m| m.site = "sakai-1".parse().unwrap()), ErrorCode::InvalidArgument),
        (with(&f, &|m| m.address = "127.0.0.1".into()), ErrorCode::InvalidArgument),
        (with(&f, &|m| m.address = ":7004".into()), ErrorCode::InvalidArgument),
        (with(&f, &|m| m.address = "10.0.0.1:0".into()), ErrorCode::InvalidArgument),
        (with(&f, &|m| m.address = "10.0.0.1 :1".into()), ErrorCode::InvalidArgument),
        (with(&f, &|m| m.address = "a".repeat(5000)), ErrorCode::TooLarge),
        (with(&f, &|m| m.address = "127.0.0.1:7001".into()), ErrorCode::AlreadyExists),
        (with(&f, &|m| m.member = MemberId(1)), ErrorCode::AlreadyExists),
    ] {
        refused(&mut f, admin("kanto"), bad, expected);
    }
    let add = with(&f, &|_| {});
    accept(&mut f, add);
    f.accept(admin("kanto"), Command::RevokeSite { site: "tokyo-1".parse().unwrap() });
    // What was added before stays a member, and does not become a voter.
    refused(&mut f, admin("kanto"), set_voter(4, true), ErrorCode::NodeRevoked);
    let another = with(&f, &|m| {
        m.member = MemberId(5);
        m.address = "127.0.0.1:7005".into();
    });
    refused(&mut f, admin("kanto"), another, ErrorCode::NodeRevoked);
}

#[test]
fn the_bundle_follows_the_members_and_needs_two_issuers() {
    let mut f = Federation::new();
    let member = newcomer(4, "kanto");
    let key = endorser(&member);
    let alone = f.taking_in(member.clone(), &["kanto", "kanto"]);
    refused(&mut f, admin("kanto"), alone, ErrorCode::SignaturesMissing);
    let (terms, both) = (Terms::AddMember(member), ["kanto", "naniwa"]);
    let unchanged = f.agreed(terms.clone(), |held, terms| held.without(MemberId(4), terms), &both);
    refused(&mut f, admin("kanto"), unchanged, ErrorCode::BundleMismatch);
    let foreign = |held: &EndorserBundle, terms| {
        let mut next = held.with(key.clone(), terms);
        next.incarnation.0 = 2;
        next
    };
    let foreign = f.agreed(terms, foreign, &both);
    refused(&mut f, admin("kanto"), foreign, ErrorCode::WrongCluster);
    // The issuers have agreed; whoever brings it in has to be an administrator all the same.
    let good = f.newcomer(4, "kanto");
    refused(&mut f, user("kanto", "stranger"), good.clone(), ErrorCode::PermissionDenied);
    let mut unsigned = f.entry(admin("kanto"), &[], good);
    unsigned.signatures.clear();
    assert_eq!(code(&f.apply(unsigned)), Some(ErrorCode::SignaturesMissing));
    let good = f.newcomer(4, "kanto");
    accept(&mut f, good);
    // A removal whose bundle was made before another change.
    let late = f.leaver(4);
    let add = f.newcomer(5, "naniwa");
    accept(&mut f, add);
    refused(&mut f, admin("kanto"), late, ErrorCode::BundleMismatch);
    let address = |id: u64, at: &str| Command::SetMemberAddress {
        member: MemberId(id),
        address: at.to_owned(),
    };
    accept(&mut f, address(5, "10.0.0.5:7005"));
    assert_eq!(f.state.federation().unwrap().members[&MemberId(5)].address, "10.0.0.5:7005");
    refused(&mut f, admin("kanto"), address(5, "127.0.0.1:7001"), ErrorCode::AlreadyExists);
    refused(&mut f, admin("kanto"), address(5, "nowhere"), ErrorCode::InvalidArgument);
    refused(&mut f, admin("kanto"), address(9, "10.0.0.5:7009"), ErrorCode::NotFound);
    // One operator's word is not enough, and no one else's counts.
    let entry = f.entry(admin("kanto"), &[], set_voter(5, true));
    assert_eq!(code(&f.apply(entry)), Some(ErrorCode::SignaturesMissing));
    refused(&mut f, user("kanto", "stranger"), set_voter(5, true), ErrorCode::PermissionDenied);
}
