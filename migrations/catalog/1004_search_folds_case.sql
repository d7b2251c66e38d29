-- A search finds whatever the case, in every script. The database's own locale cannot be relied on for that: the private cluster's is C,
-- which knows the case of ASCII alone, and a database that somebody names has any. So the fold names a collation that knows them: the
-- best that this server has, or the database's own where it has none. Up and down again, since some letters have several small forms.
do $$
declare
    folds text;
begin
    select format('collate pg_catalog.%I', collname) into folds
    from pg_collation
    join unnest(array['pg_c_utf8', 'und-x-icu', 'C.utf8', 'C.UTF-8', 'en_US.utf8']) with ordinality as known(name, place)
        on name = collname
    where collnamespace = 'pg_catalog'::regnamespace
        and collencoding in (-1, (select encoding from pg_database where datname = current_database()))
    order by place
    limit 1;
    execute format(
        'create function folded(words text) returns text language sql immutable strict parallel safe '
        'return lower(upper(words %1$s) %1$s)',
        coalesce(folds, '')
    );
end
$$;

-- As it was, of the folded words; for the products that are there already as well.
alter table product
    drop column document,
    add column document tsvector generated always as (
        setweight(to_tsvector('simple', folded(name)), 'A')
        || setweight(to_tsvector('simple', folded(category)), 'B')
        || setweight(to_tsvector('simple', folded(description)), 'C')
    ) stored;
create index product_found on product using gin (document) where not retired;
