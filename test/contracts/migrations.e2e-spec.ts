import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Identities1763856000800 } from '../../migrations/1763856000800-identities.js';
import { GrantEnds1763856001100 } from '../../migrations/1763856001100-grant-ends.js';
import { readEnvironment } from '../../src/config/environment.js';
import { Database } from '../../src/persistence/database.js';
import { sql } from '../../src/persistence/statement.js';
import { migrate } from '../../src/persistence/migrate.js';
import { openDatabase } from '../../src/persistence/open.js';
import { migrations } from '../../src/persistence/schema.js';
import { providerKinds } from '../../src/providers/providers.js';
import { databases, type TestDatabase } from '../databases.js';

describe.each(databases())('an installation that is brought up to date on $name', (kind) => {
  let place: TestDatabase;
  let database: Database;

  beforeAll(async () => {
    place = await kind.create();
    const env = {
      GATEHOUSE_DATABASE_URL: place.url,
      GATEHOUSE_SECRET: randomBytes(32).toString('base64'),
      GATEHOUSE_STATIC_TOKEN_TOKENS: '{}',
    };
    const source = await openDatabase(readEnvironment(env, { cwd: '/nonexistent', kinds: providerKinds }).settings);
    await migrate(source);
    database = new Database(source);
  });
  afterAll(async () => {
    await database.onApplicationShutdown();
    await place.drop();
  });

  /** Takes this migration and every later one back. */
  const downTo = async (migration: (typeof migrations)[number]): Promise<void> => {
    for (let i = migrations.indexOf(migration); i < migrations.length; i++)
      await database.source.undoLastMigration({ transaction: 'each' });
  };
  const tokens = () =>
    database.rows(sql`SELECT user_id, provider, grant_id, sealed FROM upstream_token ORDER BY user_id, provider`);
  const verdicts = () =>
    database.rows(sql`SELECT user_id, provider, admitted_at FROM admission ORDER BY user_id, provider`);

  it('upstream tokens, verdicts and Grants go to the account they are of, and back again', async () => {
    await downTo(Identities1763856000800);
    const identity = (subject: string, userId: string, lastUsedAt: number) =>
      sql`INSERT INTO identity (provider, subject, user_id, created_at, last_used_at) VALUES ('google', ${subject}, ${userId}, 1, ${lastUsedAt})`;
    const kept = (userId: string, sealed: string) =>
      sql`INSERT INTO upstream_token (user_id, provider, grant_id, sealed, expires_at, updated_at) VALUES (${userId}, 'google', ${`g-${userId}`}, ${sealed}, 77, 5)`;
    const verdict = (userId: string) =>
      sql`INSERT INTO admission (user_id, provider, tried_at, admitted_at) VALUES (${userId}, 'google', 6, 7)`;
    const grant = (userId: string) =>
      sql`INSERT INTO oauth_grant (id, user_id, client_id, provider, scope, resource, payload, created_at, expires_at)
        VALUES (${`g-${userId}`}, ${userId}, 'c', 'google', 'mcp', 'r', '{}', 1, 2)`;
    await database.commit([
      identity('one', 'with-one', 10),
      identity('older', 'with-two', 10),
      identity('newer', 'with-two', 20),
      identity('cut-off', 'dead', 10),
      ...['with-one', 'with-two', 'dead'].flatMap((userId) => [
        kept(userId, userId === 'dead' ? '' : `v1.of.${userId}`),
        verdict(userId),
        grant(userId),
      ]),
    ]);
    const before = { tokens: await tokens(), verdicts: await verdicts() };

    await migrate(database.source);
    expect(
      await database.rows(
        sql`SELECT user_id, subject, grant_id, sealed, version, expires_at FROM upstream_token ORDER BY user_id`,
      ),
    ).toEqual(
      [
        { user_id: 'dead', subject: 'cut-off', grant_id: 'g-dead', sealed: null },
        { user_id: 'with-one', subject: 'one', grant_id: 'g-with-one', sealed: 'v1.of.with-one' },
        { user_id: 'with-two', subject: 'newer', grant_id: 'g-with-two', sealed: 'v1.of.with-two' },
      ].map((row) => ({ ...row, version: 1, expires_at: expect.toSatisfy((at) => Number(at) === 77) as number })),
    );
    expect(await database.rows(sql`SELECT user_id, subject FROM admission ORDER BY user_id`)).toEqual([
      { user_id: 'dead', subject: 'cut-off' },
      { user_id: 'with-one', subject: 'one' },
      { user_id: 'with-two', subject: 'newer' },
    ]);
    // Which of two accounts a Grant was signed in with, nobody knows.
    expect(await database.rows(sql`SELECT user_id, subject FROM oauth_grant ORDER BY user_id`)).toEqual([
      { user_id: 'dead', subject: 'cut-off' },
      { user_id: 'with-one', subject: 'one' },
      { user_id: 'with-two', subject: null },
    ]);

    await downTo(Identities1763856000800);
    expect({ tokens: await tokens(), verdicts: await verdicts() }).toEqual(before);
    await migrate(database.source);
  });

  it('Grants end with their last token, revoked ones stay as they are, and back again', async () => {
    await database.commit([sql`DELETE FROM oauth_grant`]);
    await downTo(GrantEnds1763856001100);
    const year = 365 * 86_400;
    const grant = (id: string, revokedAt: number | null = null) =>
      sql`INSERT INTO oauth_grant (id, user_id, client_id, scope, resource, payload, created_at, expires_at, revoked_at)
        VALUES (${id}, 'u', 'c', 'mcp', 'r', '{}', 1000, ${1000 + year}, ${revokedAt})`;
    const token = (id: string, ofGrant: string, of: string, expiresAt: number) =>
      sql`INSERT INTO oauth_token (id_hash, kind, grant_id, failures, expires_at, payload)
        VALUES (${id}, ${of}, ${ofGrant}, 0, ${expiresAt}, '{}')`;
    await database.commit([
      grant('a-alive'),
      token('1', 'a-alive', 'RefreshToken', 5000),
      token('2', 'a-alive', 'RefreshToken', 9000),
      token('3', 'a-alive', 'AccessToken', 6000),
      grant('b-code-only'),
      token('4', 'b-code-only', 'AuthorizationCode', 1060),
      grant('c-revoked', 2000),
    ]);
    const ends = async () =>
      (await database.rows<{ expires_at: number | string }>(sql`SELECT expires_at FROM oauth_grant ORDER BY id`)).map(
        (row) => Number(row.expires_at),
      );
    await migrate(database.source);
    expect(await ends()).toEqual([9000, 1900, 1000 + year]);
    await downTo(GrantEnds1763856001100);
    expect(await ends()).toEqual([1000 + year, 1000 + year, 1000 + year]);
    await migrate(database.source);
  });
});
