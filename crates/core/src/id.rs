//! Ids: a UUIDv7 behind a prefix that says what it names (`ten_0192...`).
//!
//! The text form is the prefix, an underscore and 32 lower-case hex digits, so
//! that an id read in a log can be pasted into a database query as it is.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use uuid::Uuid;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}: expected `{prefix}_` and 32 lower-case hex digits")]
pub struct ParseIdError {
    text: String,
    expected: &'static str,
    prefix: &'static str,
}

fn v7(now: Timestamp) -> Uuid {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos))
}

fn parse(text: &str, prefix: &'static str, expected: &'static str) -> Result<Uuid, ParseIdError> {
    let refuse = || ParseIdError { text: text.chars().take(80).collect(), expected, prefix };
    let hex = text
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
        .filter(|hex| hex.len() == 32)
        .filter(|hex| hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
        .ok_or_else(refuse)?;
    Uuid::try_parse(hex).map_err(|_| refuse())
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
        pub struct $name(Uuid);

        impl $name {
            /// What stands before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id, ordered by `now`.
            pub fn new(now: Timestamp) -> Self {
                Self(v7(now))
            }

            /// The id that a database row holds.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bare UUID, as stored.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse(text, $prefix, concat!("a ", stringify!($name))).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .pattern(Some(concat!("^", $prefix, "_[0-9a-f]{32}$")))
                    .examples([concat!($prefix, "_01932f3ea1b27c3d9e4f5a6b7c8d9e0f")])
                    .into()
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}

        impl From<$name> for Uuid {
            fn from(id: $name) -> Uuid {
                id.0
            }
        }
    )+};
}

ids! {
    /// The legal entity that invoices.
    SellerId = "sel";
    /// A product, across its catalog versions.
    ProductId = "prd";
    /// One immutable version of a product's catalog.
    CatalogVersionId = "cat";
    /// A customer organisation.
    TenantId = "ten";
    /// The payer.
    BillingAccountId = "bac";
    /// Tenant x product x plan.
    SubscriptionId = "sub";
    /// A charge held by a subscription, with quantity and dates.
    ItemId = "itm";
    /// Effective-dated changes to one subscription.
    ContractId = "con";
    /// A place where a product runs for one subscription.
    DeploymentId = "dep";
    /// The signed grant to a subscription, across its revisions.
    LicenseId = "lic";
    /// A running process that holds a license, with its own key pair.
    InstanceId = "ins";
    /// An imported usage report.
    ReportId = "rep";
    /// An invoice.
    InvoiceId = "inv";
    /// A note that takes back what an invoice charged.
    CreditNoteId = "crn";
    /// One day's closing of billing periods.
    RunId = "run";
    /// An API key.
    ApiKeyId = "key";
    /// A business unit or team inside a tenant.
    UnitId = "unt";
    /// A vendor credential.
    CredentialId = "crd";
    /// A person who signs in.
    IdentityId = "idn";
    /// A line of the audit trail.
    AuditId = "aud";
    /// A message in the outbox.
    OutboxId = "obx";
    /// A sealed secret.
    SecretId = "sec";
    /// A signing key of a product.
    SigningKeyId = "sgk";
    /// A browser session.
    SessionId = "ses";
    /// One request, for logs and problem details.
    RequestId = "req";
    /// An export archive of a tenant.
    ExportId = "exp";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_sort_by_time() {
        let early = TenantId::new(Timestamp::from_second(1_000).unwrap());
        let late = TenantId::new(Timestamp::from_second(2_000).unwrap());
        assert!(early < late);
    }

    #[test]
    fn an_id_of_another_kind_is_refused_with_what_was_expected() {
        let key = ApiKeyId::new(Timestamp::UNIX_EPOCH).to_string();
        let error = key.parse::<TenantId>().unwrap_err().to_string();
        assert!(error.contains("TenantId") && error.contains("`ten_`"), "{error}");
    }

    proptest! {
        #[test]
        fn every_id_reads_back(bytes: [u8; 16]) {
            let id = TenantId::from_uuid(Uuid::from_bytes(bytes));
            prop_assert_eq!(id.to_string().parse::<TenantId>().unwrap(), id);
        }

        #[test]
        fn only_the_canonical_text_is_an_id(text in "\\PC{0,50}") {
            if let Ok(id) = text.parse::<TenantId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
