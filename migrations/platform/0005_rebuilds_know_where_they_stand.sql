-- Where the copy that is being built stands. Written in the transaction that applies the events before it, so that a page whose
-- commit was not heard of is not applied twice: a model may add up, and needs no row per subject that would know a repeat.
alter table read_model add column built_epoch bigint not null default 0;
alter table read_model add column built_xid xid8 not null default '0';
alter table read_model add column built_seq bigint not null default 0;
