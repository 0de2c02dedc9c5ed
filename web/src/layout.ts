// Where tiles stand: a grid of 12 columns, rows as many as needed.  Pure functions from one layout
// to the next; nothing overlaps and nothing floats (tiles move up until something stops them).

export interface Place {
  name: string;
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface Size {
  w: number;
  h: number;
}

export const columns = 12;
export const smallest: Size = { w: 2, h: 2 };
export const tallest = 12;

const overlaps = (a: Place, b: Place) =>
  a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

const readingOrder = (a: Place, b: Place) => a.y - b.y || a.x - b.x;

// Lets every tile rise as far as it can, in reading order.
export function compact(places: Place[], wide = columns): Place[] {
  const settled: Place[] = [];
  for (const place of [...places].sort(readingOrder)) {
    const w = Math.min(place.w, wide);
    const next = { ...place, w, x: Math.max(0, Math.min(place.x, wide - w)) };
    while (settled.some((other) => overlaps(next, other))) next.y++;
    while (next.y > 0 && !settled.some((other) => overlaps({ ...next, y: next.y - 1 }, other))) {
      next.y--;
    }
    settled.push(next);
  }
  return settled;
}

// Puts one tile where it was dropped; the others make room downwards.
export function move(places: Place[], name: string, x: number, y: number): Place[] {
  return place(places, name, (tile) => ({ ...tile, x, y }));
}

export function resize(places: Place[], name: string, w: number, h: number): Place[] {
  return place(places, name, (tile) => ({ ...tile, w, h }));
}

function place(places: Place[], name: string, change: (tile: Place) => Place): Place[] {
  const before = places.find((tile) => tile.name === name);
  if (!before) return places;
  const tile = clamp(change(before));
  // The moved tile settles first, so it stays where it was put; a tile it lands on and that it
  // came from above of goes up into the freed room instead of down.
  const settled: Place[] = [tile];
  for (const other of places.filter((other) => other.name !== name).sort(readingOrder)) {
    const next = { ...other };
    const rises = tile.y > before.y && overlaps(next, tile);
    if (rises && tile.y - before.y >= next.h) next.y = Math.max(0, tile.y - next.h);
    while (settled.some((placed) => overlaps(next, placed))) next.y++;
    settled.push(next);
  }
  return compact(settled);
}

function clamp(tile: Place): Place {
  const w = Math.max(smallest.w, Math.min(columns, tile.w));
  const h = Math.max(smallest.h, Math.min(tallest, tile.h));
  const x = Math.max(0, Math.min(columns - w, tile.x));
  return { ...tile, w, h, x, y: Math.max(0, tile.y) };
}

// One step with the keyboard.  Up and down pass whatever stands there; a step too small to pass
// a tall neighbour would be undone by compact(), so it goes on until something changes.
export function step(places: Place[], name: string, dx: number, dy: number): Place[] {
  const tile = places.find((place) => place.name === name);
  if (!tile) return places;
  const depth = Math.max(...places.map((place) => place.y + place.h));
  for (let reach = 1; reach <= depth; ++reach) {
    const next = move(places, name, tile.x + dx, tile.y + dy * reach);
    const moved = next.find((place) => place.name === name)!;
    const forward = dy === 0 || Math.sign(moved.y - tile.y) === Math.sign(dy);
    if (forward && (moved.x !== tile.x || moved.y !== tile.y)) return next;
    if (dy === 0) break;
  }
  return places;
}

// The first free room for a new tile below or beside what is there.
export function append(places: Place[], name: string, size: Size): Place[] {
  const depth = Math.max(0, ...places.map((place) => place.y + place.h));
  for (let y = 0; y <= depth; ++y) {
    for (let x = 0; x + size.w <= columns; ++x) {
      const candidate = { name, x, y, ...size };
      if (!places.some((other) => overlaps(candidate, other))) return [...places, candidate];
    }
  }
  return [...places, { name, x: 0, y: depth, ...size }];
}

// The same tiles, in the same reading order, on a narrower grid: each as wide as it was in
// proportion, small ones side by side, and every row filled to its end.
export function reflow(places: Place[], wide: number): Place[] {
  if (wide >= columns) return places;
  const result: Place[] = [];
  let line: Place[] = [];
  let [x, y] = [0, 0];
  const finish = () => {
    const last = line.at(-1);
    if (last) last.w = wide - last.x;
    y += Math.max(0, ...line.map((tile) => tile.h));
    for (const tile of line) tile.h = Math.max(...line.map((other) => other.h));
    result.push(...line);
    [line, x] = [[], 0];
  };
  for (const place of [...places].sort(readingOrder)) {
    const w = place.w <= columns / 2 && wide > 1 ? Math.max(1, Math.ceil(wide / 2)) : wide;
    if (x + w > wide) finish();
    line.push({ ...place, x, y, w });
    x += w;
  }
  finish();
  return result;
}

// The first layout, from what the tiles are.  Numbers stand first and share their rows evenly;
// tables stand two to a row; a chart has a row of its own, or shares it with a table left over.
export type Kind = 'number' | 'chart' | 'table';

export function arrange(tiles: { name: string; kind: Kind }[]): Place[] {
  const of = (kind: Kind) => tiles.filter((tile) => tile.kind === kind).map((tile) => tile.name);
  const places: Place[] = [];
  let y = 0;
  const row = (names: string[], widths: number[], h: number) => {
    let x = 0;
    names.forEach((name, i) => {
      places.push({ name, x, y, w: widths[i]!, h });
      x += widths[i]!;
    });
    y += h;
  };
  for (const names of evenly(of('number'), 4)) row(names, names.map(() => columns / names.length), 3);
  const [charts, tables] = [of('chart'), of('table')];
  while (charts.length > 0) {
    const chart = charts.shift()!;
    const beside = charts.length === 0 && tables.length % 2 === 1 ? tables.shift() : undefined;
    if (beside) row([chart, beside], [8, 4], 5);
    else row([chart], [12], 5);
  }
  for (const names of evenly(tables, 2)) row(names, names.map(() => columns / names.length), 5);
  return places;
}

// Splits into rows of at most `most`, as equal as they can be: 5 become 3 and 2, not 4 and 1.
function evenly<T>(items: T[], most: number): T[][] {
  const rows = Math.ceil(items.length / most);
  const result: T[][] = [];
  let from = 0;
  for (let row = 0; row < rows; ++row) {
    const count = Math.ceil((items.length - from) / (rows - row));
    result.push(items.slice(from, from + count));
    from += count;
  }
  return result;
}
