import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Clients, UNUSED_CEILING } from '../../src/oauth/clients.js';
import { Resealing } from '../../src/oauth/resealing.js';
import { Database } from '../../src/persistence/database.js';
import { sql } from '../../src/persistence/statement.js';
import { Purge } from '../../src/persistence/purge.js';
import { Seals } from '../../src/persistence/seals.js';
import { databases, type TestDatabase } from '../databases.js';
import { startGatehouse } from '../gatehouse.js';
import { signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

describe('what is kept and what goes', () => {
  let house: WithGitHub;
  let database: Database;

  beforeAll(async () => {
    house = await startWithGitHub();
    database = house.gatehouse.app.get(Database);
  });
  afterAll(() => house.close());

  const exists = async (id: string): Promise<boolean> =>
    (await database.row(sql`SELECT id FROM oauth_client WHERE id = ${id}`)) !== null;
  const age = (id: string) =>
    database.commit([sql`UPDATE oauth_client SET created_at = created_at - 90000 WHERE id = ${id}`]);

  it('R3, R4: unused clients go after a day, ones with a Grant and ones that an administrator approved stay', async () => {
    const url = house.gatehouse.url;
    const [unused, young, used, approved] = [
      await TestClient.register(url, { client_name: 'Unused' }),
      await TestClient.register(url, { client_name: 'Young' }),
      await TestClient.register(url, { client_name: 'Used' }),
      await TestClient.register(url, { client_name: 'Approved' }),
    ];
    await signIn(used);
    await house.gatehouse.app
      .get(Clients)
      .change(approved.id, { status: 'active' }, { actor: 'admin-token', version: null });
    for (const { id } of [unused, used, approved]) await age(id);
    await house.gatehouse.app.get(Purge).run();
    expect(await Promise.all([unused, young, used, approved].map(({ id }) => exists(id)))).toEqual([
      false,
      true,
      true,
      true,
    ]);
  });

  it('R4: registering again keeps an unused client for another day', async () => {
    const first = await TestClient.register(house.gatehouse.url, { client_name: 'Again' });
    await age(first.id);
    const second = await TestClient.register(house.gatehouse.url, { client_name: 'Again' });
    await house.gatehouse.app.get(Purge).run();
    expect(second.id).toBe(first.id);
    expect(await exists(first.id)).toBe(true);
  });

  it('R4: at the ceiling of unused clients a registration is 429 with Retry-After', async () => {
    await database.commit([
      sql`INSERT INTO oauth_client (id, source, status, name, metadata, trusted, version, created_at)
        WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${UNUSED_CEILING})
        SELECT 'flood-' || n, 'dcr', 'active', 'flood', '{}', 0, 1, unixepoch() FROM numbers`,
    ]);
    const answer = await fetch(`${house.gatehouse.url}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ client_name: 'One more', redirect_uris: ['http://localhost/cb'] }),
    });
    expect(answer.status).toBe(429);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await answer.json()).toHaveProperty('error', 'temporarily_unavailable');
  });
});

describe.each(databases())('a new first root key on $name', (kind) => {
  let storage: TestDatabase;
  beforeAll(async () => {
    storage = await kind.create();
  });
  afterAll(() => storage.drop());

  it('T8: sessions and tokens live on, everything is sealed anew, then the old key can go', async () => {
    const [old, fresh] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')];
    const start = (secret: string, port?: number) =>
      startWithGitHub({
        env: { GATEHOUSE_DATABASE_URL: storage.url, GATEHOUSE_SECRET: secret },
        ...(port === undefined ? {} : { port }),
      });
    const first = await start(old);
    const port = Number(new URL(first.gatehouse.url).port);
    const client = await TestClient.register(first.gatehouse.url);
    const { refreshToken, browser } = await signIn(client);
    const kids = async () =>
      ((await (await fetch(`${client.issuer}/jwks`)).json()) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid);
    const before = await kids();
    const store = first.gatehouse.app.get(Database);
    await store.commit([
      // An account whose tokens are dead has no envelope, and is not in the way of the others.
      sql`INSERT INTO upstream_token (provider, subject, user_id, version, updated_at) VALUES ('github', '0', 'u', 1, 1)`,
      sql`INSERT INTO account_sign_in (id_hash, user_id, provider, id_token, created_at, seen_at, expires_at)
        VALUES ('h', 'u', 'oidc', ${new Seals([old]).seal('an id_token', 'account-id-token')}, 1, 1, 9999999999)`,
    ]);
    await first.close();

    const second = await start(`${fresh},${old}`, port);
    await second.gatehouse.app.get(Resealing).run();
    const envelopes = await second.gatehouse.app
      .get(Database)
      .rows<{ sealed: string }>(
        sql`SELECT sealed FROM upstream_token WHERE sealed IS NOT NULL UNION ALL SELECT id_token AS sealed FROM account_sign_in UNION ALL SELECT sealed FROM signing_key`,
      );
    expect(envelopes.length).toBeGreaterThan(2);
    expect(envelopes.filter(({ sealed }) => new Seals([fresh]).isStale(sealed))).toEqual([]);
    expect(await kids()).toEqual(before);
    const next = await client.refresh(refreshToken);
    expect(next.status).toBe(200);
    await browser.open(client.authorizeUrl());
    expect(browser.stoppedAt.searchParams.has('code')).toBe(true);
    await second.close();

    const third = await start(fresh, port);
    try {
      expect(await kids()).toEqual(before);
      expect((await client.refresh(next.body.refresh_token!)).status).toBe(200);
    } finally {
      await third.close();
    }
  });
});

describe('foreign authorization servers', () => {
  it('D5: with AuthKit alone PRM names it and we serve no server metadata', async () => {
    const house = await startGatehouse({
      env: {
        GATEHOUSE_PROVIDERS: 'authkit',
        GATEHOUSE_AUTHKIT_AUTHKIT_DOMAIN: 'https://example-1.authkit.app',
        GATEHOUSE_ALLOW: '*',
      },
    });
    try {
      const document = (await (await fetch(`${house.url}/.well-known/oauth-protected-resource/mcp`)).json()) as Record<
        string,
        unknown
      >;
      expect(document).toMatchObject({
        resource: house.mcpUrl,
        authorization_servers: ['https://example-1.authkit.app'],
      });
      expect((await fetch(`${house.url}/.well-known/oauth-authorization-server`)).status).toBe(404);
    } finally {
      await house.close();
    }
  });
});
