import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { KeptSignIn, type SignInFacts, userFolder } from './kept-sign-in.js';

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-kept-'));
afterAll(() => rmSync(folder, { recursive: true }));

const facts = (name: string): SignInFacts => ({
  client: { client_id: name },
  redirectUri: 'http://127.0.0.1:1/callback',
  tokens: { access_token: name, token_type: 'Bearer' },
});

it.each<[NodeJS.Platform, Record<string, string>, string]>([
  ['linux', { XDG_CONFIG_HOME: '/x' }, '/x/gatehouse'],
  ['linux', { XDG_CONFIG_HOME: 'x' }, join(homedir(), '.config/gatehouse')],
  ['darwin', {}, join(homedir(), '.config/gatehouse')],
  ['win32', { XDG_CONFIG_HOME: '/x', APPDATA: '/roaming' }, '/roaming/gatehouse'],
])('the folder on %s with %j is %s', (platform, env, path) => {
  expect(userFolder(env, platform)).toBe(path);
});

it('keeps servers apart, in files of mode 0600 in folders of mode 0700, also where the folder stood open', () => {
  const own = join(folder, 'modes');
  mkdirSync(own, { mode: 0o755 });
  chmodSync(own, 0o755);
  const [one, two] = ['https://a.example/mcp', 'https://b.example/mcp'].map((url) => new KeptSignIn(own, new URL(url)));
  one!.write(facts('one'));
  two!.write(facts('two'));
  expect(one!.read()).toEqual(facts('one'));
  expect(two!.read()).toEqual(facts('two'));
  expect(statSync(own).mode & 0o777).toBe(0o700);
  for (const file of readdirSync(join(own, 'sign-ins')))
    expect(statSync(join(own, 'sign-ins', file)).mode & 0o777).toBe(0o600);
  one!.forget();
  expect(one!.read()).toBeNull();
  expect(two!.read()).toEqual(facts('two'));
});

it('takes a damaged file for no sign-in', () => {
  const kept = new KeptSignIn(join(folder, 'damaged'), new URL('https://a.example/mcp'));
  kept.write(facts('one'));
  const [file = ''] = readdirSync(join(folder, 'damaged', 'sign-ins'));
  for (const text of ['', '{"url":', '[]', JSON.stringify({ url: 'https://b.example/mcp' })]) {
    writeFileSync(join(folder, 'damaged', 'sign-ins', file), text);
    expect(kept.read()).toBeNull();
  }
});

it('lets one at a time refresh, and takes over from a command that is gone', async () => {
  const own = join(folder, 'alone');
  const kept = new KeptSignIn(own, new URL('https://a.example/mcp'));
  let inside = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 5 }, () =>
      kept.alone(async () => {
        most = Math.max(most, ++inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside--;
      }),
    ),
  );
  expect(most).toBe(1);
  expect(readdirSync(join(own, 'sign-ins'))).toEqual([]);
});
