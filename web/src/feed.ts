// A connection to the server's feed: receives, and nothing else.  It knows how to stay
// connected (backoff, a watchdog for silence) and hands each event to its handlers.
//
// Every new connection starts from snapshots, never from a remembered position: what is shown after
// a reconnect is right by construction.
import { SseParser, type SseEvent } from './sse';
import type { Change, Snapshot, Status } from './wire';

export interface FeedHandlers {
  snapshot(snapshot: Snapshot): void;
  change(change: Change): void;
  status(status: Status): void;
  catalog(): void;
  connection(connection: Connection): void;
}

export type Connection =
  | { state: 'connecting' }
  | { state: 'open'; clock_skew_ms: number }
  | { state: 'lost'; since: number; retry_at: number; reason: string };

const first_retry_ms = 250;
const last_retry_ms = 5_000;
// The server sends a status every second; this much silence means the line is dead.
export const silence_ms = 5_000;
// HTTP's Date header has whole seconds: a smaller difference than this says nothing.
const skew_floor_ms = 2_000;

export class Feed {
  private views: string[] = [];
  private abort: AbortController | null = null;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private watchdog: ReturnType<typeof setTimeout> | undefined;
  private failures = 0;
  private lost_since = 0;
  private running = false;

  constructor(
    private readonly handlers: FeedHandlers,
    private readonly fetcher: typeof fetch = (...args) => fetch(...args),
  ) {}

  // Subscribes to exactly these views; reconnects only when the set differs, and says whether.
  watch(views: string[]): boolean {
    const wanted = [...views].sort();
    if (this.running && wanted.join() === this.views.join()) return false;
    this.views = wanted;
    this.running = true;
    this.connect();
    return true;
  }

  // Starts over: new snapshots for everything.
  resync(): void {
    if (this.running) this.connect();
  }

  stop(): void {
    this.running = false;
    this.disconnect();
  }

  private disconnect(): void {
    clearTimeout(this.retry);
    clearTimeout(this.watchdog);
    this.abort?.abort();
    this.abort = null;
  }

  private connect(): void {
    this.disconnect();
    const abort = new AbortController();
    this.abort = abort;
    if (!this.lost_since) this.handlers.connection({ state: 'connecting' });
    this.receive(abort).then(
      () => this.lost(abort, 'the server closed the connection'),
      (error: unknown) => this.lost(abort, reasonOf(error)),
    );
  }

  private async receive(abort: AbortController): Promise<void> {
    this.listen(abort);
    const url = `/v1/live?views=${this.views.map(encodeURIComponent).join(',')}&exact=true`;
    const headers = { Accept: 'text/event-stream' };
    const options: RequestInit = { signal: abort.signal, headers, cache: 'no-store' };
    const response = await this.fetcher(url, options).catch(() => {
      throw new Error('the server does not answer');
    });
    if (!response.ok || !response.body) throw new Error(`the server answered ${response.status}`);
    this.opened(response);
    const parser = new SseParser((event) => abort.signal.aborted || this.dispatch(event));
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      this.listen(abort);
      parser.push(value);
    }
  }

  private opened(response: Response): void {
    this.failures = 0;
    this.lost_since = 0;
    const date = Date.parse(response.headers.get('date') ?? '');
    const skew = Number.isNaN(date) ? 0 : Date.now() - date;
    const clock_skew_ms = Math.abs(skew) > skew_floor_ms ? skew : 0;
    this.handlers.connection({ state: 'open', clock_skew_ms });
  }

  private listen(abort: AbortController): void {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => {
      this.lost(abort, `nothing heard for ${silence_ms / 1000} seconds`);
    }, silence_ms);
  }

  private dispatch(event: SseEvent): void {
    if (event.event === 'catalog') return this.handlers.catalog();
    const data: unknown = JSON.parse(event.data);
    if (event.event === 'snapshot') this.handlers.snapshot(data as Snapshot);
    else if (event.event === 'change') this.handlers.change(data as Change);
    else if (event.event === 'status') this.handlers.status(data as Status);
  }

  private lost(abort: AbortController, reason: string): void {
    if (this.abort !== abort) return; // an older connection's last words
    this.disconnect();
    const now = Date.now();
    this.lost_since ||= now;
    const ceiling = Math.min(last_retry_ms, first_retry_ms * 2 ** this.failures++);
    // Half fixed, half random: a thousand screens must not come back in the same millisecond.
    const wait = ceiling / 2 + (Math.random() * ceiling) / 2;
    this.handlers.connection({
      state: 'lost',
      since: this.lost_since,
      retry_at: now + wait,
      reason,
    });
    this.retry = setTimeout(() => this.connect(), wait);
  }
}

// Browsers say "network error" in many words when a stream breaks off; our own errors say why.
function reasonOf(error: unknown): string {
  const ours = error instanceof Error && error.message.startsWith('the server');
  return ours ? error.message : 'the connection broke off';
}
