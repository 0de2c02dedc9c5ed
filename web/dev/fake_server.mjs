// Weir's HTTP API without Weir: enough of it to develop the dashboard and to test it against the
// worst a server can do.  Serves dist/ too, with the headers the real server sends.
//
//   node dev/fake_server.mjs [--port 8180] [--quiet]
//
// POST /dev/cut drops the live connections; /dev/down?ms=3000 answers nothing for a while;
// /dev/silence keeps connections open and says nothing; /dev/park?view=NAME, /dev/fill?view=NAME,
// /dev/reject?view=NAME&rows=N (rows an expression fails on), /dev/unpark?view=NAME, /dev/add?view=NAME and /dev/drop?view=NAME change the catalog;
// /dev/wrong?view=NAME sends a change that does not fit; /dev/empty starts without any view.
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expected, history, hourOf, mix, text } from './signups.mjs';

const dist = fileURLToPath(new URL('../dist/', import.meta.url));
const started = Date.now();

export class FakeServer {
  constructor({ quiet = false } = {}) {
    this.quiet = quiet; // no live traffic
    this.offset = 32_408_117;
    this.hours = history(started);
    const signups = [...this.hours.values()].reduce((sum, count) => sum + count, 0);
    this.totals = new Map(mix.map(([name, share]) => [name, Math.round((signups / 0.06) * share)]));
    this.users = 4_218_650 + signups;
    this.layout = {};
    this.live = new Set();
    this.before_subscribed = () => {}; // what happens while a connection is not heard of yet
    this.down_until = 0;
    this.silent = false;
    this.events_per_second = 0;
    this.since_status = 0;
    this.views = new Map(definitions.map((view) => [view.name, { ...view, ...healthy }]));
    this.server = createServer((request, response) => void this.answer(request, response));
    this.timers = [
      setInterval(() => this.traffic(), 80),
      setInterval(() => this.status(), 1000),
      setInterval(() => this.progress(), 300),
    ];
  }

  listen(port) {
    return new Promise((ready) => {
      this.server.listen(port, '127.0.0.1', () => ready(this.server.address().port));
    });
  }

  close() {
    this.timers.forEach(clearInterval);
    this.server.closeAllConnections();
    return new Promise((done) => this.server.close(done));
  }

  // --- the engine -------------------------------------------------------------------------------

  traffic() {
    if (this.quiet) return;
    const rhythm = expected(Date.now()) / 3600 / 0.06;
    const wanted = Math.max(8, rhythm) * 0.08;
    const count = Math.floor(wanted + Math.random());
    const names = [];
    for (let i = 0; i < count; ++i) {
      let draw = Math.random();
      const found = mix.find(([, share]) => (draw -= share) < 0) ?? mix[0];
      names.push(found[0]);
    }
    if (names.length > 0) this.ingest(names);
  }

  // Steps all views by these events, at one offset.
  ingest(names, time = Date.now()) {
    const before = this.contents();
    for (const name of names) {
      this.offset++;
      this.since_status++;
      this.totals.set(name, (this.totals.get(name) ?? 0) + 1);
      if (name !== 'sign_up') continue;
      this.users++;
      this.hours.set(hourOf(time), (this.hours.get(hourOf(time)) ?? 0) + 1);
    }
    const after = this.contents();
    for (const [view, rows] of after) this.send(view, before.get(view), rows);
  }

  contents() {
    return new Map([...this.views.keys()].map((name) => [name, this.rowsOf(name)]));
  }

  rowsOf(name) {
    const month = new Date().toISOString().slice(0, 7);
    const signups = [...this.hours].filter(([time]) => text(time).startsWith(month));
    switch (name) {
      case 'signups_this_month':
        return [[signups.reduce((sum, [, count]) => sum + count, 0)]];
      case 'users_so_far':
        return [[this.users]];
      case 'signups_by_hour':
        return [...this.hours].map(([time, count]) => [text(time), count]);
      case 'signups_by_zoned_hour':
        return [...this.hours].map(([time, count]) => [text(time) + '+00', count]);
      case 'newest_hour':
        return this.rowsOf('signups_by_zoned_hour').slice(-1);
      case 'events_by_name':
        return [...this.totals].map(([name, count]) => [name, count, text(started)]);
      case 'sign_ins_by_day':
        return this.days().flatMap(([day, count]) => [
          [day, 'password', Math.round(count * 6.1)],
          [day, 'passkey', Math.round(count * 2.4)],
          [day, 'piv card', Math.round(count * 0.9)],
        ]);
      default:
        return [];
    }
  }

