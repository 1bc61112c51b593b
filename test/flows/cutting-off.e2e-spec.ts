import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Revocations } from '../../src/access/revocations.js';
import { Database } from '../../src/persistence/database.js';
import { sql } from '../../src/persistence/statement.js';
import { timeId } from '../../src/protocol/time-id.js';
import { octocat } from '../../src/testing/fake-github.js';
import type { AdminApi } from '../admin-api/sdk.gen.js';
import { Administration, done, etagOf, everything, firstOf, statusOf } from '../admin-client.js';
import { Browser, readable } from '../browser.js';
import { databases, type TestDatabase } from '../databases.js';
import { startGatehouse, type RunningGatehouse } from '../gatehouse.js';
import { callTool, CALLBACK, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

const ADMIN = 'admin-token-of-this-test-suite-0123456789';

describe.each(databases())('blocking people and clients, two nodes on one $name database', (kind) => {
  let place: TestDatabase;
  let house: WithGitHub;
  let other: RunningGatehouse;
  let admin: AdminApi;
  let people = 4000;

  beforeAll(async () => {
    place = await kind.create();
    const env = {
      GATEHOUSE_DATABASE_URL: place.url,
      GATEHOUSE_SECRET: randomBytes(32).toString('base64'),
      GATEHOUSE_ADMIN_TOKEN: ADMIN,
    };
    house = await startWithGitHub({ env });
    other = await startGatehouse({
      env: {
        ...env,
        GATEHOUSE_PUBLIC_URL: house.gatehouse.url,
        GATEHOUSE_PROVIDERS: 'github',
        GATEHOUSE_GITHUB_CLIENT_ID: house.github.registration.clientId,
        GATEHOUSE_GITHUB_CLIENT_SECRET: house.github.registration.clientSecret,
        GATEHOUSE_GITHUB_BASE_URL: house.github.origin,
        GATEHOUSE_GITHUB_API_URL: house.github.origin,
      },
    });
    ({ api: admin } = await Administration.of(house.gatehouse.url, ADMIN));
  });
  afterAll(async () => {
    await other.close();
    await house.close();
    await place.drop();
  });

  const newPerson = (): void => {
    const id = people++;
    house.github.person = { ...octocat(), id, login: `p${id}` };
  };
  const newClient = async (): Promise<TestClient> => {
    const made = await done(admin.createClient({ body: { name: 'Desk', redirect_uris: [CALLBACK] } }));
    return TestClient.known(house.gatehouse.url, made.id);
  };
  const here = async (token: string) => (await callTool(house.gatehouse.mcpUrl, token, 'whoami')).status;
  const there = async (token: string) => {
    const { port } = other.app.getHttpServer().address() as { port: number };
    return (await callTool(`http://127.0.0.1:${port}/mcp`, token, 'whoami')).status;
  };
  const setClient = async (id: string, status: 'active' | 'pending' | 'blocked') => {
    const ifMatch = await etagOf(admin.getClient({ path: { id } }));
    await done(admin.changeClient({ path: { id }, headers: { 'If-Match': ifMatch }, body: { status } }));
  };
  const grantsOf = (client: TestClient, status?: 'active' | 'suspended' | 'revoked') =>
    everything((at) =>
      admin.listGrants({ query: { client: client.id, ...(status === undefined ? {} : { status }), ...at } }),
    );

  it('T10: a blocked client: its next request is 401 here and there, its Grants are suspended, and Events and trace say by whom', async () => {
    const client = await newClient();
    newPerson();
    const first = await signIn(client);
    const second = await signIn(client);
    for (const { accessToken } of [first, second]) expect(await here(accessToken)).toBe(200);
    expect(await there(first.accessToken)).toBe(200);
    const grant = (await grantsOf(client))[0]!;
    await admin.revokeGrant({ path: { id: grant.id } });

    await setClient(client.id, 'blocked');
    expect(await here(first.accessToken)).toBe(401);
    await other.app.get(Revocations).poll();
    expect(await there(first.accessToken)).toBe(401);
    expect((await client.refresh(first.refreshToken)).body.error).toBe('invalid_grant');

    const found = await grantsOf(client, 'suspended');
    expect(found).toHaveLength(1);
    const suspended = found[0]!;
    expect(suspended).toMatchObject({ status: 'suspended', client: { status: 'blocked' }, revoked_at: null });
    expect(await grantsOf(client, 'active')).toEqual([]);
    const path = { id: suspended.user.id };
    const ofPerson = await everything((at) => admin.listUserGrants({ path, query: { status: 'suspended', ...at } }));
    expect(ofPerson.map(({ id }) => id)).toEqual([suspended.id]);
    expect(await done(admin.getGrant({ path: { id: suspended.id } }))).toEqual(suspended);
    expect((await done(admin.getStats())).grants.suspended).toBe(1);

    const page = new Browser([]);
    await page.open(`${house.gatehouse.url}/account`);
    await page.press('provider=github');
    expect(readable(page.last)).toContain('Blocked by an administrator');

    const refused = await client.browser().open(client.authorizeUrl());
    expect(readable(refused)).toContain('An administrator has blocked');
    const flow = await firstOf(admin.listFlows({ query: { client: client.id, outcome: 'refused' } }));
    expect(flow).toMatchObject({ failed_check: 'client-blocked' });
    expect(flow.mend).toContain('GET /admin/v1/events');
    const event = await firstOf(admin.listEvents({ query: { client: client.id, type: 'client.blocked' } }));
    expect(event).toMatchObject({ actor: 'admin-token', ip: '127.0.0.1', detail: { suspends: 1 } });
  });

  it('T10: an unblocked client gets its Grants back at the next request, here and there', async () => {
    const client = await newClient();
    newPerson();
    const { accessToken } = await signIn(client);
    await setClient(client.id, 'blocked');
    expect([await here(accessToken), await there(accessToken)]).toEqual([401, 401]);
    await setClient(client.id, 'active');
    expect(await here(accessToken)).toBe(200);
    await other.app.get(Revocations).poll();
    expect(await there(accessToken)).toBe(200);
    expect(await grantsOf(client)).toMatchObject([{ status: 'active', client: { status: 'active' } }]);
    const event = await firstOf(admin.listEvents({ query: { client: client.id, type: 'client.unblocked' } }));
    expect(event).toMatchObject({ actor: 'admin-token', detail: { restores: 1 } });
    await setClient(client.id, 'pending');
    expect(await here(accessToken)).toBe(401);
    expect(await grantsOf(client)).toMatchObject([{ status: 'suspended', client: { status: 'pending' } }]);
  });

  it('T10: a blocked person: the next request is 401 here and there, the Grants are revoked, and Events and trace say by whom', async () => {
    const client = await newClient();
    newPerson();
    const { accessToken, refreshToken } = await signIn(client);
    expect([await here(accessToken), await there(accessToken)]).toEqual([200, 200]);
    const grant = (await grantsOf(client))[0]!;
    const ifMatch = await etagOf(admin.getUser({ path: { id: grant.user.id } }));
    await done(
      admin.changeUser({ path: { id: grant.user.id }, headers: { 'If-Match': ifMatch }, body: { status: 'blocked' } }),
    );
    expect(await here(accessToken)).toBe(401);
    await vi.waitFor(async () => expect(await there(accessToken)).toBe(401), { timeout: 10_000, interval: 20 });
    expect((await client.refresh(refreshToken)).body.error).toBe('invalid_grant');
    expect(await grantsOf(client)).toMatchObject([{ status: 'revoked', user: { status: 'blocked' } }]);

    const browser = client.browser();
    await browser.open(client.authorizeUrl());
    const refused = await browser.press('provider=github');
    const reference = /reference ([0-9a-f]{12})/i.exec(readable(refused))![1]!;
    const flow = await firstOf(admin.listFlows({ query: { reference } }));
    expect(flow).toMatchObject({ user: grant.user.id, outcome: 'refused', failed_check: 'user-blocked' });
    expect(flow.mend).toContain('GET /admin/v1/events');
    const events = await everything((at) =>
      admin.listUserEvents({ path: { id: grant.user.id }, query: { actor: 'admin-token', ...at } }),
    );
    expect(events.map(({ type, ip }) => [type, ip])).toEqual([
      ['user.blocked', '127.0.0.1'],
      ['grant.revoked', '127.0.0.1'],
    ]);
    expect(events[0]!.reference).toBe(events[1]!.reference);
  });

  it('T10: a deleted client with thousands of Grants: all are revoked, each with its Event, and its tokens and row are gone', async () => {
    const client = await newClient();
    newPerson();
    const { accessToken } = await signIn(client);
    const grant = (await grantsOf(client))[0]!;
    const database = house.gatehouse.app.get(Database);
    const at = Date.now();
    await database.commit(
      Array.from({ length: 2500 }, () => {
        const id = timeId(at);
        return sql`INSERT INTO oauth_grant (id, user_id, client_id, provider, scope, resource, payload, created_at, expires_at)
          SELECT ${id}, user_id, client_id, provider, scope, resource, payload, created_at, expires_at FROM oauth_grant WHERE id = ${grant.id}`;
      }),
    );
    expect(await statusOf(admin.removeClient({ path: { id: client.id } }))).toBe(204);
    expect(await here(accessToken)).toBe(401);
    expect(await grantsOf(client, 'revoked')).toHaveLength(2501);
    const ended = await everything((at) =>
      admin.listEvents({ query: { client: client.id, type: 'grant.revoked', limit: 200, ...at } }),
    );
    expect(new Set(ended.map(({ grant: id }) => id)).size).toBe(2501);
    expect(ended).toHaveLength(2501);
    expect(new Set(ended.map(({ actor, detail }) => `${actor} ${String(detail?.['reason'])}`))).toEqual(
      new Set(['admin-token client-removed']),
    );
    const left = await database.row<{ n: number }>(
      sql`SELECT COUNT(*) AS n FROM oauth_token WHERE client_id = ${client.id}`,
    );
    expect(Number(left?.n)).toBe(0);
    expect(await statusOf(admin.getClient({ path: { id: client.id } }))).toBe(404);
    const removed = await firstOf(admin.listEvents({ query: { client: client.id, type: 'client.removed' } }));
    expect(removed).toMatchObject({ actor: 'admin-token', ip: '127.0.0.1' });
  });
});
