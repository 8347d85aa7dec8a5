//! Arrays and services: the auditor accuses nobody whose tasks were granted, sealed anew, replaced and stopped as they may be.

use super::*;
use sekisho_fsm::testing::sealed::sealed;
use sekisho_fsm::testing::{offer, reservation};
use sekisho_types::id::{JobId, TenantId};
use sekisho_types::job::{JobFacts, Kind};
use sekisho_types::offer::Vetoed;
use sekisho_types::quota::Limit;

const NODE: &str = "tokyo-1/n-01";
const OTHER: &str = "tokyo-1/n-02";

fn of(kind: Kind, name: &str) -> JobFacts {
    JobFacts { kind, ..job(name, 1, 1, &[]) }
}

/// Grants the next task of a whole, which runs.
fn run(f: &mut Federation, whole: &JobId, at: &str) -> JobId {
    let number = f.state.job(whole).unwrap().tasks.as_ref().unwrap().next;
    let task = whole.task(number);
    f.place(whole, &[at]);
    let placement = f.placements(&task)[0];
    report(f, at, vec![(placement, Phase::Running)]);
    task
}

fn ends(f: &mut Federation, task: &JobId, ending: Ending) {
    let placement = f.placements(task)[0];
    let at = f.state.placement(&placement).unwrap().grant.node.to_string();
    report(f, &at, vec![(placement, Phase::Ended(ending))]);
}

/// A task comes back to the queue after its array was sealed anew, and runs elsewhere what was sealed then.
fn sealed_anew(f: &mut Federation) {
    for site in SITES {
        f.give_site_key(site, 1);
    }
    let kind = Kind::Array { tasks: 2, at_most: 1 };
    let (facts, bytes) = sealed(of(kind, "sweep"), b"python", &[("tokyo-1", 1)]);
    let submit = Command::SubmitJob { facts: Box::new(facts.clone()) };
    f.run_with(submit, bytes).outcome.unwrap();
    let first = run(f, &facts.id, NODE);
    let to = [("tokyo-1", 1), ("ishikari-1", 1)];
    let (anew, bytes) = sealed(of(kind, "sweep"), b"the same", &to);
    let reseal = Command::ResealJob { facts: Box::new(anew) };
    f.run_with(reseal, bytes).outcome.unwrap();
    ends(f, &first, Ending::Stopped);
    f.place(&first, &["ishikari-1/n-01"]);
    ends(f, &first, Ending::Exited(0));
    let second = run(f, &facts.id, OTHER);
    f.accept(user("kanto", "sapporo"), Command::CancelJob { job: facts.id });
    ends(f, &second, Ending::Stopped);
}

/// A service is replaced one by one, loses a host, is made smaller, and cancelled.
fn replaced(f: &mut Federation) {
    let service = |replicas| Kind::Service { replicas, surge: 1 };
    let by = user("kanto", "sapporo");
    let web = f.submit(of(service(2), "web"));
    let old = [run(f, &web, NODE), run(f, &web, OTHER)];
    let facts = JobFacts { time_limit_s: 7200, ..of(service(2), "web") };
    f.accept(by.clone(), Command::ReplaceJob { facts: Box::new(facts.clone()) });
    for victim in &old {
        run(f, &web, "ishikari-1/n-02");
        let replicas = vec![victim.clone()];
        f.accept(member("kanto"), Command::StopReplicas { replicas: replicas.clone() });
        f.run(member("kanto"), Command::StopReplicas { replicas }).outcome.unwrap_err();
        ends(f, victim, Ending::Stopped);
    }
    let away = node("ishikari-1/n-02");
    let session = f.state.node(&away).unwrap().session.clone().unwrap().id;
    f.accept(member("kanto"), Command::ExpireLease { node: away, session });
    let _next = [run(f, &web, NODE), run(f, &web, OTHER)];
    let smaller = JobFacts { kind: service(1), ..facts };
    f.accept(by.clone(), Command::ReplaceJob { facts: Box::new(smaller) });
    let replicas = f.state.replicas(f.state.job(&web).unwrap()).surplus;
    assert_eq!(replicas.len(), 1);
    f.accept(member("kanto"), Command::StopReplicas { replicas: replicas.clone() });
    f.accept(by, Command::CancelJob { job: web });
    ends(f, &replicas[0], Ending::Stopped);
}

#[test]
fn an_honest_log_of_tasks_verifies() {
    let mut f = Federation::furnished();
    sealed_anew(&mut f);
    replaced(&mut f);
    let report = verify(&signed(&records(&f), &[1, 2, 3]), Some(&genesis()));
    assert!(report.is_good(), "{:#?}", report.steps);
}

/// The findings of a step, of records that were changed.
fn found(f: &Federation, step: Step, change: impl Fn(&mut Record)) -> String {
    let read = |bytes: &Vec<u8>| {
        let mut record = Record::parse(bytes).unwrap();
        change(&mut record);
        record
    };
    let read: Vec<Record> = records(f).iter().map(read).collect();
    let mut report = Report::default();
    oracle::judge(&genesis(), &read, &mut report);
    findings(&report, step)
}

