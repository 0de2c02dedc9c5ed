// The dashboard's arrangement: where each tile stands and how it is shown.  Kept on the server, for
// everyone who looks; saved shortly after the last change.
import { fetchLayout, storeLayout } from './api';
import { append, arrange, compact, type Kind, type Place } from './layout';

export interface Choice {
  as?: 'chart' | 'table';
  span?: string; // the part of a time axis that is shown
  hidden?: boolean;
}

interface Stored {
  version: 1;
  places: Place[];
  choices: Record<string, Choice>;
}

const save_after_ms = 400;

export class Board {
  places: Place[] = $state.raw([]);
  choices: Record<string, Choice> = $state.raw({});
  arranged = $state(false); // somebody moved something; until then the layout follows the catalog
  arranging = $state(false);
  loaded = $state(false);
  failed: string | null = $state(null);
  private timer: ReturnType<typeof setTimeout> | undefined;

  async load(): Promise<void> {
    try {
      const stored = readLayout(await fetchLayout());
      this.places = stored.places;
      this.choices = stored.choices;
      this.arranged = stored.places.length > 0;
    } catch {
      // Without the server's layout the default one is good enough; the header tells the trouble.
    }
    this.loaded = true;
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
    this.save();
  }

  choose(name: string, choice: Choice): void {
    this.choices = { ...this.choices, [name]: { ...this.choices[name], ...choice } };
    this.save();
  }

  replaceChoice(name: string, choice: Choice): void {
    this.choices = { ...this.choices, [name]: choice };
    this.save();
  }

  reset(): void {
    this.places = [];
    this.choices = {};
    this.arranged = false;
    this.save();
  }

  private save(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.store(), save_after_ms);
  }

  private async store(): Promise<void> {
    const stored: Stored = { version: 1, places: this.places, choices: this.choices };
    try {
      await storeLayout(stored);
      this.failed = null;
    } catch (error) {
      this.failed = error instanceof Error ? error.message : String(error);
    }
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
