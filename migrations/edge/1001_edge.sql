-- What staff asked for: a row before it is done, and one when it was answered. Insert-only: who can do something
-- cannot take the record of it away.
create table staff_action (
    id uuid not null,
    phase text not null check (phase in ('asked', 'answered')),
    at timestamptz not null,
    actor text not null,
    method text not null,
    -- Without its query.
    path text not null,
    idempotency_key text,
    -- Of the answer.
    status smallint,
    primary key (id, phase)
);
create index staff_action_newest on staff_action (at, id) where phase = 'asked';
