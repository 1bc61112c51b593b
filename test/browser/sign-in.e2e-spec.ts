import { Injectable } from '@nestjs/common';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Scopes, Tool } from '../../src/mcp/decorators.js';
import { octocat } from '../../src/testing/fake-github.js';
import { callTool, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';
import { axeFindings, chromiumPath, launch, listener, picture } from './chromium.js';

const path = chromiumPath();

@Injectable()
@Scopes(
  { name: 'notes:read', words: 'Read your notes' },
  { name: 'notes:write', words: 'Change and delete your notes' },
)
class Notes {
  @Tool({ description: 'Reads a note', scopes: ['notes:read'], input: z.object({}) })
  readNote(): string {
    return 'the note';
  }

  @Tool({ description: 'Writes a note', scopes: ['notes:write'], input: z.object({}) })
  writeNote(): string {
    return 'written';
  }
}

describe.skipIf(path === null)('signing in with Chromium', () => {
  let chromium: Browser;
  let context: BrowserContext;
  let page: Page;
  let house: WithGitHub;
  let native: Awaited<ReturnType<typeof listener>>;

  beforeAll(async () => {
    chromium = await launch(path!);
    native = await listener();
    house = await startWithGitHub({
      tools: [Notes],
      env: { GATEHOUSE_ALLOW: 'github-org:acme', GATEHOUSE_RATE_LIMITS: 'off' },
    });
    house.github.asksPerson = true;
  });
  afterAll(async () => {
    await chromium.close();
    await house.close();
    await native.close();
  });
  beforeEach(async () => {
    context = await chromium.newContext();
    page = await context.newPage();
    house.github.person = octocat();
    house.github.asksPerson = true;
    native.calls.length = 0;
  });
  afterEach(() => context.close());

  const register = (name: string, redirect = native.url): Promise<TestClient> =>
    TestClient.register(house.gatehouse.url, { client_name: name, redirect_uris: [redirect] });
  const allowAtGitHub = (): Promise<void> => page.getByRole('button', { name: /^Authorize/ }).click();
  const signInButton = () => page.getByRole('button', { name: 'Allow and continue with GitHub' });

  it('C2: Allow ends on http://localhost:<port> with a code that opens the tools', async () => {
    const client = await register('MCP Inspector');
    await page.goto(client.authorizeUrl().href);
    expect(await page.title()).toContain('MCP Inspector');
    expect(await axeFindings(page)).toEqual([]);
    await picture(page, 'sign-in');
    await page.emulateMedia({ colorScheme: 'dark' });
    expect(await axeFindings(page)).toEqual([]);
    await picture(page, 'sign-in-dark');
    await page.emulateMedia({ colorScheme: 'light' });
    await signInButton().click();
    await allowAtGitHub();
    await page.waitForURL(/\/callback\?/);
    const [call] = native.calls;
    expect(call?.searchParams.get('iss')).toBe(house.gatehouse.url);
    const { body } = await client.redeem(call!.searchParams.get('code')!);
    expect((await callTool(house.gatehouse.mcpUrl, body.access_token!, 'hello', { name: 'Chromium' })).status).toBe(
      200,
    );
  });

  it.each([
    ['https', 'https://client.example/cb'],
    ['cursor', 'cursor://anysphere.cursor-mcp/oauth/callback'],
  ])('C2: Allow ends on %s', async (_, redirect) => {
    const client = await register(`Client of ${redirect.split(':')[0]}`, redirect);
    // GitHub sends the browser straight back, so that one chain of redirects leads from our form to the client: what a `form-action` would cut.
    house.github.asksPerson = false;
    const asked: string[] = [];
    const cdp = await context.newCDPSession(page);
    await cdp.send('Network.enable');
    const arrived = new Promise<void>((resolve) => {
      cdp.on('Network.requestWillBeSent', ({ request }) => {
        asked.push(request.url);
        if (request.url.startsWith(`${redirect}?`)) resolve();
      });
    });
    await page.goto(client.authorizeUrl().href);
    await signInButton().click({ noWaitAfter: true });
    await arrived;
    expect(asked.at(-1)).toContain('code=');
  });

  it('the keyboard alone is enough', async () => {
    const client = await register('Keyboard');
    await page.goto(client.authorizeUrl().href);
    for (let i = 0; i < 10; i++) {
      await page.keyboard.press('Tab');
      if ((await page.evaluate<string>('document.activeElement?.textContent ?? ""')).includes('GitHub')) break;
    }
    const outline = await page.evaluate<string>('getComputedStyle(document.activeElement).outlineStyle');
    expect(outline).not.toBe('none');
    await page.keyboard.press('Enter');
    await page.waitForURL(/login\/oauth\/authorize/);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/callback\?/);
    expect(native.calls).toHaveLength(1);
  });

  it('C3: back from GitHub, reload, and a second tab do no harm', async () => {
    const client = await register('Back Button');
    await page.goto(client.authorizeUrl({ state: 'one' }).href);
    const shown = page.url();
    await signInButton().click();
    await page.waitForURL(/login\/oauth\/authorize/);
    await page.getByRole('button', { name: /^Authorize/ }).waitFor();
    await page.goBack();
    await page.waitForURL(shown);
    await page.reload();
    const second = await context.newPage();
    await second.goto(client.authorizeUrl({ state: 'two' }).href);
    await signInButton().click();
    await allowAtGitHub();
    await page.waitForURL(/\/callback\?/);
    await second.getByRole('button', { name: 'Allow and continue with GitHub' }).click();
    await second.getByRole('button', { name: /^Authorize/ }).click();
    await second.waitForURL(/\/callback\?/);
    expect(native.calls.map(({ searchParams }) => searchParams.get('state'))).toEqual(['one', 'two']);
    expect(native.calls.every(({ searchParams }) => searchParams.has('code'))).toBe(true);
    await page.goto(shown);
    expect(await page.innerText('h1')).toBe('This sign-in is over');
  });

  it('C4: a signed-in person presses Allow once; “not you?” is a click away', async () => {
    const first = await register('First Application');
    await page.goto(first.authorizeUrl().href);
    await signInButton().click();
    await allowAtGitHub();
    await page.waitForURL(/\/callback\?/);
    const other = await register('Second Application');
    await page.goto(other.authorizeUrl().href);
    expect(await page.innerText('main')).toContain('You are signed in as The Octocat');
    expect(await axeFindings(page)).toEqual([]);
    await picture(page, 'consent');
    await page.getByText('Not The Octocat?').click();
    expect(await page.getByRole('button', { name: 'Use another GitHub account' }).isVisible()).toBe(true);
    await page.getByRole('button', { name: 'Allow', exact: true }).click();
    await page.waitForURL(/\/callback\?/);
    expect(native.calls).toHaveLength(2);
  });

  it('a person whom no rule admits sees which account they used', async () => {
    house.github.person = { ...octocat(), id: 4711, login: 'outsider', organizations: [], teams: [] };
    const client = await register('Refusing');
    await page.goto(client.authorizeUrl().href);
    await signInButton().click();
    await allowAtGitHub();
    expect(await page.innerText('main')).toContain('octocat@github.example');
    expect(await axeFindings(page)).toEqual([]);
    await picture(page, 'refused');
    await page.getByRole('button', { name: 'Go back to the application' }).click();
    await page.waitForURL(/\/callback\?/);
    expect(native.calls[0]?.searchParams.get('error')).toBe('access_denied');
  });

  it('S2: optional scopes are boxes that the keyboard can clear; the next request shows the difference', async () => {
    const client = await register('Notebook');
    await page.goto(client.authorizeUrl({ scope: 'mcp notes:read notes:write' }).href);
    expect(await axeFindings(page)).toEqual([]);
    await picture(page, 'sign-in-scopes');
    await page.getByLabel('Change and delete your notes').focus();
    await page.keyboard.press('Space');
    await signInButton().click();
    await allowAtGitHub();
    await page.waitForURL(/\/callback\?/);
    const { body } = await client.redeem(native.calls[0]!.searchParams.get('code')!);
    expect(body.scope?.split(' ').sort()).toEqual(['mcp', 'notes:read']);
    await page.goto(client.authorizeUrl({ scope: 'mcp notes:read notes:write' }).href);
    expect(await page.innerText('main')).toMatch(
      /It now also asks to\s+Change and delete your notes[\s\S]*You allowed it before to[\s\S]*Read your notes/,
    );
    expect(await axeFindings(page)).toEqual([]);
    await picture(page, 'consent-difference');
  });

  it('R3: an unknown client is told how to reset each known application', async () => {
    await page.goto(TestClient.known(house.gatehouse.url, 'no-such-client', native.url).authorizeUrl().href);
    expect(await page.innerText('main')).toContain('Claude Code');
    expect(await axeFindings(page)).toEqual([]);
    await picture(page, 'unknown-client');
  });
});
