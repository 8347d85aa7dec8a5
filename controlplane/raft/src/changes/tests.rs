//! The ring by itself: its bounds, what it says of what it forgot, and that nothing is missed.

use super::*;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

fn job(n: u64) -> Event {
    Event::Job(format!("acme/j-{n}").parse().unwrap())
}

fn push(ring: &Changes, revision: u64, events: &[Event]) {
    ring.push(&[(Revision(revision), events.to_vec())]);
}

/// Revisions and names of what changed in a span.
fn read(ring: &Changes, after: u64, until: u64) -> Result<Vec<(u64, String)>, Compacted> {
    let changes = ring.between(Revision(after), Revision(until), |_key| true)?;
    let name = |key| match key {
        Key::Job(id) => id.to_string(),
        Key::Node(id) => id.to_string(),
        Key::Site(id) => id.to_string(),
        Key::Tenant(id) => id.to_string(),
        Key::Policy(id) => id.to_string(),
        Key::Quota(tenant, class, area) => format!("{tenant}/{class}.{area}"),
        Key::Key(id) => id.0.to_string(),
        Key::Landmark(id) => id.to_string(),
        Key::Member(id) => id.to_string(),
        Key::Approval(id) => id.to_string(),
        Key::BreakGlass(opened) => opened.to_string(),
        Key::Budget(tenant, name) => format!("{tenant}/{name}"),
        Key::Escrow(id) => format!("{}/{}/{}", id.0, id.1, id.2),
        Key::Offer(site, name) => format!("{site}/{name}"),
        Key::Veto(id) => format!("{} of {}", id.1, id.0),
        Key::Reservation(tenant, name) => format!("{name} of {tenant}"),
    };
    Ok(changes.into_iter().map(|change| (change.revision.0, name(change.key))).collect())
}

fn first(ring: &Changes) -> u64 {
    ring.0.lock().first.0
}

fn named(rows: &[(u64, &str)]) -> Result<Vec<(u64, String)>, Compacted> {
    Ok(rows.iter().map(|(revision, name)| (*revision, (*name).to_owned())).collect())
}

#[test]
fn each_row_comes_once_at_its_newest_revision_of_the_span() {
    let ring = Changes::default();
    let node: NodeId = "tokyo-1/n-01".parse().unwrap();
    push(&ring, 1, &[job(1), Event::Plannable, Event::Trust]);
    push(&ring, 3, &[job(2)]);
    // What is only shown and what is acted on are the same row, and a desired set is none.
    let both = [Event::Node(node.clone()), Event::NodeShown(node.clone()), Event::Desired(node)];
    push(&ring, 4, &both);
    push(&ring, 7, &[job(1)]);
    let (one, two, n) = ("acme/j-1", "acme/j-2", "tokyo-1/n-01");
    assert_eq!(read(&ring, 0, 7), named(&[(3, two), (4, n), (7, one)]));
    assert_eq!(read(&ring, 0, 6), named(&[(1, one), (3, two), (4, n)]), "as of then");
    assert_eq!(read(&ring, 1, 4), named(&[(3, two), (4, n)]));
    assert_eq!(read(&ring, 7, 7), named(&[]));
    assert_eq!(read(&ring, 9, 9), named(&[]));
    let nodes = ring.between(Revision(0), Revision(9), |key| matches!(key, Key::Node(_)));
    assert_eq!(nodes.unwrap().len(), 1);
    let user: Principal = "kanto/user/ops".parse().unwrap();
    let key = Event::Key(Box::new((user, PublicKey([7; 32]))));
    push(&ring, 8, &[Event::Site("tokyo-1".parse().unwrap()), key, Event::Member(MemberId(3))]);
    let rest = named(&[(8, "tokyo-1"), (8, "kanto/user/ops"), (8, "3")]);
    assert_eq!(read(&ring, 7, 8), rest, "by kind");
}

#[test]
fn what_is_shared_out_is_told_row_by_row() {
    let ring = Changes::default();
    let (tenant, site): (TenantId, SiteId) = ("acme".parse().unwrap(), "tokyo-1".parse().unwrap());
    let (class, name): (DeviceClass, Name) = ("h100".parse().unwrap(), "night".parse().unwrap());
    let job = Vetoed::Job("acme/train".parse().unwrap());
    let here = Area::resolve("131016").unwrap();
    let quota = |area| Event::Quota(tenant.clone(), class.clone(), area);
    let veto = |of| Event::Veto(Box::new(("kanto".parse().unwrap(), of)));
    let events = [
        quota(Area::Japan),
        quota(here),
        Event::Budget(tenant.clone(), name.clone()),
        Event::Escrow(Box::new((site.clone(), tenant.clone(), class.clone()))),
        Event::Offer(site, name.clone()),
        Event::Reservation(tenant.clone(), name),
        veto(Vetoed::Tenant(tenant.clone())),
        veto(job),
        quota(Area::Japan),
    ];
    push(&ring, 1, &events);
    let told = [
        "acme/h100.JP",
        "acme/h100.131016",
        "acme/night",
        "tokyo-1/acme/h100",
        "tokyo-1/night",
        "tenant acme of kanto",
        "job acme/train of kanto",
        "night of acme",
    ];
    assert_eq!(read(&ring, 0, 1), named(&told.map(|name| (1, name))), "each once");
    let sizes: usize =
        events.iter().filter_map(Key::of).collect::<BTreeSet<_>>().iter().map(Key::size).sum();
    assert_eq!(ring.0.lock().bytes, sizes);
}

