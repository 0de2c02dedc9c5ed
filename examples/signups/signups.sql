-- The sign-in and sign-up events of a login service: one row each time somebody does something.
CREATE STREAM events (
  event_id   UUID NOT NULL,
  event_time TIMESTAMPTZ NOT NULL,
  event_name VARCHAR NOT NULL
) WITH (dedup_key = 'event_id', dedup_window = '10 minutes');

-- "This month" is a month in the project's time zone (weir.toml).  It begins again by the clock,
-- whether events come or not.
CREATE MATERIALIZED VIEW signups_this_month AS
SELECT count(*) AS signups
FROM events
WHERE event_name = 'sign_up' AND event_time >= date_trunc('month', now());
COMMENT ON MATERIALIZED VIEW signups_this_month IS 'New sign-ups this month';

CREATE MATERIALIZED VIEW users_so_far AS
SELECT count(*) AS users FROM events WHERE event_name = 'sign_up';
COMMENT ON MATERIALIZED VIEW users_so_far IS 'Users so far';

CREATE MATERIALIZED VIEW signups_by_hour AS
SELECT date_trunc('hour', event_time) AS hour, count(*) AS signups
FROM events
WHERE event_name = 'sign_up'
GROUP BY hour;
COMMENT ON MATERIALIZED VIEW signups_by_hour IS 'Sign-ups by hour';
