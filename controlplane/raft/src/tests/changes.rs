//! The ring of changes as apply and a snapshot feed it.

use super::MemoryDisk;
use super::snapshot::{apply, entries, log_of, machine};
use crate::changes::{Change, Compacted, Key};
use crate::snapshot::SnapshotData;
use crate::view::{Publisher, View};
use openraft::storage::{RaftSnapshotBuilder as _, RaftStateMachine as _};
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{Federation, admin, job, user};
use sekisho_types::revision::Revision;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What changed since a revision, as of the view.
fn since(publisher: &Publisher, after: u64, view: &View) -> Result<Vec<Change>, Compacted> {
    publisher.changes.between(Revision(after), view.revision(), |_key| true)
}

#[tokio::test]
async fn an_installed_snapshot_empties_the_ring_and_what_follows_is_there() {
    let (disk, entries) = (Arc::new(MemoryDisk::default()), entries());
    let (mut source, publisher, _) = machine(&disk);
    apply(&mut source, &entries).await.unwrap();
    let view = publisher.view();
    let whole = since(&publisher, 0, &view).unwrap();
    let state = &view.state;
    let work = state.jobs().count() + state.nodes().count();
    let named = state.sites().count() + state.tenants().count() + state.policies().count();
    let rest =
        state.quotas().count() + state.keys().count() + state.federation().unwrap().members.len();
    let shared = state.budgets().count() + state.escrows().count();
    let offered = state.offers().count() + state.vetoes().count() + state.reservations().count();
    let rows = work + named + rest + shared + offered;
    assert_eq!(whole.len(), rows, "from the first entry on, each row once");
    let built = source.get_snapshot_builder().await.build_snapshot().await.unwrap();
    let saved = disk.snapshot().unwrap();

    // A member that had the first half, and lacks what lies between.
    let (mut late, published, _) = machine(&Arc::new(MemoryDisk::default()));
    apply(&mut late, &entries[..entries.len() / 2]).await.unwrap();
    let had = published.view().revision();
    since(&published, 0, &published.view()).unwrap();
    let data = SnapshotData::Received(saved.data.clone().into());
    late.install_snapshot(&built.meta, data).await.unwrap();
    let view = published.view();
    let first = Revision(view.revision().0 + 1);
    assert_eq!(since(&published, had.0, &view), Err(Compacted { first }));
    assert_eq!(since(&published, view.revision().0, &view), Ok(vec![]));

    // A restart from it begins as empty.
    let other = Arc::new(MemoryDisk::default());
    other.set_snapshot(saved);
    let (mut restarted, published, _) = machine(&other);
    assert_eq!(published.changes.check(had), Err(Compacted { first }));
    let mut federation = Federation::furnished();
    federation.submit(job("train", 1, 4, &["JP"]));
    let job = federation.submit(job("next", 1, 1, &[]));
    let next = log_of(federation).pop().unwrap();
    apply(&mut restarted, &[next]).await.unwrap();
    let change = Change { revision: first, key: Key::Job(job) };
    assert_eq!(since(&published, first.0 - 1, &published.view()), Ok(vec![change]));
}

/// A reader that runs beside apply takes a view, then the ring: with the rows that it is told of it has the state.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_is_never_ahead_of_the_ring() {
    let mut federation = Federation::furnished();
    for n in 0..200 {
        let id = federation.submit(job(&format!("j-{n}"), 1, 1, &[]));
        federation.accept(user("kanto", "sapporo"), Command::CancelJob { job: id });
        let node = "tokyo-1/n-01".parse().unwrap();
        federation
            .accept(admin("kanto"), Command::SetSchedulable { node, schedulable: n % 2 == 0 });
    }
    let log = log_of(federation);
    let (mut machine, publisher, _) = machine(&Arc::new(MemoryDisk::default()));
    let done = Arc::new(AtomicBool::new(false));
    let (reader, ended) = (Arc::clone(&publisher), Arc::clone(&done));
    let read = tokio::task::spawn_blocking(move || {
        let (mut jobs, mut nodes, mut seen) = (BTreeMap::new(), BTreeMap::new(), 0);
        loop {
            let last = ended.load(Ordering::Acquire);
            let view = reader.view();
            for Change { key, .. } in since(&reader, seen, &view).unwrap() {
                match key {
                    Key::Job(id) => {
                        let row = view.state.job(&id).unwrap().clone();
                        jobs.insert(id, row);
                    }
                    Key::Node(id) => {
                        let row = view.state.node(&id).unwrap().clone();
                        nodes.insert(id, row);
                    }
                    Key::Site(_) | Key::Tenant(_) | Key::Policy(_) | Key::Quota(..) => {}
                    Key::Key(_) | Key::Landmark(_) | Key::Member(_) => {}
                    Key::Approval(_) | Key::BreakGlass(_) | Key::Budget(..) => {}
                    Key::Escrow(_) | Key::Offer(..) | Key::Veto(_) => {}
                    Key::Reservation(..) => {}
                }
            }
            seen = view.revision().0;
            assert!(view.state.jobs().eq(&jobs) && view.state.nodes().eq(&nodes), "at {seen}");
            if last {
                return jobs.len();
            }
        }
    });
    for entry in &log {
        apply(&mut machine, std::slice::from_ref(entry)).await.unwrap();
    }
    done.store(true, Ordering::Release);
    assert_eq!(read.await.unwrap(), 200);
}
