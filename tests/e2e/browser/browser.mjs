// Chromium for the tests: Debian's, headless, with nothing phoning home.
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../../web/package.json', import.meta.url));
const { chromium } = require('playwright-core');
export const axe_path = require.resolve('axe-core/axe.min.js');

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export function launch() {
  const executablePath = process.env.WEIR_CHROMIUM ?? '/usr/bin/chromium';
  return chromium.launch({ executablePath, args: flags });
}

// A page that remembers all it should not have done: other hosts, blocked code, uncaught errors.
export async function open(browser, url, { path = '/', ...options } = {}) {
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    colorScheme: 'dark',
    locale: 'en-US',
    reducedMotion: 'reduce',
    ...options,
  });
  const page = await context.newPage();
  page.sins = [];
  page.on('request', (request) => {
    const address = new URL(request.url());
    const own = address.origin === url || ['data:', 'blob:'].includes(address.protocol);
    if (!own) page.sins.push(`asked for ${request.url()}`);
  });
  page.on('pageerror', (error) => page.sins.push(`threw ${error.message}`));
  page.on('console', (message) => {
    if (/Content Security Policy/i.test(message.text())) page.sins.push(message.text());
  });
  await page.goto(url + path);
  return page;
}

export const tile = (page, name) => page.locator(`section[aria-labelledby="title-${name}"]`);

// What a number tile says, as a number.
export async function shown(page, name) {
  const text = await tile(page, name).locator('.value > .hidden-text').textContent();
  return Number(text.replace(/[^\d-]/g, ''));
}

// Waits until `check` gives something true; says how long that took in ms.
export async function until(check, limit_ms, what) {
  const begin = performance.now();
  for (;;) {
    if (await check().catch(() => false)) return performance.now() - begin;
    const waited = performance.now() - begin;
    if (waited > limit_ms) throw new Error(`waited ${Math.round(waited)} ms: ${what}`);
    await new Promise((wake) => setTimeout(wake, 15));
  }
}

export async function axe(page) {
  // Injected through the debugger, which the page's own policy does not bind.
  const { readFileSync } = await import('node:fs');
  await page.evaluate(readFileSync(axe_path, 'utf8'));
  const found = await page.evaluate(() =>
    globalThis.axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    }),
  );
  return found.violations.map(({ id, help, nodes }) => {
    const places = nodes.slice(0, 3).map(({ target, failureSummary }) => `${target}: ${failureSummary}`);
    return `${id}: ${help}\n  ${places.join('\n  ')}`;
  });
}
