-- What a refund by lines was for: so many of a product are given back once.
alter table refund add column lines jsonb not null default '[]';
