import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Database } from '../../src/persistence/database.js';
import { sql } from '../../src/persistence/statement.js';
import { SigningKeys } from '../../src/oauth/signing-keys.js';
import { Engine } from '../../src/oauth/engine/engine.js';
import { FakeGitHub } from '../../src/testing/fake-github.js';
import { databases, type TestDatabase } from '../databases.js';
import { freePort, startGatehouse, type RunningGatehouse } from '../gatehouse.js';
import { callTool, signIn, TestClient, type TokenAnswer } from '../oauth-client.js';

describe.each(databases())('two nodes on one $name database', (kind) => {
  let storage: TestDatabase;
  let github: FakeGitHub;
  let nodes: RunningGatehouse[] = [];
  let addresses: string[] = [];
  let client: TestClient;

  beforeAll(async () => {
    storage = await kind.create();
    github = await new FakeGitHub().listen();
    const ports = [await freePort(), await freePort()];
    const env = {
      GATEHOUSE_DATABASE_URL: storage.url,
      GATEHOUSE_SECRET: randomBytes(32).toString('base64'),
      GATEHOUSE_PUBLIC_URL: `http://localhost:${ports[0]}`,
      GATEHOUSE_RATE_LIMITS: 'off',
      GATEHOUSE_PROVIDERS: 'github',
      GATEHOUSE_GITHUB_CLIENT_ID: github.registration.clientId,
      GATEHOUSE_GITHUB_CLIENT_SECRET: github.registration.clientSecret,
      GATEHOUSE_GITHUB_BASE_URL: github.origin,
      GATEHOUSE_GITHUB_API_URL: github.origin,
    };
    for (const port of ports) nodes.push(await startGatehouse({ env, port }));
    addresses = ports.map((port) => `http://localhost:${port}`);
    client = await TestClient.register(addresses[0]!);
  });
  afterAll(async () => {
    for (const node of nodes) await node.close();
    await github?.close();
    await storage?.drop();
    nodes = [];
  });

  const token = async (node: number, form: Record<string, string>): Promise<TokenAnswer> => {
    const response = await fetch(`${addresses[node]}/token`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: client.id, ...form }),
    });
    return { status: response.status, headers: response.headers, body: (await response.json()) as TokenAnswer['body'] };
  };
  const refresh = (node: number, refreshToken: string) =>
    token(node, { grant_type: 'refresh_token', refresh_token: refreshToken });

  it('I2, sec-30: 20 parallel refreshes of one token on both nodes: all 200, identical, one successor', async () => {
    let { refreshToken } = await signIn(client);
    const database = nodes[0]!.app.get(Database);
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => refresh(i % 2, refreshToken)));
      expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
      expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
      refreshToken = answers[0]!.body.refresh_token!;
    }
    const row = await database.row<{ n: number }>(
      sql`SELECT COUNT(*) AS n FROM oauth_token WHERE kind = ${'RefreshToken'} AND consumed_at IS NULL`,
    );
    expect(Number(row?.n)).toBe(1);
  });

  it('I2: one code redeemed on both nodes at once gives one 200', async () => {
    const browser = client.browser();
    await browser.open(client.authorizeUrl());
    if (browser.last.status === 200) await browser.press('provider=github');
    const code = browser.stoppedAt.searchParams.get('code')!;
    const form = {
      grant_type: 'authorization_code',
      code,
      redirect_uri: client.redirectUri,
      code_verifier: client.verifier,
    };
    const answers = await Promise.all(Array.from({ length: 8 }, (_, i) => token(i % 2, form)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    for (const { status } of answers) expect([200, 400]).toContain(status);
  });

  it('N1: a token issued by one node works on the other, and reuse seen by one ends it on both', async () => {
    const { accessToken, refreshToken } = await signIn(client);
    expect((await callTool(`${addresses[1]}/mcp`, accessToken, 'whoami')).status).toBe(200);
    const next = await refresh(1, refreshToken);
    await nodes[0]!.app
      .get(Database)
      .commit([sql`UPDATE oauth_token SET consumed_at = consumed_at - 31 WHERE consumed_at IS NOT NULL`]);
    expect((await refresh(0, refreshToken)).body.error).toBe('invalid_grant');
    expect((await refresh(1, next.body.refresh_token!)).body.error).toBe('invalid_grant');
  });

  it('I3: refreshes on one node that race a revocation on the other leave nothing alive', async () => {
    const database = nodes[0]!.app.get(Database);
    for (let round = 0; round < 10; round++) {
      const { refreshToken, accessToken } = await signIn(client);
      const row = await database.row<{ grant_id: string }>(
        sql`SELECT grant_id FROM oauth_token WHERE consumed_at IS NULL AND kind = ${'RefreshToken'} ORDER BY expires_at DESC LIMIT 1`,
      );
      expect(row).not.toBeNull();
      const [answer, revoked] = await Promise.all([refresh(1, refreshToken), client.revoke(accessToken)]);
      expect(revoked.status).toBe(200);
      if (answer.status === 200)
        expect((await refresh(0, answer.body.refresh_token!)).body.error).toBe('invalid_grant');
      else expect(answer.body.error).toBe('invalid_grant');
    }
    const left = await database.rows(
      sql`SELECT t.id_hash FROM oauth_token t JOIN oauth_grant g ON g.id = t.grant_id WHERE g.revoked_at IS NOT NULL`,
    );
    expect(left).toEqual([]);
  });

  it('T8: keys are the same on both nodes, and rotation publishes the new one before it signs', async () => {
    const kids = async (address: string): Promise<string[]> => {
      const { keys } = (await (await fetch(`${address}/jwks`)).json()) as { keys: { kid: string }[] };
      return keys.map(({ kid }) => kid);
    };
    const before = await kids(addresses[0]!);
    expect(await kids(addresses[1]!)).toEqual(before);
    const rotated = await nodes[0]!.app.get(SigningKeys).rotate({ actor: 'admin-token' });
    for (const node of nodes) await node.app.get(Engine).refreshKeys();
    expect(await kids(addresses[1]!)).toEqual([...before, rotated.kid]);
    const database = nodes[0]!.app.get(Database);
    await database.commit([sql`UPDATE signing_key SET signs_from = signs_from - 200`]);
    for (const node of nodes) await node.app.get(Engine).refreshKeys();
    expect(await kids(addresses[0]!)).toEqual([rotated.kid, ...before]);
    const sealed = JSON.stringify(await database.rows(sql`SELECT sealed FROM signing_key`));
    expect(sealed).not.toContain('"d"');
  });

  it('sec-26: a proof id counts once across nodes', async () => {
    const { ProofIds } = await import('../../src/access/proof-ids.js');
    const [a, b] = nodes.map(({ app }) => app.get(ProofIds));
    const uses = await Promise.all(Array.from({ length: 8 }, (_, i) => (i % 2 ? a! : b!).use('same', 4_000_000_000)));
    expect(uses.filter(Boolean)).toHaveLength(1);
  });
});
