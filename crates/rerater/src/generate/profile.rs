//! What believable customers of the five products buy and use. Plans, items and meters are named as
//! in the product files; the tests of this module's parent rate every year that follows from them.

use super::Which;
use crate::input::Unit;

/// What is sold of a product, as far as the generator needs it.
pub(crate) struct Profile {
    pub(crate) file: &'static str,
    pub(crate) plans: &'static [PlanChoice],
    pub(crate) allocation: Option<&'static str>,
    pub(crate) beside: &'static [Beside],
    pub(crate) meters: &'static [Used],
    pub(crate) trial_days: Option<i64>,
}

/// A plan, with the prices that a contract has to say for it.
pub(crate) struct PlanChoice {
    pub(crate) id: &'static str,
    pub(crate) model: &'static str,
    pub(crate) interval: Unit,
    pub(crate) prepaid: bool,
    /// Line, least and most in cents, and how often where the list does not say.
    pub(crate) agreed: &'static [(&'static str, u64, u64, Option<Unit>)],
    /// Meter, what the list includes, what a small year includes instead.
    pub(crate) limits: &'static [(&'static str, u64, u64)],
}

/// An add-on or a service.
pub(crate) struct Beside {
    pub(crate) id: &'static str,
    /// Plans that it is sold with here; with any when empty.
    pub(crate) plans: &'static [&'static str],
    pub(crate) most: u64,
    pub(crate) once: bool,
    pub(crate) agreed: Option<(u64, u64)>,
}

/// A kind of event that the customer's use makes.
pub(crate) struct Used {
    pub(crate) meter: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) how: How,
    /// About so many on a day, when nothing is included.
    pub(crate) usual: u64,
    /// What is included is for a month.
    pub(crate) monthly: bool,
}

/// What an event carries.
pub(crate) enum How {
    /// Nothing; it is counted.
    Count,
    /// Somebody.
    Member(&'static str),
    /// A level, around so many of the unit (its size given).
    Level(&'static str, u64),
}

const M: Unit = Unit::Month;
const Y: Unit = Unit::Year;

const fn plan(
    id: &'static str,
    model: &'static str,
    agreed: &'static [(&'static str, u64, u64, Option<Unit>)],
    limits: &'static [(&'static str, u64, u64)],
) -> PlanChoice {
    PlanChoice { id, model, interval: M, prepaid: false, agreed, limits }
}

const fn yearly(id: &'static str, model: &'static str, prepaid: bool) -> PlanChoice {
    PlanChoice { id, model, interval: Y, prepaid, agreed: &[], limits: &[] }
}

const fn beside(id: &'static str, plans: &'static [&'static str], most: u64) -> Beside {
    Beside { id, plans, most, once: false, agreed: None }
}

const fn service(id: &'static str, most: u64) -> Beside {
    Beside { id, plans: &[], most, once: true, agreed: None }
}

const fn used(
    meter: &'static str,
    kind: &'static str,
    how: How,
    usual: u64,
    monthly: bool,
) -> Used {
    Used { meter, kind, how, usual, monthly }
}

/// The profile of a product.
pub(crate) fn of(which: Which) -> &'static Profile {
    match which {
        Which::AgentGovernance => &AGENT_GOVERNANCE,
        Which::Dyocense => &DYOCENSE,
        Which::Incidentfox => &INCIDENTFOX,
        Which::KgRca => &KG_RCA,
        Which::MeetingMinutes => &MEETING_MINUTES,
    }
}

static AGENT_GOVERNANCE: Profile = Profile {
    file: include_str!("../../../../products/agent-governance/product.toml"),
    plans: &[
        plan("license-starter", "self_hosted", &[], &[]),
        plan("license-professional", "self_hosted", &[], &[]),
        plan("license-enterprise", "self_hosted", &[("base", 15_000_000, 30_000_000, None)], &[]),
        plan("subscription-starter", "self_hosted", &[], &[]),
        plan("subscription-professional", "self_hosted", &[], &[]),
        plan(
            "subscription-enterprise",
            "self_hosted",
            &[("base", 1_500_000, 3_000_000, None)],
            &[],
        ),
        plan("hybrid", "self_hosted", &[], &[]),
        plan("saas-agents", "managed", &[("base", 5_000, 10_000, None)], &[]),
        plan("saas-standard", "managed", &[], &[]),
        plan("saas-business", "managed", &[], &[]),
        plan("saas-enterprise", "managed", &[("base", 2_000_000, 5_000_000, Some(M))], &[]),
        plan(
            "saas-usage",
            "managed",
            &[
                ("base", 50_000, 200_000, None),
                ("agents", 500, 3_333, None),
                ("discoveries", 1, 9, None),
            ],
            &[],
        ),
    ],
    allocation: Some("agents"),
    beside: &[
        Beside {
            id: "support",
            plans: &["license-starter", "license-professional", "license-enterprise"],
            most: 1,
            once: false,
            agreed: Some((500_000, 2_000_000)),
        },
        beside("cloud-services", &["hybrid"], 1),
    ],
    meters: &[
        used("discoveries", "agent.discovered", How::Count, 2, false),
        used("active_agents", "agent.seen", How::Member("agent_id"), 1, false),
    ],
    trial_days: None,
};

