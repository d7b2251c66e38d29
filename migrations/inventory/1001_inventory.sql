-- on_hand + reserved + shipped = received - adjusted, for each SKU, always; the audit compares with receipt
-- and reservation. SKUs sort by their bytes, here as in the program.
create table stock (
    sku text collate "C" primary key,
    on_hand bigint not null default 0 check (on_hand >= 0),
    reserved bigint not null default 0 check (reserved >= 0),
    shipped bigint not null default 0 check (shipped >= 0),
    received bigint not null default 0 check (received >= 0),
    adjusted bigint not null default 0 check (adjusted >= 0)
) with (fillfactor = 50);

-- One row per order: the movement of its stock, the record that its commands were done, and the answer to
-- their repeats. What is unchanged by an update stands at the end, so that PostgreSQL's log leaves it out.
create table reservation (
    order_id uuid primary key,
    -- When the hold ends if not confirmed; part of the answer for ever.
    expires_at timestamptz not null,
    updated_at timestamptz not null,
    -- The last sequence told of this order, 0 if none.
    version bigint not null,
    -- The last sequence heard from orders of this order.
    orders_seen bigint not null,
    attempt int not null,
    slot smallint not null,
    -- 'cancelled' is the tombstone of a do that was undone before it came.
    state text not null
        check (state in ('held', 'committed', 'shipped', 'released', 'refused', 'cancelled')),
    held boolean not null generated always as (state = 'held') stored,
    -- The refusal's code, or why it was released; the refusal's sentence.
    reason text,
    detail text,
    traceparent text not null,
    -- {SKU: quantity}: less than half the bytes of a list of pairs with names.
    lines jsonb not null
) with (fillfactor = 70);

create index reservation_due on reservation (expires_at) where held;

-- Deliveries that were booked, by their idempotency key.
create table receipt (
    key text primary key,
    lines jsonb not null,
    at timestamptz not null,
    actor text not null
);
