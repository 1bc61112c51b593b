import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Browser as Chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromiumPath, launch } from '../browser/chromium.js';
import { freePort, type RunningGatehouse, startGatehouse } from '../gatehouse.js';
import { callTool, CALLBACK, TestClient } from '../oauth-client.js';
import { cannotRun, type ForeignServer, startForeign } from './processes.js';

const VERSION = '26.5.6';
const run = promisify(execFile);

/** The unpacked distribution: `KEYCLOAK_HOME`, or fetched by Maven once and kept beside the temporary files. null: not to be had here. */
async function keycloakHome(): Promise<string | null> {
  const named = process.env['KEYCLOAK_HOME'];
  if (named !== undefined) return named;
  const folder = join(tmpdir(), 'gatehouse-keycloak');
  const home = join(folder, `keycloak-${VERSION}`);
  if (existsSync(join(home, 'bin', 'kc.sh'))) return home;
  const artifact = `-Dartifact=org.keycloak:keycloak-quarkus-dist:${VERSION}:zip`;
  try {
    await mkdir(folder, { recursive: true });
    await run('mvn', ['-q', '-B', 'dependency:copy', artifact, `-DoutputDirectory=${folder}`], {
      cwd: folder,
      timeout: 240_000,
    });
    await run('unzip', ['-q', '-o', join(folder, `keycloak-quarkus-dist-${VERSION}.zip`), '-d', folder]);
    return home;
  } catch (error) {
    cannotRun(
      'Keycloak',
      `its distribution cannot be fetched by Maven (${(error as Error).message.split('\n')[0]}); KEYCLOAK_HOME names an unpacked one`,
    );
    return null;
  }
}

const chromium = chromiumPath();
const home = chromium === null ? null : await keycloakHome();

const realm = (callback: string, audience: string): object => ({
  realm: 'acme',
  enabled: true,
  sslRequired: 'none',
  users: [
    {
      username: 'alice',
      enabled: true,
      email: 'alice@acme.example',
      emailVerified: true,
      firstName: 'Alice',
      lastName: 'Acme',
      credentials: [{ type: 'password', value: 'wonderland', temporary: false }],
    },
  ],
  clients: [
    {
      clientId: 'gatehouse',
      secret: 'kc-secret',
      enabled: true,
      publicClient: false,
      standardFlowEnabled: true,
      directAccessGrantsEnabled: true,
      redirectUris: [callback],
      attributes: { 'pkce.code.challenge.method': '' },
      protocolMappers: [
        {
          name: 'mcp-audience',
          protocol: 'openid-connect',
          protocolMapper: 'oidc-audience-mapper',
          config: { 'included.custom.audience': audience, 'access.token.claim': 'true', 'id.token.claim': 'false' },
        },
      ],
    },
  ],
});

describe.runIf(home !== null)('Keycloak', () => {
  let folder: string;
  let server: ForeignServer;
  let gatehouse: RunningGatehouse;
  let browser: Chromium;
  let issuer: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-kc-'));
    // Its first start builds the server: minutes on a slow machine.
    const [port, upstream] = [await freePort(), await freePort()];
    issuer = `http://localhost:${upstream}/realms/acme`;
    const data = join(home!, 'data', 'import');
    await mkdir(data, { recursive: true });
    for (const old of await readdir(data)) await rm(join(data, old));
    const imported = realm(`http://localhost:${port}/callback/oidc`, `http://localhost:${port}/mcp`);
    await writeFile(join(data, 'acme-realm.json'), JSON.stringify(imported));
    await rm(join(home!, 'data', 'h2'), { recursive: true, force: true });
    server = await startForeign(
      join(home!, 'bin', 'kc.sh'),
      ['start-dev', `--http-port=${upstream}`, '--http-host=127.0.0.1', '--import-realm', '--cache=local'],
      { ready: `${issuer}/.well-known/openid-configuration`, cwd: folder, patience: 280 },
    );
    gatehouse = await startGatehouse({
      port,
      env: {
        GATEHOUSE_PROVIDERS: 'oidc,remote',
        GATEHOUSE_OIDC_ISSUER: issuer,
        GATEHOUSE_OIDC_CLIENT_ID: 'gatehouse',
        GATEHOUSE_OIDC_CLIENT_SECRET: 'kc-secret',
        GATEHOUSE_OIDC_LABEL: 'Keycloak',
        GATEHOUSE_REMOTE_ISSUER: issuer,
      },
    });
    browser = await launch(chromium!);
  });
  afterAll(async () => {
    await browser?.close();
    await gatehouse?.close();
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const passwordToken = async (): Promise<string> => {
    const answer = await fetch(`${issuer}/protocol/openid-connect/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'password',
        client_id: 'gatehouse',
        client_secret: 'kc-secret',
        username: 'alice',
        password: 'wonderland',
        scope: 'openid profile email',
      }),
    });
    const body = (await answer.json()) as { access_token?: string };
    if (body.access_token === undefined) throw new Error(JSON.stringify(body));
    return body.access_token;
  };

  it('a person signs in on its page, in a browser', async () => {
    const client = await TestClient.register(gatehouse.url);
    const context = await browser.newContext();
    const page = await context.newPage();
    const back = page.waitForRequest((request) => request.url().startsWith(CALLBACK));
    await page.goto(client.authorizeUrl().href);
    await page.click('button[value=oidc]');
    await page.fill('#username', 'alice');
    await page.fill('#password', 'wonderland');
    await page.press('#password', 'Enter');
    const code = new URL((await back).url()).searchParams.get('code') ?? '';
    const answer = await client.redeem(code);
    const who = await (await callTool(gatehouse.mcpUrl, answer.body.access_token ?? '', 'whoami')).text();
    expect(who).toContain('alice@acme.example');
    expect(who).toMatch(/"via": ?"oidc"/);
    await context.close();
  });

  it('its access tokens with our audience are accepted by `remote`', async () => {
    const who = await (await callTool(gatehouse.mcpUrl, await passwordToken(), 'whoami')).text();
    expect(who).toMatch(/"via": ?"remote"/);
    expect(who).toMatch(/"client": ?"gatehouse"/);
  });

  it('its access tokens are accepted by `jwt`', async () => {
    const alone = await startGatehouse({
      env: {
        GATEHOUSE_PROVIDERS: 'jwt',
        GATEHOUSE_JWT_JWKS_URI: `${issuer}/protocol/openid-connect/certs`,
        GATEHOUSE_JWT_ISSUER: issuer,
        GATEHOUSE_JWT_AUDIENCE: gatehouse.mcpUrl,
      },
    });
    const who = await (await callTool(alone.mcpUrl, await passwordToken(), 'whoami')).text();
    expect(who).toMatch(/"via": ?"jwt"/);
    await alone.close();
  });
});
