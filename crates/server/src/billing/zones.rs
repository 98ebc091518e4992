//! Which release of the time zone data computes periods and days here. Inputs of
//! invoices name it: another release may know another clock change.

use std::{path::Path, sync::LazyLock};

/// Where systems keep the data.
const DIRECTORIES: [&str; 2] = ["/usr/share/zoneinfo", "/usr/lib/zoneinfo"];
/// Longest name of a release that is believed.
const NAME_LEN_MAX: usize = 20;

static RELEASE: LazyLock<String> = LazyLock::new(|| {
    let found = DIRECTORIES.iter().find_map(|directory| release(Path::new(directory)));
    found.unwrap_or_else(|| "unknown".to_owned())
});

/// Such as `2026a`; `unknown` where the system does not say.
pub(crate) fn zone_data() -> String {
    RELEASE.clone()
}

fn release(directory: &Path) -> Option<String> {
    let version = std::fs::read_to_string(directory.join("+VERSION")).ok();
    let stated = version.or_else(|| {
        let text = std::fs::read_to_string(directory.join("tzdata.zi")).ok()?;
        Some(text.lines().next()?.strip_prefix("# version ")?.to_owned())
    })?;
    let stated = stated.trim();
    let plain = !stated.is_empty()
        && stated.len() <= NAME_LEN_MAX
        && stated.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    plain.then(|| stated.to_owned())
}
