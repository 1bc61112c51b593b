import { execFile, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import type { Browser as Chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromiumPath, launch } from '../browser/chromium.js';
import { freePort, type RunningGatehouse, startGatehouse } from '../gatehouse.js';
import { callTool, CALLBACK, TestClient } from '../oauth-client.js';
import { cannotRun, type ForeignServer, startForeign } from './processes.js';

const INIT = '/usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz';
const run = promisify(execFile);
const chromium = chromiumPath();

async function isInstalled(): Promise<boolean> {
  if (chromium === null) return cannotRun('glewlwyd', 'Chromium is not installed');
  if (!existsSync(INIT)) return cannotRun('glewlwyd', 'the Debian packages glewlwyd and sqlite3 are not installed');
  try {
    await run('sqlite3', ['--version']);
    return true;
  } catch {
    return cannotRun('glewlwyd', 'the Debian package sqlite3 is not installed');
  }
}

/** The plugin's parameters besides issuer and keys; it has no defaults. */
const PLUGIN = JSON.parse(
  `{"subject-type":"public","jwt-type":"rsa","jwt-key-size":"256","jwks-show":true,"access-token-duration":3600,"refresh-token-duration":1209600,
"code-duration":600,"refresh-token-rolling":true,"refresh-token-one-use":"always","allow-non-oidc":true,"auth-type-code-enabled":true,
"auth-type-code-revoke-replayed":true,"auth-type-token-enabled":false,"auth-type-id-token-enabled":true,"auth-type-none-enabled":false,
"auth-type-password-enabled":false,"auth-type-client-enabled":true,"auth-type-device-enabled":false,"auth-type-refresh-enabled":true,
"auth-type-implicit-enabled":false,"scope":[{"name":"offline_access","refresh-token-rolling":true}],"additional-parameters":[],"claims":[],
"name-claim":"mandatory","name-claim-scope":[],"email-claim":"mandatory","email-claim-scope":[],"scope-claim":"no","pkce-allowed":true,
"pkce-method-plain-allowed":false,"pkce-required":false,"introspection-revocation-allowed":true,"introspection-revocation-allow-target-client":true,
"introspection-revocation-auth-scope":[],"register-client-allowed":true,"register-client-auth-scope":[],"register-client-credentials-scope":["openid"],
"register-client-management-allowed":true,"resource-allowed":true,"resource-scope":{},"resource-client-property":"resource",
"resource-scope-and-client-property":false,"session-management-allowed":false,"oauth-rar-allowed":false,"oauth-par-allowed":false}`,
) as Record<string, unknown>;

async function install(folder: string, port: number): Promise<string> {
  const database = join(folder, 'g.db');
  const sqlite = spawn('sqlite3', [database], { stdio: ['pipe', 'ignore', 'inherit'] });
  sqlite.stdin.end(gunzipSync(readFileSync(INIT)));
  await once(sqlite, 'exit');
  // It refuses to follow links out of its folder.
  await cp('/usr/share/glewlwyd/webapp', join(folder, 'webapp'), {
    recursive: true,
    dereference: true,
    filter: (path) => !path.endsWith('config.json'),
  });
  await cp('/usr/share/glewlwyd/templates/config.json', join(folder, 'webapp', 'config.json'), { dereference: true });
  const types = {
    html: 'text/html',
    js: 'application/javascript',
    json: 'application/json',
    css: 'text/css',
    svg: 'image/svg+xml',
    woff2: 'font/woff2',
    png: 'image/png',
  };
  const conf = `port=${port}
bind_address="127.0.0.1"
external_url="http://localhost:${port}"
login_url="login.html"
api_prefix="api"
static_files_path="${join(folder, 'webapp')}/"
static_files_mime_types=(${Object.entries(types)
    .map(([extension, type]) => `{extension=".${extension}" mime_type="${type}" compress=0}`)
    .join(',')})
cookie_secure=0
log_mode="file"
log_level="WARNING"
log_file="${join(folder, 'g.log')}"
user_module_path="/usr/lib/glewlwyd/user"
client_module_path="/usr/lib/glewlwyd/client"
user_auth_scheme_module_path="/usr/lib/glewlwyd/scheme"
plugin_module_path="/usr/lib/glewlwyd/plugin"
use_secure_connection=false
secure_connection_key_file="none"
secure_connection_pem_file="none"
secure_connection_ca_file="none"
hash_algorithm="SHA512"
database={type="sqlite3";path="${database}";};
`;
  const file = join(folder, 'g.conf');
  await writeFile(file, conf);
  return file;
}

/** Sets it up as an administrator would, by its REST interface. */
async function configure(origin: string, callback: string, resource: string): Promise<void> {
  let cookie = '';
  const api = async (method: string, path: string, body: unknown): Promise<void> => {
    const answer = await fetch(`${origin}/api/${path}`, {
      method,
      headers: { 'content-type': 'application/json', cookie },
      body: JSON.stringify(body),
    });
    cookie = answer.headers.getSetCookie()[0]?.split(';')[0] ?? cookie;
    if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${await answer.text()}`);
  };
  await api('POST', 'auth/', { username: 'admin', password: 'password' });
  for (const name of ['email', 'profile', 'offline_access'])
    await api('POST', 'scope/', { name, display_name: name, description: name, password_required: false });
  await api('PUT', 'scope/openid', {
    display_name: 'openid',
    description: 'openid',
    password_required: true,
    password_max_age: 0,
    scheme: {},
  });
  await api('POST', 'user/', {
    username: 'alice',
    name: 'Alice',
    email: 'alice@acme.example',
    password: 'wonderland',
    enabled: true,
    scope: ['openid', 'email', 'profile', 'offline_access', 'g_profile'],
  });
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const keys = {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    cert: publicKey.export({ type: 'spki', format: 'pem' }),
  };
  const plugin = { module: 'oidc', name: 'oidc', display_name: 'oidc', enabled: true };
  await api('POST', 'mod/plugin/', { ...plugin, parameters: { ...PLUGIN, iss: `${origin}/api/oidc`, ...keys } });
  await api('POST', 'client/', {
    client_id: 'gatehouse',
    name: 'Gatehouse',
    password: 'gl-secret',
    client_secret: 'gl-secret',
    confidential: true,
    enabled: true,
    token_endpoint_auth_method: ['client_secret_basic', 'client_secret_post'],
    redirect_uri: [callback],
    authorization_type: ['code', 'refresh_token'],
    scope: ['openid'],
    resource: [resource],
  });
}

describe.runIf(await isInstalled())('glewlwyd', () => {
  let folder: string;
  let server: ForeignServer;
  let gatehouse: RunningGatehouse;
  let browser: Chromium;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-glewlwyd-'));
    const [port, upstream] = [await freePort(), await freePort()];
    const origin = `http://localhost:${upstream}`;
    const conf = await install(folder, upstream);
    server = await startForeign('glewlwyd', [`--config-file=${conf}`], {
      ready: `http://127.0.0.1:${upstream}/config`,
      cwd: folder,
    });
    await configure(origin, `http://localhost:${port}/callback/oidc`, `http://localhost:${port}/mcp`);
    gatehouse = await startGatehouse({
      port,
      env: {
        GATEHOUSE_PROVIDERS: 'oidc',
        GATEHOUSE_OIDC_ISSUER: `${origin}/api/oidc`,
        GATEHOUSE_OIDC_CLIENT_ID: 'gatehouse',
        GATEHOUSE_OIDC_CLIENT_SECRET: 'gl-secret',
        GATEHOUSE_OIDC_SCOPES: 'openid',
        GATEHOUSE_OIDC_LABEL: 'glewlwyd',
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

  it('a person signs in on its page, in a browser, and reaches the tools', async () => {
    const client = await TestClient.register(gatehouse.url);
    const context = await browser.newContext();
    const page = await context.newPage();
    const back = page.waitForRequest((request) => request.url().startsWith(CALLBACK));
    await page.goto(client.authorizeUrl().href);
    await page.click('button[value=oidc]');
    await page.fill('#username', 'alice');
    await page.fill('#password', 'wonderland');
    await page.press('#password', 'Enter');
    // Asked once for the scope, then offered to go on.
    await Promise.race([back, pressUntil(page, back)]);
    const answer = await client.redeem(new URL((await back).url()).searchParams.get('code') ?? '');
    const who = await (await callTool(gatehouse.mcpUrl, answer.body.access_token ?? '', 'whoami')).text();
    expect(who).toMatch(/"via": ?"oidc"/);
    expect(who).toContain('Alice');
    // It says nothing of verification, so the address is none.
    expect(who).not.toContain('alice@acme.example');
    await context.close();
  });
});

async function pressUntil(page: import('playwright-core').Page, done: Promise<unknown>): Promise<void> {
  let over = false;
  void done.then(() => (over = true));
  while (!over) {
    const boxes = page.locator('input[type=checkbox]:visible:not(:checked)');
    for (const box of await boxes.all()) await box.check({ timeout: 2000 }).catch(() => {});
    await page
      .locator('button:visible', { hasText: /Continue|Grant|Save/ })
      .first()
      .click({ timeout: 2000 })
      .catch(() => {});
  }
}
