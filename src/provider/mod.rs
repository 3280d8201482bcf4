//! Outbound: client, credentials, cooldowns, breakers.
