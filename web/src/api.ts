// Calls of the server's HTTP API, each one function.  Failures become ApiError with the server's
// own words; a server that cannot be reached is code "unreachable".
import type { Catalog, Cell, Failure, Result } from './wire';

export class ApiError extends Error {
  constructor(
    readonly failure: Failure,
    readonly status: number,
  ) {
    super(failure.message);
  }
}

async function call(path: string, init?: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { cache: 'no-store', ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    const hint = 'The page keeps trying; nothing that was acknowledged is lost.';
    throw new ApiError({ code: 'unreachable', message: 'the server does not answer', hint }, 0);
  }
  if (!response.ok) throw new ApiError(await failureOf(response), response.status);
  return response;
}

async function failureOf(response: Response): Promise<Failure> {
  try {
    const body = (await response.json()) as { error?: Failure };
    if (body.error) return body.error;
  } catch {
    // Not our JSON: a proxy in between answered.  Its status is all there is to say.
  }
  return { code: 'http', message: `the server answered ${response.status}` };
}

export async function fetchCatalog(): Promise<Catalog> {
  return (await call('/v1/catalog')).json() as Promise<Catalog>;
}

// The layout, and the tag of what was read: a later one may only be stored over it.
export async function fetchLayout(): Promise<{ layout: unknown; tag: string | null }> {
  const answer = await call('/v1/layout');
  return { layout: await answer.json(), tag: answer.headers.get('ETag') };
}

// Returns the new tag.  Fails with status 412 when somebody else stored one since `tag` was read.
export async function storeLayout(layout: unknown, tag: string | null): Promise<string | null> {
  const headers: Record<string, string> = { 'Content-Type': 'application/json' };
  if (tag) headers['If-Match'] = tag;
  const answer = await call('/v1/layout', { method: 'PUT', headers, body: JSON.stringify(layout) });
  return answer.headers.get('ETag');
}

export async function explain(view: string, analyze: boolean): Promise<string> {
  const query = analyze ? '?analyze=true' : '';
  const answer = await call(`/v1/views/${encodeURIComponent(view)}/explain${query}`);
  return ((await answer.json()) as { text: string }).text;
}

// offset, row, reason, operator and count of each.
export async function errorRows(view: string, limit: number): Promise<Result> {
  const path = `/v1/views/${encodeURIComponent(view)}/errors?limit=${limit}`;
  return (await call(path)).json() as Promise<Result>;
}

// As many rows of an answer as the page shows; the server leaves out what is beyond, and says so.
export const rows_shown = 100_000;

// Cells a double cannot hold arrive as strings, so no digit is ever lost.
export async function runSql(sql: string, signal?: AbortSignal): Promise<Result> {
  const headers = { 'Content-Type': 'application/json' };
  const body = JSON.stringify({ sql, params: [] satisfies Cell[] });
  const init: RequestInit = { method: 'POST', headers, body };
  if (signal) init.signal = signal;
  const response = await call(`/v1/sql?exact=true&limit=${rows_shown}`, init);
  const answer = await whole(response);
  return { offset: 0, as_of: '', columns: [], rows: [], ...answer };
}

// An answer that breaks off fails while it is read, in words that differ from browser to browser.
async function whole(response: Response): Promise<Partial<Result>> {
  try {
    return (await response.json()) as Partial<Result>;
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    const hint = 'The query failed meanwhile, or the connection was lost; run it again.';
    throw new ApiError({ code: 'broken', message: 'the answer broke off before its end', hint }, 0);
  }
}

export const csvUrl = (view: string) => `/v1/views/${encodeURIComponent(view)}?format=csv`;
