//! The one write path, outbox, slots, fence, migrations.
