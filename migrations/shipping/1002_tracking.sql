-- Where a parcel got to, beside what was asked of the carrier: by when it was promised, and how it ended. An arrival may be told
-- before the module has heard that the order was shipped, so that it is no state of the booking.
alter table shipment
    add column promised_by timestamptz,
    add column arrival text check (arrival in ('delivered', 'returned')),
    add column arrived_at timestamptz;

-- How far the carrier's events were taken in: moved in one commit with what they changed.
create table carrier_feed (
    only_one boolean primary key default true check (only_one),
    position bigint not null
);
insert into carrier_feed (position) values (0);
