-- Open orders are taken up in the order in which they were placed. No step changes that time, so that updates stay HOT, and the look
-- ends at the first orders that are due however many are behind them.
drop index orders_open;
create index orders_open on orders (placed_at) where open;
