// A result as a file, made in the browser from the rows that are shown.
import type { Cell, Result } from '../wire';

// RFC 4180; NULL is empty, and an empty text is quoted so that the two stay apart.
export function toCsv(result: Pick<Result, 'columns' | 'rows'>): string {
  const names = result.columns.map(({ name }) => csvCell(name));
  const lines = [names, ...result.rows.map((row) => row.map(csvCell))];
  return lines.map((cells) => cells.join(',')).join('\r\n') + '\r\n';
}

function csvCell(cell: Cell): string {
  if (cell === null) return '';
  const text = typeof cell === 'object' ? JSON.stringify(cell) : String(cell);
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function toJson(result: Pick<Result, 'columns' | 'rows'>): string {
  const objects = result.rows.map((row) =>
    Object.fromEntries(result.columns.map(({ name }, i) => [name, row[i] ?? null])),
  );
  return JSON.stringify(objects, null, 1) + '\n';
}

export function save(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
