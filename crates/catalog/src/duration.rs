//! Lengths of time as a price list writes them: `5m`, `48h`, `14d`, `5bd`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Largest count of a unit: enough for a thousand years of days.
pub const COUNT_MAX: u32 = 400_000;

/// A unit of [`Duration`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// `s`
    Second,
    /// `m`
    Minute,
    /// `h`
    Hour,
    /// `d`: 24 hours.
    Day,
    /// `bd`: a working day of the support team; has no fixed length.
    BusinessDay,
}

impl Unit {
    const ALL: [Self; 5] = [Self::BusinessDay, Self::Second, Self::Minute, Self::Hour, Self::Day];

    const fn suffix(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "m",
            Self::Hour => "h",
            Self::Day => "d",
            Self::BusinessDay => "bd",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::BusinessDay => "business day",
        }
    }
}

/// A whole number of one unit. As text and JSON: `"14d"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Duration {
    count: u32,
    unit: Unit,
}

/// The text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a length of time: write a whole number and s, m, h, d or bd (business days), such as 30m or 14d"
)]
pub struct BadDuration(String);

impl Duration {
    /// `count` days of 24 hours.
    pub const fn days(count: u32) -> Self {
        Self { count, unit: Unit::Day }
    }

    /// `count` minutes.
    pub const fn minutes(count: u32) -> Self {
        Self { count, unit: Unit::Minute }
    }

    /// Length in seconds; `None` for business days, which no clock measures.
    pub fn seconds(self) -> Option<i64> {
        let each = match self.unit {
            Unit::Second => 1,
            Unit::Minute => 60,
            Unit::Hour => 3_600,
            Unit::Day => 86_400,
            Unit::BusinessDay => return None,
        };
        Some(i64::from(self.count) * each)
    }

    /// Length in whole hours, rounded up; a business day counts as 24.
    pub fn hours(self) -> u32 {
        match self.seconds() {
            Some(seconds) => u32::try_from((seconds + 3_599) / 3_600).unwrap_or(u32::MAX),
            None => self.count.saturating_mul(24),
        }
    }

    /// The unit it was written in.
    pub const fn unit(self) -> Unit {
        self.unit
    }

    /// For people: `5 business days`.
    pub fn words(self) -> String {
        let plural = if self.count == 1 { "" } else { "s" };
        format!("{} {}{plural}", self.count, self.unit.word())
    }
}

impl FromStr for Duration {
    type Err = BadDuration;
    fn from_str(text: &str) -> Result<Self, BadDuration> {
        let refuse = || BadDuration(text.chars().take(40).collect());
        let (digits, unit) = Unit::ALL
            .into_iter()
            .find_map(|unit| text.strip_suffix(unit.suffix()).map(|digits| (digits, unit)))
            .ok_or_else(refuse)?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refuse());
        }
        let count = digits.parse().ok().filter(|count| *count <= COUNT_MAX).ok_or_else(refuse)?;
        Ok(Self { count, unit })
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, self.unit.suffix())
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back_and_speak() {
        for (text, words) in [("14d", "14 days"), ("1h", "1 hour"), ("5bd", "5 business days")] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!((duration.to_string(), duration.words()), (text.into(), words.into()));
        }
        for text in ["", "d", "14", "-1d", "1.5h", "2 weeks", "99999999999d", "１d"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }
}
