import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import axe from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';

const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
];

/** Where Chromium is installed; null: nowhere. `GATEHOUSE_TEST_CHROMIUM` names another place. */
export function chromiumPath(): string | null {
  const named = process.env['GATEHOUSE_TEST_CHROMIUM'];
  const path = [...(named === undefined ? [] : [named]), ...PLACES].find((place) => existsSync(place)) ?? null;
  if (path === null)
    console.warn(
      'Chromium is not installed: the tests in test/browser are skipped. GATEHOUSE_TEST_CHROMIUM=/path/to/chrome names one.',
    );
  return path;
}

/** Starts it without a screen; nothing but the pages under test may be fetched. */
export async function launch(executablePath: string): Promise<Browser> {
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-background-networking',
      '--disable-component-update',
      '--no-first-run',
      '--host-resolver-rules=MAP *.example 127.0.0.1:9',
    ],
  });
}

interface Finding {
  readonly id: string;
  readonly impact?: string | null;
  readonly nodes: readonly { readonly html: string }[];
}

/** Serious and critical findings of axe-core, one line each. */
export async function axeFindings(page: Page): Promise<string[]> {
  // Evaluated by the debugger: the page's own policy allows no script at all.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<{ violations: Finding[] }>('axe.run()');
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
}

/** A native client's loopback listener: remembers what it was called with. */
export async function listener(): Promise<{ url: string; calls: URL[]; close(): Promise<void> }> {
  const calls: URL[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    if (url.pathname === '/callback') calls.push(url);
    response
      .setHeader('content-type', 'text/html; charset=utf-8')
      .end('<!doctype html><html lang="en"><title>Connected</title><h1>You may close this tab</h1>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}/callback`,
    calls,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The widths of the screenshots: a laptop and a phone. */
export const WIDTHS = [1280, 390] as const;

/** Shows a page at both widths; with `GATEHOUSE_TEST_PICTURES` set, the pictures of docs/images are taken anew. */
export async function picture(page: Page, name: string): Promise<void> {
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: width > 500 ? 900 : 844 });
    if (process.env['GATEHOUSE_TEST_PICTURES'])
      await page.screenshot({ path: `docs/images/${name}-${width}.png`, fullPage: true });
  }
  await page.setViewportSize({ width: 1280, height: 900 });
}
