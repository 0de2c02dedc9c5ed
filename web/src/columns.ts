// What a column's type means for drawing it, and what to call it when nobody said.
import type { Column } from './wire';

const integers = /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|BIGNUM|VARINT)$/;
const fractions = /^(FLOAT|REAL|DOUBLE|DECIMAL(\(.*\))?)$/;

export const isInteger = (column: Column) => integers.test(column.type.toUpperCase());
export const isNumeric = (column: Column) =>
  isInteger(column) || fractions.test(column.type.toUpperCase());
export const isTime = (column: Column) => /^(TIMESTAMP|DATE)/.test(column.type.toUpperCase());
export const hasZone = (column: Column) => /WITH TIME ZONE|TZ$/i.test(column.type);
export const isText = (column: Column) =>
  /^(VARCHAR|TEXT|ENUM|UUID|BOOLEAN)/.test(column.type.toUpperCase());

// "signups_by_hour" -> "Signups by hour".
export function humanise(name: string): string {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/[_\-.]+/g, ' ')
    .trim()
    .toLowerCase();
  return words ? words[0]!.toUpperCase() + words.slice(1) : name;
}

export const titleOf = (view: { name: string; comment: string | null }) =>
  view.comment?.trim() || humanise(view.name);
