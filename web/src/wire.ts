// The shapes the server sends, as docs/ describes them.  Nothing here has behaviour.

export type Cell = string | number | boolean | null | Cell[] | { [field: string]: Cell };
export type Row = Cell[];

export interface Column {
  name: string;
  type: string;
  nullable?: boolean;
}

export interface Result {
  offset: number;
  as_of: string;
  columns: Column[];
  rows: Row[];
  more?: boolean; // rows were left out
}

export interface Snapshot extends Result {
  view: string;
}

export interface Change {
  view: string;
  offset: number;
  as_of: string;
  added: Row[];
  removed: Row[];
}

export type EngineState = 'live' | 'filling' | 'behind';

export interface Status {
  offset: number;
  durable_offset: number;
  as_of: string;
  events_per_second: number;
  lag_ms: number;
  state: EngineState;
}

export interface Failure {
  code: string;
  message: string;
  hint?: string;
  line?: number;
  column?: number;
}

export interface Stream {
  name: string;
  comment: string | null;
  sql: string;
  columns: Column[];
  rows: number;
  bytes: number;
  events_per_second: number;
  last_offset: number;
  lake: { files: number; rows: number; bytes: number; last_offset: number } | null;
}

export interface Table extends Stream {
  primary_key: string[];
  // The file it is read from, when it has one.
  source: {
    file: string;
    refresh: number | 'on change';
    refreshed: string | null;
    error: Failure | null;
  } | null;
}

// What writes a query's rows into a stream.
export interface Pump {
  name: string;
  stream: string;
  comment: string | null;
  sql: string;
  query: string;
  status: 'live' | 'filling' | 'parked';
  progress: number;
  rows: number;
  state_bytes: number;
  error: Failure | null;
}

export interface View {
  name: string;
  comment: string | null;
  sql: string;
  query: string;
  materialized: boolean;
  columns: Column[];
  rows: number;
  error_rows: number; // left out: an expression failed on them
  state_bytes: number;
  rung: 'incremental' | 'recompute';
  status: 'live' | 'filling' | 'parked';
  progress: number;
  error: Failure | null;
  offset: number;
  as_of: string;
  changes_per_second: number;
  ordered_by: { column: string; descending: boolean }[];
}

export interface Catalog {
  version: string;
  offset: number;
  as_of: string;
  time_zone: string;
  streams: Stream[];
  tables: Table[];
  views: View[];
  pumps: Pump[];
}
