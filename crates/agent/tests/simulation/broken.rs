//! Rules broken on purpose, to see that the simulation notices.

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The server forgets a token once its slot was given back.
    ServerForgetsReturnedTokens,
    /// The server renews without counting who else holds the license.
    ServerRenewsWithoutCounting,
    /// The server takes a second history under one key for the next call, and a second
    /// ledger for more of the first.
    ServerSeesNoForks,
    /// The server counts an event as often as it is told of it.
    ServerCountsTwice,
    /// The server tells the events of a copy from those of the original by their numbers alone.
    ServerBelievesCopiedNumbers,
    /// The server takes a report that begins after what it knows.
    ServerIgnoresGaps,
    /// The server holds a slot until the end of the newest token in it, not of the longest.
    ServerHoldsForTheNewestLease,
    /// The server refuses a revoked instance and does not show it the list.
    ServerJustRefusesTheRevoked,
    /// The server numbers its revocation lists one by one, also after a restored backup.
    ServerNumbersListsAfresh,
    /// The agent sends a call before it has written it down.
    AgentSendsBeforeWriting,
    /// The agent believes its clock rather than its floor.
    AgentFollowsItsClock,
    /// The agent takes silence for an end.
    AgentDropsItsLeaseOnSilence,
    /// The agent does not read revocation lists.
    AgentIgnoresRevocations,
    /// The agent goes on under a key that was copied.
    AgentKeepsACopiedKey,
    /// The agent stops trying after some failures.
    AgentGivesUp,
    /// The agent forgets usage that it has recorded but not reported when it gets a new key.
    AgentDropsItsLedger,
}
