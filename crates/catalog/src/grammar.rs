//! The grammar of product files, as data.
//!
//! The checker, the JSON Schema and the key reference of the documentation all
//! read this one table, so that none of them can disagree with the others.
//! Owns: which keys exist, what each may hold, and one sentence about it.

use crate::meter::Retention;

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// Any text.
    Text,
    /// A text in one of the price forms, or one a currency.
    Price,
    /// An exact price, or one a currency.
    ExactPrice,
    /// A decimal number written as a text.
    Decimal,
    /// A whole number, not negative.
    Whole,
    /// `true` or `false`.
    Flag,
    /// `14d`
    Duration,
    /// `14d` or `1d-3d`
    DurationRange,
    /// `1000/minute`
    Rate,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list.
    List(&'static Shape),
    /// A table whose keys the vendor chooses.
    Map(Naming, &'static Shape),
    /// A table of known keys.
    Table(&'static Table),
    /// The first that fits the kind of value found.
    Either(&'static [Shape]),
}

/// How the keys of a [`Shape::Map`] are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// `a-z`, `0-9`, `_` and `-`, starting with a letter.
    Id,
    /// `DATABASE_URL`
    Variable,
    /// A deployment model.
    Model,
    /// A member of an event's data.
    Field,
}

/// A table of known keys.
#[derive(Debug)]
pub(crate) struct Table {
    /// Heading in the reference, name in the schema.
    pub(crate) name: &'static str,
    /// One sentence.
    pub(crate) about: &'static str,
    /// In the order of the reference.
    pub(crate) keys: &'static [Key],
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) required: bool,
    pub(crate) about: &'static str,
}

const fn must(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, shape, required: true, about }
}

const fn may(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, shape, required: false, about }
}

const TEXTS: Shape = Shape::List(&Shape::Text);
pub(crate) const MODEL_WORDS: &[&str] = &["managed", "byoi", "self_hosted", "air_gapped"];
const MODELS: Shape = Shape::List(&Shape::Word(MODEL_WORDS));
const INTERVAL: Shape = Shape::Word(&["month", "year"]);
const ROUNDING: Shape = Shape::Word(&["exact", "up"]);
const PARTY: Shape = Shape::Word(&["vendor", "customer", "shared"]);
const ISOLATION: Shape = Shape::Word(&["shared_tables", "schema", "database"]);
const EDITION: Shape = Shape::Word(&["standard", "enterprise", "government"]);
const VALUES: Shape = Shape::Map(Naming::Id, &Shape::Either(&[Shape::Text, Shape::Whole, TEXTS]));
/// A number that may be missing on purpose.
const INCLUDED: Shape = Shape::Either(&[Shape::Whole, Shape::Word(&["unlimited"])]);
const PRICE: Shape = Shape::Either(&[Shape::Price, Shape::Table(&CHARGE)]);

/// The whole file.
pub(crate) static FILE: Table = Table {
    name: "file",
    about: "A product file.",
    keys: &[
        must("product", Shape::Table(&PRODUCT), "What is sold."),
        may("meters", Shape::Map(Naming::Id, &Shape::Table(&METER)), "What is consumed, by id."),
        may(
            "allocations",
            Shape::Map(Naming::Id, &Shape::Either(&[Shape::Text, Shape::Table(&ALLOCATION)])),
            "What is held (seats, teams, agents), by id. A plain text is the name.",
        ),
        may(
            "features",
            Shape::Map(Naming::Id, &Shape::Either(&[Shape::Text, Shape::Table(&FEATURE)])),
            "What can be on or off, by id. A plain text is the name.",
        ),
        may("values", Shape::Map(Naming::Id, &Shape::Table(&VALUE)), "What plans set, by id."),
        may(
            "support",
            Shape::Map(Naming::Id, &Shape::Table(&SUPPORT)),
            "Levels of support, by id.",
        ),
        must(
            "models",
            Shape::Map(Naming::Model, &Shape::Table(&MODEL)),
            "The deployment models that are sold: managed, byoi, self_hosted, air_gapped.",
        ),
        may(
            "modes",
            Shape::Map(Naming::Id, &Shape::Table(&MODE)),
            "Ways in which the product runs, by id.",
        ),
        must(
            "plans",
            Shape::Map(Naming::Id, &Shape::Table(&PLAN)),
            "What a customer subscribes to, by id, in the order of the price list.",
        ),
        may(
            "addons",
            Shape::Map(Naming::Id, &Shape::Table(&ADD_ON)),
            "What can be bought beside a plan, by id.",
        ),
        may(
            "services",
            Shape::Map(Naming::Id, &Shape::Table(&ADD_ON)),
            "Work that can be bought beside a plan, by id.",
        ),
        may(
            "discounts",
            Shape::Map(Naming::Id, &Shape::Table(&DISCOUNT)),
            "Reductions, by id, in the order in which they multiply.",
        ),
        may(
            "resources",
            Shape::Map(Naming::Id, &Shape::Table(&RESOURCE)),
            "What a deployment needs, by id.",
        ),
        may(
            "environment",
            Shape::Map(
                Naming::Variable,
                &Shape::Either(&[
                    Shape::Text,
                    Shape::Table(&VARIABLE),
                    Shape::List(&Shape::Table(&VARIABLE)),
                ]),
            ),
            "Environment variables of a deployment. A plain text is the value; a list has one entry a model or mode.",
        ),
        may(
            "license",
            Shape::Table(&LICENSE),
            "How licenses behave; needed for self_hosted and air_gapped.",
        ),
    ],
};

