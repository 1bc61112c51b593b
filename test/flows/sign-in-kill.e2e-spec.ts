import { randomBytes } from 'node:crypto';
import Sqlite from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeGitHub } from '../../src/testing/fake-github.js';
import { Browser } from '../browser.js';
import { freePort } from '../gatehouse.js';
import { CALLBACK, signIn, TestClient } from '../oauth-client.js';
import { gatehouse, type Run, scratchFolder } from './process.js';

/** The fake kills the server when it is asked this. */
const STEPS = ['POST /login/oauth/access_token', 'GET /user', 'GET /user/emails'] as const;

describe('a server that is killed while somebody signs in', () => {
  const folder = scratchFolder();
  const file = `${folder.path}/gatehouse.sqlite`;
  let github: FakeGitHub;
  let env: Record<string, string>;
  let url: string;
  let run: Run;
  let client: TestClient;

  const start = async (): Promise<void> => {
    run = gatehouse(['serve'], { cwd: folder.path, env });
    run.exit.catch(() => undefined);
    while (
      !(await fetch(`${url}/health/live`).then(
        ({ ok }) => ok,
        () => false,
      ))
    ) {
      if (run.child.exitCode !== null) throw new Error(`the server ended: ${run.stderr()}${run.stdout()}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const kill = async (): Promise<void> => {
    run.child.kill('SIGKILL');
    await run.exit;
  };
  const count = (what: string): number => {
    const database = new Sqlite(file, { readonly: true });
    const { n } = database.prepare(`SELECT COUNT(*) AS n FROM ${what}`).get() as { n: number };
    database.close();
    return n;
  };

  beforeAll(async () => {
    github = await new FakeGitHub().listen();
    const port = await freePort();
    url = `http://localhost:${port}`;
    env = {
      GATEHOUSE_PORT: String(port),
      GATEHOUSE_DATABASE_URL: `sqlite:${file}`,
      GATEHOUSE_SECRET: randomBytes(32).toString('base64'),
      GATEHOUSE_PROVIDERS: 'github',
      GATEHOUSE_RATE_LIMITS: 'off',
      GATEHOUSE_GITHUB_CLIENT_ID: github.registration.clientId,
      GATEHOUSE_GITHUB_CLIENT_SECRET: github.registration.clientSecret,
      GATEHOUSE_GITHUB_BASE_URL: github.origin,
      GATEHOUSE_GITHUB_API_URL: github.origin,
    };
    await start();
    client = await TestClient.register(url);
  }, 120_000);
  afterAll(async () => {
    run?.child.kill('SIGKILL');
    await run?.exit;
    await github?.close();
    folder.remove();
  });

  it.each(STEPS)(
    'kill -9 at %s: neither code nor Grant, and a new try works at once',
    { timeout: 120_000 },
    async (step) => {
      const grants = count('oauth_grant');
      const codes = count(`oauth_token WHERE kind = 'AuthorizationCode'`);
      const browser = new Browser([new URL(CALLBACK).origin]);
      await browser.open(client.authorizeUrl());
      github.fault(step, 'hang');
      const walk = browser.press('provider=github').catch(() => null);
      const asked = github.requests.length;
      while (!github.requests.slice(asked).some(({ method, url }) => `${method} ${url.pathname}` === step))
        await new Promise((resolve) => setImmediate(resolve));
      await kill();
      await walk;
      github.mend();
      await start();
      expect(count('oauth_grant')).toBe(grants);
      expect(count(`oauth_token WHERE kind = 'AuthorizationCode'`)).toBe(codes);
      await signIn(client, { browser });
      expect(count('oauth_grant')).toBe(grants + 1);
    },
  );

  it(
    'kill -9 between the upstream’s answer and the code: the browser goes on where it was',
    { timeout: 120_000 },
    async () => {
      const grants = count('oauth_grant');
      const browser = new Browser([github.origin, new URL(CALLBACK).origin]);
      await browser.open(client.authorizeUrl({ prompt: 'login' }));
      await browser.press('provider=github');
      const callback = (await fetch(browser.stoppedAt, { redirect: 'manual' })).headers.get('location')!;
      const stepwise = await browser.step(callback);
      await kill();
      await start();
      await browser.open(stepwise);
      expect(browser.stoppedAt.searchParams.has('code')).toBe(true);
      expect(count('oauth_grant')).toBe(grants + 1);
      await browser.open(stepwise);
      expect(count('oauth_grant')).toBe(grants + 1);
    },
  );
});
