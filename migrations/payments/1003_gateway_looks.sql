-- Payments of which the gateway told something that nobody here asked for: money given back there by hand. What it tells is a
-- hint and no more: it makes the payment's look-up due, and the look-up says what is so. The ids of the latest events stand on
-- the row that they concern, so that a repeat wakes nobody.
create table gateway_look (
    order_id uuid primary key,
    slot smallint not null,
    -- Counts the hints: a look-up that was under way when the next one came settles nothing.
    hints int not null,
    events text[] not null,
    tries int not null,
    look_ups int not null,
    first_sent_at timestamptz,
    next_try_at timestamptz,
    broken text
) with (fillfactor = 80);
create index gateway_look_due on gateway_look (slot) where next_try_at is not null;