static PRODUCT: Table = Table {
    name: "product",
    about: "Who is selling what.",
    keys: &[
        must("id", Shape::Text, "Lower-case letters, digits and dashes; never changes."),
        must("name", Shape::Text, "For people."),
        may("summary", Shape::Text, "One sentence for the pricing page."),
        may(
            "currency",
            Shape::Text,
            "ISO 4217 code of every price that does not name its own; USD when left out.",
        ),
        may(
            "currencies",
            TEXTS,
            "Other currencies that it is sold in. Every price is then `{ USD = \"499\", EUR = \"459\" }`; only `\"0\"` and `\"custom\"` are the same in each.",
        ),
        must("sales_contact", Shape::Text, "E-mail address or page for quotes and upgrades."),
        must(
            "api_key_prefix",
            Shape::Text,
            "`kg` makes keys `kg_live_...`: 1-12 lower-case letters and digits.",
        ),
        may(
            "license_key_prefix",
            Shape::Text,
            "`ACME` makes license keys `ACME-ENT-...`: 2-12 upper-case letters and digits.",
        ),
    ],
};

static METER: Table = Table {
    name: "meter",
    about: "Something consumed. Give exactly one of count, sum, max, last, unique, time_weighted. Its definition never changes under its id.",
    keys: &[
        may("name", Shape::Text, "For people, plural; made from the id when left out."),
        must("type", Shape::Text, "The CloudEvents type that feeds it."),
        may("count", Shape::Flag, "`true`: each event counts one."),
        may("sum", Shape::Text, "Field of the event's data to add up."),
        may("max", Shape::Text, "Field whose highest value counts."),
        may("last", Shape::Text, "Field whose latest value counts."),
        may("unique", Shape::Text, "Field whose different values are counted."),
        may(
            "time_weighted",
            Shape::Text,
            "Field that is averaged over time: bytes become GB-months.",
        ),
        may("unit", Shape::Text, "What one is called: run, GB; made from the id when left out."),
        may(
            "divide_by",
            Shape::Whole,
            "How many of the field make one unit: 1_000_000_000 for bytes sold as GB.",
        ),
        may(
            "reported_as",
            Shape::Text,
            "Name of the same number in a license heartbeat, where it differs from the id.",
        ),
        may(
            "dimensions",
            TEXTS,
            "Fields of the event's data by which totals are told apart, at most 5: region, model.",
        ),
        may(
            "where",
            Shape::Map(Naming::Field, &Shape::Either(&[Shape::Text, TEXTS])),
            "Which events count: fields of the data, and the text or texts that each may be.",
        ),
        may(
            "metric",
            Shape::Text,
            "Name of a Prometheus counter of it by client_id; of `last` and `time_weighted`, of a gauge.",
        ),
        may(
            "retention",
            Shape::Word(Retention::WORDS),
            "How long its single events are kept: `standard`, 400 days (default), or as long as the `subscription`, as those of `time_weighted` always are. Totals stay in any case.",
        ),
    ],
};

static ALLOCATION: Table = Table {
    name: "allocation",
    about: "Something held rather than consumed.",
    keys: &[
        may("name", Shape::Text, "For people, plural; made from the id when left out."),
        may("one", Shape::Text, "For people, singular; made from the id when left out."),
    ],
};

static FEATURE: Table = Table {
    name: "feature",
    about: "Something that a plan has or lacks.",
    keys: &[
        must("name", Shape::Text, "For people."),
        may("missing", Shape::Whole, "HTTP status when it is missing: 403 (default) or 402."),
        may("modes", TEXTS, "The modes that it works in; all when left out."),
    ],
};

