//! Caches that cannot serve what another process has already changed, for
//! longer than a stated bound.
//!
//! Two rules make the bound hold. A value is only put in when nothing was
//! invalidated since its loading began ([`Ticket`]). And cached values are only
//! believed while this process has looked at the outbox within
//! [`STALE_MAX`] ([`Freshness`]): a process that cannot look asks the database.

use std::{
    hash::Hash,
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use quick_cache::sync::Cache;

/// For how long a change made through one process may be unseen by another.
pub const STALE_MAX: Duration = Duration::from_secs(1);

/// When this process last saw every change.
#[derive(Debug, Clone)]
pub struct Freshness(Arc<Mutex<Option<Instant>>>);

impl Default for Freshness {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }
}

impl Freshness {
    /// Every change committed before `at` has been seen.
    pub fn seen_all_before(&self, at: Instant) {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(at);
    }

    /// Whether cached values may be believed.
    pub fn holds(&self) -> bool {
        let last = *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        last.is_some_and(|at| at.elapsed() < STALE_MAX)
    }
}

/// Taken before a value is loaded.
#[derive(Debug, Clone, Copy)]
pub struct Ticket(u64);

/// A bounded cache whose entries can be forgotten by what they hold.
pub struct Guarded<K, V> {
    entries: Cache<K, V>,
    epoch: AtomicU64,
    gate: RwLock<()>,
    freshness: Freshness,
}

impl<K: Hash + Eq + Clone, V: Clone> Guarded<K, V> {
    /// At most `capacity` entries, the least used going first.
    pub fn new(capacity: usize, freshness: Freshness) -> Self {
        let (epoch, gate) = (AtomicU64::new(0), RwLock::new(()));
        Self { entries: Cache::new(capacity), epoch, gate, freshness }
    }

    /// The entry, if there is one that may be believed.
    pub fn get(&self, key: &K) -> Option<V> {
        self.freshness.holds().then(|| self.entries.get(key)).flatten()
    }

    /// To be taken before loading what [`Self::put`] will be given.
    pub fn ticket(&self) -> Ticket {
        Ticket(self.epoch.load(Ordering::Acquire))
    }

    /// Keeps a value, unless something was forgotten since `ticket`.
    pub fn put(&self, ticket: Ticket, key: K, value: V) {
        let _shared = self.gate.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        if self.epoch.load(Ordering::Acquire) == ticket.0 {
            self.entries.insert(key, value);
        }
    }

    /// Forgets the entries for which `stale` holds, and what is being loaded.
    pub fn forget(&self, stale: impl Fn(&K, &V) -> bool) {
        let _alone = self.gate.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        self.epoch.fetch_add(1, Ordering::Release);
        self.entries.retain(|key, value| !stale(key, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Freshness {
        let freshness = Freshness::default();
        freshness.seen_all_before(Instant::now());
        freshness
    }

    #[test]
    fn a_value_loaded_before_a_change_is_not_kept_after_it() {
        let cache: Guarded<u8, &str> = Guarded::new(8, fresh());
        let ticket = cache.ticket();
        cache.forget(|_, _| false);
        cache.put(ticket, 1, "old");
        assert_eq!(cache.get(&1), None);
        cache.put(cache.ticket(), 1, "new");
        assert_eq!(cache.get(&1), Some("new"));
    }

    #[test]
    fn nothing_is_believed_before_the_first_look() {
        let freshness = Freshness::default();
        let cache: Guarded<u8, &str> = Guarded::new(8, freshness.clone());
        cache.put(cache.ticket(), 1, "x");
        assert_eq!(cache.get(&1), None);
        freshness.seen_all_before(Instant::now());
        assert_eq!(cache.get(&1), Some("x"));
    }
}
