//! Provider formats, pure: no tokio, no HTTP, no spec.