static VALUE: Table = Table {
    name: "value",
    about: "A setting that plans and modes fill.",
    keys: &[
        must("name", Shape::Text, "For people."),
        must("type", Shape::Word(&["text", "number", "list"]), "What it holds."),
    ],
};

static SUPPORT: Table = Table {
    name: "support",
    about: "A level of support.",
    keys: &[
        may("name", Shape::Text, "For people; made from the id when left out."),
        may("response", Shape::Duration, "Time to a first answer: 4h, 48h."),
        may("resolution", Shape::Duration, "Time to a solution: 5bd is five business days."),
        may(
            "resolution_severity_1",
            Shape::Duration,
            "Time to a solution of the gravest incidents.",
        ),
        may("channels", TEXTS, "email, ticket, phone, shared_slack, ..."),
        may("hours", Shape::Text, "9-5 or 24/7."),
        may(
            "on_call",
            Shape::Word(&["no", "severity 1", "24/7"]),
            "When an engineer is called out; no when left out.",
        ),
        may("updates", Shape::Text, "How often updates come: quarterly, monthly."),
        may("includes", TEXTS, "What else it includes, in words."),
    ],
};

static MODEL: Table = Table {
    name: "model",
    about: "How one deployment model is sold.",
    keys: &[
        may("summary", Shape::Text, "Who it is for."),
        may("ready_in", Shape::DurationRange, "Time to being in use: 30m, 1d-3d."),
        may("isolation", ISOLATION, "How tenants are kept apart; needed for managed."),
        may("tables", TEXTS, "Tables that carry a tenant column, for shared_tables."),
        must("responsibility", Shape::Table(&RESPONSIBILITY), "Who answers for what."),
    ],
};

static RESPONSIBILITY: Table = Table {
    name: "responsibility",
    about: "vendor, customer or shared.",
    keys: &[
        must("software", PARTY, "The product itself."),
        must("infrastructure", PARTY, "Machines, network, database."),
        must("security", PARTY, "Hardening, keys, monitoring."),
        must("compliance", PARTY, "Laws and certificates."),
        must("support", PARTY, "Answering users."),
    ],
};

static MODE: Table = Table {
    name: "mode",
    about: "A way in which the product runs.",
    keys: &[
        may("name", Shape::Text, "For people; made from the id when left out."),
        may(
            "flags",
            Shape::Map(Naming::Variable, &Shape::Text),
            "Environment variables that switch it on.",
        ),
        may("requires", TEXTS, "Resources that it needs."),
        may("hides", TEXTS, "Features and values that its user interface hides."),
        may("values", VALUES, "What the mode sets; a plan's own values win."),
        may("ready_in", Shape::DurationRange, "Time to being in use."),
        may("upgrade_within", Shape::Duration, "Longest time that a change into this mode takes."),
    ],
};

static PLAN: Table = Table {
    name: "plan",
    about: "What a customer subscribes to.",
    keys: &[
        must("name", Shape::Text, "For people."),
        may("summary", Shape::Text, "One sentence for the pricing page."),
        may(
            "extends",
            Shape::Text,
            "A plan whose models, mode, rate, features, values, support, limits, isolation and edition this one starts from. Prices are never inherited.",
        ),
        may("models", MODELS, "The models that it is sold in; needed unless inherited."),
        may("mode", Shape::Text, "The mode that it runs in."),
        may("price", PRICE, "The price: `\"custom\"`, or a table such as `{ month = \"499\" }`."),
        may("charges", Shape::Map(Naming::Id, &Shape::Table(&CHARGE)), "More prices, by id."),
        may("commitment", Shape::Table(&COMMITMENT), "The least that is paid, whatever is used."),
        may(
            "billed",
            INTERVAL,
            "How often it is invoiced; month when something costs by the month or by usage, else year.",
        ),
        may("trial", Shape::Duration, "Length of a free trial, in days."),
        may("rate", Shape::Rate, "Requests at the gateway: 1000/minute."),
        may("features", TEXTS, "Features, on top of inherited ones."),
        may("values", VALUES, "Values, in place of inherited ones."),
        may("support", Shape::Text, "The level of support."),
        may(
            "limits",
            Shape::Map(
                Naming::Id,
                &Shape::Either(&[Shape::Whole, Shape::Word(&["unlimited"]), Shape::Table(&LIMIT)]),
            ),
            "How much is included, by meter or allocation. A plain number blocks past it.",
        ),
        may("isolation", ISOLATION, "In place of the managed model's."),
        may("edition", EDITION, "Of its licenses, in place of the product's."),
        may(
            "license_tier",
            Shape::Text,
            "The tier inside its license keys: ENT; the first three letters of the id when left out.",
        ),
        may("hidden", Shape::Flag, "`true`: not on the pricing page."),
    ],
};

