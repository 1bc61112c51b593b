import { createHash, randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Tool } from '../../src/mcp/decorators.js';
import { type HttpOutbound, OUTBOUND } from '../../src/outbound/http-outbound.js';
import { OutboundFailed, type OutboundResponse } from '../../src/outbound/outbound.js';
import { octocat } from '../../src/testing/fake-github.js';
import type { AdminApi } from '../admin-api/sdk.gen.js';
import type { ClientChange } from '../admin-api/types.gen.js';
import { Administration, done, etagOf, everything, faults, firstOf, refusal } from '../admin-client.js';
import { Browser, readable } from '../browser.js';
import { databases, type TestDatabase } from '../databases.js';
import { connectV1, connectV2, SdkSignIn } from '../sdk-clients.js';
import { callTool, CALLBACK, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

const ADMIN = 'admin-token-of-this-test-suite-0123456789';

@Injectable()
class Notes {
  @Tool({ description: 'Reads a note', scopes: ['notes:read'] })
  readNote(): string {
    return 'the note';
  }
}

/** The administrator's side of one server, and documents that its clients publish. */
class House {
  readonly #people: { next: number } = { next: 7000 };
  readonly documents = new Set<string>();
  fetched: string[] = [];

  private constructor(
    readonly at: WithGitHub,
    readonly place: TestDatabase,
    readonly admin: AdminApi,
  ) {}

  static async start(place: TestDatabase, env: Record<string, string>): Promise<House> {
    const at = await startWithGitHub({
      env: {
        GATEHOUSE_DATABASE_URL: place.url,
        GATEHOUSE_ADMIN_TOKEN: ADMIN,
        GATEHOUSE_SECRET: randomBytes(32).toString('base64'),
        ...env,
      },
      tools: [Notes],
    });
    const { api } = await Administration.of(at.gatehouse.url, ADMIN);
    const house = new House(at, place, api);
    const outbound = at.gatehouse.app.get<HttpOutbound>(OUTBOUND);
    const real = outbound.send.bind(outbound);
    vi.spyOn(outbound, 'send').mockImplementation((target, request) =>
      request?.trust === 'stranger' ? house.#publish(target) : real(target, request),
    );
    return house;
  }

  async close(): Promise<void> {
    await this.at.close();
    await this.place.drop();
  }

  get url(): string {
    return this.at.gatehouse.url;
  }

  newPerson(): void {
    const id = this.#people.next++;
    this.at.github.person = { ...octocat(), id, login: `p${id}` };
  }

  async change(id: string, body: ClientChange): Promise<void> {
    const ifMatch = await etagOf(this.admin.getClient({ path: { id } }));
    await done(this.admin.changeClient({ path: { id }, headers: { 'If-Match': ifMatch }, body }));
  }

  async calls(token: string | undefined, tool = 'whoami'): Promise<number> {
    return (await callTool(this.at.gatehouse.mcpUrl, token ?? '', tool)).status;
  }

  async scopesAtTool(token: string): Promise<readonly string[]> {
    const answer = await (await callTool(this.at.gatehouse.mcpUrl, token, 'whoami')).text();
    return JSON.parse(/"scopes":(\[[^\]]*\])/.exec(answer)![1]!) as string[];
  }

  /** RFC 7662, by a Client of its own token or by the administrator of any. */
  async introspect(token: string, by: TestClient | null): Promise<Record<string, unknown>> {
    const answer = await fetch(`${this.url}/introspect`, {
      method: 'POST',
      headers: by === null ? { authorization: `Bearer ${ADMIN}` } : {},
      body: new URLSearchParams({ token, ...(by === null ? {} : { client_id: by.id }) }),
    });
    expect(answer.status).toBe(200);
    return (await answer.json()) as Record<string, unknown>;
  }

  async #publish(target: URL): Promise<OutboundResponse> {
    this.fetched.push(target.href);
    if (!this.documents.has(target.href)) throw new OutboundFailed('unreachable', 'nobody there');
    return {
      status: 200,
      headers: new Headers({ 'content-type': 'application/json' }),
      text: JSON.stringify({
        client_id: target.href,
        client_name: 'Document Client',
        redirect_uris: [CALLBACK, 'https://docs.example/cb'],
      }),
    };
  }
}

