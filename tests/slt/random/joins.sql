-- Inner joins: growing inputs, a further condition, no equality at all, a table with itself.
CREATE MATERIALIZED VIEW joined AS SELECT s.h, count(*) FROM s JOIN r ON s.h = r.h AND s.i = r.i WHERE s.id % 20 = 0 GROUP BY s.h;
CREATE MATERIALIZED VIEW joined_rows AS SELECT s.id, r.id AS other, s.g, r.tags FROM s JOIN r ON s.g = r.g AND s.h = r.h AND s.i < r.i WHERE s.id % 7 = 0 AND r.id % 7 = 0;
CREATE MATERIALIZED VIEW crossed AS SELECT a.g, b.f FROM (SELECT DISTINCT g FROM s) a, (SELECT DISTINCT f FROM r) b;
CREATE MATERIALIZED VIEW lesser AS SELECT count(*) FROM (SELECT DISTINCT i FROM s) a JOIN (SELECT DISTINCT i FROM r) b ON a.i < b.i;
CREATE MATERIALIZED VIEW selfjoin AS SELECT a.id, b.id FROM s a JOIN s b ON a.i = b.h AND a.id < b.id WHERE a.id % 11 = 0 AND b.id % 11 = 0;
CREATE MATERIALIZED VIEW null_safe AS SELECT count(*) FROM (SELECT g, i, count(*) AS n FROM s GROUP BY g, i) a JOIN (SELECT g, i FROM r GROUP BY g, i) b ON a.g IS NOT DISTINCT FROM b.g AND a.i IS NOT DISTINCT FROM b.i;
CREATE MATERIALIZED VIEW by_text AS SELECT a.g, a.n, b.n FROM (SELECT g, count(*) AS n FROM s GROUP BY g) a JOIN (SELECT g, count(*) AS n FROM r GROUP BY g) b USING (g);
CREATE MATERIALIZED VIEW three AS SELECT a.h, count(*), sum(b.n + c.n) FROM s a JOIN (SELECT h, count(*) AS n FROM r GROUP BY h) b ON a.h = b.h JOIN (SELECT g, max(i) AS n FROM r GROUP BY g) c ON a.g = c.g WHERE a.id % 10 = 0 GROUP BY a.h;
CREATE MATERIALIZED VIEW times AS SELECT a.id, b.id FROM s a JOIN r b ON a.g = b.g AND b.t BETWEEN a.t AND a.t + INTERVAL 2 MINUTE WHERE a.id % 5 = 0;

-- Outer joins.
CREATE MATERIALIZED VIEW left_groups AS SELECT a.i, a.n, b.n FROM (SELECT i, count(*) AS n FROM s GROUP BY i) a LEFT JOIN (SELECT i, count(*) AS n FROM r WHERE f GROUP BY i) b ON a.i = b.i;
CREATE MATERIALIZED VIEW left_rows AS SELECT s.id, r.id FROM s LEFT JOIN r ON s.i = r.i AND s.b % 13 = r.b % 13 WHERE s.id % 9 = 0;
CREATE MATERIALIZED VIEW left_condition AS SELECT s.id, r.id FROM s LEFT JOIN (SELECT * FROM r WHERE id % 8 = 0) r ON s.h = r.h AND s.d < r.d AND s.i > r.i WHERE s.id % 9 = 0;
CREATE MATERIALIZED VIEW left_own_condition AS SELECT s.id, r.g FROM s LEFT JOIN (SELECT g, i, count(*) FROM r GROUP BY g, i) r ON s.i = r.i AND s.f WHERE s.id % 9 = 0;
CREATE MATERIALIZED VIEW right_rows AS SELECT s.id, r.id FROM (SELECT * FROM s WHERE id % 9 = 0) s RIGHT JOIN (SELECT * FROM r WHERE id % 9 = 0) r ON s.i = r.i AND s.g = r.g;
CREATE MATERIALIZED VIEW full_groups AS SELECT a.g, a.h, a.n, b.g AS bg, b.n AS bn FROM (SELECT g, h, count(*) AS n FROM s WHERE i > 2 GROUP BY g, h) a FULL JOIN (SELECT g, h, count(*) AS n FROM r WHERE i < 0 GROUP BY g, h) b ON a.g = b.g AND a.h = b.h;
CREATE MATERIALIZED VIEW full_condition AS SELECT a.id, b.id AS other FROM (SELECT * FROM s WHERE id % 12 = 0) a FULL JOIN (SELECT * FROM r WHERE id % 12 = 0) b ON a.h = b.h AND a.i + b.i = 3;
CREATE MATERIALIZED VIEW no_equality AS SELECT a.id, b.h FROM (SELECT * FROM s WHERE id % 30 = 0) a LEFT JOIN (SELECT DISTINCT h FROM r WHERE i > 8) b ON a.h > b.h;

