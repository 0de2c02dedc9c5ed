// Values as people read them.  Numbers that a double cannot hold stay text from end to end.
import { hasZone, isInteger, isNumeric } from './columns';
import type { Cell, Column } from './wire';

export const missing = '–';

// The locale of the reader; digits are grouped, never shortened.
const grouped = new Intl.NumberFormat(undefined, { maximumFractionDigits: 4 });
const integer = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const separators = new Intl.NumberFormat(undefined).formatToParts(1234567.8);
const decimal_mark = separators.find((part) => part.type === 'decimal')?.value ?? '.';

// `zone`: in which times that carry one are shown.
export function formatCell(cell: Cell | undefined, column?: Column, zone?: string): string {
  if (cell === null || cell === undefined) return missing;
  if (zone && column && hasZone(column) && typeof cell === 'string') return inZone(cell, zone);
  if (typeof cell === 'boolean') return cell ? 'true' : 'false';
  if (typeof cell === 'number') return column && !isNumeric(column) ? String(cell) : number(cell);
  if (typeof cell === 'object') return JSON.stringify(cell);
  return column && isNumeric(column) ? exactNumber(cell, isInteger(column)) : cell;
}

export function number(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value)) return integer.format(value);
  const size = Math.abs(value);
  if (size < 0.0001 || size >= 1e15) return value.toPrecision(6);
  return grouped.format(value);
}

// Text of a number, digits untouched: "12345678901234567890.25" -> "12,345,678,901,234,567,890.25".
export function exactNumber(text: string, whole = false): string {
  const parts = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
  if (!parts) return text; // inf, nan, 1e300
  const [, sign, digits, fraction] = parts;
  const head = integer.format(BigInt(digits!));
  return (sign ? '-' : '') + head + (fraction && !whole ? decimal_mark + fraction : '');
}

// A number to draw with; the text beside the drawing keeps the exact digits.
export function toNumber(cell: Cell | undefined): number | null {
  if (typeof cell === 'number') return Number.isFinite(cell) ? cell : null;
  if (typeof cell !== 'string' || cell === '') return null;
  const value = Number(cell);
  return Number.isFinite(value) ? value : null;
}

// The exact difference of two cells, as text with its sign, or null when either is no number.
export function difference(now: Cell, before: Cell): { text: string; sign: -1 | 0 | 1 } | null {
  const exact = [now, before].every((cell) => /^-?\d+$/.test(String(cell)) && Math.abs(Number(cell)) < Infinity);
  if (exact) {
    const delta = BigInt(String(now)) - BigInt(String(before));
    const text = integer.format(delta < 0n ? -delta : delta);
    return { text, sign: delta > 0n ? 1 : delta < 0n ? -1 : 0 };
  }
  const [to, from] = [toNumber(now), toNumber(before)];
  if (to === null || from === null) return null;
  const delta = Number((to - from).toPrecision(12));
  return { text: number(Math.abs(delta)), sign: delta > 0 ? 1 : delta < 0 ? -1 : 0 };
}

// For axes and small places: 1234567 -> "1.2 M".
export function short(value: number): string {
  const size = Math.abs(value);
  for (const [unit, name] of [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']] as const) {
    if (size >= unit) return trimmed(value / unit) + '\u202f' + name;
  }
  return size > 0 && size < 0.01 ? value.toPrecision(2) : trimmed(value);
}

const trimmed = (value: number) =>
  String(Number(value.toFixed(Math.abs(value) < 10 ? 2 : 1))).replace('.', decimal_mark);

export function rate(per_second: number): string {
  if (per_second === 0) return '0';
  if (per_second < 10) return trimmed(Number(per_second.toPrecision(2)));
  return integer.format(per_second);
}

export function bytes(count: number): string {
  let value = count;
  for (const unit of ['B', 'KB', 'MB', 'GB', 'TB']) {
    if (value < 1000 || unit === 'TB') {
      return `${unit === 'B' ? value : Number(value.toPrecision(3))}\u202f${unit}`;
    }
    value /= 1000;
  }
  return '';
}

// How long ago, in one unit: what is fresh is said in milliseconds.
export function age(ms: number): string {
  if (ms < 0) ms = 0;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 90_000) return `${Math.floor(ms / 1000)} s`;
  if (ms < 5_400_000) return `${Math.floor(ms / 60_000)} min`;
  if (ms < 129_600_000) return `${Math.floor(ms / 3_600_000)} h`;
  return `${Math.floor(ms / 86_400_000)} days`;
}

