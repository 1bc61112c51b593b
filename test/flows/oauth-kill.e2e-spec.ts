import { randomBytes, randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeGitHub } from '../../src/testing/fake-github.js';
import { freePort } from '../gatehouse.js';
import { signIn, TestClient } from '../oauth-client.js';
import { gatehouse, scratchFolder, type Run } from './process.js';

const GRANTS = 4;
const REFRESHES = 100;
const KILLS = 8;

describe('a server that is killed while clients refresh', () => {
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
});
