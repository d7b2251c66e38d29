-- Some scripts set no blank between words: there a search must find a part of what is written. A run of such letters is kept as its pairs,
-- in their order, so that a phrase of pairs is found wherever it stands in the run; and, behind all, letter by letter, for who looks for
-- one alone. The search is written in the same way (modules/catalog/core/src/words.rs). Thai, Lao, Burmese, Khmer; Chinese, Japanese
-- and Korean.
create function set_apart(words text) returns text language sql immutable strict parallel safe
begin atomic
    with run as (
        select ord, part[1] as text, part[1] ~ '^[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]' as joined
        from regexp_matches(words, '[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+|[^\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+', 'g')
            with ordinality as matched(part, ord)
    ),
    piece as (
        select 0 as place, ord, 0 as at, text from run where not joined
        union all
        select 0, ord, at, substr(text, at, 2) from run, generate_series(1, greatest(length(text) - 1, 1)) at where joined
        union all
        select 1, ord, at, substr(text, at, 1) from run, generate_series(1, length(text)) at where joined
    )
    select coalesce(string_agg(text, ' ' order by place, ord, at), '') from piece;
end;

alter table product
    drop column document,
    add column document tsvector generated always as (
        setweight(to_tsvector('simple', set_apart(folded(name))), 'A')
        || setweight(to_tsvector('simple', set_apart(folded(category))), 'B')
        || setweight(to_tsvector('simple', set_apart(folded(description))), 'C')
    ) stored;
create index product_found on product using gin (document) where not retired;