static CHARGE: Table = Table {
    name: "price",
    about: "One price. Say when it is due with month, year or once; or name a meter.",
    keys: &[
        may("month", Shape::Price, "Due at the start of each month."),
        may("year", Shape::Price, "Due at the start of each year."),
        may("once", Shape::Price, "Due when it starts."),
        may("per", Shape::Text, "The allocation that it is multiplied with: users."),
        may("at_least", Shape::Whole, "The least number that is billed."),
        may("meter", Shape::Text, "The meter that it is multiplied with."),
        may("price", Shape::Price, "The price of one, with a meter."),
        may(
            "each",
            Shape::Whole,
            "How many make the package that the price is for; 1 when left out.",
        ),
        may(
            "rounding",
            ROUNDING,
            "What a started package costs: its part (exact, default) or all of it (up).",
        ),
        may("tiers", Shape::List(&Shape::Table(&TIER)), "Graduated prices in place of one price."),
        may("every", INTERVAL, "When prices in tiers are due, with per."),
        may(
            "reset",
            Shape::Word(&["day", "month", "period"]),
            "When tiers start anew, with a meter; the invoice period when left out.",
        ),
        may("unit", Shape::Text, "What one is called where it is sold by number: hour."),
        may("optional", Shape::Flag, "`true`: only billed when it was ordered."),
        may("name", Shape::Text, "What the invoice line says."),
    ],
};

static TIER: Table = Table {
    name: "tier",
    about: "A part of a graduated price; the last has no up_to.",
    keys: &[
        may("up_to", Shape::Whole, "The last one inside."),
        must("price", Shape::ExactPrice, "For each one inside."),
    ],
};

static COMMITMENT: Table = Table {
    name: "commitment",
    about: "The least that is paid. What is missing at the end becomes a line. Give one of both.",
    keys: &[
        may("month", Shape::ExactPrice, "In each month."),
        may("year", Shape::ExactPrice, "In each year."),
    ],
};

static LIMIT: Table = Table {
    name: "limit",
    about: "How much is included, and what happens past it.",
    keys: &[
        may(
            "included",
            INCLUDED,
            "A number or `\"unlimited\"`; may be left out on what is sold by number.",
        ),
        may(
            "per",
            Shape::Word(&["day", "month", "period"]),
            "The window, for meters: a calendar day or month of the tenant, or the invoice period (default).",
        ),
        may(
            "over",
            Shape::Either(&[Shape::Word(&["block", "warn"]), Shape::Table(&OVER)]),
            "Past it: block (default), warn, or a table with a price.",
        ),
        may("warn_at", Shape::List(&Shape::Whole), "Per cent at which people are told: [80, 100]."),
    ],
};

static OVER: Table = Table {
    name: "over",
    about: "A price past the limit. Give one of price and true_up.",
    keys: &[
        may("price", Shape::ExactPrice, "Charged with each invoice."),
        may("true_up", Shape::ExactPrice, "Charged once a year."),
        may(
            "each",
            Shape::Whole,
            "How many make the package that the price is for; 1 when left out.",
        ),
        may(
            "rounding",
            ROUNDING,
            "What a started package costs: its part (exact, default) or all of it (up).",
        ),
        may("hard_stop", Shape::Flag, "`true`: the customer may ask to be blocked instead."),
    ],
};

static ADD_ON: Table = Table {
    name: "add-on or service",
    about: "What can be bought beside a plan.",
    keys: &[
        must("name", Shape::Text, "For people."),
        may("summary", Shape::Text, "For people."),
        must("price", PRICE, "As of a plan."),
        may("plans", TEXTS, "The plans that it goes with; all when left out."),
        may("features", TEXTS, "Features that it brings."),
        may("support", Shape::Text, "The level of support that it brings."),
        may("raises", Shape::Map(Naming::Id, &Shape::Whole), "What one of it adds to limits."),
    ],
};

