// Rows to what uPlot draws: one list of times, and for each series one list of values.
import { hasZone, isInteger, isNumeric, isText, isTime } from '../columns';
import { parseTime, toNumber } from '../format';
import type { Column, Row } from '../wire';

export interface Series {
  label: string;
  values: (number | null)[];
}

export interface Chart {
  times: number[]; // seconds since 1970
  series: Series[];
  step: number | null; // seconds between buckets, when the times form a regular grid
  bars: boolean; // counts per bucket
  zoned: boolean; // times carry a zone; otherwise they are shown as they are written
  hidden: number; // series beyond the most that are drawn
}

export const most_series = 8;

// Null when the rows are no time series: a time appears twice with nothing to tell the rows apart.
export function toChart(columns: Column[], rows: Row[]): Chart | null {
  const time = columns.findIndex(isTime);
  const numbers = columns.flatMap((column, i) => (isNumeric(column) ? [i] : []));
  const texts = columns.flatMap((column, i) => (isText(column) ? [i] : []));
  if (time < 0 || numbers.length === 0) return null;
  const table = new Map<number, Map<string, number | null>>();
  for (const row of rows) {
    const at = parseTime(row[time]);
    if (at === null) continue; // NULL or infinity stands at no place of an axis
    const slot = table.get(at / 1000) ?? new Map<string, number | null>();
    table.set(at / 1000, slot);
    const split = texts.map((i) => String(row[i] ?? 'none')).join(' · ');
    for (const i of numbers) {
      const name = columns[i]!.name;
      const label = !split ? name : numbers.length > 1 ? `${split} · ${name}` : split;
      if (slot.has(label)) return null;
      slot.set(label, toNumber(row[i]));
    }
  }
  const whole = numbers.every((i) => isInteger(columns[i]!));
  return assemble(table, whole, hasZone(columns[time]!));
}

function assemble(
  table: Map<number, Map<string, number | null>>,
  whole: boolean,
  zoned: boolean,
): Chart {
  const times = [...table.keys()].sort((a, b) => a - b);
  const weights = new Map<string, number>();
  let negative = false;
  for (const slot of table.values()) {
    for (const [label, value] of slot) {
      weights.set(label, (weights.get(label) ?? 0) + Math.abs(value ?? 0));
      negative ||= (value ?? 0) < 0;
    }
  }
  // The largest are drawn, in an order (and so in colours) that does not jump when they overtake.
  const drawn = [...weights].sort((a, b) => b[1] - a[1]).slice(0, most_series);
  const labels = drawn.map(([label]) => label).sort();
  const step = gridStep(times);
  const bars = whole && !negative && step !== null && labels.length <= 1;
  const grid = step === null ? times : fill(times, step);
  // A bucket nobody counted anything in is a zero for counts, and unknown for all else.
  const absent = whole && !negative && step !== null ? 0 : null;
  const series = labels.map((label) => ({
    label,
    values: grid.map((at) => table.get(at)?.get(label) ?? absent),
  }));
  return { times: grid, series, step, bars, zoned, hidden: weights.size - labels.length };
}

// The width of the buckets: the smallest distance, when all others are its multiples.
export function gridStep(times: number[]): number | null {
  if (times.length < 2) return null;
  let step = Infinity;
  for (let i = 1; i < times.length; ++i) step = Math.min(step, times[i]! - times[i - 1]!);
  const regular = times.every((at) => Number.isInteger((at - times[0]!) / step));
  const round = step >= 1 && Number.isInteger(step);
  return regular && round ? step : null;
}

const most_points = 20_000;

function fill(times: number[], step: number): number[] {
  const first = times[0]!;
  const count = Math.round((times.at(-1)! - first) / step) + 1;
  if (count > most_points) return times;
  return Array.from({ length: count }, (_, i) => first + i * step);
}

// The last part of a chart, by length of time.
export function lastSpan(chart: Chart, seconds: number): Chart {
  const end = (chart.times.at(-1) ?? 0) + (chart.step ?? 0);
  const from = chart.times.findIndex((at) => at >= end - seconds);
  if (from <= 0) return chart;
  const cut = <T>(list: T[]) => list.slice(from);
  const series = chart.series.map(({ label, values }) => ({ label, values: cut(values) }));
  return { ...chart, times: cut(chart.times), series };
}
