//! The emergency right: it stops and narrows beyond one's borders, for a time, and everybody sees it for ever.

use super::*;
use crate::break_glass::{OPEN_MAX, REASON_MAX, ROWS_MAX, USES_NAMED};
use crate::command::Item;
use crate::role::{Target, Verb, by_glass};
use crate::state::State;
use sekisho_types::id::{JobId, OperatorId, PublicKey, SiteId};
use sekisho_types::principal::{KeyRecord, Role};
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;

const HOUR: u64 = 3_600_000;

/// `naniwa/user/guard`, an operator-admin.
fn guard() -> Principal {
    user("naniwa", "guard")
}

fn guarded() -> Federation {
    let mut f = Federation::furnished();
    let record = KeyRecord {
        principal: guard(),
        role: Role::OperatorAdmin,
        public_key: user_key(&guard()).public(),
        expires: f.now.plus_ms(30 * 24 * HOUR),
    };
    f.register(record);
    f
}

fn command(f: &Federation, hours: u64) -> Command {
    let until = f.state.clock().plus_ms(hours.saturating_mul(HOUR));
    Command::BreakGlass { reason: "miners on the hosts of kanto".into(), until }
}

fn open(f: &mut Federation, by: &Principal) -> Revision {
    let command = command(f, 1);
    f.accept(by.clone(), command);
    f.state.revision()
}

/// What only a break-glass lets `guard` do, each to other people's things.
fn narrowing() -> Vec<Command> {
    let node = || "tokyo-1/n-01".parse().unwrap();
    vec![
        Command::CancelJob { job: "sapporo/train".parse().unwrap() },
        Command::SetSchedulable { node: node(), schedulable: false },
        Command::DrainNode { node: node(), within_s: Some(60), message: String::new() },
        Command::RevokeNode { node: node() },
        Command::RevokeSite { site: "ishikari-1".parse().unwrap() },
    ]
}

/// What widens, reads or undoes: never by this right.
fn widening(f: &Federation) -> Vec<Command> {
    let node = || "tokyo-1/n-02".parse().unwrap();
    let class = CLASS.parse().unwrap();
    let tenant: sekisho_types::id::TenantId = "sapporo".parse().unwrap();
    let principal = admin("kanto");
    vec![
        Command::SetSchedulable { node: node(), schedulable: true },
        Command::UndrainNode { node: node(), keep_cordoned: false },
        Command::ApproveNode { node: node(), node_key: node_key(&node()) },
        Command::DecommissionNode { node: node() },
        Command::ReleaseNode { node: node() },
        Command::SetQuota {
            tenant: tenant.clone(),
            class,
            area: Area::Japan,
            allotment: Allotment::own(Limit::Unlimited),
            expected: crate::testing::first_quota(),
        },
        Command::PutPolicy {
            policy: "p".parse().unwrap(),
            rules: Rules::default(),
            expected: None,
        },
        Command::PutTenant {
            tenant,
            display_name: Patch::Keep,
            policy: Patch::Keep,
            parent: Patch::Keep,
            expected: None,
        },
        Command::RevokeKey { key: user_key(&principal).public(), principal },
        Command::SubmitJob { facts: Box::new(job("mine", 1, 1, &[])) },
        Command::CreateToken {
            token: Digest([1; 32]),
            node: node(),
            expires: f.now.plus_ms(HOUR),
            approved: true,
        },
        Command::SetVoter {
            member: sekisho_types::id::MemberId(1),
            voter: false,
            accept_quorum_in_one_hand: false,
        },
    ]
}

fn replayed(f: &Federation) {
    let mut again = State::default();
    for (revision, entry) in &f.log {
        again.replay(*revision, entry.facts().as_ref());
    }
    assert_eq!(f.state.differs(&again), None);
}

#[test]
fn alone_an_administrator_stops_what_is_not_his_and_each_entry_says_so() {
    let mut f = guarded();
    f.submit(job("train", 1, 1, &[]));
    for command in narrowing() {
        refused(&mut f, guard(), command, ErrorCode::PermissionDenied);
    }
    let opened = open(&mut f, &guard());
    for command in narrowing() {
        let applied = f.accept(guard(), command);
        assert_eq!(body(&applied, 1), Body::BreakGlass { opened });
        assert!(applied.checkpoint.is_some());
        assert_eq!(invariant::check(&f.state), Ok(()));
    }
    // What his role allows needs no glass, and is none of its uses.
    let own: NodeId = "sakai-1/n-01".parse().unwrap();
    let applied = f.accept(guard(), Command::SetSchedulable { node: own, schedulable: false });
    assert_eq!(applied.leaves.len(), 1);
    let row = f.state.break_glass(opened).unwrap();
    assert_eq!((row.uses, row.revisions.len(), row.by.clone()), (5, 5, guard()));
    assert!(f.state.site(&"ishikari-1".parse::<SiteId>().unwrap()).unwrap().revoked);
    replayed(&f);
    event::check(&f);
}

#[test]
fn it_widens_nothing_and_opens_no_eyes() {
    let mut f = guarded();
    open(&mut f, &guard());
    for command in widening(&f) {
        let applied = f.clone().run(guard(), command.clone());
        assert_eq!(code(&applied), Some(ErrorCode::PermissionDenied), "{command:?}");
    }
    let (kanto, sapporo): (OperatorId, _) = ("kanto".parse().unwrap(), "sapporo".parse().unwrap());
    let targets = [Target::Federation, Target::Operator(&kanto), Target::Tenant(&sapporo)];
    let before = guarded().state;
    for verb in Verb::ALL.into_iter().filter(|verb| !by_glass(*verb)) {
        for target in targets {
            let may = |state: &State| state.authorize(&guard(), verb, target).is_ok();
            assert_eq!(may(&f.state), may(&before), "{verb:?} {target:?}");
        }
    }
}

