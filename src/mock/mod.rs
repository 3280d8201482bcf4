//! The deterministic upstream with scripted faults.
