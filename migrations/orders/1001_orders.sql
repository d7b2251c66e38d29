-- An order's events are its truth and, those with a sequence, its outbox. Insert-only.
create table order_event (
    order_id uuid not null,
    version int not null check (version > 0),
    -- Counts the public events; null for those that never leave the module.
    sequence smallint,
    type text not null,
    schema_version smallint not null,
    payload jsonb not null,
    -- SHA-256 over the hash before, the stream, version, type, schema version, time and canonical payload.
    hash bytea not null check (length(hash) = 32),
    at timestamptz not null,
    -- Of the first event; the spans of the others are derived from it.
    traceparent text,
    slot smallint not null,
    epoch bigint not null,
    xid xid8 not null default pg_current_xact_id(),
    seq bigint generated always as identity,
    primary key (order_id, version)
);
create unique index order_event_told on order_event (epoch, xid, seq) where sequence is not null;

-- What is asked often of an order, and when it is due. Small, since each step rewrites it; no index names a
-- column that a step changes, so all updates but the last are HOT.
create table orders (
    order_id uuid primary key,
    customer_id uuid not null,
    slot smallint not null,
    placed_at timestamptz not null,
    state text not null,
    version int not null,
    told smallint not null,
    -- Hash of the last event: a tail cut off shows.
    hash bytea not null,
    -- A hash of the first answer: a repeat must get the same, however it is rebuilt.
    response bigint not null,
    -- Until it is ended. A stopped order is open without a due time.
    open boolean not null,
    due_at timestamptz,
    asked int not null default 0,
    waiting text
) with (fillfactor = 70);
create index orders_open on orders (slot) where open;
create index orders_of_customer on orders (customer_id, placed_at, order_id);
create index orders_newest on orders (placed_at, order_id);
