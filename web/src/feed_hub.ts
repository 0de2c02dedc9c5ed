// One connection for all tabs of a browser.  HTTP/1.1 lets a browser have six connections to a
// server: tabs that each held one would leave none for the seventh, nor for anybody's questions.
//
// The hub runs in a SharedWorker.  Each tab says which views it shows; the connection is for all of
// them, and each tab hears of its own.  A tab that comes gets its snapshots by starting the connection
// over, for everybody: what is shown is right by construction, as after any reconnect.
import { Feed, type Connection, type FeedHandlers } from './feed';
import type { Change, Snapshot, Status } from './wire';

// From a tab to the hub.  A tab says that it is still there by asking again for what it has.
export type Ask = { ask: 'watch'; views: string[] } | { ask: 'resync' } | { ask: 'bye' };

// From the hub to a tab.
export type Tell =
  | { tell: 'snapshot'; data: Snapshot }
  | { tell: 'change'; data: Change }
  | { tell: 'status'; data: Status }
  | { tell: 'catalog' }
  | { tell: 'connection'; data: Connection };

export interface Port {
  postMessage(message: Tell): void;
}

interface Tab {
  views: Set<string>;
  heard: number;
}

// A hidden tab's timers may run once a minute; one that says nothing for longer than this is gone.
export const gone_after_ms = 150_000;
// Tabs that start over for the same reason do so together.
const together_ms = 20;

export class Hub {
  private readonly tabs = new Map<Port, Tab>();
  private connection: Connection = { state: 'connecting' };
  private restart: ReturnType<typeof setTimeout> | undefined;
  private readonly feed: Feed;

  constructor(fetcher?: typeof fetch) {
    const handlers: FeedHandlers = {
      snapshot: (data) => this.tell(data.view, { tell: 'snapshot', data }),
      change: (data) => this.tell(data.view, { tell: 'change', data }),
      status: (data) => this.tell(null, { tell: 'status', data }),
      catalog: () => this.tell(null, { tell: 'catalog' }),
      connection: (data) => {
        this.connection = data;
        this.tell(null, { tell: 'connection', data });
      },
    };
    this.feed = fetcher ? new Feed(handlers, fetcher) : new Feed(handlers);
  }

  hear(port: Port, message: Ask): void {
    if (message.ask === 'bye') return this.leave(port);
    const known = this.tabs.get(port);
    if (message.ask === 'resync') {
      if (known) known.heard = Date.now();
      return this.startOver();
    }
    const views = new Set(message.views);
    this.tabs.set(port, { views, heard: Date.now() });
    if (!known) port.postMessage({ tell: 'connection', data: this.connection });
    if (!known || message.views.some((view) => !known.views.has(view))) this.startOver();
  }

  private leave(port: Port): void {
    this.tabs.delete(port);
    if (this.tabs.size > 0) return;
    clearTimeout(this.restart);
    this.restart = undefined;
    this.feed.stop();
    this.connection = { state: 'connecting' };
  }

  private startOver(): void {
    this.restart ??= setTimeout(() => {
      this.restart = undefined;
      const views = new Set<string>();
      for (const [port, tab] of this.tabs) {
        if (Date.now() - tab.heard > gone_after_ms) this.tabs.delete(port);
        else tab.views.forEach((view) => views.add(view));
      }
      if (!this.feed.watch([...views])) this.feed.resync();
    }, together_ms);
  }

  private tell(view: string | null, message: Tell): void {
    for (const [port, tab] of this.tabs) {
      if (view === null || tab.views.has(view)) port.postMessage(message);
    }
  }
}
