//! Approvals: two operators one after the other are as good as both at once, and nothing else is.

use super::*;
use crate::approval::{self, KEPT, PENDING_MAX, ROWS_MAX, Ruling, Stage, WAIT_DEFAULT, WAIT_MAX};
use crate::entry::Entry;
use crate::event::Event;
use crate::state::State;
use crate::testing::key;
use sekisho_evidence::canonical::encode;
use sekisho_evidence::command::{CommandSignature, Intention};
use sekisho_evidence::key::Purpose;
use sekisho_types::id::{ApprovalId, ClusterId, PolicyId, RequestId};
use sekisho_types::joint::Joint;
use sekisho_types::patch::Patch;
use sekisho_types::principal::{KeyRecord, Role};
use sekisho_types::time::Timestamp;

fn ms(duration: std::time::Duration) -> u64 {
    duration.as_millis().try_into().unwrap()
}

fn quota(gpus: u64) -> Joint {
    Joint::SetQuota {
        tenant: "sapporo".parse().unwrap(),
        class: CLASS.parse().unwrap(),
        area: Area::Japan,
        allotment: Allotment::own(Limit::Gpus(gpus)),
        expected: crate::testing::first_quota(),
    }
}

fn policy(name: &str) -> Joint {
    Joint::PutPolicy { policy: name.parse().unwrap(), rules: Rules::default(), expected: None }
}

fn ask(f: &Federation, joint: Joint) -> Command {
    Command::Propose { joint: Box::new(joint), expires: f.state.clock().plus_ms(ms(WAIT_DEFAULT)) }
}

/// Proposed by this administrator, and accepted.
fn proposed(f: &mut Federation, by: &str, joint: Joint) -> ApprovalId {
    let command = ask(f, joint);
    let entry = f.entry(admin(by), &[], command);
    let id = ApprovalId(entry.request.0);
    let applied = f.apply(entry);
    assert_eq!(applied.outcome, Ok(Reply::Done));
    id
}

fn intention(f: &Federation, id: ApprovalId) -> Intention {
    f.state.approval_intention(&id, f.state.approval(&id).unwrap()).unwrap()
}

fn signature(f: &Federation, id: ApprovalId, by: &Principal) -> CommandSignature {
    intention(f, id).sign(by.clone(), &user_key(by))
}

fn signs(f: &Federation, id: ApprovalId, by: &Principal) -> Command {
    Command::SignApproval { id, signature: signature(f, id, by) }
}

fn stage(f: &Federation, id: ApprovalId) -> Stage {
    f.state.approval(&id).unwrap().stage(f.state.clock())
}

fn limit(f: &Federation) -> Limit {
    f.limit("sapporo")
}

/// Walks the state clock on, which an entry moves by a bound only.
fn wait(f: &mut Federation, ms: u64) {
    f.now = f.now.plus_ms(ms);
    f.state.clock = f.now;
    f.run(member("kanto"), Command::Tick);
}

/// The command that makes `kanto/user/deputy` a federation-admin.
fn deputising(f: &Federation) -> Joint {
    let principal = user("kanto", "deputy");
    let public_key = user_key(&principal).public();
    let expires = f.now.plus_ms(86_400_000);
    let record = KeyRecord { principal, role: Role::FederationAdmin, public_key, expires };
    let bytes = encode(&record).unwrap();
    Joint::RegisterKey { issuer: key("issuer", "kanto").sign(Purpose::KeyRecord, &bytes), record }
}

fn deputy(f: &mut Federation) -> Principal {
    let command = approval::command(&deputising(f));
    let entry = f.entry(admin("kanto"), &[admin("naniwa")], command);
    assert_eq!(f.apply(entry).outcome, Ok(Reply::Done));
    user("kanto", "deputy")
}

fn replayed(f: &Federation) {
    let mut again = State::default();
    for (revision, entry) in &f.log {
        again.replay(*revision, entry.facts().as_ref());
    }
    assert_eq!(f.state.differs(&again), None);
}

