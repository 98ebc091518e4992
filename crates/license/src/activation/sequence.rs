//! The numbered requests of an instance.
//!
//! An instance numbers its requests 1, 2, ... and writes each one down before
//! it is sent, so that a lost answer is asked for again with the same bytes.
//! Each answer hands out the nonce of the next request. Two copies of one
//! instance (a cloned machine) therefore send two different requests under one
//! number sooner or later: a fork.

use serde::{Deserialize, Serialize};

use crate::Digest;

/// Earlier requests remembered, to tell a late duplicate from a fork. Of one that is older
/// nothing is known, so it is taken for a duplicate: a copy that lies so far behind is told
/// that it is late, and nobody else pays for it.
pub const RECENT_MAX: usize = 8;

/// What is remembered of an instance's requests.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sequence {
    /// The number of the last request that was accepted; 0 before the first.
    pub last: u64,
    /// Digests of the last requests, of consecutive numbers up to `last`, the newest last, at
    /// most [`RECENT_MAX`].
    pub recent: Vec<Digest>,
}

/// A request, as presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presented {
    /// Its number.
    pub seq: u64,
    /// Digest over everything that it says, its nonce included.
    pub digest: Digest,
    /// Whether its nonce is the one that the answer before handed out. (The first
    /// request has none to match.)
    pub nonce_matches: bool,
}

/// What a presented request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// The next one: act on it.
    Next,
    /// Ahead of what is remembered: this side lost some (a restored backup). The
    /// signature proves who it is, so act on it.
    Ahead,
    /// The last one again: its answer was lost. Give the same answer.
    Repeat,
    /// An older one that came late, or one too old to be remembered. Change nothing. Whoever
    /// still waits for its answer is a copy, or an older snapshot, of the instance that went
    /// on, and must learn it from the answer.
    Late,
    /// A second history under the same key, as two requests of one number show: a copy of the
    /// instance.
    Fork,
}

impl Sequence {
    /// Tells what `presented` is.
    pub fn judge(&self, presented: &Presented) -> Judgement {
        if presented.seq > self.last.saturating_add(1) {
            return Judgement::Ahead;
        }
        if presented.seq == self.last.saturating_add(1) {
            let first = self.last == 0;
            return if first || presented.nonce_matches {
                Judgement::Next
            } else {
                Judgement::Fork
            };
        }
        let back = usize::try_from(self.last - presented.seq).unwrap_or(usize::MAX);
        match self.recent.iter().rev().nth(back) {
            Some(known) if *known != presented.digest => Judgement::Fork,
            Some(_) if back == 0 => Judgement::Repeat,
            _ => Judgement::Late,
        }
    }

    /// Remembers an accepted request.
    pub fn accept(&mut self, presented: &Presented) {
        // Numbers that were skipped are not known to have been anything.
        if presented.seq != self.last.saturating_add(1) {
            self.recent.clear();
        }
        self.last = presented.seq;
        self.recent.push(presented.digest);
        if self.recent.len() > RECENT_MAX {
            self.recent.drain(..self.recent.len() - RECENT_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(seq: u64, says: &str, nonce_matches: bool) -> Presented {
        Presented { seq, digest: Digest::sha256(says.as_bytes()), nonce_matches }
    }

    fn after(count: u64) -> Sequence {
        let mut sequence = Sequence::default();
        for seq in 1..=count {
            sequence.accept(&request(seq, &format!("r{seq}"), true));
        }
        sequence
    }

    #[test]
    fn the_next_request_is_accepted_with_the_nonce_that_was_handed_out() {
        assert_eq!(after(0).judge(&request(1, "r1", false)), Judgement::Next);
        assert_eq!(after(3).judge(&request(4, "r4", true)), Judgement::Next);
        assert_eq!(after(3).judge(&request(4, "r4", false)), Judgement::Fork);
    }

    #[test]
    fn a_lost_answer_is_given_again_and_a_late_duplicate_changes_nothing() {
        assert_eq!(after(3).judge(&request(3, "r3", false)), Judgement::Repeat);
        assert_eq!(after(3).judge(&request(2, "r2", false)), Judgement::Late);
        assert_eq!(after(20).judge(&request(13, "r13", false)), Judgement::Late);
    }

    #[test]
    fn two_histories_under_one_key_are_a_fork() {
        assert_eq!(after(3).judge(&request(3, "other", true)), Judgement::Fork);
        assert_eq!(after(3).judge(&request(2, "other", true)), Judgement::Fork);
    }

    #[test]
    fn a_request_that_is_too_old_to_be_remembered_accuses_nobody() {
        assert_eq!(after(20).judge(&request(12, "r12", false)), Judgement::Late);
        assert_eq!(after(20).judge(&request(12, "other", true)), Judgement::Late);
        assert_eq!(after(20).judge(&request(13, "other", true)), Judgement::Fork);
    }

    #[test]
    fn a_request_of_a_time_that_was_lost_accuses_nobody() {
        let mut restored = after(3);
        restored.accept(&request(9, "r9", false));
        assert_eq!(restored.judge(&request(6, "r6", true)), Judgement::Late);
        assert_eq!(restored.judge(&request(3, "r3", true)), Judgement::Late);
        assert_eq!(restored.judge(&request(9, "r9", false)), Judgement::Repeat);
        assert_eq!(restored.judge(&request(9, "other", true)), Judgement::Fork);
    }

    #[test]
    fn a_server_that_lost_some_requests_goes_on() {
        assert_eq!(after(3).judge(&request(9, "r9", false)), Judgement::Ahead);
    }
}
