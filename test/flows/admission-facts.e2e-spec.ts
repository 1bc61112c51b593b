import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Database } from '../../src/persistence/database.js';
import { sql } from '../../src/persistence/statement.js';
import { FakeGitHub, octocat } from '../../src/testing/fake-github.js';
import { FakeOidc, type FakeOidcPerson } from '../../src/testing/fake-oidc.js';
import { AUTHKIT_PATHS, GOOGLE_PATHS } from '../../src/testing/fake-oidc-paths.js';
import { Users } from '../../src/users/users.js';
import { PersonalTokens } from '../../src/access/personal-tokens.js';
import { Admission } from '../../src/oauth/admission.js';
import { EventRow } from '../../src/audit/event.entity.js';
import { databases, type TestDatabase } from '../databases.js';
import { freePort, type RunningGatehouse, startGatehouse } from '../gatehouse.js';
import { callTool, signIn, TestClient } from '../oauth-client.js';
import { changeUser } from '../people.js';

const HOUR = 3600;
const DAY = 86_400;

interface Upstreams {
  readonly google: FakeOidc;
  readonly workos: FakeOidc;
  readonly oidc: FakeOidc;
  readonly github: FakeGitHub;
}

async function listen(): Promise<Upstreams> {
  const [google, workos, oidc, github] = await Promise.all([
    new FakeOidc({ paths: GOOGLE_PATHS }).listen(),
    new FakeOidc({ paths: AUTHKIT_PATHS }).listen(),
    new FakeOidc().listen(),
    new FakeGitHub().listen(),
  ]);
  return { google, workos, oidc, github };
}

const environmentOf = ({ google, workos, oidc, github }: Upstreams): Record<string, string> => ({
  GATEHOUSE_PROVIDERS: 'google,workos,oidc,github',
  GATEHOUSE_RATE_LIMITS: 'off',
  GATEHOUSE_GOOGLE_CLIENT_ID: google.clientId,
  GATEHOUSE_GOOGLE_CLIENT_SECRET: google.clientSecret!,
  GATEHOUSE_GOOGLE_AUTHORIZATION_URL: `${google.origin}/o/oauth2/v2/auth`,
  GATEHOUSE_GOOGLE_TOKEN_URL: `${google.origin}/token`,
  GATEHOUSE_GOOGLE_USERINFO_URL: `${google.origin}/v1/userinfo`,
  GATEHOUSE_WORKOS_CLIENT_ID: workos.clientId,
  GATEHOUSE_WORKOS_CLIENT_SECRET: workos.clientSecret!,
  GATEHOUSE_WORKOS_AUTHKIT_DOMAIN: workos.origin,
  GATEHOUSE_OIDC_CLIENT_ID: oidc.clientId,
  GATEHOUSE_OIDC_CLIENT_SECRET: oidc.clientSecret!,
  GATEHOUSE_OIDC_ISSUER: oidc.origin,
  GATEHOUSE_GITHUB_CLIENT_ID: github.registration.clientId,
  GATEHOUSE_GITHUB_CLIENT_SECRET: github.registration.clientSecret,
  GATEHOUSE_GITHUB_BASE_URL: github.origin,
  GATEHOUSE_GITHUB_API_URL: github.origin,
});

