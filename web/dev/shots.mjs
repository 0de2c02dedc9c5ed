// Pictures of every page against the fake server, to be looked at:  npm run build && npm run shots
import { mkdirSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { FakeServer } from './fake_server.mjs';

const folder = process.env.SHOTS ?? 'dist-shots';
const only = process.argv[2];
const flags =
  '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';
const shots = [
  { name: 'dark', width: 1440, height: 900, scheme: 'dark' },
  { name: 'light', width: 1440, height: 900, scheme: 'light' },
  { name: 'phone', width: 390, height: 844, scheme: 'dark', mobile: true },
  { name: 'wall', width: 1920, height: 1080, scheme: 'dark', path: '/?tv' },
  { name: 'arrange', width: 1440, height: 900, scheme: 'light', act: (page) => page.getByLabel('Arrange tiles').click() },
  { name: 'menu', width: 1440, height: 900, scheme: 'dark', act: (page) => page.getByLabel('Menu of Users so far').click() },
  { name: 'hover', width: 1440, height: 900, scheme: 'dark', act: (page) => page.mouse.move(600, 560) },
  { name: 'sql', width: 1440, height: 900, scheme: 'dark', path: '/sql?q=SELECT%20*%0AFROM%20signups_by_hour%0AWHERE%20signups%20%3E%20100%20--%20busy%20hours', act: (page) => page.getByRole('button', { name: 'Run' }).click() },
  { name: 'sql-error', width: 1440, height: 900, scheme: 'light', path: '/sql?q=SELECT%20count(*)%0AFROM%20evnts', act: (page) => page.getByRole('button', { name: 'Run' }).click() },
  { name: 'streams', width: 1440, height: 1200, scheme: 'dark', path: '/streams' },
  { name: 'streams-light', width: 1440, height: 1200, scheme: 'light', path: '/streams' },
  { name: 'streams-phone', width: 390, height: 844, scheme: 'light', path: '/streams', mobile: true },
  { name: 'sql-phone', width: 390, height: 844, scheme: 'dark', path: '/sql', mobile: true },
  { name: 'lost', width: 1440, height: 900, scheme: 'dark', act: (page, url) => page.request.post(`${url}/dev/down?ms=20000`) },
  { name: 'states', width: 1440, height: 900, scheme: 'dark', act: async (page, url) => {
    await page.request.post(`${url}/dev/park?view=events_by_name`);
    await page.request.post(`${url}/dev/fill?view=signups_by_hour`);
  } },
  { name: 'empty', width: 1440, height: 900, scheme: 'light', act: (page, url) => page.request.post(`${url}/dev/empty`) },
  { name: 'missing', width: 1440, height: 900, scheme: 'dark', path: '/nowhere' },
];

mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: flags.split(' ') });
for (const shot of shots.filter(({ name }) => !only || only.split(',').includes(name))) {
  const server = new FakeServer();
  const url = `http://127.0.0.1:${await server.listen(0)}`;
  const page = await browser.newPage({
    viewport: { width: shot.width, height: shot.height },
    colorScheme: shot.scheme,
    deviceScaleFactor: shot.mobile ? 2 : 1,
    isMobile: shot.mobile ?? false,
  });
  page.on('console', (message) => message.type() === 'error' && console.log(shot.name, message.text()));
  page.on('pageerror', (error) => console.log(shot.name, error.message));
  await page.goto(url + (shot.path ?? '/'));
  await page.waitForTimeout(Number(process.env.WAIT ?? 2500));
  await shot.act?.(page, url);
  if (shot.act) await page.waitForTimeout(1400);
  await page.screenshot({ path: `${folder}/${shot.name}.png` });
  await page.close();
  await server.close();
}
await browser.close();
