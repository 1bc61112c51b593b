import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Tool, Upstream, type UpstreamToken } from '../../src/index.js';
import { FakeGitHub, octocat } from '../../src/testing/fake-github.js';
import { Browser, readable } from '../browser.js';
import { databases, type TestDatabase } from '../databases.js';
import { freePort, type GatehouseOptions, type RunningGatehouse, startGatehouse } from '../gatehouse.js';
import { callTool, signIn, TestClient } from '../oauth-client.js';

const BASE = 'read:user,user:email';
let runs = 0;

/** The tool as it was before anybody thought of permissions at GitHub. */
@Injectable()
class EarlierTools {
  @Tool({ description: 'My repositories' })
  repositories(_: unknown, @Upstream('github') token: UpstreamToken): string {
    return `with ${token.scopes.join(' ')}`;
  }
}

@Injectable()
class RepositoryTools {
  @Tool({ description: 'My repositories', upstream: { github: ['repo'] } })
  repositories(_: unknown, @Upstream('github') token: UpstreamToken): string {
    runs++;
    return `with ${token.scopes.join(' ')}`;
  }

  @Tool({ description: 'Says that it ran', upstream: { github: ['repo'] } })
  withoutToken(): string {
    runs++;
    return 'it ran';
  }
}

@Injectable()
class GatedTools {
  @Tool({ description: 'My gists', scopes: ['gists'], upstream: { github: ['gist'] } })
  gists(_: unknown, @Upstream('github') token: UpstreamToken): string {
    return `with ${token.scopes.join(' ')}`;
  }

  @Tool({ description: 'My projects', scopes: ['projects'], upstream: { github: ['read:project'] } })
  projects(_: unknown, @Upstream('github') token: UpstreamToken): string {
    return `with ${token.scopes.join(' ')}`;
  }

  @Tool({ description: 'Needs nothing', scopes: ['notes'] })
  notes(): string {
    return 'notes';
  }
}

