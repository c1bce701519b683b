import { fileURLToPath } from 'node:url';

import { defineConfig } from 'vite';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: at('page'),
  build: {
    outDir: at('dist'),
    emptyOutDir: true,
    target: 'es2022',
    rolldownOptions: {
      input: { index: at('page/index.html'), offline: at('offline/offline.ts') },
      output: {
        // A service worker rules what lies beside it and below.
        entryFileNames: ({ name }) => (name === 'offline' ? 'offline.js' : 'assets/[name]-[hash].js'),
      },
    },
  },
});
