import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: [
      'src/**/*.spec.ts',
      'migrations/**/*.spec.ts',
      'test/**/*.e2e-spec.ts',
      'test/**/*.spec.ts',
      'examples/**/*.e2e-spec.ts',
    ],
    // Chromium is no part of Node: `npm run test:browser`.
    exclude: ['test/browser/**', '**/node_modules/**'],
    // The suites wait for processes, disks and sockets more than they compute.
    maxWorkers: '100%',
    setupFiles: ['reflect-metadata'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
