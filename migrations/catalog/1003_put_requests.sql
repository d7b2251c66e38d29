-- What was wished under a client's key, and what it was answered: a repeat that comes late must not bring old prices back.
create table put_request (
    key text primary key,
    -- Tells whether the same is wished again.
    wish bigint not null,
    products jsonb not null,
    at timestamptz not null
);
