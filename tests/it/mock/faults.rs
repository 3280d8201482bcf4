//! Each fault as it shows on the wire.
