//! The two ways in which an event counts once.
//!
//! The key lane remembers every event's key. The numbered lane remembers, for
//! each source, up to which number everything is settled: a producer that
//! numbers its events without gaps costs no key an event. The guarantee is the
//! same. Owns: what a number means, given the numbers before it. Pure.

/// Up to which number everything of a source is settled: recorded, or refused
/// for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Watermark {
    /// Counts the producer's new beginnings.
    pub(super) epoch: i64,
    /// The last settled number of the epoch; 0 before the first.
    pub(super) last: i64,
}

/// What an event's number says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It is the next: settled from now on.
    Next,
    /// It was settled before.
    Settled,
    /// A number is missing before it.
    Gap {
        /// In the event's own epoch.
        next: i64,
    },
    /// Its producer began anew since.
    Stale,
}

impl Watermark {
    /// Of a source whose first event is yet to come.
    pub(super) const START: Self = Self { epoch: 0, last: 0 };

    /// Takes an event in.
    pub(super) fn step(&mut self, epoch: i64, number: i64) -> Step {
        if epoch < self.epoch {
            return Step::Stale;
        }
        let last = if epoch > self.epoch { 0 } else { self.last };
        if number <= last {
            return Step::Settled;
        }
        if number > last + 1 {
            return Step::Gap { next: last + 1 };
        }
        *self = Self { epoch, last: number };
        Step::Next
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn however_numbers_come_each_is_taken_once_and_in_order(
            count in 1i64..40,
            sent in proptest::collection::vec((0i64..40, 1usize..8), 0..60),
        ) {
            let mut mark = Watermark::START;
            let mut taken = Vec::new();
            let mut send = |from: i64, many: i64| {
                for number in from..from + many {
                    match mark.step(0, number) {
                        Step::Next => taken.push(number),
                        Step::Settled => assert!(taken.contains(&number)),
                        Step::Gap { next } => assert!(next < number && !taken.contains(&number)),
                        Step::Stale => panic!("there is one epoch"),
                    }
                }
            };
            for (from, many) in sent {
                send(1 + from % count, many as i64);
            }
            // A producer that goes on from where it was told to ends with all of them.
            send(1, count + 8);
            let all: Vec<i64> = (1..=*taken.last().unwrap()).collect();
            prop_assert_eq!(taken, all);
        }
    }

    #[test]
    fn a_new_epoch_begins_at_one_and_ends_the_old() {
        let mut mark = Watermark { epoch: 3, last: 17 };
        assert_eq!(mark.step(4, 2), Step::Gap { next: 1 });
        assert_eq!(mark, Watermark { epoch: 3, last: 17 }, "a gap begins nothing");
        assert_eq!(mark.step(4, 1), Step::Next);
        assert_eq!(mark.step(3, 18), Step::Stale);
        assert_eq!(mark.step(4, 1), Step::Settled);
        assert_eq!(mark.step(4, 2), Step::Next);
    }
}
