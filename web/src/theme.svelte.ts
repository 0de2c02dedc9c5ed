// Dark or light: the reader's system decides until they do.
const key = 'weir.theme';
export type Theme = 'dark' | 'light';

const system = matchMedia('(prefers-color-scheme: light)');

function stored(): Theme | null {
  try {
    const value = localStorage.getItem(key);
    return value === 'dark' || value === 'light' ? value : null;
  } catch {
    return null;
  }
}

class ThemeChoice {
  chosen: Theme | null = $state(stored());
  private light = $state(system.matches);

  constructor() {
    system.addEventListener('change', (event) => (this.light = event.matches));
  }

  get current(): Theme {
    return this.chosen ?? (this.light ? 'light' : 'dark');
  }

  toggle(): void {
    this.chosen = this.current === 'dark' ? 'light' : 'dark';
    try {
      localStorage.setItem(key, this.chosen);
    } catch {
      // Forbidden storage: the choice holds until the page is closed.
    }
  }
}

export const theme = new ThemeChoice();
