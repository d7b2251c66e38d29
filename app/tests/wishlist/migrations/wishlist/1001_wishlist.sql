create table wish (
    customer_id uuid not null,
    sku text collate "C" not null,
    primary key (customer_id, sku)
);

-- The last sequence heard from orders of an order.
create table heard (
    order_id uuid primary key,
    seen bigint not null
);
