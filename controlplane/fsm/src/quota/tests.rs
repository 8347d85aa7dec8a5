//! The tree of quotas against its definition, which is written here a second time without any kept sum.

use super::*;
use proptest::prelude::*;
use sekisho_types::name::Name;

/// Tenants of the trees: 0 is the root, the others are parts of an earlier one.
const TENANTS: usize = 5;

/// Ishikari, Sapporo's Chuo ward, Chiyoda; and what they lie in.
const PLACES: [u32; 3] = [12_351, 11_011, 131_016];

/// Areas that rows are set for.
fn areas() -> [Area; 4] {
    [Area::Japan, Area::Code(10_006), Area::Code(11_002), Area::Code(130_001)]
}

fn tenant(n: usize) -> TenantId {
    TenantId(Name::parse(&format!("t-{n}")).unwrap())
}

fn class() -> DeviceClass {
    "h100-80g".parse().unwrap()
}

#[derive(Debug, Clone)]
enum Step {
    Set(usize, usize, Allotment),
    Charge(usize, usize, u64),
    Refund(usize, usize, u64),
    Move(usize, usize),
}

fn limit() -> impl Strategy<Value = Limit> {
    prop_oneof![2 => Just(Limit::None), 6 => (0u64..10).prop_map(Limit::Gpus), 1 => Just(Limit::Unlimited)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (who, place) = (0..TENANTS, 0..PLACES.len());
    let allotment = (limit(), limit(), limit())
        .prop_map(|(nominal, borrowing, lending)| Allotment { nominal, borrowing, lending });
    let step = prop_oneof![
        3 => (who.clone(), 0..4usize, allotment).prop_map(|(t, a, q)| Step::Set(t, a, q)),
        4 => (who.clone(), place.clone(), 1u64..5).prop_map(|(t, p, g)| Step::Charge(t, p, g)),
        2 => (who.clone(), place, 1u64..5).prop_map(|(t, p, g)| Step::Refund(t, p, g)),
        1 => (who.clone(), who).prop_map(|(t, p)| Step::Move(t, p)),
    ];
    prop::collection::vec(step, 0..60)
}

/// Everything that was done, and nothing that follows from it.
#[derive(Debug, Default)]
struct Plain {
    parents: BTreeMap<usize, usize>,
    rows: BTreeMap<(usize, Area), Allotment>,
    charged: BTreeMap<(usize, usize), u64>,
}

impl Plain {
    fn path(&self, of: usize) -> Vec<usize> {
        let mut path = vec![of];
        while let Some(parent) = path.last().and_then(|last| self.parents.get(last)) {
            path.push(*parent);
        }
        path
    }

    fn own(&self, of: usize, area: Area) -> u64 {
        let inside = |((t, place), _): &(&(usize, usize), &u64)| {
            *t == of && area.contains(Area::Code(PLACES[*place]))
        };
        self.charged.iter().filter(inside).map(|(_, gpus)| gpus).sum()
    }

    fn parts(&self, of: usize) -> impl Iterator<Item = usize> + '_ {
        self.parents.iter().filter(move |(_, parent)| **parent == of).map(|(part, _)| *part)
    }

    fn row(&self, of: usize, area: Area) -> Allotment {
        self.rows.get(&(of, area)).copied().unwrap_or(OPEN)
    }

    fn pool(&self, of: usize, area: Area) -> Amount {
        let lent = self
            .parts(of)
            .map(|part| self.pool(part, area).min(self.row(part, area).lending.into()));
        lent.fold(self.row(of, area).nominal.into(), Amount::plus)
    }

    fn kept(&self, of: usize, area: Area) -> Amount {
        match self.row(of, area).lending.into() {
            Amount::Unbounded => Amount::NONE,
            Amount::Gpus(lends) => self.pool(of, area).less(lends),
        }
    }

    fn used(&self, of: usize, area: Area) -> u64 {
        let own = if self.rows.contains_key(&(of, area)) { self.own(of, area) } else { 0 };
        let below =
            self.parts(of).map(|part| self.kept(part, area).short_of(self.used(part, area)));
        below.fold(own, u64::saturating_add)
    }
}

fn ids(path: &[usize]) -> Vec<TenantId> {
    path.iter().map(|n| tenant(*n)).collect()
}

fn step(table: &mut Table<HoldingKey, Holding>, plain: &mut Plain, step: &Step) {
    match *step {
        Step::Set(t, a, allotment) => {
            let area = areas()[a];
            let quota =
                (!allotment.is_none()).then_some(Quota { allotment, revision: Revision(1) });
            edit(table, &ids(&plain.path(t)), &class(), |lines| {
                lines.of(area).quota = quota;
            });
            match quota {
                Some(_) => plain.rows.insert((t, area), allotment),
                None => plain.rows.remove(&(t, area)),
            };
        }
        Step::Charge(t, p, gpus) => {
            charge(table, &ids(&plain.path(t)), &class(), Area::Code(PLACES[p]), gpus);
            let held = plain.charged.entry((t, p)).or_default();
            *held = held.saturating_add(gpus);
        }
        Step::Refund(t, p, gpus) => {
            let held = plain.charged.entry((t, p)).or_default();
            let gpus = gpus.min(*held);
            *held = held.saturating_sub(gpus);
            refund(table, &ids(&plain.path(t)), &class(), Area::Code(PLACES[p]), gpus);
        }
        Step::Move(t, parent) => {
            let (old, under) = (plain.parents.get(&t).copied(), plain.path(parent).contains(&t));
            let held = table.get(&(tenant(t), class())).cloned().unwrap_or_default();
            if let Some(old) = old {
                prune(table, &ids(&plain.path(old)), &class(), &held);
                plain.parents.remove(&t);
            }
            if !under {
                graft(table, &ids(&plain.path(parent)), &class(), &held);
                plain.parents.insert(t, parent);
            }
        }
    }
}

