// The dashboard's arrangement: where each tile stands and how it is shown.
//
// What is arranged is kept on the server, for everyone who looks, and saved shortly after the last
// change.  Somebody else may have saved meanwhile: then theirs is read, what was changed here is
// put on top, and that is saved.  What a reader chooses while not arranging (a span, a table in
// place of a chart, a tile put aside) is theirs alone and stays in their browser.
import { ApiError, fetchLayout, storeLayout } from './api';
import { append, arrange, compact, type Kind, type Place } from './layout';

export interface Choice {
  as?: Kind;
  span?: string; // the part of a time axis that is shown
  hidden?: boolean;
}
type Choices = Record<string, Choice>;

interface Stored {
  version: 1;
  places: Place[];
  choices: Choices;
}

const save_after_ms = 400;
const tries_max = 5;
const own_key = 'weir.choices';

export class Board {
  places: Place[] = $state.raw([]);
  private shared: Choices = $state.raw({});
  private own: Choices = $state.raw(readOwn());
  arranged = $state(false); // somebody moved something; until then the layout follows the catalog
  arranging = $state(false);
  loaded = $state(false);
  failed: string | null = $state(null);
  // What was changed here and is not saved yet.
  private moved = false;
  private cleared = false;
  private chosen = new Set<string>();
  private tag: string | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private storing = false;

  // How each tile is shown here.
  readonly choices: Choices = $derived(merge(this.shared, this.own));

  async load(): Promise<void> {
    try {
      await this.read();
    } catch {
      // Without the server's layout the default one is good enough; the header tells the trouble.
    }
    this.loaded = true;
  }

  private async read(): Promise<void> {
    const { layout, tag } = await fetchLayout();
    const stored = readLayout(layout);
    this.tag = tag;
    // Theirs, but for what was changed here.
    if (!this.moved && !this.cleared) this.places = stored.places;
    const choices = this.cleared ? {} : { ...stored.choices };
    for (const name of this.chosen) {
      const choice = this.shared[name];
      if (choice) choices[name] = choice;
      else delete choices[name];
    }
    this.shared = choices;
    this.arranged = this.places.length > 0;
  }

  // Where the given tiles stand: as arranged, with new ones in the first free room.
  placesOf(tiles: { name: string; kind: Kind }[]): Place[] {
    const shown = tiles.filter(({ name }) => !this.choices[name]?.hidden);
    if (!this.arranged) return arrange(shown);
    const names = new Set(shown.map(({ name }) => name));
    let places = this.places.filter(({ name }) => names.has(name));
    for (const tile of shown) {
      if (places.some(({ name }) => name === tile.name)) continue;
      places = append(places, tile.name, tile.kind === 'number' ? { w: 4, h: 3 } : { w: 6, h: 5 });
    }
    return compact(places);
  }

  put(places: Place[]): void {
    this.places = places;
    this.arranged = true;
    this.moved = true;
    this.save();
  }

  // For everyone while arranging, otherwise for this reader.
  choose(name: string, choice: Choice): void {
    this.replaceChoice(name, { ...this.choices[name], ...choice });
  }

  replaceChoice(name: string, choice: Choice): void {
    if (!this.arranging) return this.setOwn({ ...this.own, [name]: choice });
    const { [name]: _, ...own } = this.own;
    this.setOwn(own);
    this.shared = { ...this.shared, [name]: choice };
    this.chosen.add(name);
    this.save();
  }

  // Everything as it comes: for everyone while arranging, otherwise what this reader chose.
  reset(): void {
    this.setOwn({});
    if (!this.arranging) return;
    this.places = [];
    this.shared = {};
    this.arranged = false;
    this.cleared = true;
    this.save();
  }

  // Shows every tile to this reader.
  showAll(): void {
    const own: Choices = { ...this.own };
    for (const [name, choice] of Object.entries(this.choices)) {
      if (choice.hidden) own[name] = { ...choice, hidden: false };
    }
    this.setOwn(own);
  }

  private setOwn(own: Choices): void {
    this.own = own;
    try {
      localStorage.setItem(own_key, JSON.stringify(own));
    } catch {
      // Forbidden storage: the choices hold until the page is closed.
    }
  }

  private save(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.store(), save_after_ms);
  }

  private async store(): Promise<void> {
    if (this.storing) return this.save(); // one after the other
    this.storing = true;
    try {
      for (let tries = 1; ; ++tries) {
        const stored: Stored = { version: 1, places: this.places, choices: this.shared };
        const [moved, cleared, chosen] = [this.moved, this.cleared, new Set(this.chosen)];
        try {
          this.tag = await storeLayout(stored, this.tag);
          // What was changed while it was under way is not in it.
          if (moved && this.places === stored.places) this.moved = false;
          if (cleared && this.shared === stored.choices) this.cleared = false;
          if (this.shared === stored.choices) for (const name of chosen) this.chosen.delete(name);
          this.failed = null;
          return;
        } catch (error) {
          if (!(error instanceof ApiError) || error.status !== 412 || tries === tries_max) throw error;
          await this.read();
        }
      }
    } catch (error) {
      this.failed = error instanceof Error ? error.message : String(error);
    } finally {
      this.storing = false;
    }
  }
}

function merge(shared: Choices, own: Choices): Choices {
  const merged = { ...shared };
  for (const [name, choice] of Object.entries(own)) merged[name] = { ...merged[name], ...choice };
  return merged;
}

function readOwn(): Choices {
  try {
    return readLayout({ choices: JSON.parse(localStorage.getItem(own_key) ?? '{}') }).choices;
  } catch {
    return {};
  }
}

// Anything may be in there (another version wrote it, or a person): what does not fit is left out.
export function readLayout(value: unknown): Stored {
  const stored: Stored = { version: 1, places: [], choices: {} };
  if (typeof value !== 'object' || value === null) return stored;
  const { places, choices } = value as Partial<Stored>;
  if (Array.isArray(places)) stored.places = places.filter(isPlace);
  if (typeof choices === 'object' && choices !== null) {
    for (const [name, choice] of Object.entries(choices)) {
      if (typeof choice === 'object' && choice !== null) stored.choices[name] = choice;
    }
  }
  return stored;
}

function isPlace(value: unknown): value is Place {
  if (typeof value !== 'object' || value === null) return false;
  const place = value as Place;
  const figures = [place.x, place.y, place.w, place.h];
  const whole = figures.every((figure) => Number.isInteger(figure) && figure >= 0 && figure < 1000);
  return typeof place.name === 'string' && whole && place.w > 0 && place.h > 0;
}

export const board = new Board();
