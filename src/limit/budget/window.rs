//! Which quarters of an hour belong to a budget's window.

use std::ops::Range;
use std::sync::Arc;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::base::zone;
use crate::plan::Period;
use crate::store::book::BUCKET_MS;

/// A window of a calendar, of all time, or of the time just past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    period: Period,
    zone: TimeZone,
}

/// Milliseconds in an hour.
const HOUR_MS: i64 = 3_600_000;

impl Window {
    /// Makes a window of a period, on the calendar of a time zone; an unknown zone, which no plan has, counts as UTC.
    pub fn new(period: Period, timezone: &str) -> Self {
        Self { period, zone: zone(timezone).unwrap_or(TimeZone::UTC) }
    }

    /// Returns whether it is the time just past, which moves with every bucket.
    pub(super) const fn is_rolling(&self) -> bool {
        matches!(self.period, Period::Rolling(_))
    }

    /// Returns the name of a window with these buckets: one that moves is always the same.
    pub(super) fn name(&self, buckets: &Range<u64>) -> Arc<str> {
        match self.period {
            Period::Total | Period::Rolling(_) => Arc::from(self.period.to_string()),
            Period::Hour | Period::Day | Period::Week | Period::Month | Period::Quarter | Period::Year => {
                let zone = self.zone.iana_name().unwrap_or("UTC");
                Arc::from(format!("{} {zone} {}", self.period, buckets.start))
            }
        }
    }

    /// Returns these buckets as the record is asked for them: those of a window that moves have no end.
    pub(super) fn open_ended(&self, buckets: &Range<u64>) -> Range<u64> {
        buckets.start..if self.is_rolling() { u64::MAX } else { buckets.end }
    }

    /// Returns the buckets of the window that a bucket lies in; of a rolling one, those that end with it.
    pub fn around(&self, bucket: u64) -> Range<u64> {
        let rest = |start: Date, end: Option<Date>| self.days(start, end, bucket);
        let date = self.date(bucket);
        match self.period {
            Period::Total => 0..u64::MAX,
            Period::Rolling(span) => {
                let end = bucket.saturating_add(1);
                end.saturating_sub(span.as_millis().div_ceil(BUCKET_MS))..end
            }
            Period::Hour => self.hour(bucket),
            Period::Day => rest(date, date.checked_add(1.day()).ok()),
            Period::Week => {
                let start = date.checked_sub(i64::from(date.weekday().since(Weekday::Monday)).days()).unwrap_or(date);
                rest(start, start.checked_add(1.week()).ok())
            }
            Period::Month => rest(date.first_of_month(), date.first_of_month().checked_add(1.month()).ok()),
            Period::Quarter => {
                let start = Date::new(date.year(), (date.month() - 1) / 3 * 3 + 1, 1).unwrap_or(date);
                rest(start, start.checked_add(3.months()).ok())
            }
            Period::Year => rest(date.first_of_year(), date.first_of_year().checked_add(1.year()).ok()),
        }
    }

    /// Returns when the window that a bucket lies in ends, in Unix milliseconds; none of all time, and of a rolling one, which ends never at
    /// once.
    pub fn ends_ms(&self, bucket: u64) -> Option<u64> {
        match self.period {
            Period::Total | Period::Rolling(_) => None,
            Period::Hour | Period::Day | Period::Week | Period::Month | Period::Quarter | Period::Year => {
                self.around(bucket).end.checked_mul(BUCKET_MS)
            }
        }
    }

    fn date(&self, bucket: u64) -> Date {
        self.zone.to_datetime(instant(bucket)).date()
    }

    /// From the first moment of one day to that of another. A window always holds the bucket that it is asked for.
    fn days(&self, start: Date, end: Option<Date>, bucket: u64) -> Range<u64> {
        let first = |date: Date| self.zone.to_timestamp(date.at(0, 0, 0, 0)).ok().map(bucket_at);
        let start = first(start).unwrap_or(bucket).min(bucket);
        let end = end.and_then(first).unwrap_or(u64::MAX).max(bucket.saturating_add(1));
        start..end
    }

