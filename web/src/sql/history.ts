// The last queries of this browser, newest first.  They never leave it.
const key = 'weir.sql.history';
const draft_key = 'weir.sql.draft';
const most = 50;

export interface Past {
  sql: string;
  at: number;
  ms: number;
  rows: number;
}

function read<T>(name: string, otherwise: T): T {
  try {
    const text = localStorage.getItem(name);
    return text === null ? otherwise : (JSON.parse(text) as T);
  } catch {
    return otherwise;
  }
}

function write(name: string, value: unknown): void {
  try {
    localStorage.setItem(name, JSON.stringify(value));
  } catch {
    // Full or forbidden: history is a convenience.
  }
}

export const readHistory = (): Past[] => read<Past[]>(key, []);

export function remember(past: Past): Past[] {
  const others = readHistory().filter(({ sql }) => sql !== past.sql);
  const all = [past, ...others].slice(0, most);
  write(key, all);
  return all;
}

export function forget(): Past[] {
  write(key, []);
  return [];
}

export const readDraft = (): string => read<string>(draft_key, '');
export const storeDraft = (sql: string) => write(draft_key, sql);