  days() {
    const days = new Map();
    for (const [time, count] of this.hours) {
      const day = text(time).slice(0, 10);
      days.set(day, (days.get(day) ?? 0) + count);
    }
    return [...days].slice(1, -1);
  }

  send(view, before, after) {
    const keys = (rows) => new Set(rows.map((row) => JSON.stringify(row)));
    const [old_keys, new_keys] = [keys(before), keys(after)];
    const added = after.filter((row) => !old_keys.has(JSON.stringify(row)));
    const removed = before.filter((row) => !new_keys.has(JSON.stringify(row)));
    if (added.length + removed.length === 0) return;
    this.emit(view, 'change', { view, ...this.position(), added, removed });
  }

  emit(view, event, data) {
    if (this.silent) return;
    const frame = `event: ${event}\nid: ${this.offset}\ndata: ${JSON.stringify(data)}\n\n`;
    for (const client of this.live) {
      if (view === null || client.views.includes(view)) client.response.write(frame);
    }
  }

  position() {
    return { offset: this.offset, as_of: new Date().toISOString() };
  }

  status() {
    this.events_per_second = this.since_status;
    this.since_status = 0;
    const filling = [...this.views.values()].some((view) => view.status === 'filling');
    this.emit(null, 'status', {
      ...this.position(),
      durable_offset: this.offset,
      events_per_second: this.events_per_second,
      lag_ms: 1 + Math.random() * 3,
      state: filling ? 'filling' : 'live',
    });
  }

  progress() {
    for (const [name, view] of this.views) {
      if (view.status !== 'filling') continue;
      view.progress = Math.min(1, view.progress + 0.06);
      if (view.progress < 1) continue;
      view.status = 'live';
      this.emit(name, 'snapshot', this.snapshot(name));
      this.emit(null, 'catalog', {});
    }
  }

  snapshot(view) {
    const { columns } = this.views.get(view);
    return { view, ...this.position(), columns, rows: this.rowsOf(view) };
  }

  catalog() {
    return {
      version: '0.1.0',
      ...this.position(),
      time_zone: 'America/New_York',
      streams: [
        {
          name: 'events',
          comment: 'Everything people do on the sign-in pages',
          sql: stream_sql,
          columns: stream_columns,
          rows: this.offset,
          bytes: this.offset * 21,
          events_per_second: this.events_per_second,
          last_offset: this.offset,
          lake: { files: 723, rows: this.offset - 9120, bytes: this.offset * 17, last_offset: this.offset - 9120 },
        },
        {
          name: 'doubtful_sign_ups',
          comment: 'Sign-ups from countries that need a second look',
          sql: `CREATE STREAM doubtful_sign_ups AS\n${pump_query};`,
          columns: stream_columns.slice(0, 2),
          rows: 1840,
          bytes: 38_640,
          events_per_second: this.quiet ? 0 : 0.2,
          last_offset: this.offset,
          lake: { files: 31, rows: 1802, bytes: 30_634, last_offset: this.offset - 9120 },
        },
      ],
      tables: [
        {
          name: 'countries',
          comment: 'Countries and how far we trust them',
          sql: table_sql,
          columns: table_columns,
          primary_key: ['country'],
          source: { file: 'countries.csv', refresh: 3600, refreshed: this.position().as_of, error: null },
          rows: 249,
          bytes: 7968,
          events_per_second: 0,
          last_offset: 249,
          lake: null,
        },
      ],
      pumps: [
        {
          name: 'doubtful_sign_ups_pump',
          stream: 'doubtful_sign_ups',
          comment: null,
          sql: `CREATE STREAM doubtful_sign_ups AS\n${pump_query};`,
          query: pump_query,
          status: 'live',
          progress: 1,
          rows: 1840,
          state_bytes: 20_480,
          error: null,
        },
      ],
      views: [...this.views.values()].map((view) => ({
        comment: null,
        materialized: true,
        ordered_by: [],
        rung: 'incremental',
        error_rows: 0,
        sql: `CREATE MATERIALIZED VIEW ${view.name} AS\n${view.query};`,
        ...view,
        ...this.position(),
        rows: view.status === 'filling' ? 0 : this.rowsOf(view.name).length,
        state_bytes: 16_384 + this.rowsOf(view.name).length * 96,
        changes_per_second: this.quiet ? 0 : view.name === 'sign_ins_by_day' ? 0.1 : 1.2,
      })),
    };
  }

