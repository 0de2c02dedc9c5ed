// What the page knows: the catalog, each view's rows, the engine's status, the connection.  The feed
// writes it, components only read it.
//
// Changes are applied as they come and published together once per frame, so all tiles always show
// one and the same log position, and a burst of changes costs one drawing.
import { ApiError, fetchCatalog } from './api';
import { isNumeric } from './columns';
import { Course, restoreCourse, storeCourse } from './course';
import type { Connection } from './feed';
import { Rows } from './rows';
import { openFeed, type LiveFeed } from './shared_feed';
import type { Catalog, Change, Column, Row, Snapshot, Status, View } from './wire';

export interface Content {
  columns: Column[];
  rows: Row[];
  offset: number;
  as_of: string;
}

export class ViewState {
  view: View = $state.raw()!;
  content: Content | null = $state.raw(null);
  course: Course = $state.raw(new Course());
  readonly rows = new Rows();
  received = false;
  dirty = false;

  constructor(view: View) {
    this.view = view;
  }

  get courseKey(): string {
    return `${this.view.name}\n${this.view.query}`;
  }
}

const catalog_retry_ms = 1000;
const catalog_every_ms = 2000;
const filling_every_ms = 500;

export class Live {
  catalog: Catalog | null = $state.raw(null);
  problem: ApiError | null = $state.raw(null);
  views: ViewState[] = $state.raw([]);
  status: Status | null = $state.raw(null);
  connection: Connection = $state.raw({ state: 'connecting' });
  paused = $state(false);
  waiting = $state(0); // changes received while paused
  as_of_ms = $state(0); // the newest moment the page is right about, by the server's clock
  now = $state(Date.now()); // the server's clock, four times a second

  private readonly feed: LiveFeed;
  private by_name = new Map<string, ViewState>();
  private scheduled = false;
  private skew_ms = 0;
  private wanted = false; // does this page show views?
  private refetch: ReturnType<typeof setTimeout> | undefined;
  private asked = 0; // questions for the catalog so far
  private answered = 0; // the latest of them that is answered

  constructor() {
    this.feed = openFeed({
      snapshot: (snapshot) => this.onSnapshot(snapshot),
      change: (change) => this.onChange(change),
      status: (status) => this.onStatus(status),
      catalog: () => void this.loadCatalog(),
      connection: (connection) => this.onConnection(connection),
    });
  }

  start(): void {
    void this.loadCatalog();
    setInterval(() => (this.now = Date.now() - this.skew_ms), 250);
    addEventListener('pagehide', () => {
      this.storeCourses();
      this.feed.stop(); // the tab may live on, out of sight, without saying anything
    });
    addEventListener('pageshow', (event) => event.persisted && this.subscribe());
    addEventListener('online', () => this.feed.resync());
  }

  // Pages without tiles keep the connection for status and catalog only.
  showViews(wanted: boolean): void {
    this.wanted = wanted;
    this.subscribe();
  }

  // Keeps figures of the catalog (rates, sizes) moving; returns what stops it.
  pollCatalog(): () => void {
    const timer = setInterval(() => void this.loadCatalog(), catalog_every_ms);
    return () => clearInterval(timer);
  }

  find(name: string): ViewState | undefined {
    return this.by_name.get(name);
  }

  pause(paused: boolean): void {
    this.paused = paused;
    this.waiting = 0;
    if (!paused) this.schedule();
  }

  retryNow(): void {
    this.feed.resync();
  }

  async loadCatalog(): Promise<void> {
    clearTimeout(this.refetch);
    const asked = ++this.asked;
    try {
      const catalog = await fetchCatalog();
      if (asked < this.answered) return; // a later question was answered first, and knows more
      this.answered = asked;
      this.takeCatalog(catalog);
      this.problem = null;
    } catch (error) {
      if (asked < this.answered) return;
      if (error instanceof ApiError) this.problem = error;
      this.refetch = setTimeout(() => void this.loadCatalog(), catalog_retry_ms);
    }
  }

  private takeCatalog(catalog: Catalog): void {
    const previous = this.by_name;
    this.by_name = new Map();
    for (const view of catalog.views) {
      const known = previous.get(view.name);
      const kept = known && known.view.query === view.query ? known : this.newView(view);
      kept.view = view;
      this.by_name.set(view.name, kept);
    }
    this.views = [...this.by_name.values()];
    this.catalog = catalog;
    this.subscribe();
    if (catalog.views.some(({ status }) => status === 'filling')) {
      this.refetch = setTimeout(() => void this.loadCatalog(), filling_every_ms);
    }
  }

  private newView(view: View): ViewState {
    const state = new ViewState(view);
    state.course = restoreCourse(state.courseKey, this.now);
    return state;
  }

  private subscribe(): void {
    if (!this.catalog) return;
    const live = this.views.filter(({ view }) => view.materialized && view.status !== 'parked');
    this.feed.watch(this.wanted ? live.map(({ view }) => view.name) : []);
  }

  private onSnapshot(snapshot: Snapshot): void {
    const view = this.by_name.get(snapshot.view);
    if (!view) return;
    view.rows.replace(snapshot.columns, snapshot.rows, snapshot.offset, snapshot.as_of);
    view.received = true;
    this.touched(view, snapshot.as_of);
  }

  private onChange(change: Change): void {
    const view = this.by_name.get(change.view);
    if (!view?.received) return;
    if (!view.rows.apply(change.added, change.removed, change.offset, change.as_of)) {
      view.received = false; // shows what it last knew for certain until the new snapshot is here
      this.feed.resync();
      return;
    }
    if (this.paused) this.waiting++;
    this.touched(view, change.as_of);
  }

  private touched(view: ViewState, as_of: string): void {
    view.dirty = true;
    this.freshAsOf(as_of);
    this.schedule();
  }

  private onStatus(status: Status): void {
    this.status = status;
    this.freshAsOf(status.as_of);
  }

  private onConnection(connection: Connection): void {
    if (connection.state === 'open') {
      this.skew_ms = connection.clock_skew_ms;
      for (const view of this.views) view.received = false;
    }
    this.connection = connection;
    // What the catalog became while no connection was open, this one does not tell.  The server may
    // also have come back with other views; asking for one it no longer has would fail for ever.
    if (connection.state !== 'connecting') void this.loadCatalog();
  }

  private freshAsOf(as_of: string): void {
    const time = Date.parse(as_of);
    if (time > this.as_of_ms) this.as_of_ms = time;
  }

  // Frames stop in a hidden tab; a timer keeps it right for whoever looks at its title or returns.
  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    if (document.hidden) setTimeout(() => this.publish(), 500);
    else requestAnimationFrame(() => this.publish());
  }

  private publish(): void {
    this.scheduled = false;
    if (this.paused) return;
    this.now = Date.now() - this.skew_ms;
    for (const view of this.views) {
      if (!view.dirty || !view.received) continue;
      view.dirty = false;
      const { columns, offset, as_of } = view.rows;
      view.content = { columns, rows: view.rows.toArray(), offset, as_of };
      recordCourse(view);
    }
  }

  private storeCourses(): void {
    for (const view of this.views) storeCourse(view.courseKey, view.course);
  }
}

// The column a one-row view is about: the first number, or the first of all.
export const mainColumn = (columns: Column[]) => Math.max(0, columns.findIndex(isNumeric));

function recordCourse(view: ViewState): void {
  const content = view.content!;
  if (content.rows.length !== 1) return;
  const value = content.rows[0]![mainColumn(content.columns)];
  if (value === undefined || value === null) return;
  view.course.add(Date.parse(content.as_of), value);
}

export const live = new Live();
