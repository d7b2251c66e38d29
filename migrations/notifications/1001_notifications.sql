-- All that the shop knows of a person stands here and nowhere else: to forget somebody is to delete a row.
create table contact (
    customer_id uuid primary key,
    name text not null,
    email text not null,
    language text not null,
    street text not null,
    postcode text not null,
    city text not null,
    country text not null,
    -- Kinds that are not sent to the address; the mailbox has them all the same.
    unwanted text[] not null,
    updated_at timestamptz not null
);

-- One row per order, kind and occurrence: the record that it was told, and what is told. No word of the person: name,
-- address and language are taken from the contact when it is read or sent.
create table mail (
    order_id uuid not null,
    kind text not null,
    -- Of kinds that an order may have several of; 0 for the others.
    n int not null,
    customer_id uuid not null,
    at timestamptz not null,
    amount_minor bigint not null,
    currency text not null,
    pieces bigint not null,
    cause text,
    slot smallint not null,
    -- On the first mail of an order alone: the last of orders' events applied, and whether its end was heard of.
    orders_seen bigint,
    open boolean not null,
    -- Sending: 'kept' in the mailbox alone, 'due', 'sent', 'refused'.
    sending text not null check (sending in ('kept', 'due', 'sent', 'refused')),
    tries int not null default 0,
    next_try_at timestamptz,
    trouble text,
    primary key (order_id, kind, n)
) with (fillfactor = 80);
create index mail_of_customer on mail (customer_id, at, order_id);
create index mail_due on mail (slot, next_try_at) where sending = 'due';
create index mail_open on mail (slot, at) where open;
