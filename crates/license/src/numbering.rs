//! Numbers of usage: how an event of a ledger counts once at no key an event.
//!
//! A ledger numbers the events of each source, from 1 without gaps. The pair of
//! ledger and source is a producer, as Kafka's idempotent producer is one: the
//! reader keeps an epoch and the last number, and nothing for each event. The
//! ledger's own chain has no gaps, so its own numbers come in order.
//!
//! A data directory that is copied, or restored from an older copy, gives one
//! number to different events. Such a history never goes on under its key: the
//! reader sees the fork, and the copy brings what is not counted under a new key,
//! with the numbers of the old one. From there on numbers of the old ledger say
//! nothing any more. So whoever brings numbers of another ledger than its own
//! raises that producer's epoch, and from then on all of its events, also those
//! that come under the old key, count once by their ids: those that were recorded
//! by number after the last number that all histories agree on, and else those
//! that were recorded by name.
//!
//! Owns: that decision, and the producers' names. Pure.

/// Longest name of a source that is numbered, in bytes: with the ledger before it it must
/// still be the name of a source. Events of longer ones count once by their names.
pub const SOURCE_LEN_MAX: usize = 400;
/// The highest number: what the usage API reads.
pub const NUMBER_MAX: u64 = 999_999_999_999_999_999;

/// Where a producer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// 0 while its numbers are believed.
    pub epoch: i64,
    /// Of epoch 0: the last number that was settled. Later: the last number up to which all
    /// histories of the ledger are known to agree.
    pub last: i64,
}

/// How an event is told from a repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By its number.
    Number,
    /// By its id: first among what was recorded by numbers above [`Mark::last`], then among the
    /// events of [`parted`].
    Name,
}

impl Mark {
    /// How to take in an event of this number. `own`: its ledger's key signed the report, so what
    /// was not taken in before comes in order.
    pub fn way(&mut self, own: bool, number: i64) -> Way {
        if own && self.epoch == 0 && number == self.last + 1 {
            self.last = number;
            return Way::Number;
        }
        // The first number that a history brings follows what it knows to be counted: up to
        // there it agrees with everything that was recorded.
        let agreed = number - 1;
        self.last = if self.epoch == 0 { agreed } else { self.last.min(agreed) };
        self.epoch = self.epoch.max(1);
        Way::Name
    }
}

/// The name of the producer: a source of its own, in the numbered lane.
pub fn producer(ledger: &str, source: &str) -> String {
    format!("urn:tenure:ledger:{ledger}#{source}")
}

/// The name under which events of a producer are recorded whose numbers say nothing any more.
pub fn parted(ledger: &str, source: &str) -> String {
    format!("urn:tenure:parted:{ledger}#{source}")
}

/// Whether `ledger` could be the name of a key: a thumbprint (RFC 7638) in base64url.
pub fn is_ledger(ledger: &str) -> bool {
    ledger.len() == 43
        && ledger.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// What a reader has recorded of one producer.
    #[derive(Default)]
    struct Book {
        mark: Mark,
        numbered: Vec<u32>,
        named: BTreeSet<u32>,
        recorded: Vec<u32>,
    }

    impl Book {
        fn take(&mut self, own: bool, number: usize, event: u32) {
            match self.mark.way(own, number as i64) {
                Way::Number => {
                    self.numbered.push(event);
                    self.recorded.push(event);
                }
                Way::Name => {
                    let from = usize::try_from(self.mark.last).unwrap().min(self.numbered.len());
                    if !self.numbered[from..].contains(&event) && self.named.insert(event) {
                        self.recorded.push(event);
                    }
                }
            }
        }
    }

    proptest! {
        /// Copies share what came before the copy, and part. The original may report any of it
        /// under its own key before and between; every copy then brings what is not counted for
        /// it, in pages, in any order of pages among the copies, some of them twice.
        #[test]
        fn every_event_of_every_copy_counts_once(
            shared in 0usize..12,
            counted in 0usize..12,
            parts in proptest::collection::vec(proptest::collection::vec(0u32..40, 0..8), 1..4),
            own in 0usize..20,
            turns in proptest::collection::vec(
                (0usize..4, 1usize..4, any::<bool>(), any::<bool>()), 0..40),
        ) {
            let counted = counted.min(shared);
            let histories: Vec<Vec<u32>> = parts
                .iter()
                .map(|part| {
                    // A product may hand one event to two copies; to one copy only once.
                    let mut seen = BTreeSet::new();
                    let part = part.iter().filter(|event| seen.insert(**event));
                    (1_000..1_000 + shared as u32).chain(part.copied()).collect()
                })
                .collect();
            let mut book = Book::default();
            let reported = own.max(counted).min(histories[0].len());
            for (index, event) in histories[0][..reported].iter().enumerate() {
                book.take(true, index + 1, *event);
            }
            let mut next: Vec<usize> = vec![counted; histories.len()];
            let mut bring = |book: &mut Book, who: usize, many: usize, again: bool, own: bool| {
                let from = next[who];
                let upto = (from + many).min(histories[who].len());
                for (index, event) in histories[who][..upto].iter().enumerate().skip(from) {
                    book.take(own, index + 1, *event);
                }
                if !again {
                    next[who] = upto;
                }
            };
            for (who, many, again, old_key) in turns {
                // The original may not have heard yet that it was copied.
                let who = who % histories.len();
                bring(&mut book, who, many, again, old_key && who == 0);
            }
            for who in 0..histories.len() {
                bring(&mut book, who, 100, false, false);
            }
            let all: BTreeSet<u32> = histories.iter().flatten().copied().collect();
            let mut recorded = book.recorded.clone();
            recorded.sort_unstable();
            prop_assert_eq!(recorded, all.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_old_key_is_not_believed_any_more_once_a_copy_parted() {
        let mut mark = Mark { epoch: 0, last: 7 };
        assert_eq!(mark.way(true, 8), Way::Number);
        assert_eq!(mark.way(false, 5), Way::Name);
        assert_eq!(mark, Mark { epoch: 1, last: 4 });
        assert_eq!(mark.way(true, 9), Way::Name);
        assert_eq!(mark.way(false, 3), Way::Name);
        assert_eq!(mark, Mark { epoch: 1, last: 2 });
    }

    #[test]
    fn a_ledger_is_named_by_a_thumbprint() {
        assert!(is_ledger(&"aB3-_".repeat(9)[..43]));
        assert!(!is_ledger(&"a".repeat(42)));
        assert!(!is_ledger(&"#".repeat(43)));
    }
}
