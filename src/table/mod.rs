//! Plan + services → routing table; the pure decision.
