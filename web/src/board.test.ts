import { beforeEach, describe, expect, it, vi } from 'vitest';

const server = vi.hoisted(() => ({
  layout: {} as Record<string, unknown>,
  tag: 0,
  stores: 0,
  before_store: null as (() => void) | null,
}));

vi.mock('./api', () => {
  class ApiError extends Error {
    constructor(
      readonly failure: { message: string },
      readonly status: number,
    ) {
      super(failure.message);
    }
  }
  return {
    ApiError,
    fetchLayout: async () => ({ layout: structuredClone(server.layout), tag: String(server.tag) }),
    storeLayout: async (layout: Record<string, unknown>, tag: string | null) => {
      server.before_store?.();
      server.before_store = null;
      if (tag !== String(server.tag)) throw new ApiError({ message: 'changed' }, 412);
      server.layout = structuredClone(layout);
      server.stores++;
      return String(++server.tag);
    },
  };
});

const kept = new Map<string, string>();
vi.stubGlobal('localStorage', {
  getItem: (key: string) => kept.get(key) ?? null,
  setItem: (key: string, value: string) => kept.set(key, value),
});

const { Board } = await import('./board.svelte');
const saved = () => new Promise((resolve) => setTimeout(resolve, 600));

// Somebody else stores a layout.
function storeElsewhere(change: (layout: any) => void): void {
  change(server.layout);
  server.tag++;
}

describe('the board', () => {
  beforeEach(() => {
    kept.clear();
    server.layout = { version: 1, places: [], choices: {} };
    server.before_store = null;
  });

  it('puts its changes on top of what somebody else has saved meanwhile', async () => {
    const board = new Board();
    await board.load();
    storeElsewhere((layout) => (layout.choices = { a: { as: 'table' }, b: { hidden: true } }));
    board.arranging = true;
    board.choose('c', { span: '7 d' });
    await saved();
    expect(server.layout['choices']).toEqual({
      a: { as: 'table' },
      b: { hidden: true },
      c: { span: '7 d' },
    });
    expect(board.failed).toBeNull();
  });

  it('loses nothing when two save in the same moment', async () => {
    const board = new Board();
    await board.load();
    board.arranging = true;
    board.put([{ name: 'a', x: 0, y: 0, w: 4, h: 3 }]);
    server.before_store = () =>
      storeElsewhere((layout) => (layout.choices = { b: { as: 'table' } }));
    await saved();
    expect(server.layout).toEqual({
      version: 1,
      places: [{ name: 'a', x: 0, y: 0, w: 4, h: 3 }],
      choices: { b: { as: 'table' } },
    });
  });

  it('keeps what a reader chooses to that reader', async () => {
    const board = new Board();
    await board.load();
    const stores = server.stores;
    board.choose('a', { as: 'table', span: '24 h' });
    board.choose('b', { hidden: true });
    await saved();
    expect(server.stores).toBe(stores);
    expect(board.choices['a']).toEqual({ as: 'table', span: '24 h' });
    const again = new Board();
    await again.load();
    expect(again.choices['b']).toEqual({ hidden: true });
    again.showAll();
    expect(again.choices['b']).toEqual({ hidden: false });
    kept.clear();
    const other = new Board();
    await other.load();
    expect(other.choices).toEqual({});
  });
});
