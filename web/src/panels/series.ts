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

// What tells rows of one time apart (their texts), and the measures they have.
interface Group {
  weights: number[]; // by measure: the sum of its sizes
  labels: string[]; // by measure
}

// Null when the rows are no time series: a time appears twice with nothing to tell the rows apart.
export function toChart(columns: Column[], rows: Row[]): Chart | null {
  const time = columns.findIndex(isTime);
  const numbers = columns.flatMap((column, i) => (isNumeric(column) ? [i] : []));
  const texts = columns.flatMap((column, i) => (isText(column) ? [i] : []));
  if (time < 0 || numbers.length === 0) return null;
  const table = new Map<number, Map<string, number | null>>();
  const groups = new Map<string, Group>();
  let negative = false;
  for (const row of rows) {
    const at = parseTime(row[time]);
    if (at === null) continue; // NULL or infinity stands at no place of an axis
    const slot = table.get(at / 1000) ?? new Map<string, number | null>();
    table.set(at / 1000, slot);
    const split = texts.map((i) => String(row[i] ?? 'none')).join(' · ');
    const group = groups.get(split) ?? { weights: numbers.map(() => 0), labels: labelsOf(split, numbers, columns) };
    groups.set(split, group);
    for (const [measure, i] of numbers.entries()) {
      const label = group.labels[measure]!;
      if (slot.has(label)) return null;
      const value = toNumber(row[i]);
      slot.set(label, value);
      group.weights[measure]! += Math.abs(value ?? 0);
      negative ||= (value ?? 0) < 0;
    }
  }
  const whole = numbers.every((i) => isInteger(columns[i]!));
  return assemble(table, [...groups.values()], whole && !negative, hasZone(columns[time]!));
}

function labelsOf(split: string, numbers: number[], columns: Column[]): string[] {
  return numbers.map((i) => {
    const name = columns[i]!.name;
    return !split ? name : numbers.length > 1 ? `${split} · ${name}` : split;
  });
}

// The largest groups, each with all of its measures.  Measures are of different kinds (a price, a
// volume): each counts by its share of what all groups have of it.
function largest(groups: Group[], most: number): Group[] {
  if (groups.length <= most) return groups;
  const measures = groups[0]!.weights.length;
  const totals = Array.from({ length: measures }, (_, m) =>
    groups.reduce((sum, group) => sum + group.weights[m]!, 0),
  );
  const size = (group: Group) =>
    group.weights.reduce((sum, weight, m) => sum + (totals[m]! > 0 ? weight / totals[m]! : 0), 0);
  return groups
    .map((group) => ({ group, size: size(group) }))
    .sort((a, b) => b.size - a.size)
    .slice(0, most)
    .map(({ group }) => group);
}

// `counts`: whole numbers, none negative: they can be added up.
function assemble(
  table: Map<number, Map<string, number | null>>,
  groups: Group[],
  counts: boolean,
  zoned: boolean,
): Chart {
  const times = [...table.keys()].sort((a, b) => a - b);
  const measures = groups[0]?.labels.length ?? 1;
  const step = gridStep(times);
  // Too many series of counts: the smaller ones are one, so that together all is shown.
  const too_many = groups.length * measures > most_series;
  const other = too_many && counts && measures === 1 && step !== null;
  const most = Math.max(1, Math.floor(most_series / measures) - (other ? 1 : 0));
  const drawn = largest(groups, most);
  // In an order (and so in colours) that does not jump when one overtakes another.
  const labels = drawn.flatMap((group) => group.labels.slice(0, most_series)).sort();
  const all = groups.length * measures;
  const bars = counts && step !== null && all <= 1;
  const grid = step === null ? times : fill(times, step);
  // A bucket nobody counted anything in is a zero for counts, and unknown for all else.
  const absent = counts && step !== null ? 0 : null;
  const series: Series[] = labels.map((label) => ({
    label,
    values: grid.map((at) => table.get(at)?.get(label) ?? absent),
  }));
  if (other) series.push({ label: `${all - labels.length} others`, values: rest(table, grid, new Set(labels)) });
  return { times: grid, series, step, bars, zoned, hidden: other ? 0 : all - labels.length };
}

// The sum of what is not drawn by itself.
function rest(table: Map<number, Map<string, number | null>>, grid: number[], drawn: Set<string>): number[] {
  return grid.map((at) => {
    let sum = 0;
    for (const [label, value] of table.get(at) ?? []) if (!drawn.has(label)) sum += value ?? 0;
    return sum;
  });
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
