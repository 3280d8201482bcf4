//! Embedded data: provider presets.
