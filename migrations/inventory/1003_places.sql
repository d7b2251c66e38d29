-- A product stands at one place. Its name is a constant for nearly all rows, so that adding it rewrites none.
alter table stock add column place text collate "C" not null default 'main' check (length(place) between 1 and 32);
-- Where what an order keeps stood when it was reserved, {SKU: place}, of what stands elsewhere than at 'main'; none where all does.
-- Never changed: a product that is moved later changes no parcel.
alter table reservation add column places json;
-- Where a delivery was said to be put, if it was: a repeat says the same.
alter table receipt add column place text collate "C";
