//! Who the demonstration's customers are: five products, four models, many plans.

/// Something that a customer's software reports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flow {
    /// CloudEvents `type`.
    pub kind: &'static str,
    /// How it is reported.
    pub shape: Shape,
}

/// How something is reported.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// So many events a working day, growing by so many per cent a month.
    Counted { a_day: u32, growth: u32 },
    /// As `Counted`; each names one of so many people or things.
    Named { field: &'static str, a_day: u32, of: u32 },
    /// Every hour one event with the present size.
    Measured { field: &'static str, from: u64, to: u64 },
}

/// What was negotiated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deal {
    /// The agreed price of the plan.
    pub amount: &'static str,
    /// `month` or `year`.
    pub every: &'static str,
    /// Why.
    pub reason: &'static str,
    /// A limit that was raised.
    pub limit: Option<(&'static str, &'static str)>,
}

/// One customer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Customer {
    /// Readable and unique.
    pub slug: &'static str,
    /// For people.
    pub name: &'static str,
    /// IANA time zone.
    pub zone: &'static str,
    /// A class that a discount is for.
    pub class: Option<&'static str>,
    /// What it bought.
    pub product: &'static str,
    /// On which plan.
    pub plan: &'static str,
    /// In which model.
    pub model: &'static str,
    /// For how many months it has been a customer; 0: in its trial.
    pub months: i64,
    /// Charges with quantities.
    pub items: &'static [(&'static str, &'static str)],
    /// What was negotiated.
    pub deal: Option<Deal>,
    /// Units, each with its teams.
    pub units: &'static [(&'static str, &'static [&'static str])],
    /// What its software reports.
    pub flows: &'static [Flow],
    /// Whether access is withheld, because it stopped to pay.
    pub suspended: bool,
    /// Whether its billing periods end on the day of the demonstration rather than with the month:
    /// its newest invoice is a draft.
    pub ends_today: bool,
    /// Events of the first flow that arrive when their month is invoiced already.
    pub late: Option<u32>,
    /// What it had bought before.
    pub before: Option<Before>,
}

/// What a customer had until it changed its mind in the middle of the year.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before {
    /// So many days before the demonstration it changed.
    pub days: i64,
    /// Another plan.
    pub plan: &'static str,
    /// Other quantities of the same charges.
    pub items: &'static [(&'static str, &'static str)],
}

const fn counted(kind: &'static str, a_day: u32, growth: u32) -> Flow {
    Flow { kind, shape: Shape::Counted { a_day, growth } }
}

const fn named(kind: &'static str, field: &'static str, a_day: u32, of: u32) -> Flow {
    Flow { kind, shape: Shape::Named { field, a_day, of } }
}

const fn measured(kind: &'static str, field: &'static str, from: u64, to: u64) -> Flow {
    Flow { kind, shape: Shape::Measured { field, from, to } }
}

const GB: u64 = 1_000_000_000;

const PLAIN: Customer = Customer {
    slug: "",
    name: "",
    zone: "UTC",
    class: None,
    product: "",
    plan: "",
    model: "managed",
    months: 1,
    items: &[],
    deal: None,
    units: &[],
    flows: &[],
    suspended: false,
    ends_today: false,
    late: None,
    before: None,
};

