-- What is sold. SKUs sort by their bytes, here as in the program: pages and cursors agree.
create table product (
    sku text collate "C" primary key,
    name text not null,
    category text not null,
    price_minor bigint not null check (price_minor > 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    -- Counts changes from 1; also the sequence of the event that told the last one.
    version bigint not null,
    updated_at timestamptz not null
);
