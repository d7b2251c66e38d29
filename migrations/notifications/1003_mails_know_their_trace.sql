-- The order's trace, in which a mail that is sent is one more call; none of mails from before.
alter table mail add column trace uuid;
