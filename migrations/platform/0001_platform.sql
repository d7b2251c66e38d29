-- Applied into each module's schema before the module's own migrations.

-- One row. Every write transaction takes the fence's shared advisory lock and reads this row in a later
-- statement. Raising the epoch or closing the fence takes the lock exclusively, so it waits for writers.
create table fence (
    one boolean primary key default true check (one),
    -- The incarnation of this module's database: a move or a restore raises it, as xids do not travel.
    epoch bigint not null default 1,
    open boolean not null default true
);
insert into fence default values;

-- Debezium's outbox columns (id, aggregatetype, aggregateid, type, payload) and what an envelope needs.
-- Insert-only. Read in the order of the primary key, below the horizon.
create table outbox (
    epoch bigint not null,
    xid xid8 not null default pg_current_xact_id(),
    seq bigint generated always as identity,
    id uuid not null,
    aggregatetype text not null,
    aggregateid text not null,
    type text not null,
    payload jsonb not null,
    slot smallint not null,
    sequence bigint not null,
    schema_version smallint not null,
    at timestamptz not null,
    causation text not null,
    actor text not null,
    traceparent text not null,
    primary key (epoch, xid, seq)
);

-- Which process is alive: each bumps its own row; whose row stands still for the time to live on the
-- onlooker's own monotonic clock is dead. No clock is compared with another.
create table member (
    group_name text not null,
    instance uuid not null,
    beat bigint not null default 0,
    primary key (group_name, instance)
) with (fillfactor = 50);

-- A group's slots. The epoch rises with each change of holder and fences the one before; the position is
-- that of the group's source, read and raised in one statement.
create table slot (
    group_name text not null,
    slot smallint not null,
    holder uuid,
    epoch bigint not null default 0,
    source_epoch bigint not null default 0,
    source_xid xid8 not null default '0',
    source_seq bigint not null default 0,
    -- Of the event at this position, when it was tried one by one: attempts survive the process.
    attempts int not null default 0,
    attempted_epoch bigint not null default 0,
    attempted_xid xid8 not null default '0',
    attempted_seq bigint not null default 0,
    primary key (group_name, slot)
) with (fillfactor = 50);

-- Events that could not be applied, and those of the same key that queue behind them, oldest first.
create table dead_letter (
    group_name text not null,
    key text not null,
    place bigint generated always as identity,
    source_epoch bigint not null,
    source_xid xid8 not null,
    source_seq bigint not null,
    envelope jsonb not null,
    reason text,
    attempts int not null,
    parked_at timestamptz not null,
    primary key (group_name, key, place),
    -- An event that is read again stands in its queue once.
    unique (group_name, key, source_epoch, source_xid, source_seq)
);

-- What was done with a dead letter, by whom and why.
create table dead_letter_decision (
    group_name text not null,
    key text not null,
    place bigint not null,
    event uuid not null,
    decision text not null check (decision in ('replayed', 'dropped')),
    actor text not null,
    reason text not null,
    decided_at timestamptz not null,
    primary key (group_name, key, place)
);
