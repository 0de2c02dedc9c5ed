import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Feed, silence_ms, type Connection, type FeedHandlers } from './feed';

// A server of which the test holds all ends.
class Wire {
  urls: string[] = [];
  refuse = false;
  date = '';
  private writers: { send: (text: string) => void; end: () => void }[] = [];

  fetch = (url: string, init: RequestInit): Promise<Response> => {
    this.urls.push(url);
    if (this.refuse) return Promise.reject(new TypeError('Failed to fetch'));
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        const encode = new TextEncoder();
        this.writers.push({
          send: (text) => controller.enqueue(encode.encode(text)),
          end: () => controller.close(),
        });
        init.signal?.addEventListener('abort', () => {
          try {
            controller.error(new DOMException('aborted', 'AbortError'));
          } catch {
            // already closed
          }
        });
      },
    });
    return Promise.resolve(new Response(body, this.date ? { headers: { date: this.date } } : {}));
  };

  send(event: string, data: unknown): void {
    this.writers.at(-1)!.send(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }
  end(): void {
    this.writers.at(-1)!.end();
  }
}

const settle = () => vi.advanceTimersByTimeAsync(1);

describe('the feed', () => {
  let wire: Wire;
  let feed: Feed;
  let connections: Connection[];
  let seen: [string, unknown][];

  beforeEach(() => {
    vi.useFakeTimers();
    wire = new Wire();
    connections = [];
    seen = [];
    const handlers: FeedHandlers = {
      snapshot: (data) => seen.push(['snapshot', data]),
      change: (data) => seen.push(['change', data]),
      status: (data) => seen.push(['status', data]),
      catalog: () => seen.push(['catalog', null]),
      connection: (connection) => connections.push(connection),
    };
    feed = new Feed(handlers, wire.fetch as typeof fetch);
  });
  afterEach(() => {
    feed.stop();
    vi.useRealTimers();
  });

  const state = () => connections.at(-1)?.state;

  it('hands events on, in order', async () => {
    feed.watch(['b', 'a']);
    await settle();
    wire.send('snapshot', { view: 'a' });
    wire.send('change', { view: 'a', offset: 2 });
    wire.send('catalog', {});
    await settle();
    expect(wire.urls).toEqual(['/v1/live?views=a,b&exact=true']);
    expect(seen.map(([event]) => event)).toEqual(['snapshot', 'change', 'catalog']);
  });

  it('keeps its connection when asked for the same views again', async () => {
    feed.watch(['a', 'b']);
    feed.watch(['b', 'a']);
    await settle();
    expect(wire.urls).toHaveLength(1);
    feed.watch(['a']);
    await settle();
    expect(wire.urls).toHaveLength(2);
  });

  it('comes back by itself, waiting longer each time', async () => {
    wire.refuse = true;
    feed.watch(['a']);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(state()).toBe('lost');
    const tries = wire.urls.length;
    expect(tries).toBeGreaterThan(5);
    expect(tries).toBeLessThan(16);
    wire.refuse = false;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(state()).toBe('open');
  });

  it('says since when the connection is lost, not since the last attempt', async () => {
    wire.refuse = true;
    feed.watch(['a']);
    await vi.advanceTimersByTimeAsync(5_000);
    const lost = connections.filter((connection) => connection.state === 'lost');
    expect(new Set(lost.map(({ since }) => since)).size).toBe(1);
  });

  it('takes silence for a dead line', async () => {
    feed.watch(['a']);
    await settle();
    expect(state()).toBe('open');
    await vi.advanceTimersByTimeAsync(silence_ms);
    expect(connections.some((connection) => connection.state === 'lost')).toBe(true);
  });

  it('is patient while statuses come', async () => {
    feed.watch(['a']);
    await settle();
    for (let second = 0; second < 30; ++second) {
      wire.send('status', {});
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(wire.urls).toHaveLength(1);
  });

  it('starts over when the server closes', async () => {
    feed.watch(['a']);
    await settle();
    wire.end();
    await vi.advanceTimersByTimeAsync(300);
    expect(wire.urls).toHaveLength(2);
    expect(state()).toBe('open');
  });

  it('measures a clock that is plainly wrong, and trusts one that is nearly right', async () => {
    wire.date = new Date(Date.now() - 90_000).toUTCString();
    feed.watch(['a']);
    await settle();
    expect(connections.at(-1)).toMatchObject({ state: 'open' });
    const skew = (connections.at(-1) as { clock_skew_ms: number }).clock_skew_ms;
    expect(skew).toBeGreaterThan(89_000);
    wire.date = new Date(Date.now() - 900).toUTCString();
    feed.resync();
    await settle();
    expect(connections.at(-1)).toEqual({ state: 'open', clock_skew_ms: 0 });
  });
});