static DISCOUNT: Table = Table {
    name: "discount",
    about: "A reduction. Every condition given must hold.",
    keys: &[
        must("name", Shape::Text, "For people; on the invoice."),
        must(
            "percent",
            Shape::Either(&[Shape::Whole, Shape::Decimal]),
            "More than 0, at most 100.",
        ),
        may("plans", TEXTS, "The plans that it holds for; all when left out."),
        may(
            "on",
            Shape::List(&Shape::Word(&["plan", "addons", "services", "overage"])),
            "What it reduces; plan and addons when left out.",
        ),
        may(
            "term_years",
            Shape::Whole,
            "A term of at least so many years; of several, the longest counts.",
        ),
        may("prepaid", Shape::Flag, "`true`: a year is paid ahead."),
        may("customers", TEXTS, "Classes of customers: nonprofit, education."),
        may("first_customers", Shape::Whole, "Only the first so many customers."),
        may(
            "volume",
            Shape::Table(&VOLUME),
            "At least so many held; of several, the highest counts.",
        ),
    ],
};

static VOLUME: Table = Table {
    name: "volume",
    about: "The condition of a volume discount.",
    keys: &[
        must("of", Shape::Text, "The allocation."),
        must("at_least", Shape::Whole, "The least number held."),
    ],
};

static RESOURCE: Table = Table {
    name: "resource",
    about: "What a deployment needs.",
    keys: &[
        must("kind", Shape::Text, "The driver: postgres.database, kafka.topics, ..."),
        may("name", Shape::Text, "For people; made from the id when left out."),
        must("models", MODELS, "The models that need it."),
        may("modes", TEXTS, "The modes that need it; all when left out."),
        may(
            "names",
            TEXTS,
            "What to make, with {tenant}, {product}, {environment} or {region} inside.",
        ),
        may("permissions", TEXTS, "What the customer grants."),
        may("fields", TEXTS, "What has to be known about it: url, endpoint."),
        may("secrets", TEXTS, "Fields that are secret."),
        may("optional", Shape::Flag, "`true`: without it the product goes on with less."),
    ],
};

static VARIABLE: Table = Table {
    name: "variable",
    about: "An environment variable. Give one of value, secret, license, from.",
    keys: &[
        may("value", Shape::Text, "The text itself."),
        may("secret", Shape::Text, "Name of a secret; rendered as a reference."),
        may("license", Shape::Flag, "`true`: the license key."),
        may("from", Shape::Text, "A field of a resource: database.url."),
        may("models", MODELS, "The models that have it; all when left out."),
        may("modes", TEXTS, "The modes that have it; all when left out."),
    ],
};

static LICENSE: Table = Table {
    name: "license",
    about: "How licenses behave.",
    keys: &[
        may("edition", EDITION, "standard when left out."),
        may(
            "expiry",
            Shape::Either(&[Shape::Word(&["standard", "strict"]), Shape::Table(&EXPIRY)]),
            "What happens around the end: a preset, or a table.",
        ),
        may(
            "offline_grace",
            Shape::Duration,
            "How long the license governs after its lease ended; 14d when left out.",
        ),
        may(
            "phone_home_required",
            Shape::Flag,
            "`true`: restricted when it was not renewed in time.",
        ),
        may("heartbeat", Shape::Duration, "Time between heartbeats; 5m when left out."),
        may("lease", Shape::Duration, "How long a lease covers; 7d when left out."),
        may(
            "offline_term",
            Shape::Duration,
            "How long an offline license file runs; 365d when left out.",
        ),
        may(
            "states",
            Shape::Table(&STATES),
            "What each state of a license does to the product; the standard table when left out.",
        ),
        may(
            "overage",
            Shape::Whole,
            "Per cent of a limit of `instances` that are let in beyond it, where it does not block; 0 when left out.",
        ),
    ],
};

const ACTION: Shape = Shape::Word(&["allow", "warn", "banner", "block_new", "block"]);

static STATES: Table = Table {
    name: "states",
    about: "allow; warn (a notice in logs and answers); banner (on every page); block_new (new work is \
            refused, what runs goes on); block (all work is refused; no process is ended).",
    keys: &[
        may("expiring", ACTION, "The end is near; banner when left out."),
        may("grace", ACTION, "It has ended, with full function; banner when left out."),
        may("restricted", ACTION, "Full function is over; block_new when left out."),
        may("terminated", ACTION, "Ended for good, or revoked; block when left out."),
    ],
};

static EXPIRY: Table = Table {
    name: "expiry",
    about: "Counted from the day of expiry. The standard preset is 14d, 7d, 30d; strict is 14d, 7d, 7d.",
    keys: &[
        must("warn_before", Shape::Duration, "Notices start so long before."),
        must("full_until", Shape::Duration, "Everything works until so long after."),
        must(
            "restricted_until",
            Shape::Duration,
            "New work is blocked until so long after; then everything.",
        ),
    ],
};