describe.each(databases())('what allow rules compare, on $name', (kind) => {
  let place: TestDatabase;
  let upstreams: Upstreams;
  let gatehouse: RunningGatehouse;
  let client: TestClient;
  let count = 0;

  beforeAll(async () => {
    place = await kind.create();
    upstreams = await listen();
    gatehouse = await startGatehouse({
      port: await freePort(),
      env: {
        ...environmentOf(upstreams),
        GATEHOUSE_DATABASE_URL: place.url,
        GATEHOUSE_ALLOW:
          'google-domain:acme.example,workos-org:org_1,github-org:acme,claim:groups=mcp,email:e@x.example',
        GATEHOUSE_ADMINS: 'claim:role=boss,google-domain:boss.example',
      },
    });
    client = await TestClient.register(gatehouse.url);
  });
  afterAll(async () => {
    await gatehouse?.close();
    await Promise.all(Object.values(upstreams ?? {}).map((fake: { close(): Promise<void> }) => fake.close()));
    await place?.drop();
  });
  beforeEach(() => {
    for (const fake of [upstreams.google, upstreams.workos, upstreams.oidc])
      Object.assign(fake, { idToken: {}, expiresIn: HOUR, alwaysRefreshes: true, metadata: {} });
  });

  const store = () => gatehouse.app.get(Database);
  const claims = (more: Record<string, unknown> = {}): FakeOidcPerson => ({ sub: `s${++count}`, name: 'N', ...more });
  const userOf = async (provider: string, sub: string) =>
    (await gatehouse.app.get(Users).findByIdentity(provider, sub))!;
  /** Lets sign-ins, verdicts and tries be older. */
  const wait = async (seconds: number): Promise<void> =>
    void (await store().commit([
      sql`UPDATE identity SET last_used_at = last_used_at - ${seconds}`,
      sql`UPDATE admission SET tried_at = tried_at - ${seconds}, admitted_at = admitted_at - ${seconds}`,
    ]));
  const connect = async (provider: 'google' | 'workos' | 'oidc' | 'github') => {
    const signedIn = await signIn(client, { button: `provider=${provider}` });
    let { refreshToken } = signedIn;
    return {
      ...signedIn,
      refresh: async () => {
        const answer = await client.refresh(refreshToken);
        refreshToken = answer.body.refresh_token ?? refreshToken;
        return answer.body.error ?? 'ok';
      },
    };
  };
  /** Takes away members of the person whom living tokens belong to. */
  const lose = (person: FakeOidcPerson, ...names: string[]): void => {
    for (const name of names) delete person[name];
  };

  describe('rules of another provider', () => {
    const letsIn = async (provider: 'google' | 'workos' | 'oidc' | 'github'): Promise<boolean> => {
      const browser = client.browser();
      await browser.open(client.authorizeUrl());
      return (await browser.press(`provider=${provider}`)).status !== 403;
    };

    it.each([
      ['google', { hd: 'acme.example' }, true],
      ['oidc', { hd: 'acme.example' }, false],
      ['workos', { hd: 'acme.example' }, false],
      ['workos', { org_id: 'org_1' }, true],
      ['oidc', { org_id: 'org_1' }, false],
      ['google', { org_id: 'org_1' }, false],
      ['oidc', { organizations: ['acme'], login: 'acme' }, false],
    ] as const)('sec-8: %s with %j comes in: %s', async (provider, facts, expected) => {
      upstreams[provider].person = claims(facts);
      expect(await letsIn(provider)).toBe(expected);
    });

    it('sec-8: github-org looks at GitHub', async () => {
      upstreams.github.person = { ...octocat(), id: 5000 + ++count, organizations: ['acme'] };
      expect(await letsIn('github')).toBe(true);
    });

    it('give nobody the role admin', async () => {
      upstreams.oidc.person = claims({ groups: ['mcp'], hd: 'boss.example' });
      await connect('oidc');
      expect((await userOf('oidc', upstreams.oidc.person.sub)).roles).toEqual([]);
    });
  });

  it.each([
    ['google', { hd: 'acme.example' }, ['hd']],
    ['oidc', { groups: ['mcp'] }, ['groups']],
    ['workos', { org_id: 'org_1' }, ['org_id']],
    ['oidc', { email: 'e@x.example', email_verified: true }, ['email_verified']],
    ['oidc', { email: 'e@x.example', email_verified: true }, ['email', 'email_verified']],
  ] as const)(
    'sec-8: a person of %s with %j leaves when userinfo no longer carries %j',
    async (provider, facts, lost) => {
      const person = claims(facts);
      upstreams[provider].person = person;
      const { refresh, accessToken } = await connect(provider);
      await wait(901);
      expect(await refresh()).toBe('ok');
      lose(person, ...lost);
      await wait(901);
      expect(await refresh()).toBe('invalid_grant');
      expect((await callTool(gatehouse.mcpUrl, accessToken, 'hello', { name: 'x' })).status).toBe(401);
    },
  );

  describe('a claim that stands in the id_token only', () => {
    it('admits for a day, since the provider cannot be asked about it; then one new sign-in is needed', async () => {
      upstreams.oidc.person = claims();
      upstreams.oidc.idToken = { groups: ['mcp'] };
      const { refresh } = await connect('oidc');
      upstreams.oidc.idToken = { groups: [] };
      await wait(HOUR);
      expect(await refresh()).toBe('ok');
      await wait(22 * HOUR);
      expect(await refresh()).toBe('ok');
      await wait(2 * HOUR);
      expect(await refresh()).toBe('invalid_grant');
      const anew = client.browser();
      await anew.open(client.authorizeUrl());
      expect((await anew.press('provider=oidc')).status).toBe(403);
      upstreams.oidc.idToken = { groups: ['mcp'] };
      expect(await (await connect('oidc')).refresh()).toBe('ok');
    });

    it('is as new as the id_token of a refresh at the provider, which can admit or refuse', async () => {
      upstreams.oidc.person = claims();
      upstreams.oidc.idToken = { groups: ['mcp'] };
      upstreams.oidc.expiresIn = 1;
      const { refresh } = await connect('oidc');
      const { id } = await userOf('oidc', upstreams.oidc.person.sub);
      await wait(2 * DAY);
      expect(await refresh()).toBe('ok');
      await wait(2 * DAY);
      expect(await refresh()).toBe('ok');
      upstreams.oidc.idToken = { groups: [] };
      await wait(901);
      expect(await refresh()).toBe('invalid_grant');
      const [departed] = await store().repository(EventRow).findBy({ userId: id, type: 'user.departed' });
      expect(departed?.detail).toEqual({ why: 'not-admitted' });
    });

    it('sec-18: what userinfo carried at the sign-in is not taken from a newer id_token either', async () => {
      const person = claims({ groups: ['mcp'] });
      upstreams.oidc.person = person;
      upstreams.oidc.expiresIn = 1;
      const { refresh } = await connect('oidc');
      await wait(901);
      expect(await refresh()).toBe('ok');
      lose(person, 'groups');
      upstreams.oidc.idToken = { groups: ['mcp'] };
      await wait(901);
      expect(await refresh()).toBe('invalid_grant');
    });

    it('needs no userinfo endpoint', async () => {
      const own = await new FakeOidc().listen();
      own.metadata = { userinfo_endpoint: undefined };
      own.person = claims({ groups: ['mcp'] });
      const house = await startGatehouse({
        port: await freePort(),
        env: {
          ...environmentOf({ ...upstreams, oidc: own }),
          GATEHOUSE_ALLOW: 'claim:groups=mcp',
        },
      });
      const app = await TestClient.register(house.url);
      const { refreshToken } = await signIn(app, { button: 'provider=oidc' });
      await house.app.get(Database).commit([sql`UPDATE identity SET last_used_at = last_used_at - ${HOUR}`]);
      expect((await app.refresh(refreshToken)).status).toBe(200);
      await house.close();
      await own.close();
    });
  });

  describe('GATEHOUSE_ADMINS', () => {
    it('is looked at again at a refresh: the role goes, with an Event, and tokens in use lose it at once', async () => {
      const person = claims({ groups: ['mcp'], role: 'boss' });
      upstreams.oidc.person = person;
      const parameters = { resource: `${gatehouse.url}/admin/v1`, scope: 'admin' };
      const { accessToken, refreshToken } = await signIn(client, { button: 'provider=oidc', parameters });
      const users = async () =>
        (await fetch(`${gatehouse.url}/admin/v1/users`, { headers: { authorization: `Bearer ${accessToken}` } }))
          .status;
      expect(await users()).toBe(200);
      lose(person, 'role');
      await wait(901);
      expect((await client.refresh(refreshToken)).status).toBe(200);
      expect(await users()).toBe(403);
      const { id, roles } = await userOf('oidc', person.sub);
      expect(roles).toEqual([]);
      const [change] = await store().repository(EventRow).findBy({ userId: id, type: 'user.roles_changed' });
      expect(change?.detail).toEqual({ from: ['admin'], to: [], by: 'GATEHOUSE_ADMINS' });
    });

    it('behind a personal token too', async () => {
      const person = claims({ groups: ['mcp'], role: 'boss' });
      upstreams.oidc.person = person;
      await connect('oidc');
      const { id } = await userOf('oidc', person.sub);
      const tokens = gatehouse.app.get(PersonalTokens);
      const { token } = await tokens.create({ name: 't', userId: id, scopes: ['mcp'], expiresAt: null, actor: id });
      lose(person, 'role');
      await wait(901);
      expect((await callTool(gatehouse.mcpUrl, token, 'hello', { name: 'x' })).status).toBe(200);
      await gatehouse.app.get(Admission).settled();
      expect((await userOf('oidc', person.sub)).roles).toEqual([]);
    });

    it('a role that rests on the id_token only stands for a day after it', async () => {
      upstreams.oidc.person = claims({ groups: ['mcp'] });
      upstreams.oidc.idToken = { role: 'boss' };
      const { refresh } = await connect('oidc');
      const roles = async () => (await userOf('oidc', upstreams.oidc.person.sub)).roles;
      await wait(20 * HOUR);
      expect([await refresh(), await roles()]).toEqual(['ok', ['admin']]);
      await wait(5 * HOUR);
      expect([await refresh(), await roles()]).toEqual(['ok', []]);
    });

    it('a role that an administrator gave stays', async () => {
      const person = claims({ groups: ['mcp'], role: 'boss' });
      upstreams.oidc.person = person;
      const { refresh } = await connect('oidc');
      const { id } = await userOf('oidc', person.sub);
      await changeUser(gatehouse.app, id, { roles: ['admin', 'auditor'] });
      lose(person, 'role');
      await wait(901);
      expect(await refresh()).toBe('ok');
      expect((await userOf('oidc', person.sub)).roles).toEqual(['admin', 'auditor']);
    });
  });
});

