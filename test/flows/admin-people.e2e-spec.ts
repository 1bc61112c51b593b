import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Identity } from '../../src/providers/contract.js';
import { Users } from '../../src/users/users.js';
import { AdminClient } from '../admin-client.js';
import { databases, type TestDatabase } from '../databases.js';
import type { RunningGatehouse } from '../gatehouse.js';
import { startWithGitHub, type WithGitHub } from '../oauth-client.js';

const ADMIN = 'admin-token-of-this-test-suite-0123456789';

describe.each(databases())('people and personal tokens in the admin API, on $name', (kind) => {
  let place: TestDatabase;
  let running: WithGitHub;
  let gatehouse: RunningGatehouse;
  let users: Users;
  let admin: AdminClient;

  beforeAll(async () => {
    place = await kind.create();
    running = await startWithGitHub({
      env: { GATEHOUSE_DATABASE_URL: place.url, GATEHOUSE_ADMIN_TOKEN: ADMIN },
    });
    gatehouse = running.gatehouse;
    users = gatehouse.app.get(Users, { strict: false });
    admin = await AdminClient.of(gatehouse.url, ADMIN);
  });
  afterAll(async () => {
    await running.close();
    await place.drop();
  });

  const person = (subject: string, more: Partial<Identity> = {}): Promise<{ id: string }> =>
    users.signIn({
      provider: 'github',
      subject,
      email: `${subject}@example.com`,
      username: subject,
      name: `Person ${subject}`,
      claims: {},
      ...more,
    });
  const callMcp = (token: string): Promise<Response> =>
    fetch(gatehouse.mcpUrl, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2025-06-18',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'whoami', arguments: {} } }),
    });

  it('T10: lists people newest first, filters them, and shows their accounts', async () => {
    const mona = await person('mona');
    const google = await person('gina', { provider: 'google' });
    const items = await admin.all('listUsers', { query: { limit: 1 } });
    expect(items.map(({ id }) => id)).toEqual([google.id, mona.id]);
    expect(items[1]).toMatchObject({
      name: 'Person mona',
      email: 'mona@example.com',
      status: 'active',
      roles: [],
      identities: [{ provider: 'github', subject: 'mona', username: 'mona' }],
    });
    const ids = async (query: Record<string, string>): Promise<string[]> =>
      (await admin.all('listUsers', { query })).map(({ id }) => id as string);
    expect(await ids({ email: 'MONA@example.com' })).toEqual([mona.id]);
    expect(await ids({ provider: 'google' })).toEqual([google.id]);
    expect(await ids({ q: 'person gi' })).toEqual([google.id]);
    expect(await ids({ q: '%' })).toEqual([]);
    expect(await ids({ role: 'admin' })).toEqual([]);
    expect(await ids({ status: 'blocked' })).toEqual([]);
  });

  it('pages stay whole while people are added and erased', async () => {
    for (let i = 0; i < 7; i++) await person(`paged-${i}`);
    const first = await admin.call('listUsers', { query: { limit: 3, q: 'paged' } });
    await person('paged-late');
    await admin.call('eraseUser', { path: { id: first.body.items[0].id } });
    const rest = await admin.all('listUsers', { query: { limit: 2, q: 'paged', cursor: first.body.next_cursor } });
    const seen = [...first.body.items, ...rest].map(({ name }) => name as string);
    expect(seen).toEqual([6, 5, 4, 3, 2, 1, 0].map((i) => `Person paged-${i}`));
  });

  it('updates want If-Match: missing is 428, outdated 412, and the change carries a new ETag', async () => {
    const { id } = await person('versioned');
    const read = await admin.call('getUser', { path: { id } });
    const etag = read.headers.get('etag')!;
    const change = (ifMatch: string | undefined, body: unknown) =>
      admin.call('changeUser', { path: { id }, body, ...(ifMatch === undefined ? {} : { ifMatch }) });
    expect((await change(undefined, { roles: ['admin'] })).status).toBe(428);
    expect((await change('"other"', { roles: ['admin'] })).status).toBe(412);
    const changed = await change(etag, { roles: ['editor', 'admin', 'admin'] });
    expect(changed.body.roles).toEqual(['admin', 'editor']);
    expect((await change(etag, { roles: [] })).status).toBe(412);
    expect((await change(changed.headers.get('etag')!, { roles: [] })).body.roles).toEqual([]);
    expect((await change('*', { status: 'active' })).status).toBe(200);
  });

  it('of two administrators who change the same version at once, one is told', async () => {
    const { id } = await person('contended');
    const etag = (await admin.call('getUser', { path: { id } })).headers.get('etag')!;
    const roles = ['editor', 'viewer', 'author', 'tester'];
    const answers = await Promise.all(
      roles.map((role) => admin.call('changeUser', { path: { id }, ifMatch: etag, body: { roles: [role] } })),
    );
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 412, 412, 412]);
  });

  it('a personal token is shown once, works at /mcp, and shows its last use', async () => {
    const { id } = await person('tokened');
    const made = await admin.call('createToken', {
      body: { name: 'ci', user: id, scopes: ['basic'], expires_at: '2099-01-01T00:00:00Z' },
    });
    expect(made.status).toBe(201);
    expect(made.body.token).toMatch(/^gth_pat_/);
    expect(made.body).toMatchObject({ name: 'ci', user: id, scopes: ['basic'], status: 'active' });
    expect(made.headers.get('location')).toBe(`/admin/v1/tokens/${made.body.id}`);
    const answer = await callMcp(made.body.token);
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain(id);
    const [listed] = await admin.all('listUserTokens', { path: { id } });
    expect(JSON.stringify(listed)).not.toContain(made.body.token.slice(12));
    const one = await admin.call('getToken', { path: { id: made.body.id } });
    expect(one.body).toEqual(listed);
    expect((await admin.call('revokeToken', { path: { id: made.body.id } })).status).toBe(204);
    expect((await callMcp(made.body.token)).status).toBe(401);
    expect((await admin.call('getToken', { path: { id: made.body.id } })).body.status).toBe('revoked');
    expect((await admin.all('listTokens', { query: { user: id, status: 'active' } })).length).toBe(0);
    expect((await admin.all('listTokens', { query: { status: 'revoked', name: 'ci' } })).length).toBe(1);
  });

  it('a token for nobody, in the past, with a bad scope or with more than it may say is refused', async () => {
    const faults = async (body: unknown): Promise<string[]> => {
      const answer = await admin.call('createToken', { body });
      expect(answer.status).toBe(400);
      return (answer.body.errors as { at: string }[]).map(({ at }) => at);
    };
    expect(await faults({ name: 'x', user: 'nobody' })).toEqual(['body.user']);
    expect(await faults({ name: 'x', expires_at: 1000 })).toEqual(['body.expires_at']);
    expect(await faults({ name: 'x', scopes: ['a b'] })).toEqual(['body.scopes.0']);
    expect(await faults({ name: 'x', id: 'mine', hash: 'h' })).toEqual(['body.id', 'body.hash']);
    expect(await faults({ scopes: [] })).toEqual(['body.name']);
    expect(await faults({ name: 'a\u0000b' })).toEqual(['body.name']);
  });

  it('a blocked person’s next request is 401, and the Events say who blocked them', async () => {
    const { id } = await person('blocked-one');
    const { body: token } = await admin.call('createToken', { body: { name: 'laptop', user: id } });
    expect((await callMcp(token.token)).status).toBe(200);
    const etag = (await admin.call('getUser', { path: { id } })).headers.get('etag')!;
    const blocked = await admin.call('changeUser', { path: { id }, ifMatch: etag, body: { status: 'blocked' } });
    expect(blocked.body.status).toBe('blocked');
    expect((await callMcp(token.token)).status).toBe(401);
    expect((await admin.all('listUsers', { query: { status: 'blocked' } })).map((user) => user.id)).toEqual([id]);
    const [event] = await admin.all('listUserEvents', { path: { id }, query: { type: 'user.blocked' } });
    expect(event).toMatchObject({ actor: 'admin-token', user: id, outcome: 'ok', ip: '127.0.0.1' });
    const again = (await admin.call('getUser', { path: { id } })).headers.get('etag')!;
    await admin.call('changeUser', { path: { id }, ifMatch: again, body: { status: 'active' } });
    expect((await callMcp(token.token)).status).toBe(401);
  });

  it('erasing a person leaves the bare id in the Events and nothing else', async () => {
    const { id } = await person('erased-one');
    const { body: token } = await admin.call('createToken', { body: { name: 'secret hobby', user: id } });
    expect((await callMcp(token.token)).status).toBe(200);
    expect((await admin.call('eraseUser', { path: { id } })).status).toBe(204);
    expect((await callMcp(token.token)).status).toBe(401);
    expect((await admin.call('getUser', { path: { id } })).status).toBe(404);
    expect((await admin.call('eraseUser', { path: { id } })).status).toBe(404);
    expect((await admin.call('listUserTokens', { path: { id } })).status).toBe(404);
    expect((await admin.call('getToken', { path: { id: token.id } })).status).toBe(404);
    const events = await admin.all('listUserEvents', { path: { id } });
    expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(['user.created', 'user.erased']));
    expect(JSON.stringify(events)).not.toMatch(/erased-one|secret hobby/);
  });

  it.each([
    ['limit', '0'],
    ['limit', '201'],
    ['limit', '999999999999'],
    ['limit', '1e2'],
    ['limit', 'ten'],
    ['limit', ''],
    ['cursor', 'nonsense'],
    ['cursor', Buffer.from('["a"]').toString('base64url')],
    ['cursor', randomBytes(64).toString('base64url')],

    ['status', 'dead'],
    ['email', 'a\u0000b'],
    ['unknown', '1'],
  ])('refuses %s=%s with a problem that names it', async (name, value) => {
    const query = new URLSearchParams({ [name]: value }).toString();
    const answer = await fetch(`${gatehouse.url}/admin/v1/users?${query}`, {
      headers: { authorization: `Bearer ${ADMIN}` },
    });
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toMatch('application/problem+json');
    expect(await answer.json()).toMatchObject({ status: 400, errors: [{ at: `query.${name}` }] });
  });

  it('refuses the cursor of another list, and a parameter that comes twice', async () => {
    for (let i = 0; i < 2; i++) await admin.call('createToken', { body: { name: `spare-${i}` } });
    const { body } = await admin.call('listTokens', { query: { limit: 1 } });
    expect(body.next_cursor).toEqual(expect.any(String));
    expect((await admin.call('listUsers', { query: { cursor: body.next_cursor } })).status).toBe(400);
    const twice = await fetch(`${gatehouse.url}/admin/v1/users?limit=1&limit=2`, {
      headers: { authorization: `Bearer ${ADMIN}` },
    });
    expect(twice.status).toBe(400);
  });

  it('sec-44: no body names what is not offered: ids, e-mail, rule roles, unknown members', async () => {
    const { id } = await person('assigned');
    const ifMatch = (await admin.call('getUser', { path: { id } })).headers.get('etag')!;
    for (const body of [
      { id: 'other', roles: [] },
      { email: 'x@y.z' },
      { ruleRoles: ['admin'] },
      { status: 'active', __proto__: null, constructor: 1 },
      { roles: ['Not A Role'] },
      { roles: 'admin' },
      {},
      [],
      'text',
      null,
    ])
      expect((await admin.call('changeUser', { path: { id }, ifMatch, body })).status, JSON.stringify(body)).toBe(400);
    expect((await admin.call('getUser', { path: { id } })).headers.get('etag')).toBe(ifMatch);
  });

  it('answers garbage, forms and huge bodies as problems too', async () => {
    const send = async (type: string, body: string): Promise<[number, string]> => {
      const answer = await fetch(`${gatehouse.url}/admin/v1/tokens`, {
        method: 'POST',
        headers: { authorization: `Bearer ${ADMIN}`, 'content-type': type },
        body,
      });
      return [answer.status, answer.headers.get('content-type')!.split(';')[0]!];
    };
    expect(await send('application/json', '{"name":')).toEqual([400, 'application/problem+json']);
    expect(await send('application/json', '{"__proto__":{"name":"x"}}')).toEqual([400, 'application/problem+json']);
    expect(await send('application/x-www-form-urlencoded', 'name=x')).toEqual([415, 'application/problem+json']);
    expect(await send('text/plain', 'name')).toEqual([415, 'application/problem+json']);
    const huge = JSON.stringify({ name: 'x'.repeat(70_000) });
    expect(await send('application/json', huge)).toEqual([413, 'application/problem+json']);
  });
});
