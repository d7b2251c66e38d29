//! Fake and conformance suite of the port.
