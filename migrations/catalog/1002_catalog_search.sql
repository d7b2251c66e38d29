-- What a shop window needs: words about a product, pictures, an end of sale, and a search over the words.
alter table product
    add column description text not null default '',
    add column images text[] not null default '{}',
    add column retired boolean not null default false,
    -- 'simple' knows no language: no word is cut to a stem, none is left out, every script is taken as it is.
    add column document tsvector generated always as (
        setweight(to_tsvector('simple', name), 'A')
        || setweight(to_tsvector('simple', category), 'B')
        || setweight(to_tsvector('simple', description), 'C')
    ) stored;
create index product_found on product using gin (document) where not retired;
create index product_of_category on product (category, sku) where not retired;
