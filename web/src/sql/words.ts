// The words of Weir's SQL: DuckDB's, plus the streaming statements.
export const keywords = `add all alter analyze and anti any as asc asof between by case cast collate
  comment create cross cube current default delete desc describe distinct drop else emit end escape
  except exclude exists explain extract false filter first following for from full function group
  grouping having if ilike in inner insert intersect interval into is join last lateral left like
  limit materialized natural not null nulls offset on or order outer over partition pivot preceding
  qualify range recursive replace right rollup row rows sample select semi sets show similar sink
  stream subscribe summarize table tablesample then to true unbounded union unnest unpivot using
  values view watermark when where window with within`;

export const types = `bigint blob boolean bool date decimal double enum float hugeint int integer
  json list map numeric real smallint struct text time timestamp timestamptz tinyint ubigint
  uhugeint uinteger usmallint utinyint uuid varchar`;

export const functions = `abs approx_count_distinct approx_quantile arg_max arg_min array_agg avg
  coalesce concat count current_date current_timestamp date_diff date_part date_trunc day epoch
  epoch_ms first floor ceil greatest hour isfinite json_extract last least length list lower ltrim
  make_timestamp max md5 median min minute month now nullif percent_rank quantile_cont rank regexp_extract
  regexp_matches regexp_replace replace round row_number rtrim second split_part starts_with stddev
  strftime string_agg strlen strptime substring sum time_bucket today trim try_cast upper variance
  week year`;
