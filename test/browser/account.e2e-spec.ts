import { Injectable } from '@nestjs/common';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Usage } from '../../src/access/usage.js';
import { Tool } from '../../src/mcp/decorators.js';
import { FakeGitHub, octocat } from '../../src/testing/fake-github.js';
import { callTool, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';
import { axeFindings, chromiumPath, launch, picture } from './chromium.js';

@Injectable()
class Notes {
  @Tool({ description: 'Reads a note', scopes: ['notes:read'] })
  readNote(): string {
    return 'the note';
  }
}

const path = chromiumPath();

describe.skipIf(path === null)('the account page in Chromium', () => {
  let chromium: Browser;
  let context: BrowserContext;
  let page: Page;
  let house: WithGitHub;
  let corp: FakeGitHub;

  beforeAll(async () => {
    chromium = await launch(path!);
    corp = await new FakeGitHub({ clientId: 'corp-client', clientSecret: 'corp-secret' }).listen();
    corp.person = { ...octocat(), id: 7, login: 'octocat-at-work' };
    house = await startWithGitHub({
      env: {
        GATEHOUSE_RATE_LIMITS: 'off',
        GATEHOUSE_STEP_UP: 'link',
        GATEHOUSE_PROVIDERS: 'github,corp-hub:github',
        GATEHOUSE_CORP_HUB_CLIENT_ID: 'corp-client',
        GATEHOUSE_CORP_HUB_CLIENT_SECRET: 'corp-secret',
        GATEHOUSE_CORP_HUB_BASE_URL: corp.origin,
        GATEHOUSE_CORP_HUB_API_URL: corp.origin,
      },
      tools: [Notes],
    });
  });
  afterAll(async () => {
    await chromium.close();
    await house.close();
    await corp.close();
  });
  beforeEach(async () => {
    context = await chromium.newContext({ javaScriptEnabled: true });
    page = await context.newPage();
  });
  afterEach(() => context.close());

  const enter = async (): Promise<void> => {
    await page.goto(`${house.gatehouse.url}/account`);
    await page.getByRole('button', { name: 'Continue with GitHub (github)' }).click();
    await page.waitForURL(`${house.gatehouse.url}/account`);
  };
  const connect = async (name: string, redirect?: string): Promise<string> => {
    const metadata = { client_name: name, ...(redirect === undefined ? {} : { redirect_uris: [redirect] }) };
    return (await signIn(await TestClient.register(house.gatehouse.url, metadata))).accessToken;
  };

  it('shows applications, tokens and ways in; axe-core finds nothing serious, light and dark, wide and narrow', async () => {
    await page.goto(`${house.gatehouse.url}/account`);
    expect(await axeFindings(page)).toEqual([]);
    await picture(page, 'account-sign-in');
    const used = await connect('Claude Code');
    await callTool(house.gatehouse.mcpUrl, used, 'hello', { name: 'x' });
    await house.gatehouse.app.get(Usage).flush();
    await connect('Cursor', 'cursor://anysphere.cursor-mcp/oauth/callback');
    await connect('Claude', 'https://claude.example/api/mcp/auth_callback');
    await enter();
    await page.getByText('New personal token').click();
    await page.getByRole('textbox', { name: 'Name' }).fill('Build server');
    await page.getByRole('checkbox', { name: /mcp/ }).check();
    await page.getByRole('button', { name: 'Make token' }).click();
    expect(await page.getByRole('textbox', { name: 'Token' }).inputValue()).toMatch(/^gth_pat_/);
    expect(await axeFindings(page)).toEqual([]);
    await page.getByRole('link', { name: 'Back to my account' }).click();
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width: 1280, height: 900 });
      expect(await axeFindings(page)).toEqual([]);
      await page.setViewportSize({ width: 390, height: 844 });
      expect(await axeFindings(page)).toEqual([]);
      expect(await page.evaluate<boolean>('document.documentElement.scrollWidth <= 390')).toBe(true);
      await picture(page, colorScheme === 'light' ? 'account' : 'account-dark');
    }
  });

  it('the keyboard alone is enough to disconnect an application', async () => {
    const token = await connect('Only By Keyboard');
    await page.goto(`${house.gatehouse.url}/account`);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByText('Connected applications').waitFor();
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press('Tab');
      const label = await page.evaluate<string>('document.activeElement?.getAttribute("aria-label") ?? ""');
      if (label === 'Disconnect Only By Keyboard') break;
    }
    expect(await page.evaluate<string>('getComputedStyle(document.activeElement).outlineStyle')).not.toBe('none');
    await page.keyboard.press('Enter');
    await page.getByRole('status').waitFor();
    expect((await callTool(house.gatehouse.mcpUrl, token, 'hello', { name: 'x' })).status).toBe(401);
  });

  it('works without JavaScript: link a second account, disconnect all, sign out', async () => {
    const token = await connect('Without Scripts');
    await context.close();
    context = await chromium.newContext({ javaScriptEnabled: false });
    page = await context.newPage();
    await enter();
    await page.getByText('Add another account').click();
    await page.getByRole('button', { name: 'Add a GitHub (corp-hub) account' }).click();
    await page.getByText('The account was added.').waitFor();
    await page.getByText('Disconnect all applications').click();
    await page.getByRole('button', { name: 'Disconnect all' }).click();
    await page.getByText('All applications are disconnected.').waitFor();
    expect((await callTool(house.gatehouse.mcpUrl, token, 'hello', { name: 'x' })).status).toBe(401);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('You are signed out').first().waitFor();
    await page.getByRole('link', { name: 'Sign in again' }).click();
    await page.getByText('Sign in to your account').first().waitFor();
  });

  it('S2: the step-up link leads through sign-in to one decision', async () => {
    const token = await connect('Claude Code');
    const text = await (await callTool(house.gatehouse.mcpUrl, token, 'readNote')).text();
    const link = /http:\/\/\S+?\/account\/widen\/[A-Za-z0-9_-]{43}/.exec(text)![0];
    await page.goto(link);
    await page.getByRole('button', { name: 'Continue with GitHub (github)' }).click();
    await page.waitForURL(link);
    expect(await axeFindings(page)).toEqual([]);
    await picture(page, 'step-up');
    await page.getByRole('button', { name: 'Allow', exact: true }).click();
    await page.getByText('may use it now').waitFor();
    expect(await axeFindings(page)).toEqual([]);
    expect(await (await callTool(house.gatehouse.mcpUrl, token, 'readNote')).text()).toContain('the note');
  });
});