// DuckDB's text of a time as UTC milliseconds: "2026-11-23 11:00:00.25", with "-05" when zoned, or
// a date alone.  Null for infinity and for years this calendar does not hold.
export function parseTime(cell: Cell | undefined): number | null {
  if (typeof cell !== 'string') return null;
  const parts =
    /^(\d{4,6})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d):(\d\d)(\.\d+)?)?(?:Z|([+-])(\d\d)(?::?(\d\d))?)?$/.exec(cell);
  if (!parts) return null;
  const [, year, month, day, hours, minutes, seconds, fraction, sign, zone_h, zone_m] = parts;
  const whole = Date.UTC(+year!, +month! - 1, +day!, +(hours ?? 0), +(minutes ?? 0), +(seconds ?? 0));
  const zone = (sign === '-' ? -1 : 1) * (+(zone_h ?? 0) * 60 + +(zone_m ?? 0)) * 60_000;
  const time = whole + Math.round(+(fraction ?? 0) * 1000) - zone;
  return Number.isNaN(time) ? null : time;
}

const clocks = new Map<string, Intl.DateTimeFormat | null>();

// The calendar and clock of a time zone; null when this browser does not know it.
function clockOf(zone: string): Intl.DateTimeFormat | null {
  let clock = clocks.get(zone);
  if (clock !== undefined) return clock;
  try {
    clock = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      timeZoneName: 'longOffset',
    });
  } catch {
    clock = null;
  }
  clocks.set(zone, clock);
  return clock;
}

// A zoned time as that zone's clocks show it, with its offset and every digit of its fraction:
// "2026-11-23 16:00:00.25+00" in New York is "2026-11-23 11:00:00.25-05".
export function inZone(text: string, zone: string): string {
  const time = parseTime(text);
  const clock = time === null || time < 0 ? null : clockOf(zone);
  if (!clock) return text; // infinity, years before 1970, a zone nobody knows: as it came
  const part: Partial<Record<Intl.DateTimeFormatPartTypes, string>> = {};
  for (const { type, value } of clock.formatToParts(new Date(time!))) part[type] = value;
  const fraction = /:\d\d(\.\d+)/.exec(text)?.[1] ?? '';
  const offset = /GMT([+-]\d\d):?(\d\d)?/.exec(part.timeZoneName ?? '');
  const minutes = offset?.[2] && offset[2] !== '00' ? ':' + offset[2] : '';
  const shift = offset ? offset[1] + minutes : '+00';
  return `${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute}:${part.second}${fraction}${shift}`;
}

// The time of day on that zone's clocks, with its name: "18:00:05 America/New_York".
export function timeOfDay(ms: number, zone: string): string {
  const at = new Date(ms);
  try {
    return at.toLocaleTimeString(undefined, { timeZone: zone, hourCycle: 'h23' }) + ' ' + zone;
  } catch {
    return at.toISOString().slice(11, 19) + ' UTC';
  }
}

// Ascending order of two cells of one column; NULL last, as DuckDB has it.
export function compareCells(a: Cell, b: Cell, column: Column): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  if (isNumeric(column)) {
    if (isInteger(column) && (typeof a === 'string' || typeof b === 'string')) {
      const [x, y] = [BigInt(String(a)), BigInt(String(b))];
      return x < y ? -1 : x > y ? 1 : 0;
    }
    return Number(a) - Number(b);
  }
  const [x, y] = [String(a), String(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}

