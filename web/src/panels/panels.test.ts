import { describe, expect, it } from 'vitest';
import type { Column, Row, View } from '../wire';
import { kindOf } from './kind';
import { identify, sortRows } from './order';
import { gridStep, lastSpan, toChart } from './series';
import { spanChoices, usualSpan } from './spans';

const time: Column = { name: 'hour', type: 'TIMESTAMP' };
const count: Column = { name: 'n', type: 'BIGINT' };
const text: Column = { name: 'kind', type: 'VARCHAR' };

const view = (query: string, columns: Column[], rows: number) =>
  ({ query, columns, rows }) as unknown as View;

describe('the kind of a panel', () => {
  it('is a number for an aggregate without groups', () => {
    expect(kindOf(view('SELECT count(*) AS n FROM e', [count], 1))).toBe('number');
    expect(kindOf(view('SELECT count(*) AS n FROM e', [count], 0))).toBe('number');
  });
  it('is a chart for times with numbers, also while there is one row', () => {
    const query = "SELECT date_trunc('hour', t) AS hour, count(*) FROM e GROUP BY hour";
    expect(kindOf(view(query, [time, count], 1))).toBe('chart');
  });
  it('is a table for all else', () => {
    expect(kindOf(view('SELECT kind, count(*) FROM e GROUP BY kind', [text, count], 1))).toBe('table');
    expect(kindOf(view('SELECT * FROM e', [time, text], 90))).toBe('table');
  });
  it('does not read comments or texts', () => {
    const query = "SELECT count(*) FROM e WHERE a = 'group by' -- group by nothing";
    expect(kindOf(view(query, [count], 1))).toBe('number');
  });
});

describe('a chart', () => {
  it('has bars for counts per bucket, and zero where nothing was counted', () => {
    const chart = toChart([time, count], [
      ['2026-11-23 10:00:00', 5],
      ['2026-11-23 13:00:00', 7],
      ['2026-11-23 11:00:00', 6],
    ])!;
    expect(chart.bars).toBe(true);
    expect(chart.step).toBe(3600);
    expect(chart.series).toEqual([{ label: 'n', values: [5, 6, 0, 7] }]);
  });
  it('is split by a text column', () => {
    const chart = toChart([time, text, count], [
      ['2026-11-23 10:00:00', 'b', 5],
      ['2026-11-23 10:00:00', 'a', 6],
      ['2026-11-23 11:00:00', 'a', 7],
    ])!;
    expect(chart.bars).toBe(false);
    expect(chart.series).toEqual([
      { label: 'a', values: [6, 7] },
      { label: 'b', values: [5, 0] },
    ]);
  });
  it('draws groups with all their measures, the largest by each measure\'s share', () => {
    const price: Column = { name: 'high', type: 'DOUBLE' };
    const low: Column = { name: 'low', type: 'DOUBLE' };
    const volume: Column = { name: 'volume', type: 'BIGINT' };
    // A has the volume, B and C the prices: shares 0.9 + 0.05 + 0.05, and so on.
    const rows = [
      ['2026-11-23 10:00:00', 'A', 10, 9, 9_000_000],
      ['2026-11-23 10:00:00', 'B', 100, 90, 500_000],
      ['2026-11-23 10:00:00', 'C', 90, 81, 500_000],
    ] as Row[];
    const chart = toChart([time, text, price, low, volume], rows)!;
    expect(chart.series.map(({ label }) => label)).toEqual([
      'A · high', 'A · low', 'A · volume', 'B · high', 'B · low', 'B · volume',
    ]);
    expect(chart.hidden).toBe(3);
  });
  it('adds up the smaller ones of many counts', () => {
    const rows = Array.from({ length: 20 }, (_, i) => [
      ['2026-11-23 10:00:00', `k${String(i).padStart(2, '0')}`, i + 1],
      ['2026-11-23 11:00:00', `k${String(i).padStart(2, '0')}`, 2],
    ]).flat() as Row[];
    const chart = toChart([time, text, count], rows)!;
    expect(chart.series.map(({ label }) => label)).toEqual([
      'k13', 'k14', 'k15', 'k16', 'k17', 'k18', 'k19', '13 others',
    ]);
    expect(chart.series.at(-1)!.values).toEqual([91, 26]); // 1 + ... + 13, and 13 times 2
    expect(chart.hidden).toBe(0);
  });
  it('does not add up rows it cannot tell apart', () => {
    const row = ['2026-11-23 10:00:00', 5];
    expect(toChart([time, count], [row, row])).toBeNull();
  });
  it('leaves a gap for fractions, which no row is no zero of', () => {
    const average: Column = { name: 'avg', type: 'DOUBLE' };
    const rows = [['2026-11-21', 1.5], ['2026-11-22', 2.5], ['2026-11-24', 3.5]];
    const chart = toChart([{ name: 'day', type: 'DATE' }, average], rows)!;
    expect(chart.series[0]!.values).toEqual([1.5, 2.5, null, 3.5]);
  });
  it('knows when times are no grid', () => {
    expect(gridStep([0, 60, 180])).toBe(60);
    expect(gridStep([0, 60, 150])).toBeNull();
    expect(gridStep([5])).toBeNull();
  });
  it('offers parts that are worth it', () => {
    const rows = Array.from({ length: 720 }, (_, i) => [
      new Date(Date.UTC(2026, 9, 1) + i * 3_600_000).toISOString().slice(0, 19).replace('T', ' '),
      i,
    ]);
    const chart = toChart([time, count], rows)!;
    const spans = spanChoices(chart);
    expect(spans.map(({ name }) => name)).toEqual(['24 h', '7 d', 'All']);
    expect(usualSpan(spans, chart)!.name).toBe('7 d');
    expect(lastSpan(chart, 86_400).times).toHaveLength(24);
    expect(lastSpan(chart, Infinity).times).toHaveLength(720);
  });
});

describe('a table', () => {
  it('sorts numbers as numbers and NULL last either way', () => {
    const rows = [[null], [9], ['10'], [2]];
    expect(sortRows(rows, [count], [{ column: 0, descending: true }])).toEqual([['10'], [9], [2], [null]]);
    expect(sortRows(rows, [count], [{ column: 0, descending: false }])).toEqual([[2], [9], ['10'], [null]]);
  });
  it('knows a row again when its figures change', () => {
    const [before] = identify([['a', 1]], [text, count]);
    const [after] = identify([['a', 2]], [text, count]);
    expect(after).toBe(before);
    expect(new Set(identify([['a', 1], ['a', 2]], [text, count])).size).toBe(2);
  });
});
