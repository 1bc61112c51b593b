import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../gatehouse.js';
import { gatehouse, type Run, scratchFolder } from './process.js';

const folder = scratchFolder();
let run: Run;
let url: string;

beforeAll(async () => {
  const port = await freePort();
  run = gatehouse(['serve'], {
    cwd: folder.path,
    env: {
      GATEHOUSE_PORT: String(port),
      GATEHOUSE_PROVIDERS: 'github,static-token',
      GATEHOUSE_GITHUB_CLIENT_ID: 'x',
      GATEHOUSE_GITHUB_CLIENT_SECRET: 'y',
      GATEHOUSE_DATABASE_URL: 'sqlite:data/deeper/gatehouse.sqlite',
    },
  });
  url = `http://localhost:${port}`;
  await run.said('Gatehouse serves MCP on');
}, 60_000);
afterAll(async () => {
  run.child.kill('SIGTERM');
  await run.exit;
  folder.remove();
});

const ask = async (path: string, accept: string, method = 'GET') => {
  const answer = await fetch(`${url}${path}`, { method, headers: { accept } });
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
};
const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';

describe('a person', () => {
  it('who opens the server itself reads what it is and finds their account', async () => {
    const { status, text } = await ask('/', BROWSER);
    expect(status).toBe(200);
    expect(text).toContain(`${url}/mcp`);
    expect(text).toContain('href="/account"');
  });

  it.each(['/nope', '/nope/deeper?code=very-secret', '/metrics', '/admin', '/login', '/%3Cscript%3E'])(
    'who opens %s gets a page with the headers of all pages',
    async (path) => {
      const { status, headers, text } = await ask(path, BROWSER);
      expect(status).toBe(404);
      expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
      expect(headers.get('content-security-policy')).toMatch(/^default-src 'none'.*frame-ancestors 'none'$/);
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('vary')).toContain('Accept');
      expect(text).toContain('There is nothing here');
      expect(text).not.toMatch(/nope|secret|script/);
    },
  );
});

describe('a program', () => {
  it.each([
    ['/', 'GET', '*/*'],
    ['/nope', 'GET', 'application/json'],
    ['/nope', 'POST', BROWSER],
  ])('gets JSON from %s by %s', async (path, method, accept) => {
    const { status, headers, text } = await ask(path, accept, method);
    expect(status).toBe(404);
    expect(headers.get('content-type')).toContain('application/json');
    expect(JSON.parse(text)).toMatchObject({ statusCode: 404, message: `Cannot ${method} ${path}` });
  });

  it('gets the answers of the endpoints as ever, also where it would take HTML', async () => {
    expect((await ask('/mcp', BROWSER)).headers.get('content-type')).toContain('application/json');
    expect((await ask('/admin/v1/nope', BROWSER)).headers.get('content-type')).toContain('application/problem+json');
    expect((await ask('/token', BROWSER, 'POST')).headers.get('content-type')).toContain('application/json');
  });
});

it('what it keeps is its owner’s alone', () => {
  const data = join(folder.path, 'data');
  for (const path of [data, join(data, 'deeper')]) expect(statSync(path).mode & 0o777).toBe(0o700);
  const files = readdirSync(join(data, 'deeper'));
  expect(files).toEqual(
    expect.arrayContaining(['gatehouse.sqlite', 'gatehouse.sqlite-wal', 'gatehouse.sqlite-shm', 'secret']),
  );
  for (const file of files) expect(statSync(join(data, 'deeper', file)).mode & 0o777).toBe(0o600);
});

it('gatehouse --version prints the version, and migrate --json what ran', { timeout: 60_000 }, async () => {
  const version = gatehouse(['--version'], { cwd: folder.path });
  expect(await version.exit).toBe(0);
  expect(version.stdout()).toMatch(/^\d+\.\d+\.\d+\n$/);
  const env = { GATEHOUSE_DATABASE_URL: 'sqlite:fresh/gatehouse.sqlite' };
  const first = gatehouse(['migrate', '--json'], { cwd: folder.path, env });
  expect(await first.exit).toBe(0);
  expect((JSON.parse(first.stdout()) as { ran: string[] }).ran.length).toBeGreaterThan(0);
  const second = gatehouse(['migrate', '--json'], { cwd: folder.path, env });
  expect(await second.exit).toBe(0);
  expect(JSON.parse(second.stdout())).toEqual({ ran: [] });
});
