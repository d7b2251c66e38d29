//! What every main shares: telemetry, admin, modules, drain.
