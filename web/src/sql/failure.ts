// Where in the text an error is: said by the server, or read out of the engine's message, which
// shows the line and a caret under the place.
import type { Failure } from '../wire';

export interface Place {
  line: number;
  column: number;
}

export function placeOf(failure: Failure): Place | null {
  if (failure.line) return { line: failure.line, column: failure.column ?? 1 };
  const lines = failure.message.split('\n');
  const at = lines.findIndex((line) => /^LINE \d+: /.test(line));
  const caret = lines[at + 1]?.indexOf('^') ?? -1;
  if (at < 0 || caret < 0) return null;
  const prefix = /^LINE (\d+): /.exec(lines[at]!)!;
  return { line: Number(prefix[1]), column: Math.max(1, caret - prefix[0].length + 1) };
}

// The message without the excerpt: the page draws its own.
export function plainMessage(failure: Failure): string {
  const cut = failure.message.search(/\n+LINE \d+: /);
  return (cut < 0 ? failure.message : failure.message.slice(0, cut)).trim();
}

export function excerpt(sql: string, place: Place): { line: string; caret: string } | null {
  const line = sql.split('\n')[place.line - 1];
  if (line === undefined) return null;
  const before = line.slice(0, place.column - 1).replace(/[^\t]/g, ' ');
  return { line, caret: `${before}^` };
}
