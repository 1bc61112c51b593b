import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databases, type TestDatabase } from '../databases.js';
import { callTool, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

const [sqlite] = databases();
const ADMIN = 'admin-token-of-this-test-suite-0123456789';

describe('after a whole run', () => {
  let place: TestDatabase;
  let house: WithGitHub;

  beforeAll(async () => {
    place = await sqlite!.create();
    house = await startWithGitHub({
      env: { GATEHOUSE_DATABASE_URL: place.url, GATEHOUSE_LOG_LEVEL: 'trace', GATEHOUSE_ADMIN_TOKEN: ADMIN },
    });
    house.github.expiresIn = 3600;
  });
  afterAll(async () => {
    await house.close();
    await place.drop();
  });

  it('I6, AS-20, sec-47: no token, code, secret or cookie value is in the logs, in the database in clear, in any HTML or in an admin answer', async () => {
    const secrets = new Set<string>();
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'Leaky' });
    const confidential = await fetch(`${house.gatehouse.url}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        redirect_uris: ['https://client.example/cb'],
        token_endpoint_auth_method: 'client_secret_basic',
      }),
    });
    secrets.add(((await confidential.json()) as { client_secret: string }).client_secret);

    const { browser, answer } = await signIn(client);
    const refreshed = await client.refresh(answer.body.refresh_token!);
    await callTool(house.gatehouse.mcpUrl, refreshed.body.access_token!, 'whoami');
    await callTool(house.gatehouse.mcpUrl, `${answer.body.access_token}x`, 'whoami');
    await client.redeem('not-a-code-but-long-enough-to-notice');
    await browser.open(client.authorizeUrl({ prompt: 'login' }));
    await browser.press('decision=deny');
    house.github.fault('GET /user', { status: 500, body: 'oops' });
    await browser.open(client.authorizeUrl({ prompt: 'login' }));
    await browser.press('provider=github');
    house.github.mend();
    await client.revoke(refreshed.body.refresh_token!);

    for (const body of [answer.body, refreshed.body])
      for (const value of [body.access_token, body.refresh_token]) secrets.add(value!);
    for (const { value } of browser.cookies) secrets.add(value);
    for (const { url, headers } of browser.seen) {
      for (const name of ['code', 'state']) secrets.add(url.searchParams.get(name) ?? '');
      for (const line of headers.getSetCookie()) secrets.add(line.split(';')[0]!.split('=').slice(1).join('='));
    }
    for (const { form, headers } of house.github.requests) {
      for (const name of ['code', 'code_verifier', 'client_secret', 'refresh_token']) secrets.add(form.get(name) ?? '');
      secrets.add((headers.authorization ?? '').replace(/^\w+ /, ''));
    }
    secrets.add(client.verifier);
    const long = [...secrets].filter((secret) => secret.length >= 9 && secret !== 'client-state');
    expect(long.length).toBeGreaterThan(15);

    const lists = ['users', 'clients', 'grants', 'tokens', 'events', 'flows', 'providers', 'keys', 'stats'];
    const admin = await Promise.all(
      lists.map(async (list) => {
        const headers = { authorization: `Bearer ${ADMIN}` };
        const answer = await fetch(`${house.gatehouse.url}/admin/v1/${list}`, { headers });
        expect([list, answer.status]).toEqual([list, 200]);
        return answer.text();
      }),
    );
    long.push(ADMIN);
    const folder = dirname(place.url.replace('sqlite:', ''));
    const files = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), 'latin1')));
    const places = {
      logs: house.gatehouse.logs.join('\n'),
      admin: admin.join('\n'),
      database: files.join('\n'),
      pages: browser.seen
        .filter(({ headers }) => headers.get('content-type')?.includes('text/html'))
        .filter(({ url }) => url.origin === house.gatehouse.url)
        .map(({ text }) => text)
        .join('\n'),
    };
    for (const [name, text] of Object.entries(places)) {
      expect(text.length, name).toBeGreaterThan(500);
      expect(
        long.filter((secret) => text.includes(secret)),
        name,
      ).toEqual([]);
    }
  });
});
