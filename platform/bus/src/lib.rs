//! Durable, ordered, at-least-once events in one process; dead letters; conformance suite.
