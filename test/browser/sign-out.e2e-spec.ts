import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FakeOidc } from '../../src/testing/fake-oidc.js';
import { type RunningGatehouse, startGatehouse } from '../gatehouse.js';
import { axeFindings, chromiumPath, launch, picture } from './chromium.js';

const path = chromiumPath();

describe.skipIf(path === null)('signing out in Chromium, by keyboard and without JavaScript', () => {
  let chromium: Browser;
  let context: BrowserContext;
  let page: Page;
  let fake: FakeOidc;
  let gatehouse: RunningGatehouse;

  beforeAll(async () => {
    chromium = await launch(path!);
    fake = await new FakeOidc().listen();
    gatehouse = await startGatehouse({
      env: {
        GATEHOUSE_PROVIDERS: 'oidc',
        GATEHOUSE_OIDC_ISSUER: fake.issuer,
        GATEHOUSE_OIDC_CLIENT_ID: fake.clientId,
        GATEHOUSE_OIDC_CLIENT_SECRET: fake.clientSecret ?? '',
        GATEHOUSE_OIDC_LABEL: 'Acme',
      },
    });
    fake.postLogoutRedirectUris = [`${gatehouse.url}/account`];
  });
  afterAll(async () => {
    await chromium.close();
    await gatehouse.close();
    await fake.close();
  });
  beforeEach(async () => {
    // axe-core is evaluated by the debugger, which needs scripts.
    context = await chromium.newContext({ javaScriptEnabled: true });
    page = await context.newPage();
  });
  afterEach(() => context.close());

  /** Tabs on until this has the focus, then presses Enter. */
  const press = async (name: string): Promise<void> => {
    for (let tabs = 0; tabs < 30; tabs++) {
      await page.keyboard.press('Tab');
      if ((await page.evaluate<string>('document.activeElement?.textContent ?? ""')) !== name) continue;
      expect(await page.evaluate<string>('getComputedStyle(document.activeElement).outlineStyle')).not.toBe('none');
      return page.keyboard.press('Enter');
    }
    throw new Error(`Tab does not reach ${name}`);
  };
  const leave = async (): Promise<void> => {
    await page.goto(`${gatehouse.url}/account`);
    await press('Continue with Acme');
    await page.getByRole('heading', { name: 'My account' }).waitFor();
    await press('Sign out');
    await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
  };

  it('here, then at the provider, which sends the person back', async () => {
    await leave();
    expect(await axeFindings(page)).toEqual([]);
    await picture(page, 'signed-out');
    expect(fake.signedOut).toEqual([]);
    await press('Sign out of Acme too');
    await page.getByRole('status').waitFor();
    expect(fake.signedOut).toEqual(['alice-1']);
    expect(await page.getByRole('status').textContent()).toBe('You are signed out here, and Acme has sent you back.');
    expect(await axeFindings(page)).toEqual([]);
  });

  it('without JavaScript, and back in again', async () => {
    await context.close();
    context = await chromium.newContext({ javaScriptEnabled: false });
    page = await context.newPage();
    await page.goto(`${gatehouse.url}/account`);
    await page.getByRole('button', { name: 'Continue with Acme' }).click();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('button', { name: 'Sign out of Acme too' }).click();
    await page.getByRole('status').waitFor();
    await page.getByRole('button', { name: 'Continue with Acme' }).click();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('link', { name: 'Sign in again' }).click();
    await page.getByRole('button', { name: 'Continue with Acme' }).waitFor();
  });
});