describe.each(databases())('the standing of clients, on $name', (kind) => {
  let house: House;
  beforeAll(async () => {
    house = await House.start(await kind.create(), {});
  });
  afterAll(() => house.close());

  const registered = () => TestClient.register(house.url, { client_name: `Client ${randomBytes(4).toString('hex')}` });
  const published = async (): Promise<TestClient> => {
    const id = `https://docs.example/${randomBytes(4).toString('hex')}.json`;
    house.documents.add(id);
    return TestClient.known(house.url, id);
  };

  describe.each([
    { sort: 'registered', make: registered },
    { sort: 'document', make: published },
  ])('a $sort client', ({ make }) => {
    it.each([
      { status: 'pending', page: 'Waiting for an administrator', check: 'client-pending' },
      { status: 'blocked', page: 'An administrator has blocked', check: 'client-blocked' },
    ] as const)(
      'T2, T10: that is $status: no refresh, no code, not active; reactivated, it goes on with what it had',
      async ({ status, page, check }) => {
        const client = await make();
        house.newPerson();
        const { browser, accessToken, refreshToken } = await signIn(client);
        await browser.open(client.authorizeUrl());
        const code = browser.stoppedAt.searchParams.get('code')!;

        await house.change(client.id, { status });
        expect(await house.calls(accessToken)).toBe(401);
        for (const refused of [await client.refresh(refreshToken), await client.redeem(code)]) {
          expect(refused.status).toBe(400);
          expect(refused.body).toEqual({
            error: 'invalid_grant',
            error_description: 'an administrator has suspended this client',
          });
        }
        for (const token of [accessToken, refreshToken])
          for (const by of [client, null]) expect(await house.introspect(token, by)).toEqual({ active: false });
        const event = await firstOf(house.admin.listEvents({ query: { client: client.id, type: 'token.refused' } }));
        expect(event.detail).toMatchObject({ check });
        expect(readable(await client.browser().open(client.authorizeUrl()))).toContain(page);

        await house.change(client.id, { status: 'active' });
        expect(await house.calls(accessToken)).toBe(200);
        expect(await house.introspect(accessToken, client)).toMatchObject({ active: true });
        const again = await client.refresh(refreshToken);
        expect(again.status).toBe(200);
        expect(await house.calls(again.body.access_token)).toBe(200);
        expect((await client.redeem(code)).status).toBe(200);
      },
    );

    it('T10: while suspended it can still give its token back, and that lasts', async () => {
      const client = await make();
      house.newPerson();
      const { accessToken, refreshToken } = await signIn(client);
      await house.change(client.id, { status: 'blocked' });
      expect((await client.revoke(refreshToken)).status).toBe(200);
      await house.change(client.id, { status: 'active' });
      expect(await house.calls(accessToken)).toBe(401);
      expect((await client.refresh(refreshToken)).body.error).toBe('invalid_grant');
    });
  });

  const refusals = (id: string) =>
    everything((at) => house.admin.listEvents({ query: { client: id, type: 'token.refused', ...at } }));

  it.each([
    ['1.x', 'pending', connectV1],
    ['1.x', 'blocked', connectV1],
    ['2.x', 'pending', connectV2],
    ['2.x', 'blocked', connectV2],
  ] as const)(
    'T2: SDK %s whose registration is %s asks its person once, and keeps the registration',
    async (_, status, connect) => {
      house.newPerson();
      const person = new SdkSignIn();
      const client = await connect(house.at.gatehouse.mcpUrl, person);
      expect((await client.callTool('hello', { name: 'SDK' })).text).toContain('hello, SDK');
      const { client_id: id } = person.information!;
      // The same metadata is the same Client in every one of these.
      const before = (await refusals(id)).length;
      await house.change(id, { status });
      await expect(client.callTool('hello', { name: 'SDK' })).rejects.toThrow();
      expect(person.signIns).toBe(2);
      expect(readable(person.browser.last)).toContain(status === 'pending' ? 'Waiting for' : 'is blocked here');
      expect((await refusals(id)).length).toBe(before + 1);
      await client.close();
      await house.change(id, { status: 'active' });
      const again = await connect(house.at.gatehouse.mcpUrl, person);
      expect((await again.callTool('hello', { name: 'SDK' })).text).toContain('hello, SDK');
      expect([person.information!.client_id, person.signIns]).toEqual([id, 3]);
      await again.close();
    },
  );

  it('R3: a client with a secret that is blocked must still prove itself', async () => {
    const made = await done(
      house.admin.createClient({
        body: { name: 'Desk', redirect_uris: [CALLBACK], token_endpoint_auth_method: 'client_secret_post' },
      }),
    );
    const client = TestClient.known(house.url, made.id);
    await house.change(client.id, { status: 'blocked' });
    const form = { grant_type: 'refresh_token', refresh_token: 'gth_rt_x' };
    const wrong = await client.token({ ...form, client_secret: 'wrong' });
    expect([wrong.status, wrong.body.error]).toEqual([401, 'invalid_client']);
    const right = await client.token({ ...form, client_secret: made.client_secret! });
    expect([right.status, right.body.error]).toEqual([400, 'invalid_grant']);
  });

  it('S4: what an administrator withholds is named neither at /token nor at /introspect, and comes back when it is given back', async () => {
    const client = await registered();
    house.newPerson();
    const asked = { parameters: { scope: 'mcp notes:read' }, ticked: ['notes:read'] };
    const first = await signIn(client, asked);
    expect(first.answer.body.scope).toBe('mcp notes:read');
    await house.change(client.id, { scopes: ['mcp'] });
    const limited = await client.refresh(first.refreshToken);
    expect(limited.body.scope).toBe('mcp');
    expect(await house.scopesAtTool(limited.body.access_token!)).toEqual(['mcp']);
    for (const token of [first.accessToken, limited.body.access_token!, limited.body.refresh_token!])
      for (const by of [client, null])
        expect(await house.introspect(token, by)).toMatchObject({ active: true, scope: 'mcp' });
    const grant = await firstOf(house.admin.listGrants({ query: { client: client.id } }));
    expect(grant.scopes).toEqual(['mcp']);
    await house.change(client.id, { scopes: null });
    const free = await client.refresh(limited.body.refresh_token!);
    expect(free.body.scope).toBe('mcp notes:read');
    expect(await house.calls(free.body.access_token, 'readNote')).toBe(200);
  });

  it('S4, sec-19: a request for withheld scopes alone is invalid_scope, never the default scopes', async () => {
    const client = await registered();
    await house.change(client.id, { scopes: ['mcp'] });
    const browser = client.browser();
    await browser.open(client.authorizeUrl({ scope: 'notes:read' }));
    const back = browser.stoppedAt.searchParams;
    expect([back.get('error'), back.get('state'), back.get('iss')]).toEqual([
      'invalid_scope',
      'client-state',
      house.url,
    ]);
    expect(back.get('error_description')).toContain('notes:read');
    const flow = await firstOf(house.admin.listFlows({ query: { client: client.id } }));
    expect(flow).toMatchObject({ failed_check: 'scope' });
    house.newPerson();
    expect((await signIn(client, { parameters: { scope: 'notes:read mcp' } })).answer.body.scope).toBe('mcp');
    expect((await signIn(client, { parameters: { scope: 'no-such-scope' } })).answer.body.scope).toBe('mcp');
  });

  it('S4: a client that may have nothing is told so before anybody is asked, pushed requests too', async () => {
    const client = await TestClient.register(house.url, { redirect_uris: ['https://app.example/cb'] });
    await house.change(client.id, { scopes: [] });
    const page = await client.browser().open(client.authorizeUrl());
    expect(page.status).toBe(400);
    expect(readable(page)).toContain('an administrator does not allow this client this scope: mcp');
    const challenge = createHash('sha256').update(client.verifier).digest('base64url');
    const pushed = await fetch(`${house.url}/par`, {
      method: 'POST',
      body: new URLSearchParams({
        client_id: client.id,
        response_type: 'code',
        redirect_uri: client.redirectUri,
        code_challenge: challenge,
        code_challenge_method: 'S256',
      }),
    });
    expect([pushed.status, await pushed.json()]).toMatchObject([400, { error: 'invalid_scope' }]);
  });

  it('the parameter by which we tell the engine so means nothing when a client sends it', async () => {
    const client = await registered();
    house.newPerson();
    const parameters = { gatehouse_withheld: 'mcp' };
    expect((await signIn(client, { parameters })).answer.status).toBe(200);
  });
});

