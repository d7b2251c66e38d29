-- One payment per order. The row is the command's record, its dedup and its answer at once, and carries the
-- intent of the call under way. What changes stands last: an update then logs little.
create table payment (
    order_id uuid primary key,
    amount_minor bigint not null,
    slot smallint not null,
    currency text not null,
    method text not null,
    trace uuid not null,
    -- The gateway's id; none before it answered.
    reference text,
    attempt int not null,
    -- Of the capture; 0 before it was asked for.
    capture_attempt int not null,
    version bigint not null,
    tries int not null,
    again int not null,
    look_ups int not null,
    -- The capture was undone before it was done.
    barred boolean not null,
    asked_again boolean not null,
    capture_asked_again boolean not null,
    state text not null,
    first_sent_at timestamptz,
    next_try_at timestamptz,
    refusal_code text,
    refusal_detail text,
    broken text
) with (fillfactor = 70);

-- Holds the calls under way and no others.
create index payment_in_flight on payment (slot) where next_try_at is not null;

-- Double entry: one row moves an amount from the credited account to the debited one. The sequence is that of
-- the event told with it, so that a movement cannot be written twice. Insert-only.
create table ledger_entry (
    payment_id uuid not null,
    sequence bigint not null,
    at timestamptz not null,
    amount_minor bigint not null check (amount_minor > 0),
    currency text not null,
    debit text not null,
    credit text not null,
    primary key (payment_id, sequence)
);
