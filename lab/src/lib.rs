//! Scenarios, bench, simulation and architecture tests on real processes.
