-- Rows as they are.
CREATE MATERIALIZED VIEW rows_of_interest AS SELECT id, g, i * 2 AS twice, coalesce(d, 0) FROM s WHERE i > 5 AND f;
CREATE MATERIALIZED VIEW either AS SELECT id, g FROM s WHERE h = 0 UNION ALL SELECT id, g FROM r WHERE h = 1;
CREATE MATERIALIZED VIEW tags_of AS SELECT id, unnest(tags) AS tag FROM r WHERE h = 2;

-- Groups over growing input.
CREATE MATERIALIZED VIEW totals AS SELECT count(*), count(i), sum(i), sum(b), avg(d), sum(d), sum(c), avg(c), min(t), max(z), min(g), max(g) FROM s;
CREATE MATERIALIZED VIEW by_g AS SELECT g, count(*), sum(i), avg(i), min(d), max(d), min(g) FROM s GROUP BY g;
CREATE MATERIALIZED VIEW by_two AS SELECT g, h, count(*) FILTER (WHERE f), sum(i) FILTER (WHERE i > 0), count(DISTINCT i) FROM s GROUP BY g, h;
CREATE MATERIALIZED VIEW by_hour AS SELECT date_trunc('hour', z) AS hour, count(*) FROM s GROUP BY hour;
CREATE MATERIALIZED VIEW by_local_day AS SELECT date_trunc('day', z) AS day, h, sum(i) FROM s GROUP BY ALL;
CREATE MATERIALIZED VIEW big_groups AS SELECT g, f, count(*) AS n FROM s GROUP BY g, f HAVING count(*) % 2 = 0;
CREATE MATERIALIZED VIEW distinct_pairs AS SELECT DISTINCT h, f FROM r;
CREATE MATERIALIZED VIEW rolled AS SELECT g, h, count(*), sum(i), grouping(g, h) FROM s GROUP BY ROLLUP (g, h);
CREATE MATERIALIZED VIEW cubed AS SELECT f, h, max(i) FROM s GROUP BY CUBE (f, h);
CREATE MATERIALIZED VIEW own_states AS SELECT h, median(i), bool_or(f), var_pop(i), max(b) - min(b), quantile_cont(i, 0.25) FROM s GROUP BY h;
CREATE MATERIALIZED VIEW in_order AS SELECT h, string_agg(g, ',' ORDER BY id), first(g ORDER BY id DESC), list(i ORDER BY i, id) FROM r WHERE id % 7 = 0 GROUP BY h;

-- Groups over input that shrinks: groups of groups, and the clock.
CREATE MATERIALIZED VIEW group_sizes AS SELECT n, count(*) FROM (SELECT g, h, count(*) AS n FROM s GROUP BY g, h) GROUP BY n;
CREATE MATERIALIZED VIEW extremes_of_groups AS SELECT min(n), max(n), sum(n), avg(n), count(DISTINCT n) FROM (SELECT i, count(*) AS n FROM s GROUP BY i);
CREATE MATERIALIZED VIEW medians_of_groups AS SELECT median(n), list(n ORDER BY n, g), max(g) FROM (SELECT g, h, sum(i) AS n FROM r GROUP BY g, h) GROUP BY h;
CREATE MATERIALIZED VIEW last_hour AS SELECT g, count(*), sum(i), min(i), max(d) FROM s WHERE z > now() - INTERVAL 1 HOUR GROUP BY g;
CREATE MATERIALIZED VIEW last_hour_rows AS SELECT id, i FROM s WHERE z > now() - INTERVAL 1 HOUR;
CREATE MATERIALIZED VIEW this_month AS SELECT count(*), sum(i), avg(i), min(d) FROM s WHERE z >= date_trunc('month', now());
CREATE MATERIALIZED VIEW this_week_by_g AS SELECT g, count(*) FROM r WHERE z >= date_trunc('week', now()) GROUP BY g;
CREATE MATERIALIZED VIEW today_and_yesterday AS SELECT h, count(*) FROM s WHERE z >= date_trunc('day', now()) - INTERVAL 1 DAY AND z < date_trunc('day', now()) GROUP BY h;
CREATE MATERIALIZED VIEW to_come AS SELECT id FROM s WHERE z > now();
CREATE MATERIALIZED VIEW local_time AS SELECT count(*), max(id) FROM s WHERE t >= localtimestamp - INTERVAL 2 HOURS AND t <= localtimestamp;
CREATE MATERIALIZED VIEW recent_medians AS SELECT h, median(i), string_agg(g, '' ORDER BY id) FROM r WHERE z > now() - INTERVAL 30 MINUTES GROUP BY h;

-- The top.
CREATE MATERIALIZED VIEW latest AS SELECT id, g, z FROM s ORDER BY z DESC, id LIMIT 10;
CREATE MATERIALIZED VIEW top_groups AS SELECT g, h, count(*) AS n FROM s GROUP BY g, h ORDER BY n DESC, g, h LIMIT 3;
CREATE MATERIALIZED VIEW after_the_top AS SELECT id, i FROM r ORDER BY i NULLS FIRST, id LIMIT 5 OFFSET 3;
CREATE MATERIALIZED VIEW ties AS SELECT h, g, f FROM s ORDER BY h DESC LIMIT 4;

-- Views over views.
CREATE VIEW positive AS SELECT * FROM s WHERE i > 0;
CREATE MATERIALIZED VIEW positive_by_h AS SELECT h, count(*), sum(b) FROM positive GROUP BY h;
CREATE MATERIALIZED VIEW of_by_g AS SELECT count(*) AS groups, count(g) FROM by_g;
CREATE MATERIALIZED VIEW of_last_hour AS SELECT count(*) FROM last_hour_rows WHERE i > 0;