  // --- HTTP -------------------------------------------------------------------------------------

  async answer(request, response) {
    const url = new URL(request.url, 'http://fake');
    if (url.pathname.startsWith('/dev/')) return this.control(url, response);
    if (Date.now() < this.down_until) return request.socket.destroy();
    const [, version, kind, name, verb] = url.pathname.split('/').map(decodeURIComponent);
    if (version !== 'v1') return this.page(url.pathname, request, response);
    const body = request.method === 'GET' ? '' : await readBody(request);
    if (kind === 'live') return this.subscribe(url, response);
    if (kind === 'catalog') return json(response, this.catalog());
    if (kind === 'layout' && request.method === 'PUT') this.layout = JSON.parse(body);
    if (kind === 'layout') return json(response, this.layout);
    if (kind === 'sql') return this.sql(body, response, Number(url.searchParams.get('limit') ?? Infinity));
    if (kind === 'streams' && verb === 'events') return this.post(name, body, response);
    if (kind === 'views' && this.views.has(name)) return this.view(name, verb, url, response);
    const hint = 'See /v1/openapi.json.';
    return failure(response, 404, 'not_found', `nothing is at "${url.pathname}"`, hint);
  }

  post(stream, body, response) {
    if (stream !== 'events') {
      const hint = 'Did you mean "events"?';
      return failure(response, 404, 'unknown_stream', `there is no stream "${stream}"`, hint);
    }
    const rows = body.trimStart().startsWith('[')
      ? JSON.parse(body)
      : body.split('\n').filter(Boolean).map((line) => JSON.parse(line));
    this.ingest(rows.map((row) => row.event_name));
    return json(response, { accepted: rows.length, offset: this.offset, rejected: [] });
  }

  view(name, verb, url, response) {
    if (verb === 'explain') return json(response, { text: explanation(this.views.get(name)) });
    if (verb === 'errors') return json(response, this.errorsOf(name));
    const { columns, rows, ...position } = this.snapshot(name);
    if (url.searchParams.get('format') !== 'csv') {
      return json(response, { ...position, columns, rows });
    }
    const lines = [columns.map(({ name }) => name), ...rows].map((cells) => cells.join(','));
    response.writeHead(200, { 'Content-Type': 'text/csv' });
    return response.end(lines.join('\n') + '\n');
  }

  errorsOf(name) {
    const reason = `Conversion Error: Could not convert string 'twelve' to INT32`;
    const rows = Array.from({ length: this.views.get(name).error_rows ?? 0 }, (_, i) => [
      i + 1, `id=${i + 1}, amount=twelve`, reason, 'project  CAST(amount AS INTEGER)', 1,
    ]);
    const columns = ['offset', 'row', 'reason', 'operator', 'count'].map((name) => ({ name, type: 'VARCHAR' }));
    return { ...this.position(), columns, rows };
  }

  subscribe(url, response) {
    const views = (url.searchParams.get('views') ?? '').split(',').filter(Boolean);
    this.before_subscribed(views);
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    const client = { response, views };
    this.live.add(client);
    response.on('close', () => this.live.delete(client));
    response.write(': weir\n\n');
    for (const view of views) {
      const state = this.views.get(view);
      if (!state || state.status !== 'live') continue;
      response.write(`event: snapshot\ndata: ${JSON.stringify(this.snapshot(view))}\n\n`);
    }
  }

  // The few shapes of SQL that the page's own tests and a developer's eye need.
  breakOff(response, answer) {
    const text = JSON.stringify(answer);
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': text.length });
    response.write(text.slice(0, text.length / 2), () => response.destroy());
  }

