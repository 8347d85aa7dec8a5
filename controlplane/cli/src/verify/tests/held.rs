//! Jobs that wait for others and for times: what ticks did is done again, and a grant out of its time is found.

use super::*;
use sekisho_types::id::JobId;
use sekisho_types::job::{After, JobFacts, JobPhase, When};
use sekisho_types::time::Timestamp;

fn begun() -> Timestamp {
    Federation::furnished().now
}

/// A job waits for one that fails, one for its time, one is too late, and one is queued by the failure.
fn waiting() -> (Federation, JobId) {
    let mut f = Federation::furnished();
    let after = |name: &str, when| JobFacts {
        after: vec![After { job: job("prep", 1, 1, &[]).id.name, when }].into(),
        ..job(name, 1, 1, &[])
    };
    let at = |f: &Federation, seconds: u64| Some(f.now.plus_ms(seconds * 1000));
    let prep = f.submit(job("prep", 1, 1, &["JP-13"]));
    f.submit(after("next", When::Succeeded));
    f.submit(after("alarm", When::Failed));
    let late = JobFacts { start_by: at(&f, 5), ..job("late", 1, 8, &[]) };
    f.submit(late);
    let timed =
        JobFacts { not_before: at(&f, 15), start_by: at(&f, 60), ..job("timed", 1, 1, &["JP-13"]) };
    let timed = f.submit(timed);
    tick(&mut f, 10);
    f.place(&prep, &["tokyo-1/n-01"]);
    let placement = f.placements(&prep)[0];
    let over = Phase::Ended(Ending::Exited(1));
    report(&mut f, "tokyo-1/n-01", vec![(placement, Phase::Running), (placement, over)]);
    // The clock passes the time by an entry that is no tick, then a tick finds it due.
    f.now = f.now.plus_ms(6000);
    f.submit(job("other", 1, 1, &[]));
    tick(&mut f, 10);
    f.place(&timed, &["tokyo-1/n-01"]);
    (f, timed)
}

#[test]
fn what_ticks_did_is_done_again() {
    let (f, timed) = waiting();
    let phase = |name: &str| f.state.job(&job(name, 1, 1, &[]).id).unwrap().phase;
    assert_eq!((phase("next"), phase("alarm")), (JobPhase::Failed, JobPhase::Queued));
    assert_eq!((phase("late"), phase("timed")), (JobPhase::Failed, JobPhase::Placed));
    assert_eq!(f.placements(&timed).len(), 1);
    let records = records(&f);
    let ticks = records.iter().filter(|bytes| {
        let Body::Entry { entry, .. } = Record::parse(bytes).unwrap().body else { return false };
        decode::<Entry>(&entry).unwrap().command == Command::Tick
    });
    assert_eq!(ticks.count(), 2);
    let report = verify(&signed(&records, &[1, 2, 3]), Some(&genesis()));
    assert!(report.is_good(), "{:#?}", report.steps);
    let raw: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
    let (_, state) = replay::replay(&genesis(), &raw).unwrap();
    assert_eq!(f.state.differs(&state), None);
}

/// The log with other times in the submission of the timed job.
fn moved(change: impl Fn(&mut JobFacts)) -> String {
    let (f, timed) = waiting();
    let changed: Vec<Vec<u8>> = records(&f)
        .iter()
        .map(|bytes| {
            let mut record = Record::parse(bytes).unwrap();
            if let Body::Entry { entry, .. } = &mut record.body {
                let mut read: Entry = decode(entry).unwrap();
                if let Command::SubmitJob { facts } = &mut read.command
                    && facts.id == timed
                {
                    change(facts);
                }
                *entry = encode(&read).unwrap();
            }
            record.bytes().unwrap()
        })
        .collect();
    let report = verify(&signed(&changed, &[1, 2, 3]), None);
    findings(&report, Step::Fencing)
}

#[test]
fn a_grant_out_of_its_time_is_found() {
    let late = moved(|facts| facts.not_before = Some(begun().plus_ms(50_000)));
    assert!(late.contains("was not to start before"), "{late}");
    let early = moved(|facts| facts.start_by = Some(begun().plus_ms(16_000)));
    assert!(early.contains("was to start before"), "{early}");
}
