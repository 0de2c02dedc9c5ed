// A tab's end of the connection that all tabs share (feed_hub.ts); in a browser without shared
// workers, or when the worker does not answer, a connection of its own.
import { Feed, type FeedHandlers } from './feed';
import type { Ask, Tell } from './feed_hub';

export interface LiveFeed {
  watch(views: string[]): void;
  resync(): void;
  stop(): void;
}

interface End {
  postMessage(message: Ask): void;
  onmessage: ((event: MessageEvent<Tell>) => void) | null;
}

const still_here_ms = 45_000;
export const answers_within_ms = 4_000;

export class SharedFeed implements LiveFeed {
  private views: string[] | null = null;
  private own: Feed | null = null; // in place of the shared one
  private timer: ReturnType<typeof setInterval> | undefined;
  private silence: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly port: End,
    private readonly handlers: FeedHandlers,
    private readonly makeOwn: (handlers: FeedHandlers) => Feed = (given) => new Feed(given),
  ) {
    port.onmessage = ({ data }) => this.hear(data);
  }

  watch(views: string[]): void {
    const first = this.views === null;
    this.views = views;
    if (this.own) return void this.own.watch(views);
    this.port.postMessage({ ask: 'watch', views });
    if (!first) return;
    this.timer = setInterval(() => this.stillHere(), still_here_ms);
    this.silence = setTimeout(() => this.standAlone(), answers_within_ms);
  }

  resync(): void {
    if (this.own) this.own.resync();
    else if (this.views) this.port.postMessage({ ask: 'resync' });
  }

  stop(): void {
    this.views = null;
    clearInterval(this.timer);
    clearTimeout(this.silence);
    if (this.own) this.own.stop();
    else this.port.postMessage({ ask: 'bye' });
  }

  // The worker could not be loaded, or does not answer.
  standAlone(): void {
    if (this.own) return;
    clearInterval(this.timer);
    clearTimeout(this.silence);
    this.port.postMessage({ ask: 'bye' });
    this.own = this.makeOwn(this.handlers);
    if (this.views) this.own.watch(this.views);
  }

  private stillHere(): void {
    if (this.views) this.port.postMessage({ ask: 'watch', views: this.views });
  }

  private hear(message: Tell): void {
    clearTimeout(this.silence);
    if (this.own || !this.views) return;
    if (message.tell === 'snapshot') this.handlers.snapshot(message.data);
    else if (message.tell === 'change') this.handlers.change(message.data);
    else if (message.tell === 'status') this.handlers.status(message.data);
    else if (message.tell === 'catalog') this.handlers.catalog();
    else this.handlers.connection(message.data);
  }
}

export function openFeed(handlers: FeedHandlers): LiveFeed {
  try {
    const worker = new SharedWorker(new URL('./feed_worker.ts', import.meta.url), {
      type: 'module',
      name: 'weir',
    });
    const feed = new SharedFeed(worker.port, handlers);
    worker.onerror = () => feed.standAlone();
    return feed;
  } catch {
    return new Feed(handlers);
  }
}
