// Who reads whom, as a drawing: streams and tables on the left, each view right of all that it reads,
// a stream that a pump writes right of what the pump reads.
import type { Catalog } from '../wire';

export interface Node {
  name: string;
  kind: 'stream' | 'table' | 'view';
  rate: number; // events or changes a second
  x: number;
  y: number;
}

export interface Edge {
  from: Node;
  to: Node;
  path: string;
}

export interface Drawing {
  nodes: Node[];
  edges: Edge[];
  width: number;
  height: number;
}

export const node = { width: 196, height: 52 };
const gap = { x: 90, y: 16 };

// The catalog names what exists; a query's identifiers say which of it is read.
export function sourcesOf(query: string, names: Set<string>): string[] {
  const bare = query.replace(/--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'/g, ' ');
  const read = new Set<string>();
  const after = /\b(?:from|join)\s+|,\s*/gi;
  for (const match of bare.matchAll(after)) {
    const rest = bare.slice(match.index + match[0].length);
    const found = /^(?:"((?:[^"]|"")+)"|([A-Za-z_]\w*))/.exec(rest);
    const name = found?.[1]?.replaceAll('""', '"') ?? found?.[2];
    const known = name && [...names].find((each) => each.toLowerCase() === name.toLowerCase());
    if (known) read.add(known);
  }
  return [...read];
}

export function drawLineage(catalog: Catalog): Drawing {
  const { streams, tables, views, pumps } = catalog;
  const names = new Set([...streams, ...tables, ...views].map(({ name }) => name));
  const reads = new Map(views.map((view) => [view.name, sourcesOf(view.query, names)]));
  for (const pump of pumps) {
    const before = reads.get(pump.stream) ?? [];
    const added = sourcesOf(pump.query, names).filter((name) => !before.includes(name));
    reads.set(pump.stream, [...before, ...added]);
  }
  const written = [...streams, ...tables].filter(({ name }) => !reads.has(name));
  const depths = new Map<string, number>(written.map(({ name }) => [name, 0]));
  const depthOf = (name: string, path: string[] = []): number => {
    const known = depths.get(name);
    if (known !== undefined) return known;
    if (path.includes(name)) return 1; // a name read by itself: shadowed inside its own query
    const sources = (reads.get(name) ?? []).filter((source) => source !== name);
    const depth = 1 + Math.max(0, ...sources.map((source) => depthOf(source, [...path, name])));
    depths.set(name, depth);
    return depth;
  };

  const layers: Node[][] = [];
  const put = (name: string, kind: Node['kind'], rate: number) => {
    const depth = depthOf(name);
    (layers[depth] ??= []).push({ name, kind, rate, x: depth * (node.width + gap.x), y: 0 });
  };
  for (const stream of streams) put(stream.name, 'stream', stream.events_per_second);
  for (const table of tables) put(table.name, 'table', table.events_per_second);
  for (const view of views) put(view.name, 'view', view.changes_per_second);

  const tallest = Math.max(1, ...layers.map((layer) => layer.length));
  const height = tallest * (node.height + gap.y) - gap.y;
  for (const layer of layers) {
    const own = layer.length * (node.height + gap.y) - gap.y;
    layer.forEach((each, i) => (each.y = (height - own) / 2 + i * (node.height + gap.y)));
  }
  const nodes = layers.flat();
  const by_name = new Map(nodes.map((each) => [each.name, each]));
  const edges = [...reads].flatMap(([name, sources]) =>
    sources.flatMap((source) => {
      const [from, to] = [by_name.get(source), by_name.get(name)];
      return from && to && from !== to ? [{ from, to, path: curve(from, to) }] : [];
    }),
  );
  const width = Math.max(1, layers.length) * (node.width + gap.x) - gap.x;
  return { nodes, edges, width, height };
}

function curve(from: Node, to: Node): string {
  const [x1, y1] = [from.x + node.width, from.y + node.height / 2];
  const [x2, y2] = [to.x, to.y + node.height / 2];
  const bend = Math.max(40, (x2 - x1) / 2);
  return `M${x1},${y1}C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`;
}
