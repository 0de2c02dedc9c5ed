// The page against a server that misbehaves on demand (web/dev/fake_server.mjs): what a real server
// does once in a year happens here every time.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { FakeServer } from '../../../web/dev/fake_server.mjs';
import { axe, launch, open, shown, tile, until } from './browser.mjs';

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

// A page in front of a server of its own, without traffic unless asked for.
async function stage(options = {}, run) {
  const server = new FakeServer({ quiet: options.quiet ?? true });
  const url = `http://127.0.0.1:${await server.listen(0)}`;
  const page = await open(browser, url, options);
  const lever = (path) => fetch(`${url}/dev/${path}`, { method: 'POST' });
  try {
    if ((options.path ?? '/') === '/') await page.locator('.value').first().waitFor();
    await run({ server, url, page, lever });
    assert.deepEqual(page.sins, []);
  } finally {
    await page.context().close();
    await server.close();
  }
}

test('a change that does not fit is never shown; a new snapshot comes instead', () =>
  stage({}, async ({ page, server, lever }) => {
    const right = await shown(page, 'users_so_far');
    const seen = [];
    await page.exposeFunction('saw', (text) => seen.push(text));
    await page.evaluate(() => {
      const value = document.querySelector('[aria-labelledby="title-users_so_far"] .value');
      const tell = () => globalThis.saw(value.querySelector('.hidden-text').textContent);
      new MutationObserver(tell).observe(value, { characterData: true, subtree: true, childList: true });
    });
    const connections = server.live.size;
    await lever('wrong?view=users_so_far');
    await until(async () => server.live.size === connections, 3000, 'the page is connected again');
    await page.waitForTimeout(500);
    assert.equal(await shown(page, 'users_so_far'), right);
    assert.ok(!seen.some((text) => text.includes('-1')), `showed ${seen}`);
  }));

test('a dropped connection heals, and what happened meanwhile is shown', () =>
  stage({}, async ({ page, server, lever }) => {
    const before = await shown(page, 'users_so_far');
    await lever('down?ms=1500');
    server.ingest(['sign_up', 'sign_up']);
    await page.getByRole('alert').waitFor();
    assert.match(await page.getByRole('alert').innerText(), /Connection lost/);
    await until(async () => (await shown(page, 'users_so_far')) === before + 2, 8000, 'both are counted');
    await page.getByRole('alert').waitFor({ state: 'detached' });
  }));

test('a server that falls silent is noticed', () =>
  stage({}, async ({ page, lever }) => {
    await lever('silence');
    await until(async () => /Offline/.test(await page.locator('header').first().innerText()), 9000, 'silence is noticed');
  }));

test('a parked view shows its error, and nothing else stops', () =>
  stage({}, async ({ page, server, lever }) => {
    await lever('park?view=events_by_name');
    const parked = tile(page, 'events_by_name');
    await parked.getByText('Parked', { exact: true }).waitFor();
    assert.match(await parked.innerText(), /could not convert string/);
    const before = await shown(page, 'users_so_far');
    server.ingest(['sign_up']);
    await until(async () => (await shown(page, 'users_so_far')) === before + 1, 1000, 'others go on');
    await lever('unpark?view=events_by_name');
    await parked.getByRole('table').waitFor();
  }));

test('rows left out of a view are counted on its tile, and shown with the reason', () =>
  stage({}, async ({ page, lever }) => {
    await lever('reject?view=events_by_name&rows=3');
    await tile(page, 'events_by_name').getByText('3 left out').click();
    const card = page.locator('#view-events_by_name');
    await card.getByText('rows left out').click();
    await card.getByRole('cell', { name: /Could not convert string 'twelve'/ }).first().waitFor();
    assert.equal(await card.locator('tbody tr', { hasText: 'amount=twelve' }).count(), 3);
  }));

test('a view being filled shows its progress, then its content', () =>
  stage({}, async ({ page, lever }) => {
    await lever('fill?view=users_so_far');
    const bar = tile(page, 'users_so_far').getByRole('progressbar');
    await bar.waitFor();
    const first = Number(await bar.getAttribute('aria-valuenow'));
    await until(async () => Number(await bar.getAttribute('aria-valuenow')) > first, 3000, 'it moves on');
    await tile(page, 'users_so_far').locator('.value').waitFor({ timeout: 15_000 });
    assert.ok((await shown(page, 'users_so_far')) > 0);
  }));

test('a view created later appears by itself, and one dropped goes', () =>
  stage({}, async ({ page, lever }) => {
    await lever('add?view=brand_new');
    await page.getByRole('heading', { name: 'Brand new' }).waitFor();
    await lever('drop?view=brand_new');
    await page.getByRole('heading', { name: 'Brand new' }).waitFor({ state: 'detached' });
  }));

