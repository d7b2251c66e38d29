-- What the customer follows the parcels by, [number]; on the mail alone that tells of them.
alter table mail add column tracking json;
