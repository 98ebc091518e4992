//! Whether claims make sense in themselves.

use super::{
    Cap, LicenseClaims, Supersedes,
    entitlements::{MAX_PREFIX, write_max_name},
};
use crate::token::{Kind, issuer};

/// Most features of a license.
pub const FEATURES_MAX: usize = 128;
/// Most limits of a license.
pub const LIMITS_MAX: usize = 128;
/// Most values, and most custom fields, of a license.
pub const VALUES_MAX: usize = 128;
/// Most warning thresholds of a limit.
pub const WARNINGS_MAX: usize = 8;
/// Longest name or id inside a license, in bytes.
pub const NAME_LEN_MAX: usize = 256;
/// Longest `offlineGracePeriod`, in days: ten years.
pub const OFFLINE_GRACE_DAYS_MAX: u32 = 3_660;
/// Highest revision: what every JSON reader holds exactly.
pub const REVISION_MAX: u64 = (1 << 53) - 1;

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}

pub(super) fn license(claims: &LicenseClaims) -> Result<(), String> {
    ensure!(claims.iss == issuer(&claims.product), "iss is not the product's issuer");
    ensure!(claims.aud == Kind::License.audience(), "aud is not that of a license");
    ensure!(claims.sub == claims.customer.id, "sub is not the customer's id");
    names(claims)?;
    times(claims)?;
    sizes(claims)?;
    derived(claims)?;
    claims.expiry_policy.check()?;
    if let Some(enforcement) = &claims.enforcement {
        enforcement.check()?;
    }
    ensure!((1..=REVISION_MAX).contains(&claims.revision), "revisions count from 1");
    if let Some(Supersedes { revision, .. }) = claims.supersedes {
        ensure!(revision < claims.revision, "a license supersedes lower revisions only");
    }
    Ok(())
}

fn names(claims: &LicenseClaims) -> Result<(), String> {
    let required = [
        ("jti", claims.jti.as_str()),
        ("customer.id", &claims.customer.id),
        ("customer.name", &claims.customer.name),
        ("product", &claims.product),
        ("entitlements.tier", &claims.entitlements.tier),
    ];
    for (field, name) in required {
        ensure!(!name.is_empty(), "{field} is empty");
    }
    let features = claims.features.iter().map(|f| ("features", f.as_str()));
    let limits = claims.limits.keys().map(|l| ("limits", l.as_str()));
    let units = claims.limits.values().filter_map(|l| l.unit.as_deref()).map(|u| ("unit", u));
    let optional = [
        ("customer.domain", claims.customer.domain.as_str()),
        ("mode", claims.mode.as_deref().unwrap_or("")),
        ("binding.key", claims.binding.as_ref().map_or("", |binding| &binding.key)),
        ("receipt", claims.receipt.as_deref().unwrap_or("")),
        ("sales_contact", claims.sales_contact.as_deref().unwrap_or("")),
    ];
    for (field, name) in
        required.into_iter().chain(optional).chain(features).chain(limits).chain(units)
    {
        ensure!(name.len() <= NAME_LEN_MAX, "{field} is longer than {NAME_LEN_MAX} bytes");
        // Most names are ASCII; bytes are looked at faster than characters.
        let plain = name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        ensure!(plain || !name.chars().any(char::is_control), "{field} has control characters");
    }
    Ok(())
}

fn times(claims: &LicenseClaims) -> Result<(), String> {
    ensure!(claims.iat.as_second() >= 0, "iat lies before 1970");
    ensure!(claims.starts() < claims.exp, "the license ends before it starts");
    ensure!(claims.iat < claims.exp, "the license was signed after its end");
    ensure!(
        claims.offline_grace_period_days <= OFFLINE_GRACE_DAYS_MAX,
        "offlineGracePeriod is longer than {OFFLINE_GRACE_DAYS_MAX} days"
    );
    Ok(())
}

fn sizes(claims: &LicenseClaims) -> Result<(), String> {
    let counted = [
        ("features", claims.features.len(), FEATURES_MAX),
        ("limits", claims.limits.len(), LIMITS_MAX),
        ("values", claims.values.len(), VALUES_MAX),
        ("custom_fields", claims.entitlements.custom_fields.len(), VALUES_MAX),
        (
            "enforcement.missing",
            claims.enforcement.as_ref().map_or(0, |e| e.missing.len()),
            FEATURES_MAX,
        ),
        (
            "warn_at",
            claims.limits.values().map(|l| l.warn_at.len()).max().unwrap_or(0),
            WARNINGS_MAX,
        ),
    ];
    for (field, count, max) in counted {
        ensure!(count <= max, "{field} has {count} entries, at most {max} are allowed");
    }
    Ok(())
}

/// The grant is said twice, exactly and for products to read: both must agree.
fn derived(claims: &LicenseClaims) -> Result<(), String> {
    let entitlements = &claims.entitlements;
    ensure!(entitlements.features == claims.features, "features and entitlements.features differ");
    let mut sorted: Vec<&str> = claims.features.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    ensure!(sorted.windows(2).all(|pair| pair[0] != pair[1]), "a feature is listed twice");
    let mut name = String::with_capacity(64);
    for (id, limit) in &claims.limits {
        name.clear();
        write_max_name(&mut name, id, limit);
        // `runs` by the month has the name of a `runs_per_month` that is held.
        let twin = || name.strip_prefix(MAX_PREFIX).and_then(|twin| claims.limits.get(twin));
        ensure!(
            limit.per.is_none() || twin().is_none_or(|twin| twin.per.is_some()),
            "two limits have the same name in entitlements"
        );
        ensure!(
            entitlements.max.get(&name) == Some(&Cap::of_quantity(limit.max)),
            "limits and entitlements.max_... differ"
        );
    }
    // Each limit has its own member, so as many members are those and no others.
    ensure!(
        entitlements.max.len() == claims.limits.len(),
        "limits and entitlements.max_... differ"
    );
    Ok(())
}
