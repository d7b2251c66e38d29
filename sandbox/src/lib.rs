//! The outside world as a process: payment gateway and carrier, with faults.
