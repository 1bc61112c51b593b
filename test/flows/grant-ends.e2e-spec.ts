import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Database } from '../../src/persistence/database.js';
import { Purge } from '../../src/persistence/purge.js';
import { sql } from '../../src/persistence/statement.js';
import type { AdminApi } from '../admin-api/sdk.gen.js';
import { Administration, done, firstOf } from '../admin-client.js';
import { Browser, readable } from '../browser.js';
import { databases, type TestDatabase } from '../databases.js';
import { signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

const ADMIN = 'admin-token-of-this-test-suite-0123456789';
const DAY = 86_400;

describe.each(databases())('when a connection ends, on $name', (kind) => {
  let place: TestDatabase;
  let house: WithGitHub;
  let admin: AdminApi;
  let database: Database;

  beforeAll(async () => {
    place = await kind.create();
    house = await startWithGitHub({
      env: {
        GATEHOUSE_DATABASE_URL: place.url,
        GATEHOUSE_SECRET: Buffer.alloc(32, 7).toString('base64'),
        GATEHOUSE_ADMIN_TOKEN: ADMIN,
        GATEHOUSE_REFRESH_TOKEN_TTL: '30d',
      },
    });
    ({ api: admin } = await Administration.of(house.gatehouse.url, ADMIN));
    database = house.gatehouse.app.get(Database);
  });
  afterAll(async () => {
    await house.close();
    await place.drop();
  });

  const newClient = (name: string, more: Record<string, unknown> = {}) =>
    TestClient.register(house.gatehouse.url, { client_name: name, ...more });
  const grantOf = (client: TestClient) => firstOf(admin.listGrants({ query: { client: client.id } }));
  const idsOf = async (client: TestClient, status: 'active' | 'expired') =>
    (await done(admin.listGrants({ query: { client: client.id, status } }))).items.map(({ id }) => id);
  /** Days from now. */
  const daysTo = (time: string): number => (Date.parse(time) / 1000 - Date.now() / 1000) / DAY;
  /** As if it had been made, and its tokens issued, so many days earlier. */
  const age = (id: string, days: number) => {
    const by = days * DAY;
    return database.commit([
      sql`UPDATE oauth_grant SET created_at = created_at - ${by}, expires_at = expires_at - ${by} WHERE id = ${id}`,
      sql`UPDATE oauth_token SET expires_at = expires_at - ${by} WHERE grant_id = ${id}`,
    ]);
  };

  it('T4: it ends with its refresh token, and every refresh moves that, beyond a year too', async () => {
    const client = await newClient('Slides');
    const { refreshToken } = await signIn(client);
    const { id, expires_at } = await grantOf(client);
    expect(daysTo(expires_at)).toBeCloseTo(30, 1);
    await age(id, 29);
    expect(daysTo((await grantOf(client)).expires_at)).toBeCloseTo(1, 1);
    await database.commit([sql`UPDATE oauth_grant SET created_at = created_at - ${400 * DAY} WHERE id = ${id}`]);
    const refreshed = await client.refresh(refreshToken);
    expect(refreshed.status).toBe(200);
    expect(daysTo((await grantOf(client)).expires_at)).toBeCloseTo(30, 1);
    expect((await client.refresh(refreshed.body.refresh_token!)).status).toBe(200);
  });

  it('T10: one that was not refreshed in time is expired in lists, gone from the account page, and purged', async () => {
    const client = await newClient('Forgotten application');
    const { refreshToken } = await signIn(client);
    const { id } = await grantOf(client);
    const account = new Browser([]);
    await account.open(`${house.gatehouse.url}/account`);
    await account.press('provider=github');
    expect(readable(await account.open(`${house.gatehouse.url}/account`))).toContain('Forgotten application');
    await age(id, 31);
    expect(await grantOf(client)).toMatchObject({ id, status: 'expired' });
    expect([await idsOf(client, 'active'), await idsOf(client, 'expired')]).toEqual([[], [id]]);
    expect(readable(await account.open(`${house.gatehouse.url}/account`))).not.toContain('Forgotten application');
    expect((await client.refresh(refreshToken)).body.error).toBe('invalid_grant');
    await house.gatehouse.app.get(Purge).run();
    expect((await done(admin.listGrants({ query: { client: client.id } }))).items).toEqual([]);
  });

  it('one of a client that takes no refresh token ends with its access token', async () => {
    const client = await newClient('Short', { grant_types: ['authorization_code'] });
    expect((await signIn(client)).answer.body).not.toHaveProperty('refresh_token');
    expect(daysTo((await grantOf(client)).expires_at) * 24).toBeCloseTo(1, 1);
  });

  it('one whose client never came for its tokens is over after a quarter of an hour', async () => {
    const client = await newClient('Unfinished');
    const browser = client.browser();
    await browser.open(client.authorizeUrl());
    await browser.press('provider=github');
    const { id, expires_at } = await grantOf(client);
    expect(daysTo(expires_at) * 24 * 4).toBeCloseTo(1, 1);
    await age(id, 1);
    await house.gatehouse.app.get(Purge).run();
    expect((await done(admin.listGrants({ query: { client: client.id } }))).items).toEqual([]);
  });
});