#[test]
fn a_drain_of_others_is_made_and_shortened_but_not_put_off() {
    let mut f = guarded();
    let node: NodeId = "tokyo-1/n-01".parse().unwrap();
    let drain = |within_s| Command::DrainNode { node: node.clone(), within_s, message: "x".into() };
    f.accept(admin("kanto"), drain(Some(600)));
    open(&mut f, &guard());
    for later in [None, Some(601)] {
        refused(&mut f, guard(), drain(later), ErrorCode::PermissionDenied);
    }
    f.accept(guard(), drain(Some(60)));
    f.accept(admin("kanto"), drain(None));
    f.accept(guard(), drain(Some(3600)));
}

#[test]
fn who_may_not_or_gives_no_reason_or_asks_for_too_long_does_not_get_it() {
    let mut f = guarded();
    let ask = command(&f, 1);
    for nobody in [user("kanto", "sapporo"), member("kanto"), user("kanto", "nobody")] {
        refused(&mut f, nobody, ask.clone(), ErrorCode::PermissionDenied);
    }
    let mut unsigned = f.entry(guard(), &[], ask.clone());
    unsigned.signatures.clear();
    assert_eq!(code(&f.apply(unsigned)), Some(ErrorCode::SignaturesMissing));
    let now = f.state.clock();
    let longest = now.plus_ms(u64::try_from(OPEN_MAX.as_millis()).unwrap());
    let asking = |reason: &str, until| Command::BreakGlass { reason: reason.into(), until };
    let (long, past) = (longest.plus_ms(1), Timestamp(now.0));
    for (reason, until) in [
        ("", longest),
        (" ", longest),
        ("a\nb", longest),
        (&"x".repeat(REASON_MAX + 1), longest),
        ("why", long),
        ("why", past),
    ] {
        refused(&mut f, guard(), asking(reason, until), ErrorCode::InvalidArgument);
    }
    f.accept(guard(), asking("why", longest));
    refused(&mut f, guard(), ask, ErrorCode::AlreadyExists);
}

#[test]
fn it_ends_by_its_time_by_its_holder_or_by_a_federation_admin_and_with_the_role() {
    let cancel = || Command::CancelJob { job: "sapporo/train".parse::<JobId>().unwrap() };
    let begin = || {
        let mut f = guarded();
        f.submit(job("train", 1, 1, &[]));
        let opened = open(&mut f, &guard());
        (f, opened)
    };
    // Its time.
    let (mut f, opened) = begin();
    f.state.clock = f.state.clock().plus_ms(HOUR);
    refused(&mut f, guard(), cancel(), ErrorCode::PermissionDenied);
    refused(&mut f, guard(), Command::EndBreakGlass { opened }, ErrorCode::WrongPhase);
    // Somebody.
    for by in [guard(), admin("hokuto")] {
        let (mut f, opened) = begin();
        let stranger = user("kanto", "sapporo");
        let end = || Command::EndBreakGlass { opened };
        refused(&mut f, stranger, end(), ErrorCode::PermissionDenied);
        f.accept(by.clone(), end());
        let row = f.state.break_glass(opened).unwrap();
        assert_eq!(row.ended.as_ref().map(|(who, _)| who), Some(&by));
        refused(&mut f, guard(), cancel(), ErrorCode::PermissionDenied);
        refused(&mut f, by, end(), ErrorCode::WrongPhase);
        replayed(&f);
    }
    // The role.
    let (mut f, _) = begin();
    let key: PublicKey = user_key(&guard()).public();
    f.accept(admin("naniwa"), Command::RevokeKey { principal: guard(), key });
    refused(&mut f, guard(), cancel(), ErrorCode::PermissionDenied);
    let gone = Command::EndBreakGlass { opened: Revision(1) };
    refused(&mut f, admin("kanto"), gone, ErrorCode::NotFound);
}

#[test]
fn a_batch_is_one_use_and_one_that_fails_is_none() {
    let mut f = guarded();
    f.submit(job("train", 1, 1, &[]));
    let opened = open(&mut f, &guard());
    let cordon =
        |node: &str, schedulable| Item::SetSchedulable { node: node.parse().unwrap(), schedulable };
    let mixed = vec![cordon("tokyo-1/n-01", false), cordon("tokyo-1/n-02", true)];
    refused(&mut f, guard(), Command::Batch(mixed), ErrorCode::PermissionDenied);
    let both = vec![cordon("tokyo-1/n-01", false), cordon("ishikari-1/n-02", false)];
    let applied = f.accept(guard(), Command::Batch(both));
    assert_eq!(body(&applied, 1), Body::BreakGlass { opened });
    assert_eq!(f.state.break_glass(opened).unwrap().uses, 1);
}

#[test]
fn rows_are_kept_within_bounds_and_none_is_taken_away_by_hand() {
    let mut f = guarded();
    let node = "tokyo-1/n-01";
    let first = open(&mut f, &guard());
    let cordon = Command::SetSchedulable { node: node.parse().unwrap(), schedulable: false };
    for _ in 0..=USES_NAMED {
        f.accept(guard(), cordon.clone());
    }
    let row = f.state.break_glass(first).unwrap();
    assert_eq!((row.uses, row.revisions.len()), (USES_NAMED as u64 + 1, USES_NAMED));
    for _ in 0..ROWS_MAX {
        let opened = open(&mut f, &admin("kanto"));
        f.accept(admin("kanto"), Command::EndBreakGlass { opened });
    }
    let rows: Vec<Revision> = f.state.break_glasses().map(|(opened, _)| *opened).collect();
    assert_eq!((rows.len(), rows[0]), (ROWS_MAX, first), "one that is open stays");
    event::check(&f);
}
