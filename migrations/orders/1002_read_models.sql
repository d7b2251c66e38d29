-- Orders' read models read the whole history, so the index that knew only what is told gives way to one of all events.
create unique index order_event_order on order_event (epoch, xid, seq);
drop index order_event_told;

insert into read_model (name) values ('orders.list'), ('orders.sales');

-- An order as lists show it: the fold of its first `version` events. No index names a column that an event after the first
-- changes, so all updates are HOT.
create table order_list (
    copy smallint not null,
    order_id uuid not null,
    version int not null,
    customer_id uuid not null,
    state text not null,
    -- Why it turned back, if it did.
    cause text,
    -- Whether the money was taken; whether a person must look.
    paid boolean not null,
    stuck boolean not null,
    total_minor bigint not null,
    currency text not null,
    pieces bigint not null,
    skus text[] not null,
    tracking text,
    placed_at timestamptz not null,
    ended_at timestamptz,
    primary key (copy, order_id)
) with (fillfactor = 70);
create index order_list_newest on order_list (copy, placed_at, order_id);
create index order_list_of_customer on order_list (copy, customer_id, placed_at, order_id);

-- What was handed over of a product in an hour (UTC).
create table sales (
    copy smallint not null,
    hour timestamptz not null,
    sku text collate "C" not null,
    currency text not null,
    orders bigint not null,
    pieces bigint not null,
    amount_minor bigint not null,
    primary key (copy, hour, sku, currency)
) with (fillfactor = 50);
create index sales_of_sku on sales (copy, sku, hour);

-- Which orders are in these sums: told twice, an order counts once.
create table sold_order (
    copy smallint not null,
    hour timestamptz not null,
    order_id uuid not null,
    primary key (copy, hour, order_id)
);
