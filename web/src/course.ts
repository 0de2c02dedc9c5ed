// The recent course of one number, as this page saw it: what the sparkline and the delta show.
// Points come only from changes received; nothing is interpolated and nothing invented.
import { toNumber } from './format';
import type { Cell } from './wire';

export interface Point {
  at: number; // ms since 1970, the server's clock
  value: Cell;
}

// Paths of an SVG: the course, the area under it, and the time before this page was open.
export interface Drawing {
  line: string;
  area: string;
  before: string;
}

const span_ms = 10 * 60_000;
const capacity = 300;
const shortest_ms = 30_000;
const margin = 8; // under the lowest value

export class Course {
  points: Point[] = [];

  add(at: number, value: Cell): void {
    const last = this.points.at(-1);
    if (last && at < last.at) return;
    // At most one point per `span / capacity`; the newest value always replaces the last point.
    const crowded = this.points.length > 1 && at - this.points.at(-2)!.at < span_ms / capacity;
    if (last && (crowded || at === last.at)) this.points[this.points.length - 1] = { at, value };
    else this.points.push({ at, value });
    this.forget(at - span_ms);
  }

  // Keeps one point older than the horizon: the value that held when the window begins.
  private forget(horizon: number): void {
    while (this.points.length > 1 && this.points[1]!.at <= horizon) this.points.shift();
  }

  // What the number was at the start of the window, and how long ago that is.
  since(now: number): { value: Cell; ms: number } | null {
    const first = this.points[0];
    return first ? { value: first.value, ms: Math.min(span_ms, Math.max(0, now - first.at)) } : null;
  }

  // A line from the first point to now, for a box of the given size, and the area under it.
  path(width: number, height: number, now: number): Drawing | null {
    const points = this.points
      .map((point) => ({ at: point.at, value: toNumber(point.value) }))
      .filter((point): point is { at: number; value: number } => point.value !== null);
    if (points.length === 0) return null;
    const to = Math.max(now, points.at(-1)!.at);
    // Never less than a minute wide: two changes in a second are no trend across the tile.
    const from = Math.max(Math.min(points[0]!.at, to - shortest_ms), to - span_ms);
    let low = Math.min(...points.map((point) => point.value));
    let high = Math.max(...points.map((point) => point.value));
    if (low === high) [low, high] = [low - 1, high + 1];
    const x = (at: number) => ((Math.max(at, from) - from) / (to - from)) * width;
    const base = height - margin;
    const y = (value: number) => base - ((value - low) / (high - low)) * base;
    const round = (value: number) => Number(value.toFixed(1));
    const start = { x: round(x(points[0]!.at)), y: round(y(points[0]!.value)) };
    // A value holds until the next one comes.
    const steps = points.slice(1).map(({ at, value }) => `H${round(x(at))}V${round(y(value))}`);
    const line = `M${start.x},${start.y}${steps.join('')}H${width}`;
    const area = `${line}V${height}H${start.x}Z`;
    return { line, area, before: `M0,${start.y}H${start.x}` };
  }
}

// Courses outlive a reload of the page, in this tab only.
const stored_prefix = 'weir.course.';

export function restoreCourse(key: string, now: number): Course {
  const course = new Course();
  try {
    const stored = JSON.parse(sessionStorage.getItem(stored_prefix + key) ?? '[]') as Point[];
    // A longer gap than this would draw a straight line through a time nobody watched.
    const fresh = stored.length > 0 && now - stored.at(-1)!.at < 60_000;
    if (fresh) course.points = stored;
  } catch {
    // No storage, or not ours: the course begins now.
  }
  return course;
}

export function storeCourse(key: string, course: Course): void {
  try {
    sessionStorage.setItem(stored_prefix + key, JSON.stringify(course.points));
  } catch {
    // Storage is full or forbidden; the course is a convenience.
  }
}
