import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Revocations } from '../../src/access/revocations.js';
import { VerifiedTokens } from '../../src/access/verified-tokens.js';
import { Verifiers } from '../../src/access/verifiers.js';
import { Events } from '../../src/audit/events.js';
import { readEnvironment } from '../../src/config/environment.js';
import { Attempts, type Attempt } from '../../src/oauth/attempts.js';
import { Database } from '../../src/persistence/database.js';
import { sql } from '../../src/persistence/statement.js';
import { migrate } from '../../src/persistence/migrate.js';
import { Notifications } from '../../src/persistence/notifications.js';
import { openDatabase } from '../../src/persistence/open.js';
import { Seals } from '../../src/persistence/seals.js';
import { LoginRefused, type Identity } from '../../src/providers/contract.js';
import { providerKinds } from '../../src/providers/providers.js';
import { Identities, IdentityTaken } from '../../src/users/identities.js';
import { RuleBook } from '../../src/users/rule-book.js';
import { type UserChange, UserChanges } from '../../src/users/user-changes.js';
import { PersonBlocked, Users } from '../../src/users/users.js';
import { databases, type TestDatabase } from '../databases.js';

describe.each(databases())('people on $name', (kind) => {
  let place: TestDatabase;
  let database: Database;
  let users: Users;
  let changes: UserChanges;
  let identities: Identities;
  let attempts: Attempts;

  beforeAll(async () => {
    place = await kind.create();
    const env = {
      GATEHOUSE_DATABASE_URL: place.url,
      GATEHOUSE_SECRET: randomBytes(32).toString('base64'),
      GATEHOUSE_PROVIDERS: 'github,google',
      GATEHOUSE_GITHUB_CLIENT_ID: 'a',
      GATEHOUSE_GITHUB_CLIENT_SECRET: 'b',
      GATEHOUSE_GOOGLE_CLIENT_ID: 'a',
      GATEHOUSE_GOOGLE_CLIENT_SECRET: 'b',
      GATEHOUSE_ALLOW: 'domain:example.com,github-org:friends',
      GATEHOUSE_ADMINS: 'email:boss@example.com',
    };
    const { settings } = readEnvironment(env, { cwd: '/nonexistent', kinds: providerKinds });
    const source = await openDatabase(settings);
    await migrate(source);
    database = new Database(source);
    const revocations = new Revocations(database, new VerifiedTokens(new Verifiers()), new Notifications(settings));
    const rules = new RuleBook(settings);
    users = new Users(database, new Events(database), revocations, rules);
    changes = new UserChanges(database, new Events(database), revocations);
    identities = new Identities(database, new Events(database), revocations, users, rules);
    attempts = new Attempts(database, new Seals(settings.values.secret!));
  });
  afterAll(async () => {
    await database.onApplicationShutdown();
    await place.drop();
  });

  const identity = (subject: string, more: Partial<Identity> = {}): Identity => ({
    provider: 'github',
    subject,
    email: `${subject}@example.com`,
    username: subject,
    claims: {},
    ...more,
  });
  const change = async (id: string, wanted: UserChange) =>
    changes.change((await users.find(id))!, wanted, { actor: 'admin-token' });
  const eventsOf = async (userId: string): Promise<string[]> =>
    (await database.rows<{ type: string }>(sql`SELECT type FROM event WHERE user_id = ${userId} ORDER BY id`)).map(
      ({ type }) => type,
    );

  it('sec-18: a User is found by provider and subject, and the profile is refreshed at login', async () => {
    const first = await users.signIn(identity('mona', { name: 'Mona' }));
    const second = await users.signIn(
      identity('mona', { name: 'Mona Lisa', email: 'lisa@example.com', username: 'lisa' }),
    );
    expect(second.id).toBe(first.id);
    expect(await users.find(first.id)).toMatchObject({ name: 'Mona Lisa', email: 'lisa@example.com' });
    expect(await eventsOf(first.id)).toEqual(['user.created', 'user.signed_in', 'user.signed_in']);
  });

  it('sec-18: the same e-mail at another provider is another User', async () => {
    const one = await users.signIn(identity('twin'));
    const other = await users.signIn(identity('twin', { provider: 'google', email: 'twin@example.com' }));
    expect(other.id).not.toBe(one.id);
  });

  it('two first sign-ins of one person at once make one User', async () => {
    const both = await Promise.all([
      users.signIn(identity('race')),
      users.signIn(identity('race')),
      users.signIn(identity('race')),
    ]);
    expect(new Set(both.map(({ id }) => id)).size).toBe(1);
  });

  it('a person whom no rule admits is refused with an Event and leaves no User', async () => {
    await expect(users.signIn(identity('stranger', { email: 'x@evil.example' }))).rejects.toThrow(LoginRefused);
    expect(await users.findByIdentity('github', 'stranger')).toBeNull();
    const refused = await database.row<{ n: number }>(
      sql`SELECT COUNT(*) AS n FROM event WHERE type = ${'login.refused'}`,
    );
    expect(Number(refused?.n)).toBe(1);
    await expect(
      users.signIn(identity('friend', { email: undefined, organizations: ['friends'] })),
    ).resolves.toMatchObject({ email: null });
  });

  it('an admin rule gives the role at login and takes it back; a role given by hand stays', async () => {
    const boss = await users.signIn(identity('boss'));
    expect(boss.roles).toEqual(['admin']);
    expect((await users.signIn(identity('boss', { email: 'retired@example.com' }))).roles).toEqual([]);
    expect((await eventsOf(boss.id)).filter((type) => type === 'user.roles_changed')).toHaveLength(1);
    await change(boss.id, { roles: ['admin'] });
    expect((await users.signIn(identity('boss', { email: 'retired@example.com' }))).roles).toEqual(['admin']);
  });

  it('a blocked person is refused until unblocked, and the block is in the revocation log', async () => {
    const { id } = await users.signIn(identity('blocky'));
    expect(await change(id, { status: 'blocked' })).toBe(true);
    await expect(users.signIn(identity('blocky'))).rejects.toThrow(PersonBlocked);
    const line = await database.row(sql`SELECT id FROM revocation_log WHERE kind = ${'user'} AND target = ${id}`);
    expect(line).not.toBeNull();
    await change(id, { status: 'active' });
    await expect(users.signIn(identity('blocky'))).resolves.toMatchObject({ id });
    expect(await eventsOf(id)).toEqual(expect.arrayContaining(['user.blocked', 'login.refused', 'user.unblocked']));
  });

  it('a second account is linked by its owner only, and the last one cannot be taken away', async () => {
    const { id } = await users.signIn(identity('linker'));
    const google = identity('linker-g', { provider: 'google' });
    await identities.link(id, google);
    expect((await users.signIn(google)).id).toBe(id);
    const other = await users.signIn(identity('other'));
    await expect(identities.link(other.id, google)).rejects.toThrow(IdentityTaken);
    expect(await identities.unlink(id, { provider: 'google', subject: 'linker-g' })).toBe(true);
    expect(await identities.unlink(id, { provider: 'github', subject: 'linker' })).toBe(false);
  });

  it('erasing removes the person’s data; the same identity is a new User afterwards', async () => {
    const { id } = await users.signIn(identity('gone'));
    expect(await changes.erase(id, { actor: 'admin-token' })).toBe(true);
    expect(await users.find(id)).toBeNull();
    expect(await identities.of(id)).toEqual([]);
    expect((await users.signIn(identity('gone'))).id).not.toBe(id);
  });

  it('erasing also forgets the account in refusals from before the person was known, and nobody else’s', async () => {
    const outsider = (subject: string) => identity(subject, { email: `${subject}@elsewhere.example` });
    const accounts = async () =>
      JSON.stringify(await database.rows(sql`SELECT detail FROM event WHERE type = ${'login.refused'}`));
    for (const subject of ['early', 'early-too'])
      await expect(users.signIn(outsider(subject))).rejects.toThrow(LoginRefused);
    const { id } = await users.signIn(identity('early'));
    expect(await accounts()).toContain('early@elsewhere.example');
    await changes.erase(id, { actor: 'admin-token' });
    expect(await accounts()).not.toContain('early@elsewhere.example');
    expect(await accounts()).toContain('early-too@elsewhere.example');
  });

  describe('a try at a provider', () => {
    const attempt = (subject: string): Attempt => ({
      provider: 'github',
      memo: { verifier: 'pkce-verifier' },
      subject,
      clientId: 'c',
      upstreamScopes: [],
      scopes: ['mcp'],
      continueAt: `/login/${subject}/continue`,
      againAt: `/login/${subject}`,
      reference: 'r',
    });

    it('sec-14: its state is taken once, however many callbacks come at once', async () => {
      await attempts.open(attempt('s1'), { state: 'state-1', binding: 'b' });
      const taken = await Promise.all(Array.from({ length: 8 }, () => attempts.take('state-1', 'b')));
      expect(taken.filter(Boolean)).toHaveLength(1);
      expect(await attempts.find('state-1')).toBeNull();
    });

    it('sec-11: another browser neither takes it nor spoils it', async () => {
      await attempts.open(attempt('s2'), { state: 'state-2', binding: 'b2' });
      expect(await attempts.take('state-2', 'other')).toBe(false);
      expect(await attempts.take('state-2', 'b2')).toBe(true);
      await attempts.close('state-2', { kind: 'unavailable' });
      expect(await attempts.finished('s2', 'other')).toBeNull();
      expect(await attempts.finished('s2', 'b2')).toMatchObject({
        outcome: { kind: 'unavailable' },
        attempt: attempt('s2'),
      });
    });

    it('C3: two tries of one sign-in do not disturb each other', async () => {
      await attempts.open(attempt('s3'), { state: 'state-3a', binding: 'b' });
      await attempts.open(attempt('s3'), { state: 'state-3b', binding: 'b' });
      expect(await attempts.take('state-3a', 'b')).toBe(true);
      expect(await attempts.finished('s3', 'b')).toBe('pending');
      expect(await attempts.take('state-3b', 'b')).toBe(true);
    });

    it('sec-47: neither state, cookie nor verifier is in the database in clear', async () => {
      await attempts.open(attempt('secret-subject'), { state: 'secret-state', binding: 'secret-binding' });
      const rows = JSON.stringify(await database.rows(sql`SELECT * FROM oauth_attempt`));
      for (const secret of ['secret-subject', 'secret-state', 'secret-binding', 'pkce-verifier'])
        expect(rows).not.toContain(secret);
    });
  });
});
