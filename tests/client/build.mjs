// Build the script of a page: node build.mjs ENTRY OUT, in a project that has the packages.

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename } from 'node:path';

import { build } from 'esbuild';

const require = createRequire(import.meta.url);

const vue = {
  name: 'vue',
  setup(build) {
    const { compileScript, parse } = require('vue/compiler-sfc');
    build.onLoad({ filter: /\.vue$/ }, async ({ path }) => {
      const { descriptor } = parse(await readFile(path, 'utf8'));
      const { content } = compileScript(descriptor, { id: basename(path), inlineTemplate: true });
      return { contents: content };
    });
  },
};

const svelte = {
  name: 'svelte',
  async setup(build) {
    const { compile } = await import('svelte/compiler');
    build.onLoad({ filter: /\.svelte$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      return { contents: compile(source, { filename: basename(path), generate: 'client' }).js.code };
    });
  },
};

const [entry, outfile] = process.argv.slice(2);
await build({
  entryPoints: [entry],
  outfile,
  bundle: true,
  format: 'esm',
  jsx: 'automatic',
  conditions: ['browser', 'production'],
  define: {
    'process.env.NODE_ENV': '"production"',
    __VUE_OPTIONS_API__: 'false',
    __VUE_PROD_DEVTOOLS__: 'false',
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false',
  },
  plugins: [vue, svelte],
  logLevel: 'error',
});
