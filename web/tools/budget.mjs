// Fails the build when the first page or the SQL editor has grown past its budget.  Counts gzip
// sizes, and for the first page everything the browser fetches before a number can be shown.
import { readFileSync, rmSync, statSync } from 'node:fs';

const kilobyte = 1024;
const budgets = { first_page: 100 * kilobyte, editor: 150 * kilobyte };

const manifest = JSON.parse(readFileSync('dist/.vite/manifest.json', 'utf8'));

function filesOf(key, seen = new Set()) {
  if (seen.has(key)) return [];
  seen.add(key);
  const chunk = manifest[key];
  const own = [chunk.file, ...(chunk.css ?? []), ...(chunk.assets ?? [])];
  return [...own, ...(chunk.imports ?? []).flatMap((next) => filesOf(next, seen))];
}

const size = (file) => {
  const compressed = file.endsWith('.woff2') ? `dist/${file}` : `dist/${file}.gz`;
  return statSync(compressed).size;
};
const total = (files) => [...files].reduce((sum, file) => sum + size(file), 0);

const first = new Set(['index.html', ...filesOf('index.html')]);
const dashboard = Object.keys(manifest).find((key) => key.endsWith('pages/Dashboard.svelte'));
if (dashboard) for (const file of filesOf(dashboard)) first.add(file);
const editor_key = Object.keys(manifest).find((key) => key.endsWith('sql/editor.ts'));
const editor = new Set(filesOf(editor_key).filter((file) => !first.has(file)));

let failed = false;
for (const [name, files] of Object.entries({ first_page: first, editor })) {
  const bytes = total(files);
  const verdict = bytes <= budgets[name] ? 'ok' : 'OVER BUDGET';
  failed ||= bytes > budgets[name];
  const [now, limit] = [bytes, budgets[name]].map((n) => (n / kilobyte).toFixed(1));
  console.log(`${name.padEnd(10)} ${now.padStart(6)} KB of ${limit} KB  ${verdict}`);
}
// The manifest was for this check; what is left in dist/ is what the server sends.
rmSync('dist/.vite', { recursive: true });
process.exit(failed ? 1 : 0);
