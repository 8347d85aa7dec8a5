//! A member's journal, as its pages come in.
//!
//! Must hold: whatever a member answers, this ends, within the bounds of a journal, and what it gives has its place in a bundle;
//! a member that lies is told as one that does not tell its journal, and keeps nobody else's out of the file.

use sekisho_evidence::audit_bundle::Kept;
use sekisho_evidence::journal::{DENIAL_MAX, JournalHead, KEPT_MAX};
use sekisho_proto::v1;
use sekisho_types::id::{ClusterId, Digest, MemberId};

/// Entries of a journal that one call asks for.
pub(super) const PAGE: u32 = 1000;

/// What has come.
#[derive(Debug)]
pub(super) struct Pages {
    /// The chain before the first entry.
    from: JournalHead,
    /// The chain behind the last one.
    to: JournalHead,
    /// How many there were in all when the first page came: it grows while it is read, and that is enough.
    until: Option<u64>,
    entries: Vec<Vec<u8>>,
    /// An empty page came.
    over: bool,
}

impl Pages {
    pub(super) fn new(cluster: &ClusterId, member: MemberId) -> Self {
        let start = JournalHead::start(cluster, member);
        Self { from: start, to: start, until: None, entries: Vec::new(), over: false }
    }

    /// The first entry to ask for next; `None` when all have come.
    pub(super) fn wanted(&self) -> Option<u64> {
        let whole = self.until.is_some_and(|until| self.to.count >= until);
        (!self.over && !whole).then_some(self.to.count)
    }

    /// Takes the answer to what was wanted.
    pub(super) fn take(&mut self, page: &v1::ListDenialsResponse) -> Result<(), &'static str> {
        if page.member != self.to.member.0 {
            return Err("another member answered");
        }
        let first = self.until.is_none();
        self.until.get_or_insert(page.count);
        if page.entries.is_empty() {
            self.over = true;
            return Ok(());
        }
        if page.start != self.to.count {
            self.begin_at(page, first)?;
        }
        if first && page.count.checked_sub(page.start).is_none_or(|kept| kept > KEPT_MAX) {
            return Err("it counts more entries than a member keeps");
        }
        if page.entries.len() > usize::try_from(PAGE).unwrap_or(usize::MAX) {
            return Err("a page has more entries than were asked for");
        }
        for entry in &page.entries {
            if entry.len() > DENIAL_MAX {
                return Err("an entry is larger than its bound");
            }
            self.to = self.to.next(entry);
            self.entries.push(entry.to_vec());
        }
        Ok(())
    }

    /// Its memory begins later than at the start.
    fn begin_at(
        &mut self,
        page: &v1::ListDenialsResponse,
        first: bool,
    ) -> Result<(), &'static str> {
        if !first {
            return Err("its journal moved away while it was read");
        }
        let before = page.before.as_ref().try_into().map(Digest);
        let head = before.map_err(|_length| "a hash of another length")?;
        self.from = JournalHead { member: self.to.member, count: page.start, head };
        self.to = self.from;
        Ok(())
    }

    /// What goes into the bundle.
    pub(super) fn finish(self) -> Result<(Kept, Vec<Vec<u8>>), &'static str> {
        let Self { from, to, until, entries, .. } = self;
        if until.is_none_or(|until| to.count < until) {
            return Err("it keeps fewer entries than it counts");
        }
        let between = to.count.checked_sub(from.count);
        if between != u64::try_from(entries.len()).ok() {
            return Err("its entries are not as many as their numbers say");
        }
        Ok((Kept::Between { from, to }, entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: ClusterId = ClusterId([1; 16]);

    fn read(
        mut answer: impl FnMut(u64) -> v1::ListDenialsResponse,
    ) -> Result<(Kept, Vec<Vec<u8>>), &'static str> {
        let mut pages = Pages::new(&CLUSTER, MemberId(2));
        while let Some(start) = pages.wanted() {
            pages.take(&answer(start))?;
        }
        pages.finish()
    }

    fn page(start: u64, entries: &[&[u8]], count: u64) -> v1::ListDenialsResponse {
        v1::ListDenialsResponse {
            member: 2,
            start,
            before: vec![7; 32].into(),
            entries: entries.iter().map(|entry| entry.to_vec().into()).collect(),
            count,
            first: start,
        }
    }

    #[test]
    fn an_honest_journal_is_read_whole_from_where_it_begins() {
        let start = JournalHead::start(&CLUSTER, MemberId(2));
        let (kept, entries) = read(|from| page(from, &[b"a", b"b"], 4)).unwrap();
        let to = entries.iter().fold(start, |head, entry| head.next(entry));
        assert_eq!((kept, entries.len()), (Kept::Between { from: start, to }, 4));
        let cut = read(|from| page(from.max(9), &[b"a"], 11)).unwrap();
        let Kept::Between { from, to } = cut.0 else { panic!("{cut:?}") };
        assert_eq!((from.count, from.head, to.count), (9, Digest([7; 32]), 11));
        let empty = read(|from| page(from, &[], 0)).unwrap();
        assert_eq!(empty, (Kept::Between { from: start, to: start }, vec![]));
    }

    /// One answer of these kept every export of every member from being written.
    #[test]
    fn what_has_no_place_in_a_bundle_is_refused_here() {
        let long = [0; DENIAL_MAX + 1];
        let large = read(|from| page(from, &[&long], 1));
        assert_eq!(large, Err("an entry is larger than its bound"));
        let last = read(|_| page(u64::MAX, &[b"a", b"b"], u64::MAX));
        assert_eq!(last, Err("its entries are not as many as their numbers say"));
        let behind = read(|_| page(u64::MAX, &[b"a"], 5));
        assert_eq!(behind, Err("it counts more entries than a member keeps"));
        let many = vec![&b"a"[..]; 1001];
        let many = read(|from| page(from, &many, 2000));
        assert_eq!(many, Err("a page has more entries than were asked for"));
        let moved = read(|from| page(if from == 0 { 0 } else { from + 5 }, &[b"a"], 9));
        assert_eq!(moved, Err("its journal moved away while it was read"));
        assert_eq!(read(|from| page(from, &[], 3)), Err("it keeps fewer entries than it counts"));
    }

    #[test]
    fn a_journal_without_an_end_ends() {
        let asked = std::cell::Cell::new(0);
        let answer = |from: u64| {
            asked.set(asked.get() + 1);
            page(from, &[b"a"], u64::MAX)
        };
        assert_eq!(read(answer), Err("it counts more entries than a member keeps"));
        assert_eq!(asked.get(), 1);
        // One that counts on is read as far as it counted at first.
        let growing = read(|from| page(from, &[b"a"], from + 2)).unwrap();
        assert_eq!(growing.1.len(), 2);
    }
}
