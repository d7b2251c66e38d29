-- Nearly every order leaves in one parcel, and that stands in the columns there are, with the place where it was packed (none: 'main').
-- What stock forces into further ones is listed here, [{place, items, tracking, arrival, at}]; none, where it forces nothing.
alter table shipment
    add column place text,
    add column further json;