#[test]
fn both_bounds_hold_and_what_is_forgotten_is_told() {
    let ring = Changes::with_bounds(3, usize::MAX);
    for revision in 1..=3 {
        push(&ring, revision, &[job(revision)]);
    }
    assert_eq!((first(&ring), read(&ring, 0, 3).unwrap().len()), (0, 3));
    push(&ring, 4, &[job(4)]);
    assert_eq!(read(&ring, 0, 4), Err(Compacted { first: Revision(2) }));
    assert_eq!(ring.check(Revision(0)), Err(Compacted { first: Revision(2) }));
    assert_eq!(read(&ring, 1, 4).unwrap().len(), 3);
    // An entry of which one change had to go is gone whole.
    push(&ring, 5, &[job(5), job(6)]);
    push(&ring, 6, &[job(7), job(8)]);
    assert_eq!((first(&ring), read(&ring, 5, 6).unwrap().len()), (6, 2));
    assert_eq!(read(&ring, 4, 6), Err(Compacted { first: Revision(6) }));
    // One that is larger than the ring, too.
    push(&ring, 7, &[job(1), job(2), job(3), job(4)]);
    assert_eq!((first(&ring), read(&ring, 7, 7)), (8, named(&[])));
    let one = Key::of(&job(1)).unwrap().size();
    let ring = Changes::with_bounds(usize::MAX, 2 * one);
    for revision in 1..=3 {
        push(&ring, revision, &[job(revision)]);
        assert!(ring.0.lock().bytes <= 2 * one);
    }
    assert_eq!((first(&ring), ring.0.lock().changes.len()), (2, 2));
}

#[test]
fn a_restart_forgets_everything_before_it() {
    let ring = Changes::default();
    push(&ring, 1, &[job(1)]);
    ring.restart(Revision(40));
    assert_eq!(read(&ring, 1, 40), Err(Compacted { first: Revision(41) }));
    assert_eq!(read(&ring, 40, 40), named(&[]));
    push(&ring, 41, &[job(2)]);
    assert_eq!(read(&ring, 40, 41), named(&[(41, "acme/j-2")]));
    assert_eq!(ring.0.lock().bytes, Key::of(&job(2)).unwrap().size());
}

/// Between two pieces apply may forget what is next.
#[test]
fn a_long_span_is_read_in_pieces() {
    let ring = Changes::default();
    let many = u64::try_from(CHANGES_PIECE).unwrap() * 2 + 3;
    let events: Vec<Event> = (0..many).map(job).collect();
    push(&ring, 1, &events);
    assert_eq!(u64::try_from(read(&ring, 0, 1).unwrap().len()), Ok(many));
    let next = ring.piece(0, Revision(1)).unwrap().len();
    assert_eq!(next, CHANGES_PIECE);
    ring.restart(Revision(9));
    let rest = ring.piece(u64::try_from(next).unwrap(), Revision(1));
    assert_eq!(rest, Err(Compacted { first: Revision(10) }));
}

/// A watcher: its rows, and the revision that it goes on from.
#[derive(Default)]
struct Watcher {
    rows: BTreeMap<Key, Revision>,
    seen: Revision,
}

impl Watcher {
    /// Follows up to `until`, or lists again; whether it listed.
    fn follow(&mut self, ring: &Changes, state: &BTreeMap<Key, Revision>, until: Revision) -> bool {
        let changes = ring.between(self.seen, until, |_key| true);
        self.seen = until;
        let Ok(changes) = changes else {
            self.rows = state.clone();
            return true;
        };
        assert!(changes.is_sorted_by_key(|change| change.revision));
        for Change { revision, key } in changes {
            match state.get(&key) {
                Some(row) => {
                    assert_eq!(*row, revision, "the row is the one of the change that is told");
                    self.rows.insert(key, *row);
                }
                None => drop(self.rows.remove(&key)),
            }
        }
        false
    }
}

/// Rows come, change and go; a watcher follows, is cut off and goes on from what it noted: it ends with what is there.
#[test]
fn list_watch_and_resume_end_with_the_state_whatever_is_kept() {
    let (mut lists, mut follows) = (0, 0);
    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let ring = Changes::with_bounds(random.random_range(1..40), usize::MAX);
        let mut state: BTreeMap<Key, Revision> = BTreeMap::new();
        let (mut revision, mut watcher) = (Revision(0), Watcher::default());
        let mut noted = Revision(0);
        for _step in 0..200 {
            revision.0 += random.random_range(1..3);
            let events: Vec<Event> =
                (0..random.random_range(0..3)).map(|_| job(random.random_range(0..12))).collect();
            for key in events.iter().filter_map(Key::of) {
                if random.random_ratio(1, 4) {
                    state.remove(&key);
                } else {
                    state.insert(key, revision);
                }
            }
            ring.push(&[(revision, events)]);
            if random.random_ratio(1, 50) {
                ring.restart(revision);
            }
            if random.random_ratio(1, 8) {
                // Cut off: it goes on from its last bookmark, with the rows that it has.
                watcher.seen = noted;
            }
            if random.random_ratio(1, 5) {
                let listed = watcher.follow(&ring, &state, revision);
                *(if listed { &mut lists } else { &mut follows }) += 1;
                assert_eq!(watcher.rows, state, "seed {seed}, revision {revision}");
                if random.random() {
                    noted = watcher.seen;
                }
            }
        }
    }
    assert!(lists > 100 && follows > 1000, "{lists} lists, {follows} follows");
}
