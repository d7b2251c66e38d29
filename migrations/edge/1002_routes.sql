-- Who turned a module's route, from what to what, and why. Insert-only, and one row for each revision: of two who turn the same route at
-- the same time one is told.
create table route_change (
    module text not null,
    revision bigint not null check (revision > 0),
    at timestamptz not null,
    -- As `role:id`; a guard that turns a route back is `system:guard`.
    actor text not null,
    -- Of a thousand keys, by variant.
    was jsonb not null,
    becomes jsonb not null,
    why text not null,
    primary key (module, revision)
);
