-- What staff found when they looked: more or less than the books said. Insert-only; one row is the command's record, its dedup
-- and the reason. adjusted = what was written off less what was found, so it may be below nought.
alter table stock drop constraint stock_adjusted_check;
create table adjustment (
    key text primary key,
    sku text collate "C" not null,
    -- Found (above nought) or missing (below); nought where a count found what the books said.
    quantity bigint not null,
    -- What was counted on the shelf, kept pieces included; none where the difference itself was said.
    counted bigint check (counted >= 0),
    reason text not null,
    actor text not null,
    at timestamptz not null
);
create index adjustment_of_sku on adjustment (sku, at);

-- What the public is told: a read model of this module's own events, at the moment of the last one that it has applied.
create table public_stock (
    sku text collate "C" primary key,
    available bigint not null,
    as_of timestamptz not null
) with (fillfactor = 50);
-- Holds and releases are told since the first day and will be applied from the beginning; what came in before today was not.
insert into public_stock select sku, received - adjusted, now() from stock;