static DYOCENSE: Profile = Profile {
    file: include_str!("../../../../products/dyocense/product.toml"),
    plans: &[
        plan("starter", "managed", &[], &[]),
        plan("growth", "managed", &[], &[]),
        plan("business", "managed", &[], &[]),
        plan("enterprise", "self_hosted", &[("base", 199_900, 777_777, None)], &[]),
    ],
    allocation: Some("locations"),
    beside: &[],
    meters: &[],
    trial_days: None,
};

static INCIDENTFOX: Profile = Profile {
    file: include_str!("../../../../products/incidentfox/product.toml"),
    plans: &[
        plan("starter", "self_hosted", &[], &[("agent_runs", 10_000, 20)]),
        plan("professional", "self_hosted", &[], &[("agent_runs", 50_000, 40)]),
        plan(
            "enterprise",
            "air_gapped",
            &[("base", 20_000_000, 40_000_000, None)],
            &[("agent_runs", 200_000, 60)],
        ),
        plan("enterprise-plus", "air_gapped", &[("base", 30_000_000, 60_000_000, None)], &[]),
        plan("consumption", "self_hosted", &[], &[]),
        plan("seats", "self_hosted", &[], &[]),
        yearly("seats", "self_hosted", true),
    ],
    allocation: Some("teams"),
    beside: &[service("custom-mcp", 2), service("custom-agent", 1), beside("training", &[], 1)],
    meters: &[
        used("agent_runs", "agent.run", How::Count, 2, true),
        used("concurrent_teams", "teams.concurrent", How::Level("teams", 1), 1, false),
        used("active_users", "user.active", How::Member("user_id"), 1, false),
    ],
    trial_days: None,
};

static KG_RCA: Profile = Profile {
    file: include_str!("../../../../products/kg-rca/product.toml"),
    plans: &[
        plan(
            "free",
            "managed",
            &[],
            &[("events", 10_000, 2), ("queries", 100, 10), ("storage", 1, 1)],
        ),
        plan(
            "basic",
            "managed",
            &[],
            &[("events", 100_000, 3), ("queries", 1_000, 20), ("storage", 10, 10)],
        ),
        plan(
            "pro",
            "managed",
            &[],
            &[("events", 1_000_000, 5), ("queries", 10_000, 30), ("storage", 100, 100)],
        ),
        plan("enterprise", "managed", &[("base", 200_000, 900_000, Some(M))], &[]),
    ],
    allocation: None,
    beside: &[],
    meters: &[
        used("events", "event.ingested", How::Count, 3, false),
        used("queries", "rca.query", How::Count, 1, true),
        used("storage", "storage.measured", How::Level("bytes", 1_000_000_000), 1, false),
    ],
    trial_days: None,
};

static MEETING_MINUTES: Profile = Profile {
    file: include_str!("../../../../products/meeting-minutes/product.toml"),
    plans: &[
        plan("starter", "managed", &[], &[("meetings", 100, 10)]),
        plan("pro", "managed", &[], &[]),
        plan("enterprise", "managed", &[("base", 100_000, 500_000, Some(M))], &[]),
        plan("byoi", "byoi", &[], &[]),
        yearly("self-hosted", "self_hosted", false),
    ],
    allocation: Some("users"),
    beside: &[
        beside("premium-sla", &["byoi"], 1),
        beside("premium-support", &["self-hosted"], 1),
        service("professional", 40),
    ],
    meters: &[
        used("meetings", "meeting.processed", How::Count, 1, true),
        used("active_users", "user.active", How::Member("user_id"), 1, false),
    ],
    trial_days: Some(14),
};