describe.each(databases())('registration closed, on $name', (kind) => {
  let house: House;
  beforeAll(async () => {
    house = await House.start(await kind.create(), { GATEHOUSE_REGISTRATION: 'closed' });
  });
  afterAll(() => house.close());

  const id = 'https://docs.example/closed.json';

  it('R6: metadata offers no registration, and documents, since admitted ones work', async () => {
    const answer = await fetch(`${house.url}/.well-known/oauth-authorization-server`);
    const metadata = (await answer.json()) as Record<string, unknown>;
    expect(metadata).not.toHaveProperty('registration_endpoint');
    expect(metadata).toMatchObject({ client_id_metadata_document_supported: true });
  });

  it('a document client that nobody admitted: the page names it, the trace says how to admit it, nothing is fetched', async () => {
    house.documents.add(id);
    const page = await new Browser([]).open(TestClient.known(house.url, id).authorizeUrl());
    expect(page.status).toBe(400);
    expect(readable(page)).toContain('This application is not admitted here');
    expect(readable(page)).toContain(`Ask whoever runs this server to admit ${id}`);
    expect(readable(page)).not.toContain('registers by itself');
    const flow = await firstOf(house.admin.listFlows({ query: { client: id } }));
    expect(flow).toMatchObject({ failed_check: 'registration-closed' });
    expect(flow.mend).toContain('POST it to /admin/v1/clients');
    expect(flow.steps.map(({ step }) => step)).toEqual(['authorize']);
    expect(house.fetched).toEqual([]);
  });

  it('an id that is unknown: nobody is advised to register', async () => {
    const page = await new Browser([]).open(TestClient.known(house.url, 'nobody').authorizeUrl());
    expect(readable(page)).toContain('Ask whoever runs this server to register your application');
    expect(readable(page)).not.toContain('registers by itself');
  });

  it('a document client that an administrator admits by its address works, and is known by its document', async () => {
    house.documents.add(id);
    const made = await done(house.admin.createClient({ body: { client_id: id, note: 'by Ada', scopes: ['mcp'] } }));
    expect(made).toMatchObject({
      id,
      source: 'cimd',
      status: 'active',
      name: 'Document Client',
      redirect_uris: [CALLBACK, 'https://docs.example/cb'],
      scopes: ['mcp'],
      note: 'by Ada',
      trusted: true,
      client_secret: null,
    });
    const event = await firstOf(house.admin.listEvents({ query: { client: id, type: 'client.registered' } }));
    expect(event).toMatchObject({ actor: 'admin-token', ip: '127.0.0.1' });
    const client = TestClient.known(house.url, id);
    const { accessToken, refreshToken } = await signIn(client);
    expect(await house.calls(accessToken)).toBe(200);
    expect((await client.refresh(refreshToken)).status).toBe(200);
    const { problem } = await refusal(house.admin.createClient({ body: { client_id: id } }));
    expect(problem).toMatchObject({ status: 409, detail: expect.stringContaining('change its status') });
    await house.change(id, { status: 'blocked' });
    const page = await new Browser([]).open(client.authorizeUrl());
    expect(readable(page)).toContain('An administrator has blocked');
  });

  it('with documents off nothing is offered, nothing can be admitted, and nobody is advised to register', async () => {
    const place = await kind.create();
    const without = await House.start(place, {
      GATEHOUSE_REGISTRATION: 'closed',
      GATEHOUSE_CLIENT_ID_DOCUMENTS: 'off',
    });
    try {
      const metadata = await (await fetch(`${without.url}/.well-known/oauth-authorization-server`)).json();
      expect(metadata).not.toHaveProperty('client_id_metadata_document_supported');
      const { problem } = await refusal(without.admin.createClient({ body: { client_id: id } }));
      expect(problem).toMatchObject({ status: 409, detail: expect.stringContaining('CLIENT_ID_DOCUMENTS is off') });
      const page = await new Browser([]).open(TestClient.known(without.url, id).authorizeUrl());
      expect(readable(page)).toContain('This application is not admitted here');
    } finally {
      await without.close();
    }
  });

  it.each([
    [{ client_id: 'https://nobody.example/client.json' }, 'body.client_id'],
    [{ client_id: 'http://docs.example/client.json' }, 'body.client_id'],
    [{ client_id: 'https://docs.example/x.json', name: 'Mine' }, 'body.name'],
    [{ name: 'Mine' }, 'body.redirect_uris'],
    [{ redirect_uris: [CALLBACK] }, 'body.name'],
  ])('%j is refused at %s', async (body, at) => {
    expect(await faults(house.admin.createClient({ body }))).toEqual([at]);
  });
});
