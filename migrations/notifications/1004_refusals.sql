-- How often the server said of this mail that it will never take it, apart from tries that came to nothing for other reasons.
alter table mail add column refusals int not null default 0;
create index mail_refused on mail (order_id) where sending = 'refused';