  sql(body, response, most) {
    const sql = body.startsWith('{') ? JSON.parse(body).sql : body;
    const limit = Number(/\blimit\s+(\d+)/i.exec(sql)?.[1] ?? Infinity);
    const range = /\brange\s*\(\s*(\d+)\s*\)/i.exec(sql);
    const source = /\bfrom\s+"?(\w+)"?/i.exec(sql)?.[1];
    const position = this.position();
    if (range) {
      const columns = [{ name: 'range', type: 'BIGINT' }, { name: 'square', type: 'HUGEINT' }];
      const there = Math.min(limit, Number(range[1]));
      const rows = Array.from({ length: Math.min(there, most) }, (_, i) => [
        i,
        String(BigInt(i) * 9_007_199_254_740_993n),
      ]);
      const more = there > most ? { more: true } : {};
      if (/breaks_off/.test(sql)) return this.breakOff(response, { ...position, columns, rows });
      return json(response, { ...position, columns, rows, ...more });
    }
    if (this.views.has(source)) {
      const { columns } = this.views.get(source);
      return json(response, { ...position, columns, rows: this.rowsOf(source).slice(0, limit) });
    }
    if (source === 'events') {
      const rows = Array.from({ length: Math.min(limit, 1000) }, (_, i) => [
        `018f2c00-0000-7000-8000-${String(this.offset - i).padStart(12, '0')}`,
        text(Date.now() - i * 90),
        mix[i % mix.length][0],
      ]);
      return json(response, { ...position, columns: stream_columns, rows });
    }
    const lines = sql.slice(0, sql.search(/from/i) + 5).split('\n');
    const line = lines.length;
    const column = (lines.at(-1)?.length ?? 0) + 1;
    const shown = `LINE ${line}: `;
    const caret = `${shown}${sql.split('\n')[line - 1]}\n${' '.repeat(shown.length + column - 1)}^`;
    const message = `Catalog Error: Table with name ${source} does not exist!\n\n${caret}`;
    const body_out = { code: 'bad_sql', message, hint: 'Did you mean "events"?', line, column };
    return json(response, { error: body_out }, 400);
  }

  control(url, response) {
    const view = this.views.get(url.searchParams.get('view'));
    const name = url.searchParams.get('view');
    const verbs = {
      cut: () => this.live.forEach(({ response }) => response.destroy()),
      down: () => {
        this.down_until = Date.now() + Number(url.searchParams.get('ms') ?? 3000);
        this.live.forEach(({ response }) => response.destroy());
      },
      silence: () => (this.silent = !this.silent),
      park: () => Object.assign(view, { status: 'parked', error: parked_error }),
      reject: () => Object.assign(view, { error_rows: Number(url.searchParams.get('rows') ?? 3) }),
      unpark: () => Object.assign(view, healthy),
      fill: () => Object.assign(view, { status: 'filling', progress: 0 }),
      add: () => this.views.set(name, { ...definitions[1], ...healthy, name, comment: null }),
      zoned: () => zoned.forEach((view) => this.views.set(view.name, { ...view, ...healthy })),
      drop: () => this.views.delete(name),
      empty: () => this.views.clear(),
      wrong: () => {
        const change = { view: name, ...this.position(), added: [[-1]], removed: [[-2]] };
        this.emit(name, 'change', change);
      },
    };
    const verb = verbs[url.pathname.slice('/dev/'.length)];
    if (!verb) return failure(response, 404, 'not_found', 'no such lever', '');
    verb();
    if (/park|reject|fill|add|zoned|drop|empty/.test(url.pathname)) this.emit(null, 'catalog', {});
    return json(response, {});
  }

  page(path, request, response) {
    const pages = ['/', '/sql', '/streams'];
    const file = normalize(join(dist, pages.includes(path) ? 'index.html' : path));
    const found = file.startsWith(dist) && existsSync(file) && extname(file);
    const chosen = found ? file : join(dist, 'index.html');
    if (!existsSync(chosen)) return failure(response, 404, 'not_built', 'run npm run build', '');
    const zipped = (request.headers['accept-encoding'] ?? '').includes('gzip') && existsSync(`${chosen}.gz`);
    response.writeHead(found ? 200 : 404, {
      'Content-Type': types[extname(chosen)] ?? 'application/octet-stream',
      'Content-Security-Policy': policy,
      'X-Content-Type-Options': 'nosniff',
      'Cache-Control': path.startsWith('/assets/') ? 'max-age=31536000, immutable' : 'no-cache',
      ...(zipped ? { 'Content-Encoding': 'gzip' } : {}),
    });
    return response.end(readFileSync(zipped ? `${chosen}.gz` : chosen));
  }
}

