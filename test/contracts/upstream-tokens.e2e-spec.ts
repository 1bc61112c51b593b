import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Events } from '../../src/audit/events.js';
import { readEnvironment } from '../../src/config/environment.js';
import type { Settings } from '../../src/config/settings.js';
import { UpstreamFarewells } from '../../src/oauth/upstream-farewells.js';
import { UpstreamTokenVault } from '../../src/oauth/upstream-token-vault.js';
import { FreshUpstreamTokens } from '../../src/oauth/upstream-tokens.js';
import { Database } from '../../src/persistence/database.js';
import { sql } from '../../src/persistence/statement.js';
import { migrate } from '../../src/persistence/migrate.js';
import { openDatabase } from '../../src/persistence/open.js';
import { Seals } from '../../src/persistence/seals.js';
import { type Principal, type UpstreamTokens, UpstreamUnavailable } from '../../src/providers/contract.js';
import { providerKinds, Providers } from '../../src/providers/providers.js';
import { UpstreamReconnectNeeded } from '../../src/providers/upstream-tokens.js';
import { FakeOidc } from '../../src/testing/fake-oidc.js';
import { testHouse, type TestHouse } from '../../src/testing/house.js';
import { signIn } from '../../src/testing/login-walk.js';
import { databases, type TestDatabase } from '../databases.js';

const ALICE: Principal = {
  key: 'user:u1',
  user: { id: 'u1' },
  subject: 'u1',
  client: 'c1',
  scopes: [],
  roles: [],
  via: 'oidc',
  identity: { provider: 'oidc', subject: 'alice-1' },
  expiresAt: null,
};
const ACCOUNT = { provider: 'oidc', subject: 'alice-1' };
const past = (): number => Math.floor(Date.now() / 1000) - 10;