/// Changes the commands of a log.
fn commands(change: impl Fn(&mut Command)) -> impl Fn(&mut Record) {
    move |record| {
        if let Body::Entry { entry, .. } = &mut record.body {
            let mut read: Entry = decode(entry).unwrap();
            change(&mut read.command);
            *entry = encode(&read).unwrap();
        }
    }
}

#[test]
fn what_keeps_a_job_off_keeps_its_tasks_off() {
    let mut f = Federation::furnished();
    let kind = Kind::Array { tasks: 2, at_most: 2 };
    let [sweep, other] = ["sweep", "other"].map(|name| f.submit(of(kind, name)));
    let veto = |job: &JobId| Command::Veto {
        operator: "kanto".parse().unwrap(),
        of: Vetoed::Job(job.clone()),
        reason: "noise".to_owned(),
    };
    f.accept(admin("kanto"), veto(&other));
    run(&mut f, &sweep, NODE);
    assert_eq!(found(&f, Step::Quota, |_| {}), "");
    let told = found(
        &f,
        Step::Quota,
        commands(|command| {
            if let Command::Veto { of, .. } = command {
                *of = Vetoed::Job("sapporo/sweep".parse().unwrap());
            }
        }),
    );
    assert!(told.contains("takes no work of"), "{told}");
}

#[test]
fn a_task_is_placed_out_of_the_reservation_that_its_array_names() {
    let mut f = Federation::new();
    f.tenant("sapporo", Limit::Unlimited);
    f.ready_node(NODE, 4);
    f.offer("tokyo-1", offer(4));
    f.reserve("sapporo", "least", reservation("tokyo-1", 2));
    let kind = Kind::Array { tasks: 2, at_most: 2 };
    let named = JobFacts { reservation: "least".parse().ok(), ..of(kind, "sweep") };
    let sweep = f.submit(named);
    run(&mut f, &sweep, NODE);
    assert_eq!(found(&f, Step::Quota, |_| {}), "");
    let told = found(
        &f,
        Step::Quota,
        commands(|command| {
            if let Command::SubmitJob { facts } = command {
                facts.reservation = "none".parse().ok();
            }
        }),
    );
    assert!(told.contains("not out of reservation none"), "{told}");
}

#[test]
fn a_name_that_is_used_again_is_kept_off_by_nobody() {
    let mut f = Federation::furnished();
    let once = f.submit(job("once", 1, 1, &[]));
    let veto = Command::Veto {
        operator: "kanto".parse().unwrap(),
        of: Vetoed::Job(once.clone()),
        reason: "noise".to_owned(),
    };
    f.accept(admin("kanto"), veto);
    f.accept(user("kanto", "sapporo"), Command::CancelJob { job: once.clone() });
    let again = f.submit(job("again", 1, 1, &[]));
    f.place(&again, &[NODE]);
    // As the log reads if the first was forgotten in between, and the other one took its name.
    let told = found(&f, Step::Quota, |record| {
        commands(|command| {
            if let Command::SubmitJob { facts } = command {
                facts.id = once.clone();
            }
        })(&mut *record);
        if let Body::Grant(grant) = &mut record.body {
            grant.job = once.clone();
        }
    });
    assert_eq!(told, "");
}

#[test]
fn a_tenant_that_comes_under_an_old_name_is_kept_off_by_nobody() {
    let mut f = Federation::furnished();
    let gone = f.tenant("otaru", Limit::Unlimited);
    let veto = Command::Veto {
        operator: "kanto".parse().unwrap(),
        of: Vetoed::Tenant(gone.clone()),
        reason: "noise".to_owned(),
    };
    f.accept(admin("kanto"), veto);
    let principal = user("kanto", "otaru");
    let key = sekisho_fsm::testing::user_key(&principal).public();
    f.accept(admin("kanto"), Command::RevokeKey { principal, key });
    let expected = f.state.tenant(&gone).unwrap().revision;
    f.accept(admin("kanto"), Command::DeleteTenant { tenant: gone.clone(), expected });
    let next = f.tenant("osaka", Limit::Unlimited);
    let mut facts = job("first", 1, 1, &[]);
    facts.id.tenant = next.clone();
    let id = f.submit(facts);
    f.place(&id, &[NODE]);
    assert_eq!(f.placements(&id).len(), 1);
    let renamed = |tenant: &mut TenantId| {
        if *tenant == next {
            tenant.clone_from(&gone);
        }
    };
    let told = found(&f, Step::Quota, |record| {
        commands(|command| {
            if let Command::PutTenant { tenant, .. } | Command::SetQuota { tenant, .. } = command {
                renamed(tenant);
            }
            if let Command::SubmitJob { facts } = command {
                renamed(&mut facts.id.tenant);
            }
        })(&mut *record);
        if let Body::Grant(grant) = &mut record.body {
            renamed(&mut grant.job.tenant);
        }
    });
    assert_eq!(told, "");
}
