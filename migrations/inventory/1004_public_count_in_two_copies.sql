-- The public count can be folded anew while it is read: as every read model, in two copies.
insert into read_model (name) values ('inventory.public');
alter table public_stock add column copy smallint not null default 0;
alter table public_stock alter column copy drop default;
alter table public_stock drop constraint public_stock_pkey;
alter table public_stock add primary key (copy, sku);

-- What came in before deliveries were told is in no event: it stands in a copy of its own, which nothing changes and every reader
-- adds.
insert into public_stock (copy, sku, available, as_of)
select -1, s.sku, s.received - s.adjusted - coalesce(t.told, 0), now()
from stock s left join (
    select l->>'sku' as sku, sum((l->>'quantity')::int8)::int8 as told
    from outbox, jsonb_array_elements(payload->'lines') l where type in ('GoodsReceived', 'StockAdjusted') group by 1
) t on t.sku = s.sku
where s.received - s.adjusted <> coalesce(t.told, 0);
update public_stock p set available = p.available - o.available
from public_stock o where o.copy = -1 and p.copy = 0 and p.sku = o.sku;

-- Where what was told of a delivery or a finding stands in the outbox: what its reader may ask to see at least. None of what was
-- booked before, and of a finding that changed nothing.
alter table receipt add column told_epoch bigint;
alter table receipt add column told_xid xid8;
alter table adjustment add column told_epoch bigint;
alter table adjustment add column told_xid xid8;
