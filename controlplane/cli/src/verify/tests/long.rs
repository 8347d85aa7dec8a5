//! A log of several chunks. `SEKISHO_AUDIT_RECORDS` makes it longer; how long it takes is printed.

use super::*;
use sekisho_fsm::testing::history::History;
use tokio::time::Instant;

#[test]
fn a_log_of_several_chunks_verifies_and_is_counted() {
    let wanted = std::env::var("SEKISHO_AUDIT_RECORDS").ok().and_then(|text| text.parse().ok());
    let wanted = wanted.unwrap_or(5_000usize);
    let mut history = History::new();
    let mut all = history.records();
    while all.len() < wanted {
        history.round();
        all.extend(history.records());
    }
    let head = AuditBundleHead {
        format: FORMAT,
        cluster: cluster(),
        incarnation: Incarnation(1),
        genesis: genesis(),
        table: table_hash(),
        note: history.note(),
        count: all.len() as u64,
    };
    let (mut writer, mut bytes) = BundleWriter::start(&head).unwrap();
    all.iter().for_each(|record| bytes.extend(writer.record(record).unwrap()));
    bytes.extend(writer.finish().unwrap());
    let begun = Instant::now();
    let report = verify(&bytes, Some(&genesis()));
    println!("{} records, {} bytes: {:?}", all.len(), bytes.len(), begun.elapsed());
    assert!(report.is_good(), "{:#?}", report.steps);
    let counts = &report.counts;
    let by = |counts: &census::Counts| counts.values().sum::<u64>();
    assert!(counts.placements > 100);
    for each in [
        &counts.placements_by_prefecture,
        &counts.placements_by_operator,
        &counts.placements_by_tenant,
    ] {
        assert_eq!(by(each), counts.placements, "{each:?}");
    }
    assert_eq!(counts.placements_by_prefecture.len(), 3);
    assert_eq!(report.quotas.len(), 4);
    assert!(report.quotas.iter().all(|sum| sum.charged == 0 && sum.peak == 2), "{report:#?}");
}
