//! What must hold on real processes: killed, frozen, doubled, moved, tampered with, and told nonsense.

mod open_close;