test('a view dropped while the page connects anew goes, too', () =>
  stage({}, async ({ page, server, lever }) => {
    let dropped = false;
    server.before_subscribed = (views) => {
      if (!views.includes('brand_new')) return;
      server.views.delete('brand_new');
      dropped = true; // told to those connected: nobody
    };
    await lever('add?view=brand_new');
    await until(async () => dropped, 5000, 'the page asks for the new view');
    await page.getByRole('heading', { name: 'Brand new' }).waitFor({ state: 'detached' });
  }));

test('without views the page says what to do', () =>
  stage({}, async ({ page, lever }) => {
    await lever('empty');
    await page.getByRole('heading', { name: 'No views yet' }).waitFor();
    assert.deepEqual(await axe(page), []);
  }));

test('pause holds the numbers still, and counts what waits', () =>
  stage({}, async ({ page, server }) => {
    const before = await shown(page, 'users_so_far');
    await page.getByRole('button', { name: 'Pause' }).click();
    server.ingest(['sign_up']);
    await page.getByText(/changes waiting/).waitFor();
    assert.equal(await shown(page, 'users_so_far'), before);
    await page.getByRole('button', { name: 'Go on showing changes' }).click();
    await until(async () => (await shown(page, 'users_so_far')) === before + 1, 1000, 'it goes on');
  }));

test('tiles are moved with the keyboard, and stay where they were put', () =>
  stage({}, async ({ page, server }) => {
    const left = async (name) => (await tile(page, name).boundingBox()).x;
    await page.getByRole('button', { name: 'Arrange tiles' }).click();
    await tile(page, 'signups_this_month').focus();
    await page.keyboard.press('Shift+ArrowLeft');
    for (let i = 0; i < 7; ++i) await page.keyboard.press('ArrowRight');
    assert.match(await page.locator('[aria-live=polite]').first().textContent(), /New sign-ups this month: column \d/);
    const placed = (name) => server.layout.places?.find((place) => place.name === name);
    await until(
      async () => placed('signups_this_month').x > placed('users_so_far').x,
      10_000,
      'the server keeps the layout',
    );
    await page.reload();
    await page.locator('.value').first().waitFor();
    assert.ok((await left('signups_this_month')) > (await left('users_so_far')));
  }));

test('tiles are moved and resized by dragging', () =>
  stage({}, async ({ page, server }) => {
    await page.getByRole('button', { name: 'Arrange tiles' }).click();
    const box = await tile(page, 'users_so_far').boundingBox();
    await page.mouse.move(box.x + 80, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x - 300, box.y + 30, { steps: 6 });
    await page.mouse.move(120, box.y + 24, { steps: 6 });
    await page.mouse.up();
    const place = () => server.layout.places?.find(({ name }) => name === 'users_so_far');
    await until(async () => place().x === 0 && place().y === 0, 10_000, 'the tile stands at the left, on top');
    const { h } = place();
    const corner = await tile(page, 'users_so_far').boundingBox();
    await page.mouse.move(corner.x + corner.width - 8, corner.y + corner.height - 8);
    await page.mouse.down();
    await page.mouse.move(corner.x + corner.width - 8, corner.y + corner.height + 180, { steps: 6 });
    await page.mouse.up();
    await until(async () => place().h === h + 2, 10_000, 'the tile is two rows higher');
  }));

test('a tile can be a table, fill the screen, and be hidden and shown again', () =>
  stage({}, async ({ page }) => {
    const hourly = tile(page, 'signups_by_hour');
    const choose = async (item) => {
      await hourly.getByRole('button', { name: 'Menu of Sign-ups by hour' }).press('Enter');
      await page.getByRole('menuitem', { name: item }).press('Enter');
    };
    await choose('As table');
    await hourly.getByRole('table').waitFor();
    await choose('As chart');
    await hourly.getByRole('application').waitFor();
    await choose('Full screen');
    assert.equal((await hourly.boundingBox()).width, 1440);
    await page.keyboard.press('Escape');
    assert.ok((await hourly.boundingBox()).width < 1440);
    await choose('Hide tile');
    await hourly.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Arrange tiles' }).click();
    await page.getByRole('button', { name: 'Show “Sign-ups by hour”' }).click();
    await hourly.waitFor();
  }));