describe.each(databases())('upstream tokens for tools on $name', (kind) => {
  let place: TestDatabase;
  let fake: FakeOidc;
  let house: TestHouse;
  let settings: Settings;
  let one: FreshUpstreamTokens;
  let two: FreshUpstreamTokens;
  let vault: UpstreamTokenVault;
  const opened: Database[] = [];

  beforeAll(async () => {
    place = await kind.create();
    fake = await new FakeOidc().listen();
    fake.alwaysRefreshes = true;
    house = testHouse();
    const env = {
      GATEHOUSE_DATABASE_URL: place.url,
      GATEHOUSE_SECRET: randomBytes(32).toString('base64'),
      GATEHOUSE_PROVIDERS: 'oidc',
      GATEHOUSE_OIDC_ISSUER: fake.issuer,
      GATEHOUSE_OIDC_CLIENT_ID: fake.clientId,
      GATEHOUSE_OIDC_CLIENT_SECRET: fake.clientSecret ?? '',
    };
    settings = readEnvironment(env, { cwd: '/nonexistent', kinds: providerKinds }).settings;
    const source = await openDatabase(settings);
    await migrate(source);
    await source.destroy();
    one = await node();
    two = await node();
    vault = vaultOn(database());
  });
  afterAll(async () => {
    for (const database of opened) await database.onApplicationShutdown();
    await Promise.all([fake.close(), house.close()]);
    await place.drop();
  });
  beforeEach(() => {
    fake.requests.length = 0;
  });
  afterEach(() => fake.mend());

  /** Another process on the same database. */
  async function node(): Promise<FreshUpstreamTokens> {
    const database = new Database(await openDatabase(settings));
    opened.push(database);
    const providers = new Providers(settings.providers, house);
    return new FreshUpstreamTokens(providers, vaultOn(database), new Events(database), settings);
  }
  const vaultOn = (database: Database) => new UpstreamTokenVault(database, new Seals(settings.values.secret ?? []));
  const database = (): Database => opened[0]!;

  /** A sign-in of Alice whose tokens are as given. */
  async function connect(over: Partial<UpstreamTokens> = {}): Promise<UpstreamTokens> {
    const login = new Providers(settings.providers, house).login('oidc')!;
    const tokens = { ...(await signIn(login)).tokens, ...over };
    await database().commit(vault.keep({ ...ACCOUNT, userId: 'u1', grantId: 'g1', tokens }));
    fake.requests.length = 0;
    return tokens;
  }
  const isDead = async (): Promise<boolean> =>
    (await database().row<{ sealed: string | null }>(sql`SELECT sealed FROM upstream_token WHERE user_id = ${'u1'}`))
      ?.sealed === null;
  const events = async (type: string): Promise<number> =>
    Number(
      (await database().row<{ n: number | string }>(sql`SELECT COUNT(*) AS n FROM event WHERE type = ${type}`))!.n,
    );

  it('a living token is given without asking the upstream', async () => {
    const tokens = await connect();
    expect(await one.tokenFor(ALICE, 'oidc')).toEqual({
      provider: 'oidc',
      accessToken: tokens.accessToken,
      expiresAt: tokens.expiresAt,
      scopes: tokens.scopes,
    });
    expect(fake.count('POST /token')).toBe(0);
  });

  it('sec-31: twenty calls on two nodes cause one refresh of a token that ends soon, and get the same token', async () => {
    const old = await connect({ expiresAt: Math.floor(Date.now() / 1000) + 30 });
    const calls = Array.from({ length: 20 }, (_, i) => (i % 2 ? one : two).tokenFor(ALICE, 'oidc'));
    const given = new Set((await Promise.all(calls)).map(({ accessToken }) => accessToken));
    expect(given.size).toBe(1);
    expect(given).not.toContain(old.accessToken);
    expect(fake.count('POST /token')).toBe(1);
  });

  it('an outage leaves everything as it was, and the next call refreshes', async () => {
    await connect({ expiresAt: past() });
    fake.fault('POST /token', { status: 503, body: '' });
    await expect(one.tokenFor(ALICE, 'oidc')).rejects.toThrow(UpstreamUnavailable);
    fake.mend();
    expect((await two.tokenFor(ALICE, 'oidc')).accessToken).toBeTruthy();
  });

  it('a dead refresh token: the person is told how to reconnect, at once from then on, until they have', async () => {
    await connect({ expiresAt: past(), refreshToken: 'revoked-there' });
    const before = await events('upstream.dead');
    const failure = one.tokenFor(ALICE, 'oidc');
    await expect(failure).rejects.toThrow(UpstreamReconnectNeeded);
    await expect(failure).rejects.toThrow(/sign in with .* at http:\/\/localhost:8000\/account/);
    await expect(two.tokenFor(ALICE, 'oidc')).rejects.toThrow(UpstreamReconnectNeeded);
    expect(fake.count('POST /token')).toBe(1);
    expect(await events('upstream.dead')).toBe(before + 1);
    expect(await isDead()).toBe(true);
    await connect();
    expect((await two.tokenFor(ALICE, 'oidc')).accessToken).toBeTruthy();
    expect(await isDead()).toBe(false);
  });

  it('a token that a tool found refused is refreshed for the next call; an older one’s refusal changes nothing', async () => {
    await connect();
    const refused = await one.tokenFor(ALICE, 'oidc');
    await one.refused(ALICE, refused);
    const next = await two.tokenFor(ALICE, 'oidc');
    expect(next.accessToken).not.toBe(refused.accessToken);
    await one.refused(ALICE, refused);
    expect((await one.tokenFor(ALICE, 'oidc')).accessToken).toBe(next.accessToken);
  });

  it('a renewed token that is refused too is dead: one refresh, whichever nodes the calls reach', async () => {
    await connect();
    for (const node of [one, two]) await node.refused(ALICE, await node.tokenFor(ALICE, 'oidc'));
    for (const node of [one, two])
      await expect(node.tokenFor(ALICE, 'oidc')).rejects.toThrow(/sign in with .* at http:\/\/localhost:8000\/account/);
    expect(fake.count('POST /token')).toBe(1);
    expect(await isDead()).toBe(true);
    await connect();
    await two.refused(ALICE, await one.tokenFor(ALICE, 'oidc'));
    expect((await one.tokenFor(ALICE, 'oidc')).accessToken).toBeTruthy();
  });

  it('calls that find the same token refused at once, on two nodes, cost one refresh and end nothing', async () => {
    await connect();
    const refused = await one.tokenFor(ALICE, 'oidc');
    await Promise.all([one, two, one, two].map((node) => node.refused(ALICE, refused)));
    const renewed = await Promise.all([one, two].map((node) => node.tokenFor(ALICE, 'oidc')));
    expect(renewed[0]?.accessToken).not.toBe(refused.accessToken);
    expect(renewed[1]?.accessToken).toBe(renewed[0]?.accessToken);
    expect(fake.count('POST /token')).toBe(1);
    expect(await isDead()).toBe(false);
  });

  it('a renewed token that had its time and was refreshed is renewed once more when it is refused', async () => {
    await connect();
    await one.refused(ALICE, await one.tokenFor(ALICE, 'oidc'));
    await one.tokenFor(ALICE, 'oidc');
    const row = (await vault.find({ userId: 'u1', ...ACCOUNT }))!;
    expect(await vault.replace(row, { ...vault.open(row)!, expiresAt: past() })).toBe(true);
    await one.refused(ALICE, await two.tokenFor(ALICE, 'oidc'));
    expect((await two.tokenFor(ALICE, 'oidc')).accessToken).toBeTruthy();
    expect(fake.count('POST /token')).toBe(3);
  });

  it('a token that lacks a scope is not given, and the person is told which one', async () => {
    await connect({ scopes: ['openid', 'files'] });
    expect((await one.tokenFor(ALICE, 'oidc', ['files', 'offline_access'])).accessToken).toBeTruthy();
    await expect(one.tokenFor(ALICE, 'oidc', ['files', 'calendar'])).rejects.toThrow(
      /does not have: calendar\. To give it/,
    );
  });

  it('a refusal does not disturb a refresh that is under way: what it brings is kept', async () => {
    await connect();
    const refused = await one.tokenFor(ALICE, 'oidc');
    const row = (await vault.find({ userId: 'u1', ...ACCOUNT }))!;
    expect(await vault.lease(row, 'another node')).toBe(true);
    await one.refused(ALICE, refused);
    const fresh = { ...vault.open(row)!, accessToken: 'brought-by-the-other-node' };
    expect(await vault.replace(row, fresh)).toBe(true);
    expect((await one.tokenFor(ALICE, 'oidc')).accessToken).toBe('brought-by-the-other-node');
  });

  it('sealing anew between lease and answer does not lose what the refresh brings', async () => {
    await connect({ expiresAt: past() });
    const row = (await vault.find({ userId: 'u1', ...ACCOUNT }))!;
    await database().commit([sql`UPDATE upstream_token SET sealed = ${'v1.sealed.anew'} WHERE user_id = ${'u1'}`]);
    expect(await vault.replace(row, vault.open(row)!)).toBe(true);
    expect((await vault.find({ userId: 'u1', ...ACCOUNT }))?.sealed).not.toBe('v1.sealed.anew');
  });

  it('an account that has become another person’s gives nothing to the former one', async () => {
    await connect();
    await expect(one.tokenFor({ ...ALICE, user: { id: 'u2' } }, 'oidc')).rejects.toThrow(UpstreamReconnectNeeded);
  });

  it('a refused token that cannot be refreshed asks for a new sign-in', async () => {
    await connect({ refreshToken: undefined });
    await one.refused(ALICE, await one.tokenFor(ALICE, 'oidc'));
    await expect(one.tokenFor(ALICE, 'oidc')).rejects.toThrow(UpstreamReconnectNeeded);
  });

  it('a lease that its holder left behind ends', async () => {
    await connect({ expiresAt: past() });
    await database().commit([
      sql`UPDATE upstream_token SET lease_until = ${1}, lease_holder = ${'killed'} WHERE user_id = ${'u1'}`,
    ]);
    expect((await one.tokenFor(ALICE, 'oidc')).accessToken).toBeTruthy();
  });

  it('callers who signed in with no account are told so', async () => {
    await expect(one.tokenFor({ ...ALICE, user: null }, 'oidc')).rejects.toThrow(UpstreamReconnectNeeded);
    await expect(one.tokenFor({ ...ALICE, user: { id: 'nobody' } }, 'oidc')).rejects.toThrow(UpstreamReconnectNeeded);
  });

  it('what is taken away here is revoked there, and only then', async () => {
    const tokens = await connect();
    const providers = new Providers(settings.providers, house);
    const farewells = new UpstreamFarewells(providers, vault);
    const giveBack = await farewells.prepare('u1', ACCOUNT);
    const other = await farewells.prepare('u1', { ...ACCOUNT, subject: 'alice-2' });
    await database().commit([vault.forget(ACCOUNT)]);
    other();
    expect(fake.knows(tokens.refreshToken ?? '')).toBe(true);
    giveBack();
    while (fake.knows(tokens.refreshToken ?? '')) await new Promise((resolve) => setImmediate(resolve));
    expect(fake.count('POST /revoke')).toBe(1);
  });

  it('no token stands in the database in clear', async () => {
    const tokens = await connect();
    const rows = await database().rows<{ sealed: string }>(sql`SELECT * FROM upstream_token WHERE user_id = ${'u1'}`);
    expect(JSON.stringify(rows)).not.toContain(tokens.accessToken);
  });
});
