import { describe, expect, it } from 'vitest';
import { Rows } from './rows';
import type { Column, Row } from './wire';

const columns: Column[] = [
  { name: 'hour', type: 'TIMESTAMP' },
  { name: 'n', type: 'BIGINT' },
];

function rowsOf(...rows: Row[]): Rows {
  const made = new Rows();
  made.replace(columns, rows, 10, '2026-11-23T12:00:00Z');
  return made;
}

describe('rows of a view', () => {
  it('change by what was added and removed', () => {
    const rows = rowsOf(['10:00', 41], ['11:00', 7]);
    expect(rows.apply([['10:00', 42]], [['10:00', 41]], 11, 'later')).toBe(true);
    expect(rows.toArray()).toEqual([['11:00', 7], ['10:00', 42]]);
    expect(rows.offset).toBe(11);
  });

  it('are a multiset: two equal rows are two', () => {
    const rows = rowsOf(['10:00', 1], ['10:00', 1]);
    expect(rows.size).toBe(2);
    rows.apply([], [['10:00', 1]], 11, '');
    expect(rows.toArray()).toEqual([['10:00', 1]]);
  });

  it('say so when a change removes what is not there', () => {
    expect(rowsOf(['10:00', 1]).apply([], [['10:00', 2]], 11, '')).toBe(false);
  });

  it('take a row out that the same change brought', () => {
    const rows = rowsOf();
    expect(rows.apply([['10:00', 1]], [['10:00', 1]], 11, '')).toBe(true);
    expect(rows.size).toBe(0);
  });

  it('ignore a change older than the snapshot they came from', () => {
    const rows = rowsOf(['10:00', 5]);
    expect(rows.apply([['10:00', 4]], [['10:00', 3]], 9, '')).toBe(true);
    expect(rows.toArray()).toEqual([['10:00', 5]]);
  });

  it('take a change at the same position: time passing moves rows without an event', () => {
    const rows = rowsOf(['10:00', 5]);
    expect(rows.apply([], [['10:00', 5]], 10, '')).toBe(true);
    expect(rows.size).toBe(0);
  });

  it('know a number by its digits, sent as number or as text', () => {
    const rows = rowsOf(['10:00', 42]);
    expect(rows.apply([], [['10:00', '42']], 11, '')).toBe(true);
  });

  it('keep cells apart that would run together', () => {
    const rows = rowsOf(['ab', 'c'], ['a', 'bc'], [null, 'null'], ['null', null]);
    expect(rows.apply([], [['a', 'bc']], 11, '')).toBe(true);
    expect(rows.toArray()).toEqual([['ab', 'c'], [null, 'null'], ['null', null]]);
  });

  it('forget everything when a snapshot comes', () => {
    const rows = rowsOf(['10:00', 5]);
    rows.replace(columns, [['12:00', 1]], 3, 'after a restart');
    expect(rows.toArray()).toEqual([['12:00', 1]]);
    expect(rows.offset).toBe(3);
  });

  it('end where the plain list of rows ends, after a thousand random changes', () => {
    const rows = rowsOf();
    const plain: string[] = [];
    let seed = 7;
    const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
    for (let step = 11; step < 1011; ++step) {
      const added = Array.from({ length: random(4) }, () => [`k${random(5)}`, random(3)] as Row);
      plain.push(...added.map((row) => JSON.stringify(row)));
      const removed: Row[] = [];
      for (let i = random(4); i > 0 && plain.length > 0; --i) {
        removed.push(JSON.parse(plain.splice(random(plain.length), 1)[0]!) as Row);
      }
      expect(rows.apply(added, removed, step, '')).toBe(true);
    }
    const kept = rows.toArray().map((row) => JSON.stringify(row));
    expect(kept.sort()).toEqual(plain.sort());
  });
});