test('times are told by the clocks of the views’ zone, wherever they stand', () =>
  stage({ timezoneId: 'Asia/Tokyo' }, async ({ page, server, url, lever }) => {
    await lever('zoned');
    const parts = (options) =>
      new Intl.DateTimeFormat('sv-SE', { timeZone: 'America/New_York', ...options }).format([...server.hours.keys()].at(-1));
    const clock = parts({ hour: '2-digit', minute: '2-digit' });
    const offset = /GMT([+-]\d\d)/.exec(parts({ timeZoneName: 'longOffset' }).replace('−', '-'))[1];
    const whole = `${parts({ dateStyle: 'short' })} ${clock}:00${offset}`; // as "2026-11-23 11:00:00-05"

    const hourly = tile(page, 'signups_by_zoned_hour');
    await hourly.getByRole('application').focus();
    await page.keyboard.press('End');
    const tip = await hourly.getByRole('status').innerText();
    assert.ok(tip.includes(clock), `the chart says ${tip}, the clock ${clock}`);
    await hourly.getByRole('button', { name: /^Menu of/ }).press('Enter');
    await page.getByRole('menuitem', { name: 'As table' }).press('Enter');
    await hourly.getByRole('cell', { name: whole }).waitFor();
    const newest = await tile(page, 'newest_hour').innerText();
    assert.ok(newest.includes(whole), `the number says ${newest}`);
    assert.match(await page.locator('header').first().innerText(), /America\/New_York/);

    await lever('down?ms=2500');
    await page.getByRole('alert').waitFor();
    assert.match(await page.getByRole('alert').innerText(), /those of \d\d:\d\d:\d\d America\/New_York/);
    await page.getByRole('alert').waitFor({ state: 'detached' });

    await page.goto(url + '/sql?q=FROM%20newest_hour');
    await page.locator('.cm-content').waitFor();
    await page.keyboard.press('Control+Enter');
    await page.getByRole('table', { name: 'Result' }).getByRole('cell', { name: whole }).waitFor();
  }));

test('a chart is read with the arrow keys', () =>
  stage({}, async ({ page, server }) => {
    await tile(page, 'signups_by_hour').getByRole('application').focus();
    await page.keyboard.press('End');
    const tip = tile(page, 'signups_by_hour').getByRole('status');
    const newest = [...server.hours.values()].at(-1).toLocaleString('en-US');
    assert.match(await tip.innerText(), new RegExp(`so far[\\s\\S]*${newest}`));
    await page.keyboard.press('ArrowLeft');
    assert.doesNotMatch(await tip.innerText(), /so far/);
  }));

test('a hundred thousand rows of a result scroll, and only those in sight are in the page', () =>
  stage({ path: '/sql?q=SELECT%20*%20FROM%20range(100000)' }, async ({ page }) => {
    await page.locator('.cm-content').waitFor();
    await page.keyboard.press('Control+Enter');
    const table = page.getByRole('table', { name: 'Result' });
    await table.waitFor();
    assert.ok((await table.getByRole('row').count()) < 100);
    await table.evaluate((node) => (node.scrollTop = node.scrollHeight));
    await page.getByText('900,710,918,274,844,559,007').waitFor(); // 99,999 * 9,007,199,254,740,993
  }));

test('of a result that is larger the page asks for what it shows, and says that there is more', () =>
  stage({ path: '/sql?q=SELECT%20*%20FROM%20range(3000000)' }, async ({ page }) => {
    await page.locator('.cm-content').waitFor();
    await page.keyboard.press('Control+Enter');
    await page.getByText(/first 100,000 rows; there are more/).waitFor();
  }));

test('an answer that breaks off is no result', () =>
  stage({ path: '/sql?q=SELECT%20*%20FROM%20range(100000)%20breaks_off' }, async ({ page }) => {
    await page.locator('.cm-content').waitFor();
    await page.keyboard.press('Control+Enter');
    await page.getByText(/the answer broke off before its end/).waitFor();
    assert.equal(await page.getByRole('table', { name: 'Result' }).count(), 0);
  }));

test('the wall screen shows all tiles without scrolling', () =>
  stage({ path: '/?tv', viewport: { width: 1920, height: 1080 } }, async ({ page }) => {
    await page.locator('.value').first().waitFor();
    const taller = await page.evaluate(() => document.documentElement.scrollHeight - innerHeight);
    assert.ok(taller <= 0, `${taller} px too tall`);
    assert.equal(await page.getByRole('navigation').count(), 0);
  }));

test('eight tabs of a browser share one connection, and leave room for questions', () =>
  stage({}, async ({ page, url, server }) => {
    const pages = [page];
    while (pages.length < 8) {
      const next = await page.context().newPage();
      await next.goto(url, { timeout: 10_000 });
      await next.locator('.value').first().waitFor({ timeout: 10_000 });
      pages.push(next);
    }
    await until(async () => server.live.size === 1, 3000, 'one connection for all');
    const before = await shown(page, 'users_so_far');
    server.ingest(['sign_up']);
    for (const each of pages) {
      await until(async () => (await shown(each, 'users_so_far')) === before + 1, 3000, 'each tab sees it');
    }
    const catalog = await pages[7].evaluate(() => fetch('/v1/catalog').then(({ status }) => status));
    assert.equal(catalog, 200);
    for (const each of pages.slice(1)) await each.close();
    server.ingest(['sign_up']);
    await until(async () => (await shown(page, 'users_so_far')) === before + 2, 3000, 'those that stay go on');
  }));
