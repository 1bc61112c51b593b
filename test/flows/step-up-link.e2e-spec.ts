import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Revocations } from '../../src/access/revocations.js';
import { EventRow } from '../../src/audit/event.entity.js';
import { StepUpLinkRow } from '../../src/account/step-up-link.entity.js';
import { Tool } from '../../src/mcp/decorators.js';
import { Database } from '../../src/persistence/database.js';
import { sql } from '../../src/persistence/statement.js';
import { octocat } from '../../src/testing/fake-github.js';
import { Browser, readable } from '../browser.js';
import { databases, type TestDatabase } from '../databases.js';
import { freePort, TOKEN } from '../gatehouse.js';
import { connectV1, connectV2, SdkSignIn } from '../sdk-clients.js';
import { callTool, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

@Injectable()
class Notes {
  @Tool({ description: 'Reads a note', scopes: ['notes:read'], output: z.object({ note: z.string() }) })
  readNote(): { note: string } {
    return { note: 'the note' };
  }

  @Tool({ description: 'Writes a note', scopes: ['notes:write'], input: z.object({}) })
  writeNote(): string {
    return 'written';
  }
}

interface ToolAnswer {
  readonly result?: { readonly isError?: boolean; readonly content: { readonly text: string }[] };
}

async function linkIn(response: Response): Promise<string | null> {
  const { result } = (await response.json()) as ToolAnswer;
  return /https?:\/\/\S+\/account\/widen\/[A-Za-z0-9_-]{43}/.exec(result?.content[0]?.text ?? '')?.[0] ?? null;
}

const env = {
  GATEHOUSE_PROVIDERS: 'github,static-token',
  GATEHOUSE_STEP_UP: 'link',
  GATEHOUSE_SECRET: randomBytes(32).toString('base64'),
};

describe.each(databases())('GATEHOUSE_STEP_UP=link on $name', (kind) => {
  let database: TestDatabase;
  let house: WithGitHub;

  beforeAll(async () => {
    database = await kind.create();
    house = await startWithGitHub({
      env: { ...env, GATEHOUSE_DATABASE_URL: database.url },
      tools: [Notes],
    });
  });
  afterAll(async () => {
    await house.close();
    await database.drop();
  });

  const call = (token: string, name: string) => callTool(house.gatehouse.mcpUrl, token, name);

  it('S2: a tool refused for scope answers a link; after the person allows it there the same token may call, and so may its successors', async () => {
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'Link <Client>' });
    const { accessToken, refreshToken } = await signIn(client);
    const refused = await call(accessToken, 'readNote');
    expect(refused.status).toBe(200);
    const answer = (await refused.clone().json()) as ToolAnswer;
    expect(answer.result?.isError).toBe(true);
    expect(answer.result?.content[0]?.text).toContain('notes:read');
    const link = await linkIn(refused);
    const browser = new Browser([]);
    await browser.open(link!);
    expect(readable(browser.last)).toContain('Sign in to decide');
    await browser.press('provider=github');
    expect(browser.last.url.href).toBe(link);
    expect(readable(browser.last)).toContain('Link <Client>');
    expect(readable(browser.last)).toContain('notes:read');
    await browser.press('decision=allow');
    expect(readable(browser.last)).toContain('may use it now');
    expect(await (await call(accessToken, 'readNote')).text()).toContain('the note');
    const refreshed = await client.refresh(refreshToken);
    expect(await (await call(refreshed.body.access_token!, 'readNote')).text()).toContain('the note');
    expect(await linkIn(await call(accessToken, 'writeNote'))).not.toBeNull();
    expect(readable(await browser.open(`${house.gatehouse.url}/account`))).toContain('notes:read');
    const event = await house.gatehouse.app.get(Database).repository(EventRow).findOneBy({ type: 'grant.widened' });
    expect(event).toMatchObject({ outcome: 'ok', clientId: client.id, detail: { scopes: ['notes:read'] } });
  });

  it('S2, S4: after it was widened a Grant is named with its scopes at /token and /introspect, and a refresh may still ask for less', async () => {
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'Widened' });
    const asked = { parameters: { scope: 'mcp notes:read notes:write' }, ticked: [] };
    const { answer, accessToken, refreshToken, browser } = await signIn(client, asked);
    expect(answer.body.scope).toBe('mcp');
    await browser.open((await linkIn(await call(accessToken, 'readNote')))!);
    await browser.press('provider=github');
    await browser.press('decision=allow');
    const scopeOf = async (token: string): Promise<unknown> => {
      const form = new URLSearchParams({ token, client_id: client.id });
      const told = await fetch(`${house.gatehouse.url}/introspect`, { method: 'POST', body: form });
      return ((await told.json()) as { scope?: unknown }).scope;
    };
    expect(await scopeOf(accessToken)).toBe('mcp notes:read');
    expect(await scopeOf(refreshToken)).toBe('mcp notes:read');
    const wide = await client.refresh(refreshToken);
    expect(wide.body.scope).toBe('mcp notes:read');
    const less = await client.refresh(wide.body.refresh_token!, { scope: 'mcp' });
    expect(less.body.scope).toBe('mcp');
    expect(await scopeOf(less.body.access_token!)).toBe('mcp');
    expect(await linkIn(await call(less.body.access_token!, 'readNote'))).not.toBeNull();
    const named = await client.refresh(less.body.refresh_token!, { scope: 'mcp notes:read' });
    expect([named.status, named.body.scope]).toEqual([200, 'mcp notes:read']);
    expect(await (await call(named.body.access_token!, 'readNote')).text()).toContain('the note');
    expect((await client.refresh(named.body.refresh_token!, { scope: 'notes:write' })).body.error).toBe(
      'invalid_scope',
    );
  });

  it('the next sign-in of that Client asks for nothing that was allowed at the link', async () => {
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'Remembered' });
    const { accessToken, browser } = await signIn(client);
    const link = await linkIn(await call(accessToken, 'readNote'));
    await browser.open(link!);
    await browser.press('provider=github');
    await browser.press('decision=allow');
    await browser.open(client.authorizeUrl({ scope: 'mcp notes:read' }));
    expect(browser.stoppedAt.searchParams.has('code')).toBe(true);
  });

  it.each([
    ['1.x', connectV1],
    ['2.x', connectV2],
  ] as const)('SDK %s shows the link to its model and goes on without another sign-in', async (_, connect) => {
    const person = new SdkSignIn();
    const client = await connect(house.gatehouse.mcpUrl, person);
    const { text } = await client.callTool('readNote');
    const link = /https?:\/\/\S+\/account\/widen\/[A-Za-z0-9_-]{43}/.exec(text)?.[0];
    await person.browser.open(link!);
    await person.browser.press('provider=github');
    await person.browser.press('decision=allow');
    expect((await client.callTool('readNote')).structured).toEqual({ note: 'the note' });
    expect(person.signIns).toBe(1);
    await client.close();
  });

  it('another node, which remembers the token without the scope, hears of it', async () => {
    const port = await freePort();
    const other = await startWithGitHub({
      port,
      env: { ...env, GATEHOUSE_DATABASE_URL: database.url, GATEHOUSE_PUBLIC_URL: house.gatehouse.url },
      tools: [Notes],
    });
    const there = (token: string) => callTool(`http://localhost:${port}/mcp`, token, 'readNote');
    const { accessToken, browser } = await signIn(await TestClient.register(house.gatehouse.url));
    const link = await linkIn(await there(accessToken));
    await browser.open(link!);
    await browser.press('provider=github');
    await browser.press('decision=allow');
    await other.gatehouse.app.get(Revocations).poll();
    expect(await (await there(accessToken)).text()).toContain('the note');
    await other.close();
  });

  it('a link works once, and not at all when it is refused', async () => {
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'Once' });
    const { accessToken } = await signIn(client);
    const link = await linkIn(await call(accessToken, 'writeNote'));
    expect(await linkIn(await call(accessToken, 'writeNote'))).toBe(link);
    const browser = new Browser([]);
    await browser.open(link!);
    await browser.press('provider=github');
    await browser.press('decision=deny');
    expect(readable(browser.last)).toContain('Nothing has changed');
    expect((await browser.open(link!)).status).toBe(400);
    expect(readable(browser.last)).toContain('This link is over');
    expect((await call(accessToken, 'writeNote')).status).toBe(200);
    expect(await linkIn(await call(accessToken, 'writeNote'))).not.toBeNull();
  });

  it('HT-31: another person who opens the link widens nothing and learns nothing', async () => {
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'Secret Client' });
    const { accessToken } = await signIn(client);
    const link = await linkIn(await call(accessToken, 'readNote'));
    house.github.person = { ...octocat(), id: 666, login: 'mallory', name: 'Mallory' };
    const browser = new Browser([]);
    await browser.open(link!);
    await browser.press('provider=github');
    house.github.person = octocat();
    expect(browser.last.status).toBe(403);
    expect(browser.last.text).not.toContain('Secret Client');
    expect(await linkIn(await call(accessToken, 'readNote'))).not.toBeNull();
  });

  it('a link is over after ten minutes and when its connection ends; its id is stored as a hash only', async () => {
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'Late' });
    const { accessToken, refreshToken } = await signIn(client);
    const link = (await linkIn(await call(accessToken, 'readNote')))!;
    const store = house.gatehouse.app.get(Database);
    const rows = await store.repository(StepUpLinkRow).find();
    expect(JSON.stringify(rows)).not.toContain(link.split('/').at(-1));
    const browser = new Browser([]);
    await browser.open(`${house.gatehouse.url}/account`);
    await browser.press('provider=github');
    await store.commit([sql`UPDATE step_up_link SET expires_at = expires_at - 601`]);
    expect(readable(await browser.open(link))).toContain('This link is over');
    const fresh = (await linkIn(await call(accessToken, 'readNote')))!;
    expect((await browser.open(fresh)).status).toBe(200);
    await client.revoke(refreshToken);
    expect(readable(await browser.open(fresh))).toContain('This link is over');
  });

  it('2026 clients and tokens without a Grant keep the 403 challenge', async () => {
    expect((await call(TOKEN, 'readNote')).status).toBe(403);
    const { accessToken } = await signIn(await TestClient.register(house.gatehouse.url));
    const modern = await fetch(house.gatehouse.mcpUrl, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'tools/call',
        'mcp-name': 'readNote',
        authorization: `Bearer ${accessToken}`,
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: {
          name: 'readNote',
          arguments: {},
          _meta: {
            'io.modelcontextprotocol/protocolVersion': '2026-07-28',
            'io.modelcontextprotocol/clientCapabilities': {},
          },
        },
      }),
    });
    expect(modern.status).toBe(403);
    expect(modern.headers.get('www-authenticate')).toContain('insufficient_scope');
  });
});