/// All of them, in the order in which they are made.
pub(crate) const CUSTOMERS: [Customer; 17] = [
    Customer {
        slug: "northwind-traders",
        name: "Northwind Traders",
        zone: "America/New_York",
        product: "kg-rca",
        plan: "pro",
        months: 12,
        units: &[("Commerce", &["Checkout", "Search"]), ("Platform", &["Site reliability"])],
        flows: &[
            counted("event.ingested", 3_400, 18),
            counted("rca.query", 60, 10),
            counted("api.call", 320, 12),
            measured("storage.measured", "bytes", 61 * GB, 78 * GB),
        ],
        before: Some(Before { days: 130, plan: "basic", items: &[] }),
        ..PLAIN
    },
    Customer {
        slug: "acme-retail",
        name: "Acme Retail GmbH",
        zone: "Europe/Berlin",
        product: "kg-rca",
        plan: "basic",
        months: 8,
        flows: &[
            counted("event.ingested", 1_500, 25),
            // Past the 1,000 queries of its plan, which are then charged.
            counted("rca.query", 84, 30),
            counted("api.call", 150, 5),
            measured("storage.measured", "bytes", 9 * GB, 14 * GB),
        ],
        ..PLAIN
    },
    Customer {
        slug: "lumen-labs",
        name: "Lumen Labs",
        zone: "Asia/Kolkata",
        product: "kg-rca",
        plan: "free",
        months: 4,
        // Past the 100 queries of the free plan, which are then blocked.
        flows: &[counted("event.ingested", 300, 40), counted("rca.query", 6, 20)],
        ..PLAIN
    },
    Customer {
        slug: "meridian-bank",
        name: "Meridian Bank plc",
        zone: "Europe/London",
        product: "kg-rca",
        plan: "enterprise",
        months: 11,
        ends_today: true,
        deal: Some(Deal {
            amount: "6500",
            every: "month",
            reason: "Quote Q-2211: three years, price held; signed by the CIO",
            limit: None,
        }),
        units: &[
            ("Payments", &["Card processing", "Instant payments"]),
            ("Markets", &["Pricing", "Settlement"]),
            ("Group technology", &["Observability"]),
        ],
        flows: &[
            counted("event.ingested", 2_900, 6),
            counted("rca.query", 110, 8),
            measured("storage.measured", "bytes", 240 * GB, 262 * GB),
        ],
        ..PLAIN
    },
    Customer {
        slug: "fjord-analytics",
        name: "Fjord Analytics AS",
        zone: "Europe/Oslo",
        product: "kg-rca",
        plan: "basic",
        months: 6,
        ends_today: true,
        // Past the 1,000 queries of its plan in each month.
        flows: &[
            counted("rca.query", 110, 10),
            measured("storage.measured", "bytes", 4 * GB, 7 * GB),
        ],
        // A cluster that was cut off reports what it held back.
        late: Some(46),
        ..PLAIN
    },
    Customer {
        slug: "hartley-sons",
        name: "Hartley & Sons Solicitors",
        zone: "Europe/London",
        product: "meeting-minutes",
        plan: "starter",
        months: 5,
        items: &[("base", "9")],
        flows: &[counted("meeting.processed", 4, 5), named("user.active", "user_id", 14, 9)],
        ..PLAIN
    },
    Customer {
        slug: "open-harvest",
        name: "Open Harvest Foundation",
        zone: "Africa/Nairobi",
        class: Some("nonprofit"),
        product: "meeting-minutes",
        plan: "pro",
        months: 10,
        items: &[("base", "42")],
        flows: &[counted("meeting.processed", 21, 9), named("user.active", "user_id", 60, 42)],
        before: Some(Before { days: 100, plan: "pro", items: &[("base", "28")] }),
        ..PLAIN
    },
    Customer {
        slug: "brightwater-college",
        name: "Brightwater College",
        zone: "Pacific/Auckland",
        class: Some("education"),
        product: "meeting-minutes",
        plan: "pro",
        months: 0,
        items: &[("base", "25")],
        flows: &[counted("meeting.processed", 11, 60), named("user.active", "user_id", 30, 19)],
        ..PLAIN
    },
    Customer {
        slug: "kestrel-insurance",
        name: "Kestrel Insurance Group",
        zone: "America/Chicago",
        product: "meeting-minutes",
        plan: "byoi",
        model: "byoi",
        months: 7,
        items: &[("base", "180"), ("data_plane", "1"), ("premium-sla", "1")],
        units: &[("Claims", &["Motor", "Property"]), ("Underwriting", &["Commercial lines"])],
        flows: &[counted("meeting.processed", 95, 11), named("user.active", "user_id", 240, 171)],
        ..PLAIN
    },
    Customer {
        slug: "rhine-waterways",
        name: "Rhine Waterways Authority",
        zone: "Europe/Berlin",
        product: "meeting-minutes",
        plan: "self-hosted",
        model: "air_gapped",
        months: 12,
        items: &[("base", "120")],
        ..PLAIN
    },
    Customer {
        slug: "corner-bakery",
        name: "Corner Bakery Company",
        zone: "America/Los_Angeles",
        product: "dyocense",
        plan: "growth",
        months: 9,
        ..PLAIN
    },
    Customer {
        slug: "juniper-cafes",
        name: "Juniper Cafés",
        zone: "Europe/Paris",
        product: "dyocense",
        plan: "starter",
        months: 12,
        suspended: true,
        ..PLAIN
    },
    Customer {
        slug: "saltmarsh-logistics",
        name: "Saltmarsh Logistics",
        zone: "America/Sao_Paulo",
        product: "dyocense",
        plan: "enterprise",
        model: "self_hosted",
        months: 11,
        deal: Some(Deal {
            amount: "2400",
            every: "month",
            reason: "Order form 118: 31 depots, platform mode on own servers",
            limit: None,
        }),
        ..PLAIN
    },
    Customer {
        slug: "orbit-payments",
        name: "Orbit Payments",
        zone: "Asia/Singapore",
        product: "incidentfox",
        plan: "starter",
        model: "self_hosted",
        months: 3,
        units: &[("Engineering", &["Ledger", "Gateway", "On call"])],
        // Past the 10,000 runs of its plan, which are then charged.
        flows: &[
            counted("agent.run", 640, 35),
            counted("tool.call", 900, 30),
            measured("teams.concurrent", "teams", 3, 4),
            named("user.active", "user_id", 40, 26),
        ],
        ..PLAIN
    },
    Customer {
        slug: "polaris-defence",
        name: "Polaris Defence Systems",
        zone: "Australia/Sydney",
        product: "incidentfox",
        plan: "enterprise",
        model: "air_gapped",
        months: 10,
        deal: Some(Deal {
            amount: "240000",
            every: "year",
            reason: "Tender 2231-B: sealed network, carried updates each quarter",
            limit: Some(("agent_runs", "300000")),
        }),
        units: &[("Operations", &["Ground stations", "Mission control"])],
        ..PLAIN
    },
    Customer {
        slug: "cobalt-robotics",
        name: "Cobalt Robotics",
        zone: "America/Denver",
        product: "agent-governance",
        plan: "saas-standard",
        months: 2,
        flows: &[named("agent.seen", "agent_id", 700, 64), counted("agent.discovered", 9, 30)],
        ..PLAIN
    },
    Customer {
        slug: "tern-aerospace",
        name: "Tern Aerospace",
        zone: "Europe/Madrid",
        product: "agent-governance",
        plan: "license-professional",
        model: "self_hosted",
        months: 6,
        flows: &[named("agent.seen", "agent_id", 300, 88), counted("agent.discovered", 3, 10)],
        ..PLAIN
    },
];
