// The dashboard in a real browser, in front of a real server that runs the sign-up example.
//
//   WEIR_URL          where the server listens, as http://127.0.0.1:PORT
//   WEIR_RESTART_CMD  a shell command that stops that server and starts it again, on the same port
//   WEIR_SCREENSHOT   where to keep a picture of the dashboard (a .png)
//
// Without WEIR_URL it runs against web/dev/fake_server.mjs, to test the page itself.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { axe, launch, open, shown, tile, until } from './browser.mjs';

const run = promisify(execFile);
const numbers = ['signups_this_month', 'users_so_far'];

let browser;
let fake;
let url = process.env.WEIR_URL?.replace(/\/$/, '');

before(async () => {
  if (!url) {
    const { FakeServer } = await import('../../../web/dev/fake_server.mjs');
    fake = new FakeServer();
    url = `http://127.0.0.1:${await fake.listen(0)}`;
  }
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await fake?.close();
});

async function view(name) {
  const answer = await fetch(`${url}/v1/views/${name}`);
  assert.equal(answer.status, 200, `GET /v1/views/${name}`);
  return answer.json();
}

async function signUp(count) {
  const now = new Date().toISOString().replace('T', ' ').replace('Z', '');
  const line = () => JSON.stringify({ event_id: randomUUID(), event_time: now, event_name: 'sign_up' });
  const answer = await fetch(`${url}/v1/streams/events/events`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-ndjson' },
    body: Array.from({ length: count }, line).join('\n') + '\n',
  });
  assert.equal(answer.status, 200);
  const { accepted, rejected } = await answer.json();
  assert.equal(accepted, count, JSON.stringify(rejected));
}

const ready = (page) =>
  until(async () => (await shown(page, numbers[0])) >= 0, 10_000, 'the first number is shown');

// First, before the tests below post a crowd of sign-ups into the current hour.
test('a picture is kept', { skip: !process.env.WEIR_SCREENSHOT }, async () => {
  const page = await open(browser, url, { deviceScaleFactor: 2 });
  await ready(page);
  await page.waitForTimeout(30_000); // a course worth showing
  await page.screenshot({ path: process.env.WEIR_SCREENSHOT });
  await page.context().close();
});

test('the numbers on the dashboard are those of the views', async () => {
  const page = await open(browser, url);
  await ready(page);
  for (const name of numbers) {
    // Live traffic goes on: what the page says lies between two answers of the server.
    await until(
      async () => {
        const low = Number((await view(name)).rows[0][0]);
        const seen = await shown(page, name);
        const high = Number((await view(name)).rows[0][0]);
        return low <= seen && seen <= high;
      },
      5000,
      `"${name}" agrees with the server`,
    );
  }
  await page.waitForSelector('section[aria-labelledby="title-signups_by_hour"] canvas');
  assert.match(await tile(page, 'signups_by_hour').getByRole('application').getAttribute('aria-label'), /points from/);
  assert.deepEqual(page.sins, []);
  await page.context().close();
});

test('the header says that the page is live and how fresh it is', async () => {
  const page = await open(browser, url);
  await ready(page);
  const header = page.locator('header').first();
  await until(async () => /Live|Filling/.test(await header.innerText()), 5000, 'the state is shown');
  await until(async () => /as of \d+ ms ago/.test(await header.innerText()), 5000, 'the age is shown');
  await page.context().close();
});

test('posted events change the numbers within a second', async () => {
  const page = await open(browser, url);
  await ready(page);
  for (let round = 0; round < 3; ++round) {
    const before = await Promise.all(numbers.map((name) => shown(page, name)));
    await signUp(1000);
    const took = await until(
      async () => {
        const now = await Promise.all(numbers.map((name) => shown(page, name)));
        return now.every((value, i) => value >= before[i] + 1000);
      },
      1000,
      'both numbers have grown by what was posted',
    );
    console.log(`# 1,000 sign-ups on the screen ${Math.round(took)} ms after their acknowledgement`);
  }
  await page.context().close();
});

test('a server restart heals by itself', { skip: !fakeOr('WEIR_RESTART_CMD') }, async () => {
  const page = await open(browser, url);
  await ready(page);
  const before = await shown(page, numbers[1]);
  const restart = process.env.WEIR_URL
    ? run('sh', ['-c', process.env.WEIR_RESTART_CMD])
    : fetch(`${url}/dev/down?ms=2500`, { method: 'POST' });
  const header = page.locator('header').first();
  await until(async () => /Offline/.test(await header.innerText()), 20_000, 'the loss is shown');
  await restart;
  await until(async () => /Live|Filling/.test(await header.innerText()), 30_000, 'the page is live again');
  await until(async () => (await shown(page, numbers[1])) >= before, 30_000, 'nothing was lost');
  const current = await shown(page, numbers[1]);
  await signUp(500);
  await until(async () => (await shown(page, numbers[1])) >= current + 500, 1000, 'changes arrive again');
  assert.deepEqual(page.sins, []);
  await page.context().close();
});

function fakeOr(name) {
  return !process.env.WEIR_URL || process.env[name];
}

test('the SQL console answers, and shows where an error is', async () => {
  const page = await open(browser, url, { path: `/sql?q=${encodeURIComponent('SELECT * FROM users_so_far')}` });
  await page.locator('.cm-content').waitFor();
  await page.keyboard.press('Control+Enter');
  await page.getByRole('table', { name: 'Result' }).waitFor();
  assert.match(await page.getByRole('region', { name: 'Result' }).innerText(), /1 row in/);

  await page.locator('.cm-content').click();
  await page.keyboard.press('Control+a');
  await page.keyboard.press('Backspace');
  await page.keyboard.type('SELECT count(*)\nFROM no_such_thing');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+Enter');
  await page.getByRole('alert').waitFor();
  assert.match(await page.getByRole('alert').innerText(), /no_such_thing/);
  assert.deepEqual(page.sins, []);
  await page.context().close();
});

test('the streams page shows definitions and plans', async () => {
  const page = await open(browser, url, { path: '/streams' });
  const card = page.locator('#view-users_so_far');
  await card.waitFor();
  await card.getByText('Explain').click();
  await until(async () => /\w{4}/.test(await card.locator('details[open] pre').innerText()), 5000, 'the plan is shown');
  await card.getByText('Definition').click();
  assert.match(await card.innerText(), /CREATE MATERIALIZED VIEW/i);
  assert.deepEqual(page.sins, []);
  await page.context().close();
});

test('an address that does not exist says so', async () => {
  const page = await open(browser, url, { path: '/no/such/page' });
  assert.match(await page.locator('body').innerText(), /Nothing flows here|not.found/i);
  await page.context().close();
});

for (const colorScheme of ['dark', 'light']) {
  test(`axe finds nothing to complain about, ${colorScheme}`, async () => {
    for (const path of ['/', '/sql', '/streams']) {
      const page = await open(browser, url, { path, colorScheme });
      await page.waitForLoadState('load');
      await page.locator(path === '/' ? '.value' : path === '/sql' ? '.cm-content' : 'article').first().waitFor();
      await page.waitForTimeout(300);
      assert.deepEqual(await axe(page), [], `${path} ${colorScheme}`);
      await page.context().close();
    }
  });
}

test('a phone shows everything without scrolling sideways', async () => {
  for (const path of ['/', '/sql', '/streams']) {
    const page = await open(browser, url, { path, viewport: { width: 360, height: 740 }, isMobile: true });
    await page.locator(path === '/' ? '.value' : '.card').first().waitFor();
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wider <= 0, `${path} is ${wider} px too wide`);
    await page.context().close();
  }
});
