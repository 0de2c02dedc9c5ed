import { describe, expect, it } from 'vitest';
import type { Catalog } from '../wire';
import { drawLineage, sourcesOf } from '../streams/lineage';
import { toCsv, toJson } from './download';
import { excerpt, placeOf, plainMessage } from './failure';
import { highlight } from './highlight';

const result = {
  columns: [{ name: 'a,b', type: 'VARCHAR' }, { name: 'n', type: 'HUGEINT' }],
  rows: [['say "hi"', '12345678901234567890'], [null, 1], ['', null]],
};

describe('a download', () => {
  it('is CSV that tells NULL from an empty text', () => {
    expect(toCsv(result)).toBe('"a,b",n\r\n"say ""hi""",12345678901234567890\r\n,1\r\n"",\r\n');
  });
  it('is JSON with every digit', () => {
    expect(JSON.parse(toJson(result))[0]).toEqual({ 'a,b': 'say "hi"', n: '12345678901234567890' });
  });
});

describe('an error', () => {
  const message = 'Parser Error: syntax error\n\nLINE 2: FROM evnts\n             ^';
  it("is found by the engine's caret", () => {
    expect(placeOf({ code: 'bad_sql', message })).toEqual({ line: 2, column: 6 });
    expect(plainMessage({ code: 'bad_sql', message })).toBe('Parser Error: syntax error');
  });
  it('is where the server says', () => {
    expect(placeOf({ code: 'bad_sql', message: 'no', line: 3, column: 2 })).toEqual({ line: 3, column: 2 });
    expect(placeOf({ code: 'bad_sql', message: 'no' })).toBeNull();
  });
  it('is shown under its line', () => {
    expect(excerpt('SELECT 1\nFROM evnts', { line: 2, column: 6 })).toEqual({
      line: 'FROM evnts',
      caret: '     ^',
    });
  });
});

it('colours keep the text as it is', () => {
  const sql = "SELECT 'it''s' -- why\nFROM \"group\" /* all */ LIMIT 10.5";
  const tokens = highlight(sql);
  expect(tokens.map(({ text }) => text).join('')).toBe(sql);
  expect(tokens.find(({ kind }) => kind === 'string')?.text).toBe("'it''s'");
  expect(tokens.filter(({ kind }) => kind === 'keyword').map(({ text }) => text)).toEqual([
    'SELECT',
    'FROM',
    'LIMIT',
  ]);
});

describe('lineage', () => {
  const names = new Set(['events', 'by_hour', 'Odd "name"']);
  it('is read off the query', () => {
    const query = `SELECT 'from by_hour' FROM events e JOIN "Odd ""name""" o -- , by_hour`;
    expect(sourcesOf(query, names)).toEqual(['events', 'Odd "name"']);
  });
  it('stands views right of what they read', () => {
    const catalog = {
      streams: [{ name: 'alarms', events_per_second: 1 }, { name: 'events', events_per_second: 1 }],
      tables: [{ name: 'people', events_per_second: 0 }],
      views: [
        { name: 'top', query: 'SELECT * FROM by_hour JOIN people USING (id)', changes_per_second: 1 },
        { name: 'by_hour', query: 'SELECT * FROM events', changes_per_second: 1 },
        { name: 'alarmed', query: 'SELECT count(*) FROM alarms', changes_per_second: 1 },
      ],
      pumps: [{ name: 'alarms_pump', stream: 'alarms', query: 'SELECT * FROM top' }],
    } as unknown as Catalog;
    const { nodes, edges } = drawLineage(catalog);
    const x = (name: string) => nodes.find((node) => node.name === name)!.x;
    expect(x('people')).toBe(x('events'));
    expect(x('events')).toBeLessThan(x('by_hour'));
    expect(x('by_hour')).toBeLessThan(x('top'));
    expect(x('top')).toBeLessThan(x('alarms'));
    expect(x('alarms')).toBeLessThan(x('alarmed'));
    expect(edges).toHaveLength(5);
  });
});
