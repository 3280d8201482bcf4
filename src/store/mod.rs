//! Durable state: revisions.