#[test]
fn the_second_operators_signature_carries_it_out_as_the_proposers_command() {
    let mut f = Federation::furnished();
    let id = proposed(&mut f, "kanto", quota(20));
    assert_eq!((stage(&f, id), limit(&f)), (Stage::Pending, Limit::Gpus(8)));
    let command = signs(&f, id, &admin("naniwa"));
    let applied = f.accept(admin("naniwa"), command.clone());
    assert_eq!((stage(&f, id), limit(&f)), (Stage::Done, Limit::Gpus(20)));
    assert_eq!(body(&applied, 1), Body::Approval { id, failed: None });
    assert!(applied.events.contains(&Event::Plannable), "{:?}", applied.events);
    // Over is over, whoever comes.
    let late = signs(&f, id, &admin("hokuto"));
    refused(&mut f, admin("hokuto"), late, ErrorCode::ApprovalClosed);
    let refuse = || Command::RefuseApproval { id, reason: String::new() };
    for by in ["kanto", "hokuto"] {
        refused(&mut f, admin(by), refuse(), ErrorCode::ApprovalClosed);
    }
    refused(&mut f, admin("naniwa"), command, ErrorCode::ApprovalClosed);
    replayed(&f);
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn each_of_the_commands_that_take_two_is_carried_out_as_by_itself() {
    let (mut apart, mut at_once) = (Federation::furnished(), Federation::furnished());
    let revision = |f: &Federation| f.state.tenant(&"sapporo".parse().unwrap()).unwrap().revision;
    let joints = [
        policy("gov"),
        quota(4),
        Joint::UpdateTenant {
            tenant: "sapporo".parse().unwrap(),
            display_name: Patch::Set("Sapporo City".into()),
            policy: Patch::Set(Some("gov".parse().unwrap())),
            parent: Patch::Keep,
            expected: revision(&apart),
        },
        Joint::CreateSite {
            site: "osaka-2".parse().unwrap(),
            operator: "naniwa".parse().unwrap(),
            area: Area::resolve("271004").unwrap(),
            display_name: "Osaka".into(),
        },
        Joint::SetMemberAddress { member: sekisho_types::id::MemberId(1), address: "h:1".into() },
        Joint::SetVoter {
            member: sekisho_types::id::MemberId(1),
            voter: true,
            accept_quorum_in_one_hand: false,
        },
    ];
    let admin_of = |f: &Federation| f.state.roles(&user("kanto", "deputy")).count();
    assert_eq!((deputising(&apart), admin_of(&apart)), (deputising(&at_once), 0));
    deputy(&mut at_once);
    let joint = deputising(&apart);
    let id = proposed(&mut apart, "kanto", joint);
    let command = signs(&apart, id, &admin("hokuto"));
    apart.accept(admin("hokuto"), command);
    assert_eq!((admin_of(&apart), admin_of(&at_once)), (1, 1));
    for joint in joints {
        assert_eq!(crate::role::signing(approval::verb(&joint)), crate::role::Signed::Operators(2));
        at_once.accept(admin("kanto"), approval::command(&joint));
        let id = proposed(&mut apart, "kanto", joint);
        let command = signs(&apart, id, &admin("hokuto"));
        apart.accept(admin("hokuto"), command);
        assert_eq!(stage(&apart, id), Stage::Done);
    }
    let bound = |f: &Federation| {
        let tenant = f.state.tenant(&"sapporo".parse().unwrap()).unwrap();
        (tenant.display_name.clone(), tenant.policy.clone(), limit(f))
    };
    assert_eq!(bound(&apart), bound(&at_once));
    let known = |f: &Federation| f.state.sites().map(|(id, _)| id.clone()).collect::<Vec<_>>();
    assert_eq!(known(&apart), known(&at_once));
    let federation = |f: &Federation| f.state.federation().unwrap().members.clone();
    assert_eq!(federation(&apart), federation(&at_once));
    replayed(&apart);
}

#[test]
fn nobody_but_who_may_do_it_proposes_signs_or_refuses() {
    let mut f = Federation::furnished();
    let stranger = user("kanto", "sapporo");
    let command = ask(&f, quota(20));
    refused(&mut f, stranger.clone(), command.clone(), ErrorCode::PermissionDenied);
    let mut unsigned = f.entry(admin("kanto"), &[], command);
    unsigned.signatures.clear();
    assert_eq!(code(&f.apply(unsigned)), Some(ErrorCode::SignaturesMissing));
    let id = proposed(&mut f, "kanto", quota(20));
    let signed = signs(&f, id, &stranger);
    refused(&mut f, stranger.clone(), signed, ErrorCode::PermissionDenied);
    let reason = String::new();
    let refuse = Command::RefuseApproval { id, reason };
    refused(&mut f, stranger, refuse, ErrorCode::PermissionDenied);
    // Another one's signature, and one's own operator's second.
    let command = signs(&f, id, &admin("naniwa"));
    refused(&mut f, admin("hokuto"), command, ErrorCode::PermissionDenied);
    let deputy = deputy(&mut f);
    let command = signs(&f, id, &deputy);
    refused(&mut f, deputy.clone(), command, ErrorCode::ApprovalSigned);
    let command = Command::RefuseApproval { id, reason: String::new() };
    refused(&mut f, deputy, command, ErrorCode::ApprovalSigned);
    let command = signs(&f, id, &admin("kanto"));
    refused(&mut f, admin("kanto"), command, ErrorCode::ApprovalSigned);
    let gone = ApprovalId([9; 16]);
    let command =
        Command::SignApproval { id: gone, signature: signature(&f, id, &admin("naniwa")) };
    refused(&mut f, admin("naniwa"), command, ErrorCode::NotFound);
    assert_eq!((stage(&f, id), limit(&f)), (Stage::Pending, Limit::Gpus(8)));
}

/// A signature of an approval is good for this one in this federation, and for no command by itself.
#[test]
fn a_signature_is_good_for_nothing_else() {
    let mut f = Federation::furnished();
    let id = proposed(&mut f, "kanto", quota(20));
    let other = proposed(&mut f, "kanto", quota(21));
    let naniwa = admin("naniwa");
    let good = intention(&f, id);
    let bad = [
        intention(&f, other),
        Intention { cluster: ClusterId([1; 16]), ..good },
        Intention { incarnation: sekisho_types::revision::Incarnation(2), ..good },
        Intention { request: RequestId([7; 16]), ..good },
        Intention { command: approval::command(&quota(20)).digest().unwrap(), ..good },
    ];
    for intention in bad {
        let signature = intention.sign(naniwa.clone(), &user_key(&naniwa));
        let command = Command::SignApproval { id, signature };
        refused(&mut f, naniwa.clone(), command, ErrorCode::SignatureInvalid);
    }
    let mut unknown = signature(&f, id, &naniwa);
    unknown.key = key("user", "nobody").public();
    let command = Command::SignApproval { id, signature: unknown };
    refused(&mut f, naniwa.clone(), command, ErrorCode::KeyUnknown);
    // Withdrawn, its signatures do not carry the command by itself either, nor a proposal that is made again.
    let own = f.state.approval(&id).unwrap().signatures.clone();
    let theirs = signature(&f, id, &naniwa);
    let command = Command::RefuseApproval { id, reason: "not now".into() };
    f.accept(admin("kanto"), command);
    let signatures = [own, vec![theirs]].concat();
    let proposal = f.log.iter().find(|(_, entry)| entry.request.0 == id.0).unwrap().1.clone();
    let again = Entry { actor: naniwa.clone(), signatures: signatures.clone(), ..proposal };
    assert_eq!(code(&f.clone().apply(again.clone())), Some(ErrorCode::AlreadyExists));
    let mut direct = f.entry(naniwa, &[], approval::command(&quota(20)));
    direct.request = RequestId(id.0);
    direct.signatures = signatures;
    assert_eq!(code(&f.clone().apply(direct)), Some(ErrorCode::SignatureInvalid));
    // Past its end the row may go; by then the proposal itself is too late.
    wait(&mut f, ms(WAIT_DEFAULT));
    f.state.approvals.remove(&id);
    assert_eq!(code(&f.apply(again)), Some(ErrorCode::InvalidArgument));
    assert_eq!(limit(&f), Limit::Gpus(8));
}

#[test]
fn who_signed_and_lost_the_key_since_does_not_count() {
    let mut f = Federation::furnished();
    let id = proposed(&mut f, "kanto", quota(20));
    let command = signs(&f, id, &admin("naniwa"));
    let principal = admin("kanto");
    let key = user_key(&principal).public();
    f.accept(admin("hokuto"), Command::RevokeKey { principal, key });
    let applied = f.accept(admin("naniwa"), command);
    assert_eq!((stage(&f, id), limit(&f)), (Stage::Failed, Limit::Gpus(8)));
    let failed = Some(ErrorCode::PermissionDenied);
    assert_eq!(body(&applied, 1), Body::Approval { id, failed });
    // The signer's own.
    let mut f = Federation::furnished();
    let id = proposed(&mut f, "kanto", quota(20));
    let command = signs(&f, id, &admin("naniwa"));
    let principal = admin("naniwa");
    let key = user_key(&principal).public();
    f.accept(admin("hokuto"), Command::RevokeKey { principal: principal.clone(), key });
    refused(&mut f, principal, command, ErrorCode::PermissionDenied);
    replayed(&f);
}

/// What became wrong while it waited fails whole, and says why.
#[test]
fn it_is_judged_on_the_state_of_then() {
    let mut f = Federation::furnished();
    let id = proposed(&mut f, "kanto", policy("gov"));
    f.policy("gov", Rules::default());
    let before = f.state.policy(&"gov".parse().unwrap()).cloned();
    let command = signs(&f, id, &admin("naniwa"));
    let applied = f.accept(admin("naniwa"), command);
    let Ruling::Failed { code, detail } = &f.state.approval(&id).unwrap().ruling else {
        panic!("failed")
    };
    assert_eq!((*code, detail.as_str()), (ErrorCode::AlreadyExists, "policy gov exists"));
    assert_eq!(f.state.policy(&"gov".parse().unwrap()).cloned(), before);
    let told = Body::Approval { id, failed: Some(ErrorCode::AlreadyExists) };
    assert_eq!((applied.leaves.len(), body(&applied, 1)), (2, told));
    // What would fail today is not even proposed.
    let command = ask(&f, policy("gov"));
    refused(&mut f, admin("kanto"), command, ErrorCode::AlreadyExists);
    replayed(&f);
}

#[test]
fn it_waits_for_a_bounded_time_and_nobody_signs_after() {
    let mut f = Federation::furnished();
    let now = f.state.clock();
    for expires in [now, Timestamp(0), now.plus_ms(ms(WAIT_MAX) + 1)] {
        let command = Command::Propose { joint: Box::new(quota(20)), expires };
        refused(&mut f, admin("kanto"), command, ErrorCode::InvalidArgument);
    }
    let id = proposed(&mut f, "kanto", quota(20));
    let command = signs(&f, id, &admin("naniwa"));
    wait(&mut f, ms(WAIT_DEFAULT));
    assert_eq!(stage(&f, id), Stage::Expired);
    refused(&mut f, admin("naniwa"), command, ErrorCode::ApprovalClosed);
    let withdraw = Command::RefuseApproval { id, reason: String::new() };
    refused(&mut f, admin("kanto"), withdraw, ErrorCode::ApprovalClosed);
}

#[test]
fn another_operator_refuses_and_the_proposer_withdraws() {
    let mut f = Federation::furnished();
    for (by, reason) in [("naniwa", "too much"), ("kanto", "")] {
        let id = proposed(&mut f, "kanto", quota(20));
        f.accept(admin(by), Command::RefuseApproval { id, reason: reason.into() });
        let refused = Ruling::Refused { by: admin(by), reason: reason.into() };
        assert_eq!(f.state.approval(&id).unwrap().ruling, refused);
    }
    let id = proposed(&mut f, "kanto", quota(20));
    for (reason, expected) in
        [("a\nb".to_owned(), ErrorCode::InvalidArgument), ("x".repeat(9000), ErrorCode::TooLarge)]
    {
        refused(&mut f, admin("naniwa"), Command::RefuseApproval { id, reason }, expected);
    }
    replayed(&f);
}

/// R3: the same request, the same answer, and no second approval.
#[test]
fn every_step_can_be_repeated() {
    let mut f = Federation::furnished();
    let command = ask(&f, quota(20));
    let propose = f.entry(admin("kanto"), &[], command);
    let id = ApprovalId(propose.request.0);
    let first = f.apply(propose.clone());
    let command = signs(&f, id, &admin("naniwa"));
    let mut sign = f.entry(admin("naniwa"), &[], command);
    sign.signatures.clear();
    let signed = f.apply(sign.clone());
    for (entry, applied) in [(propose, first), (sign, signed)] {
        let again = f.apply(entry);
        assert_eq!((again.outcome, again.first), (applied.outcome, applied.first));
        assert!(again.leaves.is_empty());
    }
    assert_eq!(f.state.approvals().count(), 1);
}

#[test]
fn rows_are_bounded_and_one_whose_end_is_to_come_stands() {
    let mut f = Federation::furnished();
    for n in 0..PENDING_MAX {
        proposed(&mut f, "kanto", quota(n as u64));
    }
    let command = ask(&f, quota(99));
    refused(&mut f, admin("kanto"), command, ErrorCode::AccessFull);
    proposed(&mut f, "naniwa", quota(99));
    let withdraw_all = |f: &mut Federation| {
        let waits: Vec<ApprovalId> = f
            .state
            .approvals()
            .filter(|(_, row)| row.proposer == admin("kanto"))
            .filter(|(_, row)| row.stage(f.state.clock()) == Stage::Pending)
            .map(|(id, _)| *id)
            .collect();
        for id in waits {
            f.accept(admin("kanto"), Command::RefuseApproval { id, reason: String::new() });
        }
    };
    while f.state.approvals().count() <= ROWS_MAX {
        withdraw_all(&mut f);
        proposed(&mut f, "kanto", quota(1));
    }
    withdraw_all(&mut f);
    let command = ask(&f, quota(99));
    refused(&mut f, admin("kanto"), command, ErrorCode::AccessFull);
    // Past their end the oldest makes room, and after a month all of them go.
    wait(&mut f, ms(WAIT_DEFAULT));
    proposed(&mut f, "kanto", quota(2));
    assert_eq!(f.state.approvals().count(), ROWS_MAX + 1);
    wait(&mut f, ms(KEPT) + 1);
    for n in 0..PENDING_MAX {
        let before: Vec<ApprovalId> = f.state.approvals().map(|(id, _)| *id).collect();
        proposed(&mut f, "kanto", quota(n as u64));
        let gone = before.into_iter().filter(|id| f.state.approval(id).is_none());
        let events = &f.applied.last().unwrap().events;
        assert!(gone.map(Event::Approval).all(|event| events.contains(&event)), "{events:?}");
    }
    assert!(f.state.approvals().count() < ROWS_MAX, "{}", f.state.approvals().count());
}

#[test]
fn a_single_operator_needs_nobody_and_signers_may_come_at_once() {
    let mut f = Federation::furnished();
    let command = ask(&f, policy("both"));
    let entry = f.entry(admin("kanto"), &[admin("naniwa")], command);
    let applied = f.apply(entry);
    assert_eq!(applied.outcome, Ok(Reply::Done));
    assert!(f.state.policy(&"both".parse::<PolicyId>().unwrap()).is_some());
    let deputy = deputy(&mut f);
    let command = ask(&f, policy("twice"));
    let entry = f.entry(admin("kanto"), &[deputy], command);
    assert_eq!(code(&f.apply(entry)), Some(ErrorCode::ApprovalSigned));
    replayed(&f);
}

#[test]
fn what_waits_does_not_outlive_its_incarnation() {
    let mut f = Federation::furnished();
    let id = proposed(&mut f, "kanto", quota(20));
    let agreement = f.opened(f.opening(&["kanto", "naniwa"]), &["kanto", "naniwa"]);
    f.state.open_incarnation(&[], &agreement).unwrap();
    assert_eq!(stage(&f, id), Stage::Expired);
    assert_eq!(f.state.approval(&id).unwrap().ruling, Ruling::Lapsed);
}

#[test]
fn nothing_is_signed_while_the_state_clock_catches_up() {
    let mut f = Federation::furnished();
    let id = proposed(&mut f, "kanto", quota(20));
    // An outage: what was over long ago looks as if it waited.
    f.now = f.now.plus_ms(2 * ms(WAIT_DEFAULT));
    let command = signs(&f, id, &admin("naniwa"));
    refused(&mut f, admin("naniwa"), command, ErrorCode::ClockBehind);
    assert_eq!((stage(&f, id), limit(&f)), (Stage::Pending, Limit::Gpus(8)));
}