describe('GATEHOUSE_ALLOW=*', () => {
  it('leaves people in, and still takes the role of an administrator who lost what gave it, or of whom nobody can say for a day', async () => {
    const upstreams = await listen();
    const { oidc } = upstreams;
    const gatehouse = await startGatehouse({
      port: await freePort(),
      env: { ...environmentOf(upstreams), GATEHOUSE_ALLOW: '*', GATEHOUSE_ADMINS: 'claim:role=boss' },
    });
    const client = await TestClient.register(gatehouse.url);
    const age = async (seconds: number) =>
      gatehouse.app
        .get(Database)
        .commit([
          sql`UPDATE identity SET last_used_at = last_used_at - ${seconds}`,
          sql`UPDATE admission SET tried_at = tried_at - ${seconds}, admitted_at = admitted_at - ${seconds}`,
        ]);
    const rolesOf = async (sub: string) => (await gatehouse.app.get(Users).findByIdentity('oidc', sub))!.roles;
    const admin = async (sub: string) => {
      oidc.person = { sub, role: 'boss' };
      const { refreshToken } = await signIn(client, { button: 'provider=oidc' });
      expect(await rolesOf(sub)).toEqual(['admin']);
      return { person: oidc.person, refreshToken };
    };
    const lost = await admin('lost');
    delete lost.person['role'];
    await age(901);
    expect((await client.refresh(lost.refreshToken)).status).toBe(200);
    expect(await rolesOf('lost')).toEqual([]);

    const unsaid = await admin('unsaid');
    oidc.fault('GET /userinfo', 'reset');
    await age(HOUR);
    const next = await client.refresh(unsaid.refreshToken);
    expect([next.status, await rolesOf('unsaid')]).toEqual([200, ['admin']]);
    await age(DAY);
    expect((await client.refresh(next.body.refresh_token!)).status).toBe(200);
    expect(await rolesOf('unsaid')).toEqual([]);
    await gatehouse.close();
    await Promise.all(Object.values(upstreams).map((fake: { close(): Promise<void> }) => fake.close()));
  });
});
