//! Time zones by name, from the database that is compiled in: what a spec means does not depend on the machine that reads it.

use jiff::tz::{TimeZone, TimeZoneDatabase};

/// Returns the time zone of an IANA name, `Europe/Berlin`; none where there is no such zone.
pub fn zone(name: &str) -> Option<TimeZone> {
    match name {
        "UTC" => Some(TimeZone::UTC),
        name => TimeZoneDatabase::bundled().get(name).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::zone;

    #[test]
    fn zones_are_known_on_every_machine() {
        for name in ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"] {
            assert!(zone(name).is_some(), "{name}");
        }
        for none in ["", "Europe/Atlantis", "../etc/passwd"] {
            assert!(zone(none).is_none(), "{none}");
        }
    }
}
