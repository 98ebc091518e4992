//! What every command that asks a server takes, and the values that several take.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// Where the server is, who asks, and how the answer is printed.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Common {
    /// Address of the server
    #[arg(
        long,
        env = "TENURE_URL",
        hide_env_values = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:8765",
        global = true,
        help_heading = "Connection"
    )]
    pub url: String,
    /// Vendor credential (or API key, for what a tenant may do itself)
    #[arg(
        long,
        env = "TENURE_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        global = true,
        help_heading = "Connection"
    )]
    pub token: Option<String>,
    /// What the server of this machine was given, where nothing else is said
    #[arg(long, env = "TENURE_ADMIN_TOKEN", hide = true, hide_env_values = true, global = true)]
    pub admin_token: Option<String>,
    /// Print the server's answer as JSON
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,
}

/// Which part of a long list.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Paging {
    /// Items at most, 1 to 200
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=200))]
    pub limit: Option<u16>,
    /// Go on where the page before ended
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
}

impl Paging {
    /// As the server takes it.
    pub(crate) fn query(&self) -> Vec<(&'static str, String)> {
        let limit = self.limit.map(|limit| ("limit", limit.to_string()));
        let cursor = self.cursor.clone().map(|cursor| ("cursor", cursor));
        limit.into_iter().chain(cursor).collect()
    }
}

/// `2026-03-01T12:00:00Z`, or `2026-03-01` for its first moment in UTC.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    let wrong = "expected a moment such as 2026-03-01T12:00:00Z, or a day such as 2026-03-01";
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let day = text.parse::<Date>().map_err(|_| wrong.to_owned())?;
    day.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).map_err(|_| wrong.to_owned())
}

/// `KEY=VALUE`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if key.is_empty() {
        return Err("expected NAME=VALUE".to_owned());
    }
    Ok((key.to_owned(), value.to_owned()))
}
