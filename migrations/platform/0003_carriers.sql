-- Where a slot goes on, on a carrier with places of its own (Kafka), written in the same statement as its position. The
-- cluster and the number of partitions say what the offset is good for; null: the outbox itself was read.
alter table slot
    add column carrier_cluster text,
    add column carrier_partitions int,
    add column carrier_offset bigint;