const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";
const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};
const healthy = { status: 'live', progress: 1, error: null };
const parked_error = {
  code: 'conversion_error',
  message: 'could not convert string "n/a" to INT64',
  hint: 'Use TRY_CAST, then create the view again.',
};
const stream_columns = [
  { name: 'event_id', type: 'UUID', nullable: false },
  { name: 'event_time', type: 'TIMESTAMP', nullable: false },
  { name: 'event_name', type: 'VARCHAR', nullable: true },
];
const stream_sql = `CREATE STREAM events (
  event_id   UUID NOT NULL,
  event_time TIMESTAMP NOT NULL,
  event_name VARCHAR,
  WATERMARK FOR event_time AS event_time - INTERVAL 5 SECONDS
) WITH (dedup_key = 'event_id', dedup_window = '1 day');`;
const pump_query = `SELECT event_id, event_time
FROM events
WHERE event_name = 'user_signed_up'`;
const table_columns = [
  { name: 'country', type: 'VARCHAR', nullable: false },
  { name: 'trust', type: 'DOUBLE', nullable: true },
];
const table_sql = `CREATE TABLE countries (
  country VARCHAR PRIMARY KEY,
  trust   DOUBLE
) WITH (file = 'countries.csv', refresh = '1 hour');`;
const definitions = [
  {
    name: 'signups_this_month',
    comment: 'New sign-ups this month',
    query: `SELECT count(*) AS signups\nFROM events\nWHERE event_name = 'sign_up'\n  AND event_time >= date_trunc('month', now())`,
    columns: [{ name: 'signups', type: 'BIGINT' }],
  },
  {
    name: 'users_so_far',
    comment: 'Users so far',
    query: `SELECT count(*) AS users\nFROM events\nWHERE event_name = 'sign_up'`,
    columns: [{ name: 'users', type: 'BIGINT' }],
  },
  {
    name: 'signups_by_hour',
    comment: 'Sign-ups by hour',
    query: `SELECT date_trunc('hour', event_time) AS hour, count(*) AS signups\nFROM events\nWHERE event_name = 'sign_up'\nGROUP BY hour`,
    columns: [{ name: 'hour', type: 'TIMESTAMP' }, { name: 'signups', type: 'BIGINT' }],
  },
  {
    name: 'events_by_name',
    comment: null,
    query: `SELECT event_name, count(*) AS events, min(event_time) AS since\nFROM events\nGROUP BY event_name\nORDER BY events DESC`,
    columns: [{ name: 'event_name', type: 'VARCHAR' }, { name: 'events', type: 'BIGINT' }, { name: 'since', type: 'VARCHAR' }],
    ordered_by: [{ column: 'events', descending: true }],
  },
  {
    name: 'sign_ins_by_day',
    comment: 'Sign-ins by day and method',
    query: `SELECT date_trunc('day', event_time)::DATE AS day, method, count(*) AS sign_ins\nFROM events\nWHERE event_name = 'sign_in'\nGROUP BY ALL`,
    columns: [{ name: 'day', type: 'DATE' }, { name: 'method', type: 'VARCHAR' }, { name: 'sign_ins', type: 'BIGINT' }],
  },
];

// Views of times that carry a zone, when they are asked for.
const zoned = [
  ['signups_by_zoned_hour', `SELECT date_trunc('hour', event_time::TIMESTAMPTZ) AS hour, count(*) AS signups\nFROM events\nGROUP BY hour`],
  ['newest_hour', `SELECT max(event_time::TIMESTAMPTZ) AS hour, count(*) AS signups\nFROM events`],
].map(([name, query]) => ({
  name,
  comment: null,
  query,
  columns: [{ name: 'hour', type: 'TIMESTAMP WITH TIME ZONE' }, { name: 'signups', type: 'BIGINT' }],
}));

const explanation = (view) => `materialized view "${view.name}"   rung: incremental
  aggregate count(*)            state 16.4 KB    rows in 1,804,221   out 43,310
  └─ filter event_name          pushed down      rows in 32,408,117  out 1,804,221
     └─ source events           projection (event_time, event_name)`;

function json(response, value, status = 200) {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(value));
}

function failure(response, status, code, message, hint) {
  json(response, { error: { code, message, hint } }, status);
}

async function readBody(request) {
  let body = '';
  for await (const part of request) body += part;
  return body;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const flag = process.argv.indexOf('--port');
  const server = new FakeServer({ quiet: process.argv.includes('--quiet') });
  const port = await server.listen(flag < 0 ? 8180 : Number(process.argv[flag + 1]));
  console.log(`listening on http://127.0.0.1:${port}`);
}