-- Whether there is a partner.
CREATE MATERIALIZED VIEW semi AS SELECT id, g FROM s WHERE id % 5 = 0 AND EXISTS (SELECT 1 FROM r WHERE r.i = s.i AND r.h = s.h AND r.g = s.g);
CREATE MATERIALIZED VIEW anti AS SELECT id, g FROM s WHERE id % 5 = 0 AND NOT EXISTS (SELECT 1 FROM r WHERE r.i = s.i AND r.h = s.h AND r.g = s.g);
CREATE MATERIALIZED VIEW semi_condition AS SELECT id FROM s WHERE id % 5 = 0 AND EXISTS (SELECT 1 FROM r WHERE r.h = s.h AND r.i < s.i AND r.id % 40 = 0);
CREATE MATERIALIZED VIEW anti_condition AS SELECT id FROM s WHERE id % 5 = 0 AND NOT EXISTS (SELECT 1 FROM r WHERE r.h = s.h AND r.i < s.i AND r.id % 40 = 0);
CREATE MATERIALIZED VIEW is_in AS SELECT id, i FROM s WHERE id % 5 = 0 AND i IN (SELECT h FROM r WHERE f);
CREATE MATERIALIZED VIEW is_not_in AS SELECT id, i FROM s WHERE id % 5 = 0 AND i NOT IN (SELECT h FROM r WHERE h IS NOT NULL);
CREATE MATERIALIZED VIEW is_not_in_with_null AS SELECT id, i FROM s WHERE id % 5 = 0 AND i NOT IN (SELECT h FROM r WHERE id % 100 = 0);
CREATE MATERIALIZED VIEW marks AS SELECT id, i IN (SELECT h FROM r WHERE id % 100 = 0) AS mark, h IN (SELECT n FROM (SELECT g, count(*) % 7 AS n FROM r WHERE id % 9 = 0 GROUP BY g)) FROM s WHERE id % 5 = 0;
CREATE MATERIALIZED VIEW correlated_marks AS SELECT id, i IN (SELECT r.i FROM r WHERE r.h = s.h AND r.id % 60 = 0) AS mark FROM s WHERE id % 5 = 0;
CREATE MATERIALIZED VIEW any_marks AS SELECT id, i > ANY (SELECT h FROM r WHERE id % 200 = 0) AS mark, i <= ALL (SELECT h FROM r WHERE id % 200 = 1) FROM s WHERE id % 5 = 0;
CREATE MATERIALIZED VIEW exists_or AS SELECT id FROM s WHERE id % 5 = 0 AND (f OR EXISTS (SELECT 1 FROM r WHERE r.i = s.i AND r.id % 50 = 0));
CREATE MATERIALIZED VIEW exists_at_all AS SELECT count(*), EXISTS (SELECT 1 FROM r WHERE id > 1000) AS big FROM s;

-- Subqueries.
CREATE MATERIALIZED VIEW above_average AS SELECT id, i FROM s WHERE id % 5 = 0 AND i > (SELECT avg(i) FROM r);
CREATE MATERIALIZED VIEW above_own_average AS SELECT id, i FROM s WHERE id % 5 = 0 AND i > (SELECT avg(i) FROM r WHERE r.g = s.g);
CREATE MATERIALIZED VIEW counts_beside AS SELECT id, (SELECT count(*) FROM r WHERE r.h = s.h AND r.f) AS n, (SELECT max(g) FROM r WHERE r.i = s.i) AS top FROM s WHERE id % 9 = 0;
CREATE MATERIALIZED VIEW lateral_join AS SELECT s.id, l.n, l.m FROM s, LATERAL (SELECT count(*) AS n, max(r.i) AS m FROM r WHERE r.h = s.h AND r.i < s.i) l WHERE s.id % 25 = 0;
CREATE MATERIALIZED VIEW one_value AS SELECT h, count(*), (SELECT i FROM (SELECT g, max(i) AS i FROM r GROUP BY g) WHERE g = 'a') AS one FROM s GROUP BY h;
CREATE MATERIALIZED VIEW one_value_each AS SELECT id, (SELECT n FROM (SELECT h, count(*) AS n FROM r WHERE f GROUP BY h) b WHERE b.h = s.h) AS n FROM s WHERE id % 9 = 0;
CREATE MATERIALIZED VIEW share AS SELECT g, count(*) AS n, count(*) * 100 // (SELECT count(*) FROM s) AS percent FROM s GROUP BY g;

-- The clock below a join.
CREATE MATERIALIZED VIEW recent_pairs AS SELECT a.id, b.id FROM s a JOIN r b ON a.h = b.h AND a.i = b.i WHERE a.z > now() - INTERVAL 1 HOUR AND b.z > now() - INTERVAL 30 MINUTE;
CREATE MATERIALIZED VIEW recently_alone AS SELECT a.id FROM s a LEFT JOIN (SELECT * FROM r WHERE z > now() - INTERVAL 1 HOUR) b ON a.h = b.h AND a.i = b.i WHERE a.id % 5 = 0 AND b.id IS NULL;
CREATE MATERIALIZED VIEW recent_full AS SELECT a.id, b.id FROM (SELECT * FROM s WHERE z > now() - INTERVAL 1 HOUR) a FULL JOIN (SELECT * FROM r WHERE z > now() - INTERVAL 1 HOUR) b ON a.h = b.h AND a.g = b.g AND a.i < b.i;
CREATE MATERIALIZED VIEW recent_marks AS SELECT id, i IN (SELECT i FROM r WHERE z > now() - INTERVAL 20 MINUTE) FROM s WHERE z > now() - INTERVAL 3 HOUR;
