// A chart on a canvas: uPlot with our colours, axes and manners.  Knows nothing of views.
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { short } from '../format';
import type { Chart } from './series';

export interface Hover {
  index: number;
  left: number;
  top: number;
}

export interface PlotOptions {
  width: number;
  height: number;
  time_zone: string;
  hover(hover: Hover | null): void;
}

export interface Palette {
  ink: string;
  grid: string;
  surface: string;
  series: string[];
  font_px: number;
}

export function readPalette(element: Element): Palette {
  const style = getComputedStyle(element);
  const read = (name: string) => style.getPropertyValue(name).trim();
  return {
    ink: read('--ink-3'),
    grid: read('--grid'),
    surface: read('--surface'),
    series: read('--series').split(/,\s*/),
    font_px: parseFloat(read('--chart-font')) || 11,
  };
}

// A bar stands in the middle of its bucket, so that pointing at it finds it.
const middle = (chart: Chart) => (chart.bars && chart.step ? chart.step / 2 : 0);
export const place = (chart: Chart, index: number) => chart.times[index]! + middle(chart);

export const toData = (chart: Chart): uPlot.AlignedData => [
  chart.times.map((at) => at + middle(chart)),
  ...chart.series.map((series) => series.values),
];

export function createPlot(
  target: HTMLElement,
  chart: Chart,
  palette: Palette,
  options: PlotOptions,
): uPlot {
  const { time_zone, hover } = options;
  const half = middle(chart);
  const font = `500 ${palette.font_px}px Inter, system-ui, sans-serif`;
  const settings: uPlot.Options = {
    width: options.width,
    height: options.height,
    padding: [10, chart.bars ? 12 : 26, 0, 4],
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), time_zone),
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: false, y: false },
      sync: { key: 'weir' },
      points: {
        show: !chart.bars,
        size: 9,
        width: 2,
        fill: (_, i) => palette.series[(i - 1) % palette.series.length]!,
        stroke: () => palette.surface,
      },
    },
    scales: {
      x: { time: true, range: (_, from, to) => [from - half, to + half] },
      y: { range: (_, low, high) => valueRange(low, high, chart) },
    },
    axes: [
      {
        stroke: palette.ink,
        font,
        gap: 7,
        size: palette.font_px * 3.1,
        space: palette.font_px * 6.2,
        grid: { show: false },
        ticks: { show: false },
        values: (_, splits, __, ___, increment) => timeLabels(splits, increment, time_zone),
      },
      {
        stroke: palette.ink,
        font,
        gap: 8,
        size: (plot, labels, axis, cycle) =>
          axisSize(plot, labels, axis, cycle, palette.font_px),
        space: palette.font_px * 4,
        grid: { stroke: palette.grid, width: 1 },
        ticks: { show: false },
        values: (_, splits) => splits.map((value) => short(value)),
      },
    ],
    series: [{}, ...chart.series.map((_, i) => seriesOptions(chart, i, palette))],
    hooks: {
      setCursor: [
        (plot) => {
          const { idx, left, top } = plot.cursor;
          const over = idx !== null && idx !== undefined && left !== undefined && left >= 0;
          hover(over ? { index: idx, left: plot.valToPos(plot.data[0][idx]!, 'x'), top: top ?? 0 } : null);
        },
      ],
    },
  };
  return new uPlot(settings, toData(chart), target);
}

function seriesOptions(chart: Chart, i: number, palette: Palette): uPlot.Series {
  const color = palette.series[i % palette.series.length]!;
  const label = chart.series[i]!.label;
  if (chart.bars) {
    return {
      label,
      stroke: 'transparent',
      width: 0,
      fill: color,
      points: { show: false },
      paths: uPlot.paths.bars!({
        size: [0.76, 60],
        radius: [0.22, 0],
        disp: {
          // The bucket that still grows stands out from those that are complete.
          fill: {
            unit: 3,
            values: (plot) => {
              const last = plot.data[0].length - 1;
              const faded = fade(color, 0.62);
              return Array.from(plot.data[0], (_, at) => (at === last ? color : faded));
            },
          },
        },
      }),
    };
  }
  return {
    label,
    stroke: color,
    width: 2,
    spanGaps: false,
    points: { show: chart.times.length < 2 },
    ...(chart.series.length === 1
      ? {
          fill: (plot: uPlot) => {
            const { top, height } = plot.bbox;
            const gradient = plot.ctx.createLinearGradient(0, top, 0, top + height);
            gradient.addColorStop(0, fade(color, 0.3));
            gradient.addColorStop(1, fade(color, 0.02));
            return gradient;
          },
        }
      : {}),
  };
}

function fade(hex: string, alpha: number): string {
  const byte = Math.round(alpha * 255).toString(16).padStart(2, '0');
  return hex.length === 7 ? hex + byte : hex;
}

// Bars and counts stand on zero; other lines keep a little air, and touch zero when it is near.
function valueRange(low: number | null, high: number | null, chart: Chart): [number, number] {
  if (low === null || high === null) return [0, 1];
  if (low === high && low === 0) return [0, 1];
  const from_zero = chart.bars || (low >= 0 && low < high * 0.6);
  const bottom = from_zero ? 0 : low - (high - low || Math.abs(low)) * 0.08;
  return [bottom, high + (high - bottom) * 0.07];
}

function axisSize(
  plot: uPlot,
  labels: string[] | null,
  axis: number,
  cycle: number,
  font_px: number,
): number {
  const settings = plot.axes[axis]! as uPlot.Axis & { _size?: number };
  if (cycle > 1) return settings._size ?? 40;
  const longest = (labels ?? []).reduce((most, label) => Math.max(most, label.length), 0);
  return 18 + longest * font_px * 0.6;
}

// Hours where the grid is finer than a day, days where it is finer than a month; the date is said
// once, where it begins.
function timeLabels(splits: number[], increment: number, time_zone: string): string[] {
  const part = (options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat(undefined, { timeZone: time_zone, ...options });
  const clock = part({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  const seconds = part({ hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
  const day = part({ day: 'numeric', month: 'short' });
  const weekday = part({ weekday: 'short', day: 'numeric', month: splits.length < 9 ? 'short' : undefined });
  const month = part({ month: 'short', year: 'numeric' });
  let previous = '';
  return splits.map((split) => {
    const date = new Date(split * 1000);
    if (increment >= 28 * 86_400) return month.format(date);
    if (increment >= 86_400) return (increment === 86_400 ? weekday : day).format(date);
    const today = day.format(date);
    const time = (increment < 60 ? seconds : clock).format(date);
    const first = today !== previous;
    previous = today;
    return first && /^00:00(:00)?$/.test(time) ? `${time}\n${today}` : time;
  });
}

export type { uPlot };
