import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// The API is served by the same program that serves these files; in development it is proxied.
const server = process.env.WEIR_URL ?? 'http://127.0.0.1:8180';
const routes = ['/v1', '/healthz', '/readyz', '/metrics', '/dev'];

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: true,
  },
  server: { proxy: Object.fromEntries(routes.map((path) => [path, server])) },
  test: { include: ['src/**/*.test.ts', 'dev/**/*.test.mjs'], environment: 'node' },
});
