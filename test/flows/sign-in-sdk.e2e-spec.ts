import { Injectable } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { Grants } from '../../src/oauth/grants.js';
import { Tool } from '../../src/mcp/decorators.js';
import { type HttpOutbound, OUTBOUND } from '../../src/outbound/http-outbound.js';
import { Users } from '../../src/users/users.js';
import { readable } from '../browser.js';
import { callTool, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';
import { connectV1, connectV2, SdkSignIn } from '../sdk-clients.js';

@Injectable()
class Notes {
  @Tool({ description: 'Reads a note', scopes: ['notes:read'], input: z.object({}) })
  readNote(): string {
    return 'the note';
  }
}

const DOCUMENT = 'https://client.example/oauth/client.json';

describe.each([
  ['1.x client that registers itself', connectV1, undefined],
  ['2.x client that registers itself', connectV2, undefined],
  ['1.x client with a metadata document', connectV1, DOCUMENT],
  ['2.x client with a metadata document', connectV2, DOCUMENT],
] as const)('an SDK %s', (_, connect, documentUrl) => {
  let house: WithGitHub;
  const person = new SdkSignIn(documentUrl);

  beforeAll(async () => {
    house = await startWithGitHub({ tools: [Notes] });
    serveDocument(house);
  });
  afterAll(() => house.close());

  it('goes from 401 to hello and whoami', async () => {
    const client = await connect(house.gatehouse.mcpUrl, person);
    expect((await client.callTool('hello', { name: 'SDK' })).text).toContain('hello, SDK');
    const { structured } = await client.callTool('whoami');
    expect(structured).toMatchObject({
      name: 'The Octocat',
      email: 'octocat@github.example',
      via: 'github',
      scopes: ['mcp'],
    });
    expect(person.signIns).toBe(1);
    if (documentUrl) expect(person.information?.client_id).toBe(DOCUMENT);
    await client.close();
  });

  it('T1: refreshes without the person when the access token is over, five calls at once', async () => {
    const client = await connect(house.gatehouse.mcpUrl, person);
    // The 1.x SDK takes a 401 that arrives after another call's refresh for a refusal of the new token: open all connections first.
    await Promise.all(Array.from({ length: 5 }, () => client.callTool('hello', { name: 'warm' })));
    person.current = { ...person.current!, access_token: person.current!.access_token.replace(/.{6}$/, 'AAAAAA') };
    const answers = await Promise.all(
      Array.from({ length: 5 }, (__, i) => client.callTool('hello', { name: String(i) })),
    );
    expect(answers.map(({ text }) => text)).toEqual(Array.from({ length: 5 }, (__, i) => `hello, ${i}`));
    expect(person.signIns).toBe(1);
    await client.close();
  });

  it('S2: steps up to a scoped tool by a new consent for the difference', async () => {
    const stepping = new SdkSignIn(documentUrl);
    stepping.information = person.information;
    const before = await connect(house.gatehouse.mcpUrl, stepping);
    const refused = await callTool(house.gatehouse.mcpUrl, stepping.current!.access_token, 'readNote');
    expect(refused.status).toBe(403);
    const challenge = refused.headers.get('www-authenticate') ?? '';
    expect(challenge).toContain('error="insufficient_scope"');
    expect(/scope="([^"]*)"/.exec(challenge)?.[1]?.split(' ').sort()).toEqual(['mcp', 'notes:read']);
    await before.callTool('readNote').catch(() => null);
    await before.stepUp('mcp notes:read');
    expect(stepping.browser.seen.findLast(({ status }) => status === 200)?.text).toContain('notes:read');
    expect((await before.callTool('readNote')).text).toBe('the note');
    await before.close();
  });

  it('a revoked Grant sends the person through one new sign-in', async () => {
    const client = await connect(house.gatehouse.mcpUrl, person);
    const users = house.gatehouse.app.get(Users, { strict: false });
    const grants = house.gatehouse.app.get(Grants, { strict: false });
    const user = await users.findByIdentity('github', '583231');
    await grants.revokeAll(user!.id, { actor: 'admin-token', reason: 'admin' });
    await client.close();
    const again = await connect(house.gatehouse.mcpUrl, person);
    expect((await again.callTool('hello', { name: 'again' })).text).toBe('hello, again');
    expect(person.signIns).toBe(2);
    await again.close();
  });
});

