//! Time as a parameter.
//!
//! Decisions take `now` as an argument; only the edges ask a [`Clock`].

use std::sync::Mutex;

use jiff::Timestamp;

/// Where an edge (server, agent, command line) reads the time.
pub trait Clock: Send + Sync + 'static {
    /// The present moment in UTC.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that stands still until it is moved, and only moves forward.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// A clock standing at `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(Mutex::new(start))
    }

    /// Moves to `to`. Returns `false`, and stays, when `to` lies in the past.
    pub fn advance_to(&self, to: Timestamp) -> bool {
        let mut now = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let forward = to >= *now;
        if forward {
            *now = to;
        }
        forward
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_never_goes_back() {
        let clock = ManualClock::new(Timestamp::from_second(100).unwrap());
        assert!(!clock.advance_to(Timestamp::from_second(99).unwrap()));
        assert!(clock.advance_to(Timestamp::from_second(101).unwrap()));
        assert_eq!(clock.now().as_second(), 101);
    }
}