describe.each(databases())('permissions at the provider on $name', (kind) => {
  let place: TestDatabase;
  let github: FakeGitHub;
  let gatehouse: RunningGatehouse;
  let port: number;
  let secret: string;

  beforeAll(async () => {
    github = await new FakeGitHub().listen();
  });
  afterAll(() => github.close());
  beforeEach(async () => {
    place = await kind.create();
    port = await freePort();
    secret = randomBytes(32).toString('base64');
    runs = 0;
    github.requests.length = 0;
    github.grants = undefined;
    github.asksPerson = false;
    github.person = octocat();
  });
  afterEach(async () => {
    await gatehouse.close();
    await place.drop();
  });

  const start = async (...tools: NonNullable<GatehouseOptions['tools']>[number][]): Promise<void> => {
    gatehouse = await startGatehouse({
      port,
      tools,
      env: {
        GATEHOUSE_DATABASE_URL: place.url,
        GATEHOUSE_SECRET: secret,
        GATEHOUSE_RATE_LIMITS: 'off',
        GATEHOUSE_PROVIDERS: 'github',
        GATEHOUSE_GITHUB_CLIENT_ID: 'gh-client',
        GATEHOUSE_GITHUB_CLIENT_SECRET: 'gh-secret',
        GATEHOUSE_GITHUB_BASE_URL: github.origin,
        GATEHOUSE_GITHUB_API_URL: github.origin,
      },
    });
  };
  const restart = async (...tools: NonNullable<GatehouseOptions['tools']>[number][]): Promise<void> => {
    await gatehouse.close();
    await start(...tools);
  };
  /** What each visit to GitHub asked for, since the last look. */
  const asked = (): string[] => {
    const visits = github.requests.filter(
      ({ url, method }) => url.pathname === '/login/oauth/authorize' && method === 'GET',
    );
    github.requests.length = 0;
    return visits.map(({ url }) => url.searchParams.get('scope') ?? '');
  };
  const textOf = async (token: string, name: string): Promise<string> => {
    const answer = await callTool(gatehouse.mcpUrl, token, name);
    expect(answer.status).toBe(200);
    return answer.text();
  };
  const accountSignIn = async (browser: Browser): Promise<void> => {
    await browser.open(`${gatehouse.url}/account`);
    await browser.press('provider=github');
    expect(browser.last.status).toBe(200);
  };

  it('a tool that declares more than the person gave does not run, and says what is missing and how to give it', async () => {
    await start(EarlierTools);
    const client = await TestClient.register(gatehouse.url);
    const { accessToken } = await signIn(client);
    expect(await textOf(accessToken, 'repositories')).toContain('with read:user user:email');
    await restart(RepositoryTools);
    for (const tool of ['repositories', 'withoutToken']) {
      const told = await textOf(accessToken, tool);
      expect(told).toContain('"isError":true');
      expect(told).toMatch(/permission at your GitHub account that it does not have: repo\./);
      expect(told).toContain(`sign in with GitHub at ${gatehouse.url}/account`);
    }
    expect(runs).toBe(0);
  });

  it('the next authorization in the same browser is not silent: it goes to the provider with the whole list, once', async () => {
    await start(EarlierTools);
    const client = await TestClient.register(gatehouse.url);
    const { accessToken, browser } = await signIn(client);
    await restart(RepositoryTools);
    asked();
    const shown = await browser.open(client.authorizeUrl());
    expect(shown.status).toBe(200);
    expect(readable(shown)).toContain('GitHub will also be asked for: repo');
    await browser.press('decision=approve');
    expect(asked()).toEqual([`${BASE},repo`]);
    const { body } = await client.redeem(browser.stoppedAt.searchParams.get('code')!);
    expect(await textOf(body.access_token!, 'repositories')).toContain('with read:user user:email repo');
    // The token belongs to the account: the connection made before has it too.
    expect(await textOf(accessToken, 'repositories')).toContain('repo');
    await browser.open(client.authorizeUrl());
    expect(browser.stoppedAt.searchParams.get('code')).toBeTruthy();
    expect(asked()).toEqual([]);
  });

  it('signing in at the account page asks for what the person’s connections need', async () => {
    await start(EarlierTools);
    const { accessToken } = await signIn(await TestClient.register(gatehouse.url));
    await restart(RepositoryTools);
    asked();
    await accountSignIn(new Browser([]));
    expect(asked()).toEqual([BASE, `${BASE},repo`]);
    expect(await textOf(accessToken, 'repositories')).toContain('repo');
  });

  it('who is signed in at the account page already gives it by choosing the same account once more', async () => {
    await start(EarlierTools);
    const { accessToken } = await signIn(await TestClient.register(gatehouse.url));
    const browser = new Browser([]);
    await accountSignIn(browser);
    await restart(RepositoryTools);
    asked();
    await accountSignIn(browser);
    expect(asked()).toEqual([`${BASE},repo`]);
    expect(await textOf(accessToken, 'repositories')).toContain('repo');
  });

  it('who gives less is asked once a sign-in: the application connects, and the tool says what is missing', async () => {
    await start(RepositoryTools);
    github.grants = ['read:user', 'user:email'];
    const client = await TestClient.register(gatehouse.url);
    const { accessToken, browser } = await signIn(client);
    expect(asked()).toEqual([`${BASE},repo`]);
    expect(await textOf(accessToken, 'repositories')).toContain('does not have: repo.');
    await browser.open(client.authorizeUrl());
    await browser.press('decision=approve');
    expect(asked()).toEqual([`${BASE},repo`]);
    expect(browser.stoppedAt.searchParams.get('code')).toBeTruthy();
    expect(await textOf(accessToken, 'repositories')).toContain('does not have: repo.');
    expect(runs).toBe(0);
    github.grants = undefined;
    await browser.open(client.authorizeUrl());
    await browser.press('decision=approve');
    expect(await textOf(accessToken, 'repositories')).toContain('repo');
  });

  it('a sign-in asks for what the approved scopes open, and for nothing else', async () => {
    await start(GatedTools);
    const client = await TestClient.register(gatehouse.url);
    const page = await client.browser().open(client.authorizeUrl({ scope: 'mcp notes' }));
    expect(readable(page)).not.toContain('will also be asked for');
    await signIn(client, { parameters: { scope: 'mcp notes' } });
    expect(asked()).toEqual([BASE]);
    github.person = { ...octocat(), id: 2 };
    const wider = await client.browser().open(client.authorizeUrl({ scope: 'mcp gists projects' }));
    expect(readable(wider)).toContain('GitHub will also be asked for: gist read:project');
    const { accessToken } = await signIn(client, { parameters: { scope: 'mcp gists projects' }, ticked: ['gists'] });
    expect(asked()).toEqual([`${BASE},gist`]);
    expect(await textOf(accessToken, 'gists')).toContain('with read:user user:email gist');
  });

  it('an approval that covers less asks for nothing more, although another tool would need it', async () => {
    await start(GatedTools);
    const client = await TestClient.register(gatehouse.url);
    const { browser } = await signIn(client, { parameters: { scope: 'mcp notes' } });
    asked();
    await browser.open(client.authorizeUrl({ scope: 'mcp notes' }));
    expect(browser.stoppedAt.searchParams.get('code')).toBeTruthy();
    await browser.open(client.authorizeUrl({ scope: 'mcp notes gists' }));
    await browser.press('decision=approve');
    expect(asked()).toEqual([`${BASE},gist`]);
  });

  it('a sign-in for one application takes nothing from another one of the same person', async () => {
    await start(GatedTools);
    const wide = await signIn(await TestClient.register(gatehouse.url), { parameters: { scope: 'mcp gists' } });
    asked();
    const narrow = await signIn(await TestClient.register(gatehouse.url), { parameters: { scope: 'mcp notes' } });
    expect(asked()).toEqual([BASE, `${BASE},gist`]);
    expect(await textOf(wide.accessToken, 'gists')).toContain('gist');
    expect(await textOf(narrow.accessToken, 'notes')).toContain('notes');
  });

  it('who refuses the further permissions, or answers as somebody else, is signed in all the same', async () => {
    await start(GatedTools);
    await signIn(await TestClient.register(gatehouse.url), { parameters: { scope: 'mcp gists' } });
    const client = await TestClient.register(gatehouse.url);
    asked();
    for (const answer of ['refuses', 'is somebody else']) {
      github.asksPerson = true;
      const browser = client.browser();
      await browser.open(client.authorizeUrl({ scope: 'mcp notes' }));
      await browser.press('provider=github');
      github.person = octocat();
      await browser.press('decision=allow');
      if (answer === 'is somebody else') github.person = { ...octocat(), id: 77, login: 'hubot', name: 'Hubot' };
      await browser.press(answer === 'refuses' ? 'decision=deny' : 'decision=allow');
      expect(asked()).toEqual([BASE, `${BASE},gist`]);
      const { body } = await client.redeem(browser.stoppedAt.searchParams.get('code')!);
      expect(await textOf(body.access_token!, 'whoami')).toContain('The Octocat');
    }
  });
});
