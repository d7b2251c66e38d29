-- One shipment per order. The row is the command's record, its dedup and its answer at once, and carries the
-- intent of the call under way. What changes stands last: an update then logs little.
create table shipment (
    order_id uuid primary key,
    customer_id uuid,
    items bigint not null,
    slot smallint not null,
    trace uuid not null,
    -- The carrier's; none before it answered.
    carrier_id text,
    tracking text,
    attempt int not null,
    version bigint not null,
    tries int not null,
    again int not null,
    look_ups int not null,
    asked_again boolean not null,
    state text not null,
    -- The last of orders' events applied here; none where no booking ever said how many there were.
    orders_seen bigint,
    first_sent_at timestamptz,
    next_try_at timestamptz,
    refusal_code text,
    refusal_detail text,
    -- Why it was given up, for the event that tells it.
    reason text,
    broken text
) with (fillfactor = 70);

-- Holds the calls under way and no others.
create index shipment_in_flight on shipment (slot) where next_try_at is not null;