/** Answers for client.example; everything else goes out as ever. */
function serveDocument({ gatehouse }: WithGitHub): void {
  const outbound = gatehouse.app.get<HttpOutbound>(OUTBOUND);
  const real = outbound.send.bind(outbound);
  vi.spyOn(outbound, 'send').mockImplementation(async (url, request) => {
    if (url.href !== DOCUMENT) return real(url, request);
    const headers = new Headers({ 'content-type': 'application/json' });
    return { status: 200, headers, text: JSON.stringify({ client_id: DOCUMENT, ...new SdkSignIn().clientMetadata }) };
  });
}

describe('after a sign-in', () => {
  let house: WithGitHub;
  let client: TestClient;

  beforeAll(async () => {
    house = await startWithGitHub({ tools: [Notes] });
    client = await TestClient.register(house.gatehouse.url);
  });
  afterAll(() => house.close());

  it('U2: fifty tool calls ask the upstream nothing, and are answered with the upstream switched off', async () => {
    const { accessToken } = await signIn(client);
    const asked = house.github.requests.length;
    for (let i = 0; i < 50; i++)
      expect((await callTool(house.gatehouse.mcpUrl, accessToken, 'hello', { name: 'x' })).status).toBe(200);
    expect(house.github.requests.length).toBe(asked);
    await house.github.close();
    expect((await callTool(house.gatehouse.mcpUrl, accessToken, 'whoami')).status).toBe(200);
    await house.github.listen(Number(new URL(house.github.origin).port));
  });

  it('S2: an optional scope has a checkbox; what is not ticked is not granted, and the next request asks for the difference only', async () => {
    const browser = client.browser();
    const page = await browser.open(client.authorizeUrl({ scope: 'mcp notes:read', prompt: 'login' }));
    expect(page.text).toContain('type="checkbox" name="scope" value="notes:read"');
    expect(page.text).not.toContain('type="checkbox" name="scope" value="mcp"');
    await browser.press('provider=github', []);
    const narrow = await client.redeem(browser.stoppedAt.searchParams.get('code')!);
    expect(narrow.body.scope).toBe('mcp');
    expect((await callTool(house.gatehouse.mcpUrl, narrow.body.access_token!, 'readNote')).status).toBe(403);
    const asked = await browser.open(client.authorizeUrl({ scope: 'mcp notes:read' }));
    expect(asked.status).toBe(200);
    const [difference = '', before = ''] = readable(asked).split('You allowed it before to');
    expect(difference).toContain('notes:read');
    expect(before).toContain('mcp');
    await browser.press('decision=approve', ['notes:read']);
    const wide = await client.redeem(browser.stoppedAt.searchParams.get('code')!);
    expect(wide.body.scope?.split(' ').sort()).toEqual(['mcp', 'notes:read']);
    expect((await callTool(house.gatehouse.mcpUrl, wide.body.access_token!, 'readNote')).status).toBe(200);
    await browser.open(client.authorizeUrl({ scope: 'mcp notes:read' }));
    expect(browser.stoppedAt.searchParams.has('code')).toBe(true);
  });

  it('sec-19: a scope that was not asked for cannot be ticked in', async () => {
    const browser = client.browser();
    await browser.open(client.authorizeUrl({ scope: 'mcp' }));
    await browser.press('provider=github', ['notes:read', 'admin']);
    expect((await client.redeem(browser.stoppedAt.searchParams.get('code')!)).body.scope).toBe('mcp');
  });

  it('revocation by the client cuts off the access token at the next request', async () => {
    const { accessToken, refreshToken } = await signIn(client);
    expect((await callTool(house.gatehouse.mcpUrl, accessToken, 'whoami')).status).toBe(200);
    expect((await client.revoke(refreshToken)).status).toBe(200);
    expect((await callTool(house.gatehouse.mcpUrl, accessToken, 'whoami')).status).toBe(401);
    expect((await client.refresh(refreshToken)).body.error).toBe('invalid_grant');
  });
});
