-- Payments that a customer disputes with the bank, as the gateway says they stand. The money is between the gateway and the bank: the
-- ledger does not move.
create table dispute (
    order_id uuid not null,
    -- The gateway's.
    id text not null,
    amount_minor bigint not null check (amount_minor > 0),
    reason text not null,
    status text not null,
    -- When it was first seen, and when it came to this status.
    seen_at timestamptz not null,
    at timestamptz not null,
    primary key (order_id, id)
);
