//! Days of the calendar in UTC, by which usage is counted.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::{Error, Result, Timestamp};

/// Milliseconds of a day. Unix time has no leap seconds.
const DAY_MS: u64 = 24 * 3_600 * 1_000;

/// Days from 0000-03-01 to 1970-01-01.
const TO_EPOCH: u64 = 719_468;

/// Days of 400 years.
const ERA: u64 = 146_097;

/// The last day that is read and written, 9999-12-31.
const LAST: u64 = 2_932_896;

/// A day in UTC, by its distance from 1970-01-01. In text and JSON it is written as `2026-01-31`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u64);

impl Day {
    /// The day of a time.
    pub fn of(time: Timestamp) -> Self {
        Self((time.0 / DAY_MS).min(LAST))
    }

    /// The day that is this many days after 1970-01-01; at most 9999-12-31.
    pub fn from_number(number: u64) -> Self {
        Self(number.min(LAST))
    }

    /// The number of days since 1970-01-01.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The day that is this many days before; 1970-01-01 at the earliest.
    #[must_use]
    pub fn before(self, days: u64) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// The first day of this day's month.
    #[must_use]
    pub fn first_of_month(self) -> Self {
        let (_, _, day) = self.date();
        self.before(day - 1)
    }

    /// The milliseconds since 1970 at which the day after this one begins.
    pub fn end(self) -> Timestamp {
        Timestamp((self.0 + 1) * DAY_MS)
    }

    /// The milliseconds since 1970 at which the month after this day's begins.
    pub fn end_of_month(self) -> Timestamp {
        // The 32nd day from the first of any month is in the next month.
        Timestamp(Self(self.first_of_month().0 + 31).first_of_month().0 * DAY_MS)
    }

    /// The year, the month from 1 and the day from 1. The calendar is counted from March, so that a leap day is the
    /// last day of its year.
    fn date(self) -> (u64, u64, u64) {
        let days = self.0 + TO_EPOCH;
        let (era, of_era) = (days / ERA, days % ERA);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        (era * 400 + year_of_era + u64::from(month <= 2), month, day)
    }

    /// The day with that date, if there is one.
    fn from_date(year: u64, month: u64, day: u64) -> Option<Self> {
        if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let year_from_march = if month <= 2 { year - 1 } else { year };
        let (era, year_of_era) = (year_from_march / 400, year_from_march % 400);
        let from_march = (month + 9) % 12;
        let of_year = (153 * from_march + 2) / 5 + day - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        let found = Self((era * ERA + of_era).checked_sub(TO_EPOCH)?);
        // The 31st of a short month would be a day of the next one.
        (found.date() == (year, month, day)).then_some(found)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Day {
    type Err = Error;

    /// Reads `2026-01-31`.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::invalid("day", format!("{text:?} is no day: write it like 2026-01-31"));
        let mut parts = text.split('-').map(|part| {
            let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse::<u64>().ok().filter(|_| is_number)
        });
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Some(year)), Some(Some(month)), Some(Some(day)), None) => {
                Self::from_date(year, month, day).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_has_one_date_and_follows_the_one_before() {
        let lengths = |year: u64| {
            let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
            [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        };
        let mut number = 0;
        for year in 1970..=2_410 {
            for (month, length) in (1..).zip(lengths(year)) {
                let first = Day(number);
                for day in 1..=length {
                    let text = format!("{year}-{month:02}-{day:02}");
                    assert_eq!(Day(number).to_string(), text);
                    assert_eq!(text.parse(), Ok(Day(number)));
                    assert_eq!(Day(number).first_of_month(), first);
                    assert_eq!(Day(number).end_of_month(), Day(first.0 + length - 1).end());
                    number += 1;
                }
                assert!(format!("{year}-{month:02}-{:02}", length + 1).parse::<Day>().is_err());
            }
        }
    }

    #[test]
    fn a_time_belongs_to_its_day_in_utc() {
        let end = Day(20_000).end();
        assert_eq!((Day::of(Timestamp(end.0 - 1)), Day::of(end)), (Day(20_000), Day(20_001)));
        assert_eq!(Day::of(Timestamp(u64::MAX)).to_string(), "9999-12-31");
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in
            ["", "2026", "2026-01", "2026-1-", "2026-13-01", "2026-00-01", "2026-02-29", "1969-12-31", "+2026-01-01"]
        {
            let error = text.parse::<Day>().unwrap_err();
            assert!(error.message().contains("2026-01-31"), "{text}: {error}");
        }
    }
}
