// The parts of a time axis worth offering: those that hold a few points, and fewer than all.
import type { Chart } from './series';

export interface Span {
  name: string;
  seconds: number;
}

const hour = 3600;
const day = 24 * hour;
const known: Span[] = [
  { name: '15 min', seconds: hour / 4 },
  { name: '1 h', seconds: hour },
  { name: '6 h', seconds: 6 * hour },
  { name: '24 h', seconds: day },
  { name: '7 d', seconds: 7 * day },
  { name: '30 d', seconds: 30 * day },
  { name: '90 d', seconds: 90 * day },
  { name: '1 y', seconds: 365 * day },
];
const fewest_points = 12;
const most_offered = 3;

export function spanChoices(chart: Chart): Span[] {
  const count = chart.times.length;
  if (count < 2) return [];
  const whole = chart.times[count - 1]! - chart.times[0]! + (chart.step ?? 0);
  const distance = chart.step ?? whole / count;
  const useful = known.filter(
    ({ seconds }) => seconds / distance >= fewest_points && seconds < whole * 0.8,
  );
  if (useful.length === 0) return [];
  return [...useful.slice(-most_offered), { name: 'All', seconds: Infinity }];
}

// What fits the eye: as much as bars can still be told apart for; all of it when drawn as lines.
const most_bars = 200;

export function usualSpan(spans: Span[], chart: Chart | null): Span | undefined {
  const all = spans.at(-1);
  if (!chart?.bars || chart.step === null || chart.times.length <= most_bars) return all;
  const step = chart.step;
  return spans.filter(({ seconds }) => seconds / step <= most_bars).at(-1) ?? spans[0];
}
