import { Injectable } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Tool } from '../../src/mcp/decorators.js';
import { Database } from '../../src/persistence/database.js';
import { octocat } from '../../src/testing/fake-github.js';
import type { AdminApi } from '../admin-api/sdk.gen.js';
import type { ClientChange, UserChange } from '../admin-api/types.gen.js';
import { Administration, done, etagOf, everything, firstOf } from '../admin-client.js';
import { Browser, formsOf } from '../browser.js';
import { databases, type TestDatabase } from '../databases.js';
import { callTool, CALLBACK, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

const ADMIN = 'admin-token-of-this-test-suite-0123456789';

@Injectable()
class Vault {
  @Tool({ description: 'Opens the vault', scopes: ['vault'] })
  openVault(): string {
    return 'open';
  }
}

/** The members of an Event that tell who, what, on which client and with what outcome. */
interface Told {
  readonly type: string;
  readonly outcome?: 'refused' | 'failed';
  readonly actor?: string | null;
  readonly user?: string | null;
  readonly client?: string | null;
  readonly grant?: string | null;
  readonly provider?: string | null;
  readonly detail?: Record<string, unknown>;
}

/** A person who is signed in by a client. */
interface Connected {
  readonly client: TestClient;
  readonly browser: Browser;
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly user: string;
  readonly grant: string;
}

/** What happens, and the Event that it must leave. */
interface Happening {
  readonly name: string;
  /** It changes nothing that has to be committed with its Event. */
  readonly changesNothing?: true;
  readonly begin: () => Promise<() => Promise<Told>>;
}

describe.each(databases())('the audit log on $name', (kind) => {
  let place: TestDatabase;
  let house: WithGitHub;
  let administration: Administration;
  let admin: AdminApi;
  let people = 9000;
  const secrets = new Set<string>([ADMIN]);

  beforeAll(async () => {
    place = await kind.create();
    house = await startWithGitHub({
      env: {
        GATEHOUSE_DATABASE_URL: place.url,
        GATEHOUSE_ADMIN_TOKEN: ADMIN,
        GATEHOUSE_ALLOW: 'github-org:acme',
        GATEHOUSE_RATE_LIMITS: 'off',
      },
      tools: [Vault],
    });
    administration = await Administration.of(house.gatehouse.url, ADMIN);
    admin = administration.api;
  });
  afterAll(async () => {
    await house.close();
    await place.drop();
  });

  const newPerson = (more: Partial<ReturnType<typeof octocat>> = {}): void => {
    house.github.person = { ...octocat(), id: people++, ...more };
  };
  const register = async (): Promise<TestClient> => {
    const made = await done(admin.createClient({ body: { name: 'Desk', redirect_uris: [CALLBACK] } }));
    return TestClient.known(house.gatehouse.url, made.id);
  };
  const connect = async (): Promise<Connected> => {
    const client = await register();
    newPerson();
    const { browser, accessToken, refreshToken } = await signIn(client);
    for (const secret of [accessToken, refreshToken, client.verifier]) secrets.add(secret);
    for (const { value } of browser.cookies) secrets.add(value);
    for (const { url } of browser.seen)
      for (const name of ['code', 'state']) secrets.add(url.searchParams.get(name) ?? '');
    const grant = await firstOf(admin.listGrants({ query: { client: client.id } }));
    return { client, browser, accessToken, refreshToken, user: grant.user.id, grant: grant.id };
  };
  const onPage = async (): Promise<{ client: TestClient; browser: Browser }> => {
    const client = await register();
    newPerson();
    const browser = client.browser();
    await browser.open(client.authorizeUrl());
    return { client, browser };
  };
  const changeClient = async (id: string, body: ClientChange) => {
    const ifMatch = await etagOf(admin.getClient({ path: { id } }));
    return admin.changeClient({ path: { id }, headers: { 'If-Match': ifMatch }, body });
  };
  const changeUser = async (id: string, body: UserChange) => {
    const ifMatch = await etagOf(admin.getUser({ path: { id } }));
    return admin.changeUser({ path: { id }, headers: { 'If-Match': ifMatch }, body });
  };
  /** An administrator does something to a client. */
  const toClient =
    (type: string, body: ClientChange, before: ClientChange | null = null) =>
    async () => {
      const { client } = await connect();
      if (before) await changeClient(client.id, before);
      return async () => {
        await changeClient(client.id, body);
        return { type, actor: 'admin-token', client: client.id };
      };
    };
  const toUser =
    (type: string, body: UserChange, before: UserChange | null = null) =>
    async () => {
      const { user } = await connect();
      if (before) await changeUser(user, before);
      return async () => {
        await changeUser(user, body);
        return { type, actor: 'admin-token', user };
      };
    };
  const userOf = async (client: TestClient): Promise<string> =>
    (await firstOf(admin.listGrants({ query: { client: client.id } }))).user.id;
  /** A person signs in for the first time. */
  const signingIn = (type: string) => async () => {
    const { client, browser } = await onPage();
    return async () => {
      await browser.press('provider=github');
      const user = await userOf(client);
      return { type, actor: user, user, client: client.id, provider: 'github' };
    };
  };
  /** A person who is signed in approves a client once more. */
  const approving = (type: string) => async () => {
    const { client, browser, user } = await connect();
    await browser.open(client.authorizeUrl({ prompt: 'consent' }));
    return async () => {
      await browser.press('decision=approve');
      const { id: grant } = await firstOf(admin.listGrants({ query: { client: client.id } }));
      return { type, actor: user, user, client: client.id, grant, provider: 'github' };
    };
  };

  const happenings: Happening[] = [
    { name: 'a first sign-in', begin: signingIn('user.created') },
    { name: 'a sign-in', begin: signingIn('user.signed_in') },
    { name: 'a consent', begin: approving('consent.given') },
    { name: 'a Grant', begin: approving('grant.created') },
    {
      name: 'a token',
      begin: async () => {
        const { client, browser } = await onPage();
        await browser.press('provider=github');
        const user = await userOf(client);
        const code = browser.stoppedAt.searchParams.get('code')!;
        return async () => {
          secrets.add((await client.redeem(code)).body.access_token ?? '');
          return { type: 'token.issued', actor: user, user, client: client.id };
        };
      },
    },
    {
      name: 'a Grant without a page, for what the same person approved before',
      begin: async () => {
        const { client, browser, user } = await connect();
        return async () => {
          await browser.open(client.authorizeUrl());
          return { type: 'grant.created', actor: user, user, client: client.id, detail: { remembered: true } };
        };
      },
    },
    {
      name: 'a refresh',
      begin: async () => {
        const { client, refreshToken, user, grant } = await connect();
        return async () => {
          secrets.add((await client.refresh(refreshToken)).body.refresh_token ?? '');
          return { type: 'token.refreshed', actor: user, user, client: client.id, grant };
        };
      },
    },
    {
      name: 'a refused token request',
      changesNothing: true,
      begin: async () => {
        const { client, refreshToken, user, grant } = await connect();
        return async () => {
          await client.refresh(refreshToken, { resource: 'https://other.example/' });
          return {
            type: 'token.refused',
            outcome: 'refused',
            user,
            client: client.id,
            grant,
            detail: { check: 'resource' },
          };
        };
      },
    },
    {
      name: 'a refused authorization request',
      changesNothing: true,
      begin: async () => async () => {
        const client = TestClient.known(house.gatehouse.url, `unknown-${people++}`);
        await client.browser().open(client.authorizeUrl());
        return {
          type: 'authorization.refused',
          outcome: 'refused',
          client: client.id,
          detail: { check: 'unknown-client' },
        };
      },
    },
    {
      name: 'a sign-in by a client that waits for approval',
      changesNothing: true,
      begin: async () => {
        const client = await register();
        await changeClient(client.id, { status: 'pending' });
        return async () => {
          await client.browser().open(client.authorizeUrl());
          return {
            type: 'interaction.refused',
            outcome: 'refused',
            client: client.id,
            detail: { check: 'client-pending' },
          };
        };
      },
    },
    {
      name: 'a denied consent',
      changesNothing: true,
      begin: async () => {
        const { client, browser } = await onPage();
        return async () => {
          await browser.press('decision=deny');
          return { type: 'consent.denied', outcome: 'refused', client: client.id };
        };
      },
    },
    {
      name: 'an account that no rule admits',
      changesNothing: true,
      begin: async () => {
        const { client, browser } = await onPage();
        newPerson({ organizations: [] });
        return async () => {
          await browser.press('provider=github');
          return { type: 'login.refused', outcome: 'refused', client: client.id, provider: 'github' };
        };
      },
    },
    {
      name: 'a provider that is down',
      changesNothing: true,
      begin: async () => {
        const { client, browser } = await onPage();
        house.github.fault('GET /user', { status: 500, body: 'oops' });
        return async () => {
          await browser.press('provider=github').finally(() => house.github.mend());
          return { type: 'login.failed', outcome: 'failed', client: client.id, provider: 'github' };
        };
      },
    },
    {
      name: 'a revocation by the client',
      begin: async () => {
        const { client, refreshToken, user, grant } = await connect();
        return async () => {
          await client.revoke(refreshToken);
          return {
            type: 'grant.revoked',
            actor: 'client',
            user,
            client: client.id,
            grant,
            detail: { reason: 'client' },
          };
        };
      },
    },
    {
      name: 'a revocation by an administrator',
      begin: async () => {
        const { client, user, grant } = await connect();
        return async () => {
          await admin.revokeGrant({ path: { id: grant } });
          return { type: 'grant.revoked', actor: 'admin-token', user, client: client.id, grant };
        };
      },
    },
    {
      name: 'a disconnection by the person',
      begin: async () => {
        const { client, user, grant } = await connect();
        const browser = await atAccount();
        return async () => {
          await browser.press(`grant=${grant}`);
          return { type: 'grant.revoked', actor: user, user, client: client.id, grant, detail: { reason: 'user' } };
        };
      },
    },
    {
      name: 'a sign-in to the account page',
      begin: async () => {
        const { user } = await connect();
        return async () => {
          await atAccount();
          return { type: 'account.signed_in', actor: user, user, provider: 'github' };
        };
      },
    },
    {
      name: 'a personal token that a person makes',
      begin: async () => {
        const { user } = await connect();
        const browser = await atAccount();
        const form = formsOf(browser.last).find(({ action }) => action.pathname === '/account/tokens')!;
        return async () => {
          form.fields.set('name', 'laptop');
          form.fields.set('days', '7');
          const { text } = await browser.submit(form.action, form.fields);
          secrets.add(/gth_pat_[A-Za-z0-9_-]+/.exec(text)?.[0] ?? '');
          return { type: 'personal-token.created', actor: user, user };
        };
      },
    },
    {
      name: 'a personal token that an administrator makes',
      begin: async () => {
        const { user } = await connect();
        return async () => {
          secrets.add((await done(admin.createToken({ body: { name: 'ci', user } }))).token);
          return { type: 'personal-token.created', actor: 'admin-token', user };
        };
      },
    },
    {
      name: 'a revoked personal token',
      begin: async () => {
        const { user } = await connect();
        const made = await done(admin.createToken({ body: { name: 'ci', user } }));
        return async () => {
          await admin.revokeToken({ path: { id: made.id } });
          return { type: 'personal-token.revoked', actor: 'admin-token', user };
        };
      },
    },
    {
      name: 'a client that registers itself',
      begin: async () => async () => {
        const client = await TestClient.register(house.gatehouse.url, { client_name: `Own ${people++}` });
        return { type: 'client.registered', actor: null, client: client.id };
      },
    },
    {
      name: 'a registration that is refused',
      changesNothing: true,
      begin: async () => async () => {
        await TestClient.register(house.gatehouse.url, { redirect_uris: ['javascript:1'] }).catch(() => undefined);
        return { type: 'client.registration_refused', outcome: 'refused', detail: { check: 'registration-metadata' } };
      },
    },
    {
      name: 'a client that an administrator makes',
      begin: async () => async () => {
        const client = await register();
        return { type: 'client.registered', actor: 'admin-token', client: client.id };
      },
    },
    { name: 'a changed client', begin: toClient('client.changed', { note: 'n' }) },
    { name: 'a blocked client', begin: toClient('client.blocked', { status: 'blocked' }) },
    { name: 'an unblocked client', begin: toClient('client.unblocked', { status: 'active' }, { status: 'blocked' }) },
    { name: 'an approved client', begin: toClient('client.approved', { status: 'active' }, { status: 'pending' }) },
    {
      name: 'a removed client',
      begin: async () => {
        const { client } = await connect();
        return async () => {
          await admin.removeClient({ path: { id: client.id } });
          return { type: 'client.removed', actor: 'admin-token', client: client.id };
        };
      },
    },
    { name: 'changed roles', begin: toUser('user.roles_changed', { roles: ['editor'] }) },
    { name: 'a blocked person', begin: toUser('user.blocked', { status: 'blocked' }) },
    { name: 'an unblocked person', begin: toUser('user.unblocked', { status: 'active' }, { status: 'blocked' }) },
    {
      name: 'an erased person',
      begin: async () => {
        const { user } = await connect();
        return async () => {
          await admin.eraseUser({ path: { id: user } });
          return { type: 'user.erased', actor: 'admin-token', user };
        };
      },
    },
    {
      name: 'a rotated key',
      begin: async () => async () => {
        await admin.rotateKeys();
        return { type: 'key.created', actor: 'admin-token' };
      },
    },
    {
      name: 'an export of the audit log',
      changesNothing: true,
      begin: async () => async () => {
        const headers = { authorization: `Bearer ${ADMIN}`, accept: 'application/x-ndjson' };
        await (await fetch(`${house.gatehouse.url}/admin/v1/events`, { headers })).text();
        return { type: 'events.exported', actor: 'admin-token' };
      },
    },
    {
      name: 'a refused administrator',
      changesNothing: true,
      begin: async () => {
        const { accessToken } = await connect();
        return async () => {
          await administration.as(accessToken).api.listUsers();
          return { type: 'admin.refused', outcome: 'refused', detail: { method: 'GET', route: '/admin/v1/users' } };
        };
      },
    },
    {
      name: 'a denied tool call',
      changesNothing: true,
      begin: async () => {
        const { client, accessToken, user, grant } = await connect();
        return async () => {
          expect((await callTool(house.gatehouse.mcpUrl, accessToken, 'openVault')).status).toBe(403);
          return {
            type: 'tool.denied',
            outcome: 'refused',
            user,
            client: client.id,
            grant,
            detail: { names: ['openVault'] },
          };
        };
      },
    },
  ];

  const atAccount = async (): Promise<Browser> => {
    const browser = new Browser([]);
    await browser.open(`${house.gatehouse.url}/account`);
    await browser.press('provider=github');
    return browser;
  };

  it.each(happenings)(
    'T10: $name: who, what, on which client, from where, with what outcome and under which reference',
    async ({ begin }) => {
      const act = await begin();
      const told = await act();
      const query = {
        type: told.type,
        ...(told.client ? { client: told.client } : {}),
        ...(told.user ? { user: told.user } : {}),
      };
      const events = await expect
        .poll(() => everything((at) => admin.listEvents({ query: { ...query, ...at } })))
        .not.toEqual([])
        .then(() => everything((at) => admin.listEvents({ query: { ...query, ...at } })));
      const { detail, ...members } = told;
      expect(events[0]).toMatchObject({
        outcome: 'ok',
        ...members,
        ip: '127.0.0.1',
        reference: expect.stringMatching(/^[\w-]{8,}$/),
      });
      expect(events[0]!.detail ?? {}).toMatchObject(detail ?? {});
    },
  );

  it('sec-47: no Event holds a token, code, secret, state or cookie', async () => {
    const text = JSON.stringify(await everything((at) => admin.listEvents({ query: { limit: 200, ...at } })));
    const long = [...secrets].filter((secret) => secret.length >= 16);
    expect(long.length).toBeGreaterThan(100);
    expect(long.filter((secret) => text.includes(secret))).toEqual([]);
  });

  it.each(happenings.filter(({ changesNothing }) => !changesNothing))(
    'T10: $name: without its Event nothing of it is done',
    async ({ begin }) => {
      const act = await begin();
      const database = house.gatehouse.app.get(Database);
      const refuse =
        kind.name === 'sqlite'
          ? [`CREATE TRIGGER no_event BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'no event'); END`]
          : [
              `CREATE OR REPLACE FUNCTION no_event() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'no event'; END $$ LANGUAGE plpgsql`,
              `CREATE TRIGGER no_event BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION no_event()`,
            ];
      const snapshot = async () => {
        const tables = [
          'gatehouse_user',
          'identity',
          'oauth_client',
          'oauth_grant',
          'oauth_token',
          'oauth_consent',
          'personal_token',
          'signing_key',
          'account_sign_in',
        ];
        const rows = await Promise.all(
          tables.map((table) => database.rows({ text: [`SELECT * FROM ${table} ORDER BY 1, 2`], values: [] })),
        );
        return Object.fromEntries(tables.map((table, i) => [table, rows[i]]));
      };
      const before = await snapshot();
      for (const text of refuse) await database.source.query(text);
      try {
        await act().catch(() => undefined);
      } finally {
        await database.source.query(
          kind.name === 'sqlite' ? 'DROP TRIGGER no_event' : 'DROP TRIGGER no_event ON event',
        );
      }
      expect(await snapshot()).toEqual(before);
    },
  );
});
