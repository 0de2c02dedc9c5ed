// Which rows of a table are shown, and in which order.
import { isNumeric, isTime } from '../columns';
import { compareCells } from '../format';
import { keyOf } from '../rows';
import type { Column, Row, View } from '../wire';

export interface Order {
  column: number;
  descending: boolean;
}

// As the view says; else the newest or the largest first.
export function defaultOrder(view: Pick<View, 'ordered_by'>, columns: Column[]): Order[] {
  const said = view.ordered_by.flatMap(({ column, descending }) => {
    const index = columns.findIndex(({ name }) => name === column);
    return index < 0 ? [] : [{ column: index, descending }];
  });
  if (said.length > 0) return said;
  const guess = [columns.findIndex(isTime), columns.findIndex(isNumeric)].find((i) => i >= 0);
  return guess === undefined ? [] : [{ column: guess, descending: true }];
}

export function sortRows(rows: Row[], columns: Column[], order: Order[]): Row[] {
  return [...rows].sort((a, b) => {
    for (const { column, descending } of order) {
      const [x, y] = [a[column] ?? null, b[column] ?? null];
      if (x === null || y === null) {
        if (x !== y) return x === null ? 1 : -1; // NULL stands last either way
        continue;
      }
      const difference = compareCells(x, y, columns[column]!);
      if (difference !== 0) return descending ? -difference : difference;
    }
    return 0;
  });
}

// Names for rows that survive a change of their figures: what is not a number, plus a count where
// that repeats.  A row keeps its place on the screen, and only the changed cell lights up.
export function identify(rows: Row[], columns: Column[]): string[] {
  const naming = columns.flatMap((column, i) => (isNumeric(column) ? [] : [i]));
  const seen = new Map<string, number>();
  return rows.map((row) => {
    const name = keyOf(naming.length > 0 ? naming.map((i) => row[i] ?? null) : row);
    const count = seen.get(name) ?? 0;
    seen.set(name, count + 1);
    return `${name}#${count}`;
  });
}
