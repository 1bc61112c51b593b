import { randomBytes, randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeGitHub } from '../../src/testing/fake-github.js';
import { freePort } from '../gatehouse.js';
import { signIn, TestClient } from '../oauth-client.js';
import { gatehouse, scratchFolder, type Run } from './process.js';

const GRANTS = 4;
const REFRESHES = 100;
const KILLS = 8;
const KILLED_EXCHANGES = 3;
const ADMIN_TOKEN = 'admin-token-of-this-test-suite-0123456789';

describe('a server that is killed while clients get tokens', () => {
  const folder = scratchFolder();
  let github: FakeGitHub;
  let env: Record<string, string>;
  let url: string;
  let run: Run;

  const start = async (): Promise<void> => {
    run = gatehouse(['serve'], { cwd: folder.path, env });
    run.exit.catch(() => undefined);
    for (;;) {
      const up = await fetch(`${url}/health/live`).then(
        ({ ok }) => ok,
        () => false,
      );
      if (up) return;
      if (run.child.exitCode !== null) throw new Error(`the server ended: ${run.stderr()}${run.stdout()}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };

  beforeAll(async () => {
    github = await new FakeGitHub().listen();
    const port = await freePort();
    url = `http://localhost:${port}`;
    env = {
      GATEHOUSE_PORT: String(port),
      GATEHOUSE_DATABASE_URL: `sqlite:${folder.path}/gatehouse.sqlite`,
      GATEHOUSE_SECRET: randomBytes(32).toString('base64'),
      GATEHOUSE_PROVIDERS: 'github',
      GATEHOUSE_RATE_LIMITS: 'off',
      GATEHOUSE_ADMIN_TOKEN: ADMIN_TOKEN,
      GATEHOUSE_GITHUB_CLIENT_ID: github.registration.clientId,
      GATEHOUSE_GITHUB_CLIENT_SECRET: github.registration.clientSecret,
      GATEHOUSE_GITHUB_BASE_URL: github.origin,
      GATEHOUSE_GITHUB_API_URL: github.origin,
    };
    await start();
  }, 60_000);
  afterAll(async () => {
    run?.child.kill('SIGKILL');
    await run?.exit;
    await github?.close();
    folder.remove();
  });

  it(
    `sec-30: kill -9 at ${KILLS} random points of ${REFRESHES} refreshes loses no Grant`,
    { timeout: 240_000 },
    async () => {
      const client = await TestClient.register(url);
      const held: string[] = [];
      for (let i = 0; i < GRANTS; i++) held.push((await signIn(client)).refreshToken);

      let done = 0;
      let kills = 0;
      let untilKill = randomInt(4, 16);
      let restarting: Promise<void> | null = null;
      const lost: unknown[] = [];

      /** Kills the server while requests are under way, and starts it again. */
      const kill = (): void => {
        kills++;
        run.child.kill('SIGKILL');
        restarting = run.exit.then(start).finally(() => (restarting = null));
      };

      const refreshOnAndOn = async (index: number): Promise<void> => {
        while ((done < REFRESHES || kills < KILLS) && lost.length === 0) {
          if (restarting) await restarting;
          const asked = client.refresh(held[index]!);
          if (--untilKill <= 0 && kills < KILLS && !restarting) {
            untilKill = randomInt(4, 16);
            // Somewhere between the request's first byte and its answer.
            setTimeout(kill, randomInt(0, 12));
          }
          const answer = await asked.catch(() => null);
          // No answer came: the client asks again with the token it still holds.
          if (answer === null || answer.status === 503) continue;
          if (answer.status !== 200) lost.push(answer.body);
          else {
            held[index] = answer.body.refresh_token!;
            done++;
          }
        }
      };
      await Promise.all(held.map((_, index) => refreshOnAndOn(index)));
      if (restarting) await (restarting as Promise<void>);

      expect(lost).toEqual([]);
      expect(done).toBeGreaterThanOrEqual(REFRESHES);
      for (const refreshToken of held) expect((await client.refresh(refreshToken)).status).toBe(200);
    },
  );

  it(
    `sec-28: kill -9 in ${KILLED_EXCHANGES} code exchanges: the retry gets the tokens or invalid_grant, and no code gives two Grants`,
    { timeout: 120_000 },
    async () => {
      for (let i = 0; i < KILLED_EXCHANGES; i++) {
        const client = await TestClient.register(url, { client_name: `Exchanger ${i}` });
        const browser = client.browser();
        await browser.open(client.authorizeUrl());
        await browser.press('provider=github');
        const code = browser.stoppedAt.searchParams.get('code')!;
        const asked = client.redeem(code).catch(() => null);
        // From before its first byte is read to after its answer.
        setTimeout(() => run.child.kill('SIGKILL'), randomInt(0, 12));
        const before = await asked;
        await run.exit;
        await start();
        const after = await client.redeem(code);

        const outcome = after.status === 200 ? 'tokens' : after.body.error;
        // Who has had an answer already replays the code.
        expect(before?.status === 200 ? ['invalid_grant'] : ['tokens', 'invalid_grant']).toContain(outcome);
        const answer = await fetch(`${url}/admin/v1/grants?client=${client.id}`, {
          headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
        });
        const { items } = (await answer.json()) as { items: { status: string }[] };
        expect(items.map(({ status }) => status)).toEqual([outcome === 'tokens' ? 'active' : 'revoked']);
        if (outcome === 'tokens') expect((await client.refresh(after.body.refresh_token!)).status).toBe(200);
        if (before?.status === 200) expect((await client.refresh(before.body.refresh_token!)).status).toBe(400);
      }
    },
  );
});
