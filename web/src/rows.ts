// One view's content: a multiset of rows, changed by what was added and removed.
//
// A change that does not fit (it removes a row that is not here) means a message was missed.  Then
// nothing shown may be trusted, so apply() says so and the caller asks for a new snapshot.
import type { Column, Row } from './wire';

interface Kept {
  row: Row;
  count: number;
}

export class Rows {
  columns: Column[] = [];
  offset = 0;
  as_of = '';
  private kept = new Map<string, Kept>();
  private total = 0;

  get size(): number {
    return this.total;
  }

  replace(columns: Column[], rows: Row[], offset: number, as_of: string): void {
    this.columns = columns;
    this.kept = new Map();
    this.total = 0;
    for (const row of rows) this.add(row);
    this.offset = offset;
    this.as_of = as_of;
  }

  // True when the change was applied; false when it does not fit and nothing can be trusted.
  // Rows are added first: a change may remove a row that the same change brings.
  apply(added: Row[], removed: Row[], offset: number, as_of: string): boolean {
    if (offset < this.offset) return true; // older than the snapshot we hold: already in it
    for (const row of added) this.add(row);
    for (const row of removed) if (!this.remove(row)) return false;
    this.offset = offset;
    this.as_of = as_of;
    return true;
  }

  toArray(): Row[] {
    const all: Row[] = [];
    for (const { row, count } of this.kept.values()) {
      for (let copy = 0; copy < count; ++copy) all.push(row);
    }
    return all;
  }

  private add(row: Row): void {
    const key = keyOf(row);
    const kept = this.kept.get(key);
    if (kept) kept.count++;
    else this.kept.set(key, { row, count: 1 });
    this.total++;
  }

  private remove(row: Row): boolean {
    const key = keyOf(row);
    const kept = this.kept.get(key);
    if (!kept) return false;
    if (--kept.count === 0) this.kept.delete(key);
    this.total--;
    return true;
  }
}

// A number and the string of that number are the same cell: which of the two arrives depends only
// on whether a double can hold it.  Lengths in front keep neighbouring cells from running together.
export function keyOf(row: Row): string {
  let key = '';
  for (const cell of row) {
    const text = cell !== null && typeof cell === 'object' ? JSON.stringify(cell) : String(cell);
    key += cell === null ? '-' : `${text.length}:${text}`;
  }
  return key;
}
