import { describe, expect, it } from 'vitest';
import { append, arrange, columns, compact, move, reflow, resize, step, type Place } from './layout';

const collide = (places: Place[]) =>
  places.some((a, i) =>
    places.slice(i + 1).some((b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h),
  );
const at = (places: Place[], name: string) => places.find((place) => place.name === name)!;

const board: Place[] = [
  { name: 'a', x: 0, y: 0, w: 6, h: 3 },
  { name: 'b', x: 6, y: 0, w: 6, h: 3 },
  { name: 'c', x: 0, y: 3, w: 12, h: 5 },
];

describe('the first layout', () => {
  it('puts numbers first, side by side, and the chart below', () => {
    const places = arrange([
      { name: 'trend', kind: 'chart' },
      { name: 'month', kind: 'number' },
      { name: 'users', kind: 'number' },
    ]);
    expect(at(places, 'month')).toMatchObject({ x: 0, y: 0, w: 6 });
    expect(at(places, 'users')).toMatchObject({ x: 6, y: 0, w: 6 });
    expect(at(places, 'trend')).toMatchObject({ x: 0, y: 3, w: 12 });
  });

  it('fills each row to its end, whatever there is', () => {
    for (let numbers = 0; numbers < 9; ++numbers) {
      for (let charts = 0; charts < 4; ++charts) {
        for (let tables = 0; tables < 4; ++tables) {
          const kinds = [
            ...Array<'number'>(numbers).fill('number'),
            ...Array<'chart'>(charts).fill('chart'),
            ...Array<'table'>(tables).fill('table'),
          ];
          const places = arrange(kinds.map((kind, i) => ({ name: `${kind}${i}`, kind })));
          expect(places).toHaveLength(kinds.length);
          expect(collide(places)).toBe(false);
          for (const { y } of places) {
            const row = places.filter((place) => place.y === y);
            expect(row.reduce((sum, { w }) => sum + w, 0)).toBe(columns);
          }
        }
      }
    }
  });
});

describe('moving', () => {
  it('lets the others make room', () => {
    const places = move(board, 'c', 0, 0);
    expect(at(places, 'c')).toMatchObject({ x: 0, y: 0 });
    expect(at(places, 'a').y).toBe(5);
    expect(collide(places)).toBe(false);
  });

  it('stays within the grid', () => {
    expect(at(move(board, 'a', -4, -9), 'a')).toMatchObject({ x: 0, y: 0 });
    expect(at(move(board, 'b', 40, 0), 'b').x).toBe(6);
  });

  it('passes a tall neighbour with one key', () => {
    const places = step(board, 'c', 0, -1);
    expect(at(places, 'c').y).toBe(0);
    expect(at(step(places, 'c', 0, 1), 'c').y).toBeGreaterThan(0);
  });

  it('leaves everything as it is where nothing can move', () => {
    expect(step(board, 'a', -1, 0)).toEqual(board);
  });
});

describe('resizing', () => {
  it('pushes what is in the way down', () => {
    const places = resize(board, 'a', 8, 3);
    expect(at(places, 'a').w).toBe(8);
    expect(collide(places)).toBe(false);
  });
  it('has a smallest and a largest size', () => {
    expect(at(resize(board, 'a', 0, 0), 'a')).toMatchObject({ w: 2, h: 2 });
    expect(at(resize(board, 'a', 99, 99), 'a')).toMatchObject({ w: 12, h: 12 });
  });
});

describe('other widths', () => {
  it('keep the reading order on a phone, small tiles in pairs', () => {
    const places = reflow(board, 2);
    expect(at(places, 'a')).toMatchObject({ x: 0, y: 0, w: 1 });
    expect(at(places, 'b')).toMatchObject({ x: 1, y: 0, w: 1 });
    expect(at(places, 'c')).toMatchObject({ x: 0, y: 3, w: 2 });
  });
  it('never overlap, after any sequence of moves', () => {
    let places = board;
    let seed = 11;
    const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
    for (let i = 0; i < 500; ++i) {
      const name = 'abc'[random(3)]!;
      places = random(2) ? move(places, name, random(12), random(12)) : resize(places, name, random(13), random(9));
      expect(collide(places)).toBe(false);
      expect(compact(places)).toEqual(compact(compact(places)));
      for (const wide of [2, 6]) expect(collide(reflow(places, wide))).toBe(false);
    }
  });
});

it('a new tile takes the first free room', () => {
  const places = append([{ name: 'a', x: 0, y: 0, w: 6, h: 3 }], 'new', { w: 4, h: 3 });
  expect(at(places, 'new')).toMatchObject({ x: 6, y: 0 });
});
