-- Which copy of a read model is read and fed by its consumers. Its rows stand in the module's own tables, twice while it is
-- being rebuilt; a rebuild writes the other copy and then turns this row over, in one transaction with the slots' positions.
create table read_model (
    name text primary key,
    live smallint not null default 0 check (live in (0, 1)),
    -- Counts rebuilds: who begins one fences the one before.
    build bigint not null default 0
);