    /// Hours are counted, not named: the one that a change of the clocks repeats is two.
    fn hour(&self, bucket: u64) -> Range<u64> {
        let instant = instant(bucket);
        let ms = instant.as_millisecond();
        let offset_ms = i64::from(self.zone.to_offset(instant).seconds()) * 1_000;
        let start_ms = ms - (ms + offset_ms).rem_euclid(HOUR_MS);
        let start = u64::try_from(start_ms).unwrap_or(0) / BUCKET_MS;
        start..start.saturating_add(HOUR_MS.unsigned_abs() / BUCKET_MS).max(bucket.saturating_add(1))
    }
}

fn instant(bucket: u64) -> Timestamp {
    let ms = i64::try_from(bucket.saturating_mul(BUCKET_MS)).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

fn bucket_at(timestamp: Timestamp) -> u64 {
    u64::try_from(timestamp.as_millisecond()).unwrap_or(0) / BUCKET_MS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bucket(text: &str) -> u64 {
        bucket_at(text.parse().unwrap())
    }

    fn window(period: &str, zone: &str, at: &str) -> (String, String) {
        let range = Window::new(period.parse().unwrap(), zone).around(bucket(at));
        (instant(range.start).to_string(), instant(range.end).to_string())
    }

    #[test]
    fn windows_follow_the_calendar_of_their_zone() {
        for (period, zone, at, start, end) in [
            ("hour", "UTC", "2026-11-25T10:20:00Z", "2026-11-25T10:00:00Z", "2026-11-25T11:00:00Z"),
            ("hour", "Asia/Kathmandu", "2026-11-25T10:20:00Z", "2026-11-25T10:15:00Z", "2026-11-25T11:15:00Z"),
            ("day", "Europe/Berlin", "2026-11-25T23:30:00Z", "2026-11-25T23:00:00Z", "2026-11-26T23:00:00Z"),
            ("week", "UTC", "2026-11-25T10:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
            ("week", "UTC", "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
            ("month", "America/New_York", "2026-12-01T04:59:00Z", "2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z"),
            ("month", "UTC", "2028-02-29T23:59:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            ("quarter", "UTC", "2026-11-25T10:00:00Z", "2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("year", "Asia/Tokyo", "2026-12-31T15:00:00Z", "2026-12-31T15:00:00Z", "2027-12-31T15:00:00Z"),
        ] {
            assert_eq!(window(period, zone, at), (start.to_owned(), end.to_owned()), "{period} {zone} {at}");
        }
    }

    #[test]
    fn days_in_which_clocks_change_are_shorter_or_longer_and_their_hours_are_not() {
        let hours = |at: &str, zone: &str| {
            let range = Window::new(Period::Day, zone).around(bucket(at));
            (range.end - range.start) / 4
        };
        assert_eq!(hours("2026-03-29T12:00:00Z", "Europe/Berlin"), 23);
        assert_eq!(hours("2026-10-25T12:00:00Z", "Europe/Berlin"), 25);
        // Midnight itself is skipped there.
        assert_eq!(window("day", "America/Santiago", "2026-09-06T12:00:00Z").0, "2026-09-06T04:00:00Z");
        let repeated = |at| window("hour", "Europe/Berlin", at);
        assert_eq!(repeated("2026-10-25T00:30:00Z").1, "2026-10-25T01:00:00Z");
        assert_eq!(repeated("2026-10-25T01:30:00Z"), ("2026-10-25T01:00:00Z".to_owned(), "2026-10-25T02:00:00Z".to_owned()));
    }

    #[test]
    fn a_rolling_window_ends_with_the_bucket() {
        let range = Window::new("rolling 1h".parse().unwrap(), "UTC").around(100);
        assert_eq!(range, 97..101);
        assert_eq!(Window::new("rolling 1h5m".parse().unwrap(), "UTC").around(100), 96..101);
        assert_eq!(Window::new(Period::Total, "UTC").around(100), 0..u64::MAX);
    }

    proptest! {
        /// Windows cover all time, and no moment is in two of them.
        #[test]
        fn windows_stand_side_by_side(
            at in 1_700_000_000_000_u64..4_000_000_000_000,
            period in prop::sample::select(vec![Period::Day, Period::Week, Period::Month, Period::Quarter, Period::Year]),
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"]),
        ) {
            let window = Window::new(period, zone);
            let bucket = at / BUCKET_MS;
            let range = window.around(bucket);
            prop_assert!(range.contains(&bucket));
            prop_assert_eq!(window.around(range.start), range.clone());
            prop_assert_eq!(window.around(range.end - 1), range.clone());
            prop_assert_eq!(window.around(range.end).start, range.end);
        }
    }
}
