import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Feed, type FeedHandlers } from './feed';
import { Hub, gone_after_ms, type Ask, type Tell } from './feed_hub';
import { SharedFeed, answers_within_ms } from './shared_feed';

class Tab {
  told: Tell[] = [];
  postMessage = (message: Tell) => void this.told.push(message);
  of = (kind: string) => this.told.filter(({ tell }) => tell === kind);
}

describe('one connection for all tabs', () => {
  let urls: string[];
  let send: (event: string, data: unknown) => void;
  let open: number;
  let hub: Hub;

  beforeEach(() => {
    vi.useFakeTimers();
    urls = [];
    open = 0;
    const fetcher = (url: string, init: RequestInit): Promise<Response> => {
      urls.push(url);
      open++;
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          const encode = new TextEncoder();
          send = (event, data) =>
            controller.enqueue(encode.encode(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`));
          init.signal?.addEventListener('abort', () => {
            open--;
            controller.error(new DOMException('aborted', 'AbortError'));
          });
        },
      });
      return Promise.resolve(new Response(body));
    };
    hub = new Hub(fetcher as typeof fetch);
  });
  afterEach(() => vi.useRealTimers());

  const settle = (ms = 50) => vi.advanceTimersByTimeAsync(ms);

  it('asks once for what eight tabs show, and tells each of its own', async () => {
    const tabs = Array.from({ length: 8 }, () => new Tab());
    tabs.forEach((tab, i) => hub.hear(tab, { ask: 'watch', views: i === 7 ? [] : ['a', 'b'] }));
    await settle();
    expect(urls).toEqual(['/v1/live?views=a,b&exact=true']);
    expect(open).toBe(1);
    send('snapshot', { view: 'a' });
    send('status', {});
    await settle();
    expect(tabs.map((tab) => tab.of('snapshot').length)).toEqual([1, 1, 1, 1, 1, 1, 1, 0]);
    expect(tabs.every((tab) => tab.of('status').length === 1)).toBe(true);
  });

  it('starts over for a tab that comes, not for one that goes', async () => {
    const [first, second] = [new Tab(), new Tab()];
    hub.hear(first, { ask: 'watch', views: ['a'] });
    await settle();
    hub.hear(second, { ask: 'watch', views: ['a'] });
    await settle();
    expect(urls).toHaveLength(2);
    expect(open).toBe(1);
    hub.hear(second, { ask: 'watch', views: ['a'] }); // still here
    hub.hear(second, { ask: 'bye' });
    await settle();
    expect(urls).toHaveLength(2);
    hub.hear(first, { ask: 'bye' });
    await settle();
    expect(open).toBe(0);
  });

  it('forgets what a tab wanted that says nothing any more', async () => {
    const [crashed, other] = [new Tab(), new Tab()];
    hub.hear(crashed, { ask: 'watch', views: ['dropped'] });
    await settle(gone_after_ms + 1000);
    hub.hear(other, { ask: 'watch', views: ['a'] });
    await settle();
    expect(urls.at(-1)).toBe('/v1/live?views=a&exact=true');
  });

  it('starts over once for tabs that all ask for it', async () => {
    const tabs = [new Tab(), new Tab(), new Tab()];
    tabs.forEach((tab) => hub.hear(tab, { ask: 'watch', views: ['a'] }));
    await settle();
    tabs.forEach((tab) => hub.hear(tab, { ask: 'resync' }));
    await settle();
    expect(urls).toHaveLength(2);
  });
});

describe("a tab's end", () => {
  const nothing: FeedHandlers = {
    snapshot() {},
    change() {},
    status() {},
    catalog() {},
    connection() {},
  };

  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function end(): { asked: Ask[]; port: ConstructorParameters<typeof SharedFeed>[0] } {
    const asked: Ask[] = [];
    return { asked, port: { postMessage: (message) => void asked.push(message), onmessage: null } };
  }

  it('has a connection of its own when nobody answers', async () => {
    const { asked, port } = end();
    const watched: string[][] = [];
    const own = { watch: (views: string[]) => watched.push(views), stop() {}, resync() {} };
    const feed = new SharedFeed(port, nothing, () => own as unknown as Feed);
    feed.watch(['a']);
    await vi.advanceTimersByTimeAsync(answers_within_ms + 1);
    expect(watched).toEqual([['a']]);
    feed.watch(['b']);
    expect(watched).toEqual([['a'], ['b']]);
    expect(asked.at(-1)).toEqual({ ask: 'bye' });
  });

  it('stays with the shared one that answers', async () => {
    const { port } = end();
    const feed = new SharedFeed(port, nothing, () => {
      throw new Error('made a connection of its own');
    });
    feed.watch(['a']);
    const data: Tell = { tell: 'connection', data: { state: 'connecting' } };
    port.onmessage!({ data } as MessageEvent<Tell>);
    await vi.advanceTimersByTimeAsync(10 * answers_within_ms);
    feed.stop();
  });
});