proptest! {
    /// Q1, Q2: whatever was set, charged, given back and moved, each line says what the definition says.
    #[test]
    fn every_line_is_what_its_definition_says(steps in steps()) {
        let (mut table, mut plain) = (Table::default(), Plain::default());
        for one in &steps {
            step(&mut table, &mut plain, one);
        }
        for t in 0..TENANTS {
            let holding = table.get(&(tenant(t), class())).cloned().unwrap_or_default();
            for area in areas() {
                let line = holding.lines.get(&area).copied().unwrap_or_default();
                prop_assert_eq!(line.own, plain.own(t, area), "own of {} in {}", t, area);
                prop_assert_eq!(line.pool(), plain.pool(t, area), "pool of {} in {}", t, area);
                prop_assert_eq!(line.used(), plain.used(t, area), "used of {} in {}", t, area);
            }
        }
        // Nothing charged, nothing set, nothing left.
        for (t, p) in plain.charged.keys().copied().collect::<Vec<_>>() {
            step(&mut table, &mut plain, &Step::Refund(t, p, u64::MAX));
        }
        for (t, area) in plain.rows.keys().copied().collect::<Vec<_>>() {
            let a = areas().iter().position(|one| *one == area).unwrap();
            step(&mut table, &mut plain, &Step::Set(t, a, Allotment::NONE));
        }
        prop_assert!(table.is_empty(), "{:?}", table);
    }

    /// Q1: charges that had room never bring a tree beyond what its rows are together, and what is given back is room again.
    #[test]
    fn what_has_room_stays_within_the_tree(steps in steps()) {
        let (mut table, mut plain) = (Table::default(), Plain::default());
        let laid = steps.iter().filter(|one| matches!(one, Step::Set(..) | Step::Move(..)));
        laid.for_each(|one| step(&mut table, &mut plain, one));
        for one in steps.iter().filter(|one| matches!(one, Step::Charge(..))) {
            let Step::Charge(t, p, gpus) = *one else { continue };
            let (path, place) = (ids(&plain.path(t)), Area::Code(PLACES[p]));
            let rows: Vec<Area> =
                areas().into_iter().filter(|area| plain.rows.contains_key(&(t, *area))).collect();
            let mut bound = rows.iter().filter(|area| area.contains(place));
            if !bound.all(|area| Held::of(&table, &path, &class()).room(*area).covers(gpus)) {
                continue;
            }
            let before: Vec<Amount> =
                rows.iter().map(|area| Held::of(&table, &path, &class()).room(*area)).collect();
            step(&mut table, &mut plain, one);
            for (area, before) in rows.iter().zip(before) {
                let after = Held::of(&table, &path, &class()).room(*area);
                let due = if area.contains(place) { before.less(gpus) } else { before };
                prop_assert_eq!(after, due, "a charge takes exactly what it is");
            }
        }
        for root in (0..TENANTS).filter(|t| !plain.parents.contains_key(t)) {
            for area in areas() {
                let tree = (0..TENANTS).filter(|t| plain.path(*t).contains(&root));
                let (nominal, used) = tree.fold((Amount::NONE, 0), |(nominal, used), t| {
                    let row = plain.rows.get(&(t, area));
                    let own = row.map_or(0, |_| plain.own(t, area));
                    (nominal.plus(row.map_or(Amount::NONE, |row| row.nominal.into())), own.saturating_add(used))
                });
                prop_assert!(nominal.covers(used), "{used} of {nominal} in {area}");
            }
        }
    }
}

#[test]
fn a_lab_borrows_what_a_bureau_lends_and_gives_it_back() {
    let (ministry, bureau, lab) = (tenant(0), tenant(1), tenant(2));
    let mut table = Table::default();
    let set = |table: &mut _, path: &[TenantId], nominal, borrowing, lending| {
        let allotment = Allotment { nominal, borrowing, lending };
        edit(table, path, &class(), |lines| {
            let quota = Quota { allotment, revision: Revision(1) };
            lines.of(Area::Japan).quota = Some(quota);
        });
    };
    let (of_bureau, of_lab) = ([bureau, ministry.clone()], [lab, ministry.clone()]);
    set(&mut table, &[ministry], Limit::Gpus(10), Limit::None, Limit::None);
    set(&mut table, &of_bureau, Limit::Gpus(8), Limit::None, Limit::Gpus(8));
    set(&mut table, &of_lab, Limit::None, Limit::Gpus(12), Limit::None);
    let place = Area::Code(PLACES[0]);
    let left = |table: &_, path: &[TenantId]| Held::of(table, path, &class()).room(Area::Japan);
    assert_eq!(left(&table, &of_lab), Amount::Gpus(12), "of 18, as far as it may borrow");
    charge(&mut table, &of_lab, &class(), place, 12);
    assert_eq!(left(&table, &of_lab), Amount::NONE);
    assert_eq!(
        table.get(&(of_lab[0].clone(), class())).unwrap().lines[&Area::Japan].borrowed(),
        12
    );
    assert_eq!(left(&table, &of_bureau), Amount::Gpus(6), "what it lent is in use");
    assert_eq!(Held::of(&table, &of_bureau, &class()).ceiling(Area::Japan), Amount::Gpus(8));
    refund(&mut table, &of_lab, &class(), place, 12);
    assert_eq!(left(&table, &of_bureau), Amount::Gpus(8));
    // Where there is no row, there is no room.
    assert_eq!(Held::of(&table, &of_bureau, &class()).room(Area::Code(10_006)), Amount::NONE);
}
