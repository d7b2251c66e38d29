//! The private PostgreSQL: found or fetched, started, adopted, stopped.
