import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { PersonalTokens } from '../../src/access/personal-tokens.js';
import { Revocations } from '../../src/access/revocations.js';
import { Database } from '../../src/persistence/database.js';
import { UserRow } from '../../src/users/user.entity.js';
import { databases, type TestDatabase } from '../databases.js';
import { startGatehouse, type RunningGatehouse } from '../gatehouse.js';
import { changeUser } from '../people.js';

const CALL = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name: 'hello', arguments: { name: 'ohad' } },
});

/** The HTTP status of a tool call with this token. */
async function statusOf(gatehouse: RunningGatehouse, token: string): Promise<number> {
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
  };
  const response = await fetch(gatehouse.mcpUrl, { method: 'POST', headers, body: CALL });
  await response.text();
  return response.status;
}

describe.each(databases())('a revoked token, two nodes on one $name database', (kind) => {
  let place: TestDatabase;
  let nodes: RunningGatehouse[];

  beforeAll(async () => {
    place = await kind.create();
    const env = { GATEHOUSE_DATABASE_URL: place.url, GATEHOUSE_SECRET: Buffer.alloc(32, 7).toString('base64') };
    nodes = [await startGatehouse({ env }), await startGatehouse({ env })];
  });
  afterAll(async () => {
    await Promise.all(nodes.map((node) => node.close()));
    await place.drop();
  });

  const create = (expiresAt: number | null = null) =>
    nodes[0]!.app
      .get(PersonalTokens)
      .create({ name: 'laptop', userId: null, scopes: ['mcp'], expiresAt, actor: 'system' });

  it('T10: works on both, and on neither after its revocation: here at the next request, there as soon as the log was read', async () => {
    const [here, there] = nodes as [RunningGatehouse, RunningGatehouse];
    const { token, row } = await create();
    expect([await statusOf(here, token), await statusOf(there, token)]).toEqual([200, 200]);
    expect(await here.app.get(PersonalTokens).revoke(row.id, { actor: 'system' })).toBe(true);
    expect(await statusOf(here, token)).toBe(401);
    await there.app.get(Revocations).poll();
    expect(await statusOf(there, token)).toBe(401);
    expect(await here.app.get(PersonalTokens).revoke(row.id, { actor: 'system' })).toBe(false);
  });

  it('T10: the other node hears of it by itself', async () => {
    const [here, there] = nodes as [RunningGatehouse, RunningGatehouse];
    const { token, row } = await create();
    expect(await statusOf(there, token)).toBe(200);
    await here.app.get(PersonalTokens).revoke(row.id, { actor: 'system' });
    await vi.waitFor(async () => expect(await statusOf(there, token)).toBe(401), { timeout: 10_000, interval: 20 });
  });

  it('RS-9: an expired one is refused, and a lookalike with a wrong checksum too', async () => {
    const { token } = await create(Math.floor(Date.now() / 1000) - 1);
    expect(await statusOf(nodes[0]!, token)).toBe(401);
    expect(await statusOf(nodes[0]!, `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`)).toBe(401);
  });

  it('sec-27: only its hash is stored', async () => {
    const { token } = await create();
    const rows = await nodes[0]!.app.get(PersonalTokens).all();
    expect(rows.length).toBeGreaterThan(0);
    expect(JSON.stringify(rows)).not.toContain(token.slice(12));
  });
});

describe('a personal token of a person', () => {
  it('works on an installation on which nobody can log in any more, until the person is blocked', async () => {
    const place = await databases()[0]!.create();
    const gatehouse = await startGatehouse({ env: { GATEHOUSE_DATABASE_URL: place.url } });
    try {
      const database = gatehouse.app.get(Database);
      const person = {
        id: 'person-1',
        name: 'Ohad',
        email: null,
        avatar: null,
        roles: [],
        ruleRoles: [],
        createdAt: 1,
        lastSeenAt: 1,
      };
      await database.commit([database.insert(UserRow, { ...person, status: 'active' })]);
      const wanted = { name: 'laptop', userId: 'person-1', scopes: ['mcp'], expiresAt: null, actor: 'person-1' };
      const { token } = await gatehouse.app.get(PersonalTokens).create(wanted);
      expect(await statusOf(gatehouse, token)).toBe(200);
      await changeUser(gatehouse.app, 'person-1', { status: 'blocked' });
      expect(await statusOf(gatehouse, token)).toBe(401);
    } finally {
      await gatehouse.close();
      await place.drop();
    }
  });
});
