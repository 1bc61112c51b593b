import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AdminApi } from '../admin-api/sdk.gen.js';
import { Administration, done, etagOf, firstOf, unfit } from '../admin-client.js';
import { databases, type TestDatabase } from '../databases.js';
import { CALLBACK, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

const ADMIN = 'admin-token-of-this-test-suite-0123456789';

describe.each(databases())('every operation of the admin API by its generated client, on $name', (kind) => {
  let place: TestDatabase;
  let house: WithGitHub;
  let administration: Administration;
  let admin: AdminApi;

  beforeAll(async () => {
    place = await kind.create();
    house = await startWithGitHub({ env: { GATEHOUSE_DATABASE_URL: place.url, GATEHOUSE_ADMIN_TOKEN: ADMIN } });
    administration = await Administration.of(house.gatehouse.url, ADMIN);
    admin = administration.api;
  });
  afterAll(async () => {
    await house.close();
    await place.drop();
  });

  it('an administrator’s day calls each one of the document, and each succeeds as declared', async () => {
    const made = await done(admin.createClient({ body: { name: 'Desk', redirect_uris: [CALLBACK] } }));
    const client = { path: { id: made.id } };
    expect((await done(admin.listClients({ query: { source: 'manual' } }))).items).toMatchObject([{ id: made.id }]);
    const clientVersion = { 'If-Match': await etagOf(admin.getClient(client)) };
    const noted = await done(admin.changeClient({ ...client, headers: clientVersion, body: { note: 'ours' } }));
    expect(noted.note).toBe('ours');

    await signIn(TestClient.known(house.gatehouse.url, made.id));
    const person = await firstOf(admin.listUsers());
    const user = { path: { id: person.id } };
    const userVersion = { 'If-Match': await etagOf(admin.getUser(user)) };
    const editor = await done(admin.changeUser({ ...user, headers: userVersion, body: { roles: ['editor'] } }));
    expect(editor.roles).toEqual(['editor']);

    const grant = await firstOf(admin.listGrants({ query: { client: made.id } }));
    expect(await firstOf(admin.listUserGrants(user))).toEqual(grant);
    expect(await done(admin.getGrant({ path: { id: grant.id } }))).toEqual(grant);
    await done(admin.revokeGrant({ path: { id: grant.id } }));

    const { token, ...rest } = await done(admin.createToken({ body: { name: 'ci', user: person.id } }));
    expect(token).toMatch(/^gth_pat_/);
    expect(await firstOf(admin.listTokens())).toEqual(rest);
    expect(await firstOf(admin.listUserTokens(user))).toEqual(rest);
    expect(await done(admin.getToken({ path: { id: rest.id } }))).toEqual(rest);
    await done(admin.revokeToken({ path: { id: rest.id } }));

    expect((await firstOf(admin.listEvents())).type).toBe('personal-token.revoked');
    expect((await firstOf(admin.listUserEvents(user))).user).toBe(person.id);
    expect((await firstOf(admin.listFlows({ query: { user: person.id } }))).outcome).toBe('done');
    expect((await firstOf(admin.listProviders())).id).toBe('github');
    const { kid } = await done(admin.rotateKeys());
    expect((await done(admin.listKeys())).items.map((key) => key.kid)).toContain(kid);
    expect((await done(admin.getStats())).users.total).toBe(1);
    await done(admin.eraseUser(user));
    await done(admin.removeClient(client));

    const declared = administration.operations.map(({ operationId }) => operationId);
    expect([...administration.succeeded].sort()).toEqual(declared.toSorted());
  });

  it('every list has pages of at most 200, and refuses odd limits, cursors and parameters that it does not know', async () => {
    const lists = administration.operations.filter(({ parameters }) =>
      parameters?.some(({ name }) => name === 'limit'),
    );
    expect(lists.map(({ operationId }) => operationId)).toEqual(
      administration.operations.map(({ operationId }) => operationId).filter((id) => id.startsWith('list')),
    );
    await signIn(await TestClient.register(house.gatehouse.url));
    const { id } = await firstOf(admin.listUsers());
    for (const { operationId } of lists)
      for (const [name, value] of [
        ['limit', 0],
        ['limit', 201],
        ['limit', 'abc'],
        ['cursor', 'abc'],
        ['colour', 'red'],
      ] as const) {
        const { error } = await admin[operationId](unfit({ path: { id }, query: { [name]: value } }));
        expect(error, `${operationId} ${name}=${value}`).toMatchObject({
          status: 400,
          errors: [{ at: `query.${name}` }],
        });
      }
  });
});
