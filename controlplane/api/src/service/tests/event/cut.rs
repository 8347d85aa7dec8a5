//! Watches that are cut off in the middle of anything.

use super::*;
use sekisho_types::placement::{Ending, Phase};

/// A small generator: the same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn happen(federation: &mut Federation, dice: &mut Dice, step: u64) {
    let names: Vec<JobId> = federation.state.jobs().map(|(id, _)| id.clone()).collect();
    let some = |dice: &mut Dice| {
        names.get(usize::try_from(dice.below(u64::try_from(names.len()).unwrap().max(1))).unwrap())
    };
    let node = format!("tokyo-1/n-0{}", 1 + dice.below(2));
    match dice.below(5) {
        0 => drop(federation.submit(job(&format!("j-{step}"), 1, 1, &[]))),
        1 => drop(some(dice).map(|id| federation.place(id, &[&node]))),
        2 => {
            let cancel = |job: &JobId| Command::CancelJob { job: job.clone() };
            drop(some(dice).map(|id| federation.run(user("kanto", "sapporo"), cancel(id))));
        }
        3 => {
            let schedulable = dice.below(3) > 0;
            let node = node.parse().unwrap();
            federation.accept(admin("kanto"), Command::SetSchedulable { node, schedulable });
        }
        _ => {
            let Some(id) = some(dice) else { return };
            for placement in federation.placements(id) {
                let node = federation.state.placement(&placement).unwrap().grant.node.clone();
                let session = federation.state.node(&node).unwrap().session.clone().unwrap().id;
                let phases = vec![(placement, Phase::Ended(Ending::Exited(0)))];
                let report = Command::Report { node: node.clone(), session, phases };
                federation.run(testing::agent(&node), report);
            }
        }
    }
}

/// Things happen, a client watches, is cut off in the middle of anything and goes on: it ends with what is there.
#[tokio::test(start_paused = true)]
async fn list_watch_and_resume_end_with_the_state_wherever_it_is_cut() {
    let (mut resumed, mut lists) = (0, 0);
    for seed in 0..40 {
        let (fake, mut dice) = (fake(), Dice(seed));
        let kept = usize::try_from(1 + dice.below(30)).unwrap();
        *fake.replica.changes.lock() = Changes::with_bounds(kept, usize::MAX);
        fake.replica.changes.lock().restart(fake.core.replica.applied());
        let (api, who) = (api(&fake), admin("kanto"));
        let (mut client, mut stream) = watching(&api, &who, &both()).await;
        for step in 0..60 {
            fake.replica.elsewhere(|federation| happen(federation, &mut dice, step));
            if dice.below(4) == 0 {
                // A part of what is on the way.
                for _ in 0..dice.below(6) {
                    match stream.next().await {
                        Some(Ok(message)) => drop(client.take(message)),
                        Some(Err(_)) | None => break,
                    }
                }
            }
            if dice.below(6) > 0 {
                continue;
            }
            // Whoever was cut off in the middle of a list has nothing to go on from.
            let again = match client.bookmark {
                Some(at) => {
                    let seen_revision = client.seen;
                    let from = v1::WatchRequest { seen_revision, ..resume(&both(), at) };
                    // What is told again was told before: from the bookmark on.
                    client.seen = at;
                    watch(&api, &who, &from).await.ok()
                }
                None => None,
            };
            if again.is_some() {
                resumed += 1;
            } else {
                lists += 1;
                client = Client::default();
            }
            stream = match again {
                Some(stream) => stream,
                None => watch(&api, &who, &both()).await.unwrap(),
            };
        }
        if client.follow(&mut stream, revision(&fake)).await.is_err() {
            (client, stream) = watching(&api, &who, &both()).await;
            client.follow(&mut stream, revision(&fake)).await.unwrap();
        }
        assert_eq!(client.rows, listed(&fake, &both()).await, "seed {seed}");
    }
    assert!(resumed > 50 && lists > 50, "{resumed} resumed, {lists} lists");
}
