import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Database } from '../../src/persistence/database.js';
import { sql } from '../../src/persistence/statement.js';
import { Purge } from '../../src/persistence/purge.js';
import { databases, type TestDatabase } from '../databases.js';
import { callTool, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

describe.each(databases())('tokens on $name', (kind) => {
  let storage: TestDatabase;
  let house: WithGitHub;
  let client: TestClient;
  let database: Database;

  beforeAll(async () => {
    storage = await kind.create();
    house = await startWithGitHub({ env: { GATEHOUSE_DATABASE_URL: storage.url, GATEHOUSE_RATE_LIMITS: 'off' } });
    client = await TestClient.register(house.gatehouse.url);
    database = house.gatehouse.app.get(Database);
  });
  afterAll(async () => {
    await house?.close();
    await storage?.drop();
  });

  const codeOf = async (parameters: Record<string, string | undefined> = {}): Promise<string> => {
    const browser = client.browser();
    await browser.open(client.authorizeUrl(parameters));
    if (browser.last.status === 200) await browser.press('provider=github');
    return browser.stoppedAt.searchParams.get('code')!;
  };
  const works = async (token: string | undefined): Promise<boolean> =>
    (await callTool(house.gatehouse.mcpUrl, token ?? 'none', 'whoami')).status === 200;
  /** All refresh tokens that were used look used half a minute ago. */
  const leewayOver = () =>
    database.commit([sql`UPDATE oauth_token SET consumed_at = consumed_at - 31 WHERE consumed_at IS NOT NULL`]);
  const events = async (reason: string): Promise<number> =>
    (await database.rows(sql`SELECT id FROM event WHERE type = ${'grant.revoked'} AND detail LIKE ${`%${reason}%`}`))
      .length;

  it('AS-21, sec-27, T4: JSON, no-store, opaque tokens, scope always, an integer expires_in', async () => {
    const { answer } = await signIn(client);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.body).toMatchObject({ token_type: 'Bearer', expires_in: 3600, scope: 'mcp' });
    expect(answer.body.access_token).toMatch(/^gth_at_[\w-]{49}$/);
    expect(answer.body.refresh_token).toMatch(/^gth_rt_[\w-]{49}$/);
    const stored = JSON.stringify(await database.rows(sql`SELECT * FROM oauth_token`));
    expect(stored).not.toContain(answer.body.access_token);
    expect(stored).not.toContain(answer.body.refresh_token);
  });

  it('AS-1, sec-28: eight parallel redemptions of one code: exactly one 200', async () => {
    const code = await codeOf();
    const answers = await Promise.all(Array.from({ length: 8 }, () => client.redeem(code)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    for (const { status, body } of answers.filter((answer) => answer.status !== 200))
      expect([status, body.error]).toEqual([400, 'invalid_grant']);
  });

  it('sec-28: a replayed code revokes what it gave', async () => {
    const code = await codeOf();
    const first = await client.redeem(code);
    expect(await works(first.body.access_token)).toBe(true);
    const before = await events('code-replayed');
    expect((await client.redeem(code)).body.error).toBe('invalid_grant');
    expect(await works(first.body.access_token)).toBe(false);
    expect((await client.refresh(first.body.refresh_token!)).body.error).toBe('invalid_grant');
    expect(await events('code-replayed')).toBe(before + 1);
  });

  it('sec-4, sec-29: a refused redemption consumes nothing, and five wrong verifiers end a code', async () => {
    const code = await codeOf();
    expect((await client.redeem(code, { code_verifier: 'w'.repeat(43) })).body.error).toBe('invalid_grant');
    expect((await client.redeem(code, { redirect_uri: 'http://127.0.0.1:1/callback' })).body.error).toBe(
      'invalid_grant',
    );
    expect((await client.redeem(code, { resource: 'https://other.example/mcp' })).status).toBe(400);
    const { code_verifier: _, ...without } = {
      code_verifier: '',
      grant_type: 'authorization_code',
      code,
      redirect_uri: client.redirectUri,
    };
    expect((await client.token(without)).status).toBe(400);
    expect((await client.redeem(code)).status).toBe(200);
    const other = await codeOf();
    for (let i = 0; i < 5; i++) await client.redeem(other, { code_verifier: 'w'.repeat(43) });
    expect((await client.redeem(other)).body.error).toBe('invalid_grant');
  });

  it('sec-29, T7: another client can neither redeem nor replay nor refresh, and spoils nothing', async () => {
    const stranger = await TestClient.register(house.gatehouse.url, { client_name: 'Stranger' });
    const code = await codeOf();
    expect((await stranger.redeem(code, { code_verifier: client.verifier })).body.error).toBe('invalid_grant');
    const { body } = await client.redeem(code);
    expect((await stranger.redeem(code, { code_verifier: client.verifier })).body.error).toBe('invalid_grant');
    expect((await stranger.refresh(body.refresh_token!)).body.error).toBe('invalid_grant');
    expect(await works(body.access_token)).toBe(true);
    expect((await client.refresh(body.refresh_token!)).status).toBe(200);
  });

  it('AS-16, T1: rotation; a retry of the old token within 30 s gets the same answer, byte for byte', async () => {
    const { refreshToken } = await signIn(client);
    const answers = await Promise.all(Array.from({ length: 6 }, () => client.refresh(refreshToken)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 6 }, () => 200));
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    const late = await client.refresh(refreshToken);
    expect(late.body).toEqual(answers[0]!.body);
    expect(answers[0]!.body.refresh_token).not.toBe(refreshToken);
    expect(await works(late.body.access_token)).toBe(true);
  });

  it('T1, sec-30: a retry with another scope or resource gets no second successor', async () => {
    const { refreshToken } = await signIn(client);
    const first = await client.refresh(refreshToken);
    expect((await client.refresh(refreshToken, { scope: 'mcp' })).body.error).toBe('invalid_grant');
    expect((await client.refresh(first.body.refresh_token!)).status).toBe(200);
  });

  it('T1, sec-30: reuse after the leeway revokes the Grant and writes an Event', async () => {
    const { refreshToken } = await signIn(client);
    const next = await client.refresh(refreshToken);
    await leewayOver();
    const before = await events('refresh-token-reused');
    const reused = await client.refresh(refreshToken);
    expect([reused.status, reused.body.error]).toEqual([400, 'invalid_grant']);
    expect(await works(next.body.access_token)).toBe(false);
    expect((await client.refresh(next.body.refresh_token!)).body.error).toBe('invalid_grant');
    expect(await events('refresh-token-reused')).toBe(before + 1);
  });

  it('T1: the sealed answer is erased after the leeway', async () => {
    const { refreshToken } = await signIn(client);
    await client.refresh(refreshToken);
    const answers = () =>
      database.rows<{ answer: string }>(sql`SELECT answer FROM oauth_token WHERE answer IS NOT NULL`);
    for (const { answer } of await answers()) expect(answer).not.toContain('gth_');
    await leewayOver();
    await house.gatehouse.app.get(Purge).run();
    expect(await answers()).toEqual([]);
  });

  it('sec-6, AS-6: resource is checked at authorize, token and refresh; the bare origin and a slash mean the MCP URL', async () => {
    for (const resource of [undefined, house.gatehouse.url, `${house.gatehouse.mcpUrl}/`]) {
      const code = await codeOf({ resource });
      const { status, body } = await client.redeem(code, resource === undefined ? {} : { resource });
      expect(status).toBe(200);
      expect((await client.refresh(body.refresh_token!, { resource: house.gatehouse.mcpUrl })).status).toBe(200);
    }
    const browser = client.browser();
    await browser.open(client.authorizeUrl({ resource: 'https://other.example/mcp' }));
    expect(browser.stoppedAt.searchParams.get('error')).toBe('invalid_target');
    const { refreshToken } = await signIn(client);
    const foreign = await client.refresh(refreshToken, { resource: 'https://other.example/mcp' });
    expect([foreign.status, foreign.body.error]).toEqual([400, 'invalid_target']);
    expect((await client.refresh(refreshToken)).status).toBe(200);
  });

  it('sec-44: a token for /mcp is not one for /admin, nor the reverse', async () => {
    const admin = await codeOf({ resource: `${house.gatehouse.url}/admin/v1`, scope: 'admin' });
    const { status, body } = await client.redeem(admin);
    expect([status, body.scope]).toEqual([200, 'admin']);
    expect(await works(body.access_token)).toBe(false);
  });

  it('sec-32: refresh tokens never work at /mcp', async () => {
    const { refreshToken } = await signIn(client);
    expect(await works(refreshToken)).toBe(false);
  });

  it('T4, S4: no scope in a refresh means the full Grant, offline_access is accepted silently, more than granted is refused', async () => {
    const { refreshToken } = await signIn(client, { parameters: { scope: 'mcp offline_access' } });
    const same = await client.refresh(refreshToken, { scope: 'mcp offline_access' });
    expect([same.status, same.body.scope]).toEqual([200, 'mcp']);
    const wider = await client.refresh(same.body.refresh_token!, { scope: 'mcp more' });
    expect([wider.status, wider.body.error]).toEqual([400, 'invalid_scope']);
    expect((await client.refresh(same.body.refresh_token!)).body.scope).toBe('mcp');
  });

  it('T2, AS-22: an unknown client is 401 invalid_client; garbage is 400, never 500', async () => {
    const nobody = TestClient.known(house.gatehouse.url, 'nobody');
    const unknown = await nobody.refresh('gth_rt_x');
    expect([unknown.status, unknown.body.error]).toEqual([401, 'invalid_client']);
    expect(unknown.headers.get('cache-control')).toBe('no-store');
    const forms: Record<string, string>[] = [
      { grant_type: 'password' },
      { grant_type: 'authorization_code' },
      { grant_type: 'authorization_code', code: '\0', redirect_uri: 'x', code_verifier: 'x' },
      { grant_type: 'refresh_token', refresh_token: '\0gth_rt_' },
      { grant_type: 'refresh_token', refresh_token: 'x'.repeat(10_000) },
      {},
    ];
    for (const form of forms) {
      const { status } = await client.token(form);
      expect(status).toBe(400);
    }
    const zero = await TestClient.known(house.gatehouse.url, 'a\0b').refresh('x');
    expect(zero.status).toBe(401);
  });

  it('sec-5: a repeated parameter is invalid_request', async () => {
    const body = new URLSearchParams({ client_id: client.id, grant_type: 'refresh_token', refresh_token: 'a' });
    body.append('refresh_token', 'b');
    const answer = await fetch(`${house.gatehouse.url}/token`, { method: 'POST', body });
    expect([answer.status, ((await answer.json()) as { error: string }).error]).toEqual([400, 'invalid_request']);
    const url = client.authorizeUrl();
    url.searchParams.append('state', 'again');
    const browser = client.browser();
    await browser.open(url);
    expect(browser.stoppedAt.searchParams.get('error')).toBe('invalid_request');
  });

  it('sec-36, T10: /revoke of a refresh token ends its access tokens too, at once; unknown tokens are 200', async () => {
    const { accessToken, refreshToken } = await signIn(client);
    expect((await client.revoke('gth_rt_unknown')).status).toBe(200);
    const stranger = await TestClient.register(house.gatehouse.url, { client_name: 'Stranger' });
    await stranger.revoke(refreshToken);
    expect(await works(accessToken)).toBe(true);
    expect((await client.revoke(refreshToken)).status).toBe(200);
    expect(await works(accessToken)).toBe(false);
    expect((await client.refresh(refreshToken)).body.error).toBe('invalid_grant');
    const again = await signIn(client);
    expect((await client.revoke(again.accessToken)).status).toBe(200);
    expect((await client.refresh(again.refreshToken)).body.error).toBe('invalid_grant');
  });

  it('I3: of refreshes that race a revocation none works after its 200', async () => {
    for (let round = 0; round < 5; round++) {
      const { refreshToken } = await signIn(client);
      const [answer, revoked] = await Promise.all([client.refresh(refreshToken), client.revoke(refreshToken)]);
      expect(revoked.status).toBe(200);
      if (answer.status === 200) {
        expect(await works(answer.body.access_token)).toBe(false);
        expect((await client.refresh(answer.body.refresh_token!)).body.error).toBe('invalid_grant');
      }
    }
  });

  it('purge removes what is over and keeps what is alive', async () => {
    const alive = await signIn(client);
    const dead = await signIn(client);
    await database.commit([
      sql`UPDATE oauth_token SET expires_at = 1 WHERE grant_id = (SELECT grant_id FROM oauth_token ORDER BY expires_at DESC LIMIT 1)`,
    ]);
    await database.commit([sql`UPDATE oauth_client SET created_at = 1`]);
    await house.gatehouse.app.get(Purge).run();
    expect(house.gatehouse.logs.filter((line) => line.includes('could not be purged'))).toEqual([]);
    expect(await database.rows(sql`SELECT id_hash FROM oauth_token WHERE expires_at = 1`)).toEqual([]);
    expect(
      (await client.refresh(alive.refreshToken)).status + (await client.refresh(dead.refreshToken)).status,
    ).toBeGreaterThanOrEqual(600);
    expect(await database.row(sql`SELECT id FROM oauth_client WHERE id = ${client.id}`)).not.toBeNull();
  });
});
