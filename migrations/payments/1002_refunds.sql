-- Money given back by staff after an order was handed over: in parts, and never more than was taken. The row is the command's
-- record, its dedup and its answer at once, and carries the intent of the call under way. (What the saga itself undoes stands
-- on the payment.)
create table refund (
    order_id uuid not null,
    -- Counted from 1; one at a time is under way.
    n int not null,
    key text not null,
    amount_minor bigint not null check (amount_minor > 0),
    reason text not null,
    actor text not null,
    at timestamptz not null,
    slot smallint not null,
    state text not null check (state in ('asked', 'done', 'refused')),
    tries int not null,
    again int not null,
    look_ups int not null,
    first_sent_at timestamptz,
    next_try_at timestamptz,
    refusal_code text,
    refusal_detail text,
    broken text,
    primary key (order_id, n),
    unique (order_id, key)
) with (fillfactor = 80);
create index refund_in_flight on refund (slot) where next_try_at is not null;
