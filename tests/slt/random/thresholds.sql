-- Rows above and below what an aggregate says, of all or of their key; not shown, shown, negated.
CREATE MATERIALIZED VIEW above_average AS SELECT id, i FROM s WHERE i > (SELECT avg(i) FROM s);
CREATE MATERIALIZED VIEW below_average AS SELECT id, b FROM s WHERE b < (SELECT avg(b) FROM r WHERE f);
CREATE MATERIALIZED VIEW at_least_half AS SELECT g, count(*) AS n, sum(i) AS i FROM s WHERE c >= (SELECT max(c) / 2 FROM s) GROUP BY g;
CREATE MATERIALIZED VIEW at_most AS SELECT id FROM s WHERE t <= (SELECT min(t) + INTERVAL 1 HOUR FROM r WHERE h = 2);
CREATE MATERIALIZED VIEW within AS SELECT id FROM s WHERE i BETWEEN (SELECT median(i) - 2 FROM r) AND (SELECT max(i) - 1 FROM s);
CREATE MATERIALIZED VIEW above_own AS SELECT id, g FROM s WHERE d > (SELECT avg(i) FROM s o WHERE o.g = s.g);
CREATE MATERIALIZED VIEW above_own_twice AS SELECT s.id FROM s JOIN (SELECT g, h, sum(i) AS i, count(*) AS n FROM s GROUP BY g, h) m ON m.g = s.g AND m.h = s.h WHERE s.i * m.n > m.i * 2;
CREATE MATERIALIZED VIEW above_theirs AS SELECT s.* FROM s JOIN (SELECT g, h, avg(i) AS i FROM r GROUP BY g, h) m ON m.g = s.g AND m.h = s.h AND s.i >= m.i + 1;
CREATE MATERIALIZED VIEW below_or_null AS SELECT h, count(*) FROM s WHERE i < (SELECT max(i) FROM r WHERE r.h IS NOT DISTINCT FROM s.h) GROUP BY h;
CREATE MATERIALIZED VIEW no_row AS SELECT id FROM s WHERE i > (SELECT coalesce(max(i), 0) FROM r WHERE r.g = s.g AND r.h = s.h);
CREATE MATERIALIZED VIEW all_but_null AS SELECT id FROM s WHERE coalesce(i > (SELECT avg(i) FROM r WHERE r.g = s.g), true);
CREATE MATERIALIZED VIEW shown AS SELECT s.id, m.i AS most FROM s JOIN (SELECT g, max(i) AS i FROM r GROUP BY g) m ON m.g = s.g AND s.i > m.i;
CREATE MATERIALIZED VIEW large_groups AS SELECT g, sum(i) AS i FROM s GROUP BY g HAVING sum(i) > (SELECT sum(i) * 0.3 FROM s);
CREATE MATERIALIZED VIEW thresholds AS SELECT m.g FROM s JOIN (SELECT g, max(i) AS i FROM r GROUP BY g) m ON m.g = s.g AND s.i > m.i WHERE s.id % 5 = 0;
CREATE MATERIALIZED VIEW of_nulls AS SELECT id FROM s WHERE 100 // i > (SELECT avg(h) FROM s);
CREATE MATERIALIZED VIEW and_of_two AS SELECT s.id, x.n FROM s JOIN (SELECT g, count(*) AS n FROM r GROUP BY g) x ON x.g = s.g WHERE s.i > (SELECT avg(i) FROM s) AND s.h < (SELECT max(h) FROM r o WHERE o.g = s.g);
CREATE MATERIALIZED VIEW by_time AS SELECT count(*) FROM s WHERE z > (SELECT max(z) - INTERVAL 30 MINUTE FROM s);
CREATE MATERIALIZED VIEW not_above AS SELECT id FROM s WHERE NOT i > (SELECT avg(i) FROM s WHERE f) AND NOT EXISTS (SELECT 1 FROM r WHERE r.i = s.i AND r.id % 50 = 0);
