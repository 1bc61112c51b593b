import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Browser, formsOf } from '../browser.js';
import { freePort, type RunningGatehouse, startGatehouse } from '../gatehouse.js';
import { callTool, TestClient } from '../oauth-client.js';
import { type ForeignServer, startForeign } from './processes.js';

const here = dirname(fileURLToPath(import.meta.url));
const emulate = join(here, '../../node_modules/emulate/dist/index.js');

/** Its page has one form for each person, with nothing but hidden fields. */
async function choose(browser: Browser, field: string, value: string): Promise<void> {
  const form = formsOf(browser.last).find(({ fields }) => fields.get(field) === value);
  if (!form) throw new Error(`no form for ${value}: ${browser.last.text.slice(-3000)}`);
  await browser.submit(form.action, form.fields);
}

describe('emulate plays GitHub and Google', () => {
  let folder: string;
  let server: ForeignServer;
  let gatehouse: RunningGatehouse;
  let client: TestClient;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-emulate-'));
    const port = await freePort();
    const upstream = await freePort();
    const seed = {
      github: {
        users: [{ login: 'octocat', email: 'octocat@github.com' }],
        oauth_apps: [
          {
            client_id: 'gh',
            client_secret: 'gh-secret',
            name: 'G',
            redirect_uris: [`http://localhost:${port}/callback/github`],
          },
        ],
      },
      google: {
        users: [{ email: 'jane@acme.test', name: 'Jane', hd: 'acme.test' }],
        oauth_clients: [
          {
            client_id: 'goog',
            client_secret: 'goog-secret',
            name: 'G',
            redirect_uris: [`http://localhost:${port}/callback/google`],
          },
        ],
      },
    };
    await writeFile(join(folder, 'seed.json'), JSON.stringify(seed));
    const [github, google] = [`http://localhost:${upstream}`, `http://localhost:${upstream + 1}`];
    server = await startForeign(
      process.execPath,
      [
        '--require',
        join(here, 'loopback.cjs'),
        emulate,
        'start',
        '-s',
        'github,google',
        '-p',
        String(upstream),
        '--seed',
        join(folder, 'seed.json'),
      ],
      { ready: google },
    );
    gatehouse = await startGatehouse({
      port,
      env: {
        GATEHOUSE_PROVIDERS: 'github,google',
        GATEHOUSE_GITHUB_CLIENT_ID: 'gh',
        GATEHOUSE_GITHUB_CLIENT_SECRET: 'gh-secret',
        GATEHOUSE_GITHUB_BASE_URL: github,
        GATEHOUSE_GITHUB_API_URL: github,
        GATEHOUSE_GOOGLE_CLIENT_ID: 'goog',
        GATEHOUSE_GOOGLE_CLIENT_SECRET: 'goog-secret',
        GATEHOUSE_GOOGLE_AUTHORIZATION_URL: `${google}/o/oauth2/v2/auth`,
        GATEHOUSE_GOOGLE_TOKEN_URL: `${google}/oauth2/token`,
        GATEHOUSE_GOOGLE_USERINFO_URL: `${google}/oauth2/v2/userinfo`,
      },
    });
    client = await TestClient.register(gatehouse.url);
  });
  afterAll(async () => {
    await gatehouse.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  it.each([
    ['github', 'login', 'octocat', 'octocat@github.com'],
    ['google', 'email', 'jane@acme.test', 'jane@acme.test'],
  ])('signs in with %s and reaches the tools', async (provider, field, person, email) => {
    const browser = client.browser();
    await browser.open(client.authorizeUrl());
    await browser.press(`provider=${provider}`);
    await choose(browser, field, person);
    const answer = await client.redeem(browser.stoppedAt.searchParams.get('code') ?? '');
    const who = await (await callTool(gatehouse.mcpUrl, answer.body.access_token ?? '', 'whoami')).text();
    expect(who).toContain(email);
    expect(who).toMatch(new RegExp(`"via": ?"${provider}"`));
  });
});
