import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Usage } from '../../src/access/usage.js';
import { Flows } from '../../src/audit/flows.js';
import { Database } from '../../src/persistence/database.js';
import { sql } from '../../src/persistence/statement.js';
import { DatabaseUnavailable } from '../../src/persistence/faults.js';
import { callTool, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

describe('while the database is out of reach', () => {
  let house: WithGitHub;
  let url: string;
  let client: TestClient;
  let database: Database;

  beforeAll(async () => {
    house = await startWithGitHub({ env: { GATEHOUSE_RATE_LIMITS: 'off' } });
    url = house.gatehouse.url;
    client = await TestClient.register(url);
    database = house.gatehouse.app.get(Database);
  });
  afterAll(() => house.close());
  afterEach(() => vi.restoreAllMocks());

  const failure = () => new DatabaseUnavailable(new Error('no route to host'));
  const writesFail = () => vi.spyOn(database, 'commit').mockRejectedValue(failure());
  const readsFail = () => {
    vi.spyOn(database, 'rows').mockRejectedValue(failure());
    vi.spyOn(database, 'row').mockRejectedValue(failure());
    vi.spyOn(database, 'repository').mockReturnValue({
      find: () => Promise.reject(failure()),
      findOneBy: () => Promise.reject(failure()),
      findBy: () => Promise.reject(failure()),
    } as never);
  };

  it.each([
    ['writes', writesFail],
    ['reads', readsFail],
  ])('T2, sec-36: %s fail: 503 with Retry-After as OAuth JSON, and the credential is still good', async (_, fail) => {
    const { refreshToken } = await signIn(client);
    const browser = client.browser();
    await browser.open(client.authorizeUrl({ prompt: 'login' }));
    await browser.press('provider=github');
    const code = browser.stoppedAt.searchParams.get('code')!;
    fail();
    const answers = {
      refresh: await client.refresh(refreshToken),
      redeem: await client.redeem(code),
    };
    for (const { status, headers, body } of Object.values(answers)) {
      expect([status, body.error]).toEqual([503, 'temporarily_unavailable']);
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
      expect(headers.get('cache-control')).toBe('no-store');
    }
    expect((await client.revoke(refreshToken)).status).toBe(503);
    const registration = await fetch(`${url}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ client_name: 'Later', redirect_uris: ['http://localhost/cb'] }),
    });
    expect([registration.status, registration.headers.get('retry-after')]).toEqual([503, expect.any(String)]);
    const page = await client.browser().open(client.authorizeUrl());
    expect(page.status).toBe(503);
    expect(page.text).toContain('Please try again');
    expect((await fetch(`${url}/.well-known/oauth-authorization-server`)).status).toBe(200);
    vi.restoreAllMocks();
    expect((await client.refresh(refreshToken)).status).toBe(200);
    expect((await client.redeem(code)).status).toBe(200);
  });

  it('sec-47: a bug is a 500 with generic text, its cause in the log', async () => {
    vi.spyOn(database, 'commit').mockRejectedValue(new Error('a bug with a /secret/path'));
    const { refreshToken } = await (async () => {
      vi.restoreAllMocks();
      const signed = await signIn(client);
      vi.spyOn(database, 'commit').mockRejectedValue(new Error('a bug with a /secret/path'));
      return signed;
    })();
    const answer = await client.refresh(refreshToken);
    expect([answer.status, answer.body.error]).toEqual([500, 'server_error']);
    expect(JSON.stringify(answer.body)).not.toContain('secret');
    expect(house.gatehouse.logs.join('\n')).toContain('a bug with a /secret/path');
  });
});

describe('what is written beside the tokens', () => {
  let house: WithGitHub;
  let client: TestClient;
  let database: Database;

  beforeAll(async () => {
    house = await startWithGitHub({ env: { GATEHOUSE_RATE_LIMITS: 'off' } });
    client = await TestClient.register(house.gatehouse.url);
    database = house.gatehouse.app.get(Database);
  });
  afterAll(() => house.close());

  it('T10: last use is noted in batches, for Grant and Client', async () => {
    const { accessToken } = await signIn(client);
    await callTool(house.gatehouse.mcpUrl, accessToken, 'whoami');
    await house.gatehouse.app.get(Usage).flush();
    const row = await database.row<{ last_used_at: number | null }>(
      sql`SELECT last_used_at FROM oauth_client WHERE id = ${client.id}`,
    );
    expect(Number(row?.last_used_at)).toBeGreaterThan(0);
    expect(await database.rows(sql`SELECT id FROM oauth_grant WHERE last_used_at IS NOT NULL`)).toHaveLength(1);
  });

  it('U5, R3: refused requests leave an Event and a trace under the reference of their page', async () => {
    const unknown = TestClient.known(house.gatehouse.url, 'forgotten-client');
    const page = await unknown.browser().open(unknown.authorizeUrl());
    const reference = /Reference <code>([0-9a-f]+)<\/code>/.exec(page.text)?.[1];
    await house.gatehouse.app.get(Flows).settled();
    expect(
      await database.row(
        sql`SELECT client_id, type FROM event WHERE reference = ${reference} AND type = ${'authorization.refused'}`,
      ),
    ).toMatchObject({ client_id: 'forgotten-client' });
    expect(await database.row(sql`SELECT failed_check FROM flow WHERE reference = ${reference}`)).toEqual({
      failed_check: 'unknown-client',
    });
    expect(house.gatehouse.logs.join('\n')).toContain(reference);
  });

  it('every Grant and Token that is made or ended has its Event', async () => {
    const types = async () =>
      (await database.rows<{ type: string }>(sql`SELECT type FROM event ORDER BY id`)).map(({ type }) => type);
    const before = (await types()).length;
    const { refreshToken } = await signIn(client);
    const next = await client.refresh(refreshToken);
    await client.revoke(next.body.refresh_token!);
    const written = (await types()).slice(before);
    for (const type of ['grant.created', 'token.issued', 'token.refreshed', 'grant.revoked'])
      expect(written).toContain(type);
  });
});
