// The pages have addresses of their own; going between them never reloads.
class Route {
  path = $state(location.pathname);
  search = $state(location.search);

  constructor() {
    addEventListener('popstate', () => this.read());
  }

  go(address: string): void {
    history.pushState(null, '', address);
    this.read();
    scrollTo(0, 0);
    // What the address points at is there once the page is drawn.
    const target = new URL(address, location.href).hash.slice(1);
    if (target) setTimeout(() => document.getElementById(decodeURIComponent(target))?.scrollIntoView());
  }

  private read(): void {
    this.path = location.pathname;
    this.search = location.search;
  }
}

export const route = new Route();

// For links: plain clicks stay in the page, all others are the browser's.
export function follow(event: MouseEvent & { currentTarget: HTMLAnchorElement }): void {
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const { pathname, search, hash } = event.currentTarget;
  route.go(pathname + search + hash);
}
