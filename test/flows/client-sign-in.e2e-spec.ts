import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Injectable } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Tool } from '../../src/mcp/decorators.js';
import { FakeServer } from '../../src/testing/fake-server.js';
import { Browser, readable } from '../browser.js';
import { freePort, startGatehouse } from '../gatehouse.js';
import { callTool, startWithGitHub, type WithGitHub } from '../oauth-client.js';
import { gatehouse, type Run, scratchFolder } from './process.js';

const ADMIN = 'an-administrator-of-this-test-house';
/** A browser that opens what it is given and presses the first button of every page. */
const VISITOR = `${process.execPath} ${fileURLToPath(new URL('../interop/visit.mjs', import.meta.url))} %s`;

@Injectable()
class Notes {
  @Tool({ description: 'Reads a note', scopes: ['notes:read'], input: z.object({}) })
  readNote(): string {
    return 'the note';
  }
}

const folder = scratchFolder();
const home = join(folder.path, 'config');
const kept = join(home, 'gatehouse', 'sign-ins');
let house: WithGitHub;
let url: string;

beforeAll(async () => {
  house = await startWithGitHub({ tools: [Notes], env: { GATEHOUSE_ADMIN_TOKEN: ADMIN } });
  url = house.gatehouse.mcpUrl;
});
afterAll(async () => {
  await house.close();
  folder.remove();
});

const command = (args: readonly string[], env: Record<string, string> = {}): Run =>
  gatehouse(['client', ...args], { cwd: folder.path, env: { XDG_CONFIG_HOME: home, BROWSER: VISITOR, ...env } });
const ended = async (run: Run) => ({ code: await run.exit, stdout: run.stdout(), stderr: run.stderr() });
const say = (...args: string[]) => ended(command([url, ...args]));

interface Facts {
  tokens: { access_token: string; refresh_token: string; scope: string };
  client: { client_id: string };
}
const file = (): string => join(kept, readdirSync(kept).find((name) => name.endsWith('.json')) ?? 'none');
const facts = (): Facts => JSON.parse(readFileSync(file(), 'utf8')) as Facts;
/** Makes the server answer 401 as to an access token that has expired. */
function spoilAccessToken(): void {
  const now = facts();
  now.tokens.access_token = now.tokens.access_token.replace(/.{6}$/, 'AAAAAA');
  writeFileSync(file(), JSON.stringify(now));
}

describe('gatehouse client', { timeout: 90_000 }, () => {
  it('signs in by browser when the server asks for it, and keeps what only its owner can read', async () => {
    const first = await say('tools');
    expect(first).toMatchObject({ code: 0, stdout: expect.stringContaining('hello') as string });
    expect(first.stderr).toContain(`${house.gatehouse.url}/authorize?`);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(statSync(kept).mode & 0o777).toBe(0o700);
    expect(statSync(join(home, 'gatehouse')).mode & 0o777).toBe(0o700);
    const { access_token, refresh_token } = facts().tokens;
    for (const secret of [access_token, refresh_token]) expect(first.stdout + first.stderr).not.toContain(secret);
  });

  it('needs no sign-in the second time', async () => {
    expect(await say('call', 'hello', 'name=ohad')).toEqual({ code: 0, stdout: 'hello, ohad\n', stderr: '' });
  });

  it('refreshes an access token that is over, two commands at once', async () => {
    const before = facts().tokens;
    spoilAccessToken();
    const both = await Promise.all([say('call', 'hello', 'name=one'), say('call', 'hello', 'name=two')]);
    expect(both).toEqual([
      { code: 0, stdout: 'hello, one\n', stderr: '' },
      { code: 0, stdout: 'hello, two\n', stderr: '' },
    ]);
    expect(facts().tokens.refresh_token).not.toBe(before.refresh_token);
    expect(readdirSync(kept)).toHaveLength(1);
  });

  it('is not held up by a command that was killed in the middle of a refresh', async () => {
    spoilAccessToken();
    const dead = gatehouse(['--help'], { cwd: folder.path });
    await dead.exit;
    writeFileSync(`${file()}.lock`, String(dead.child.pid));
    expect(await say('call', 'hello', 'name=ohad')).toEqual({ code: 0, stdout: 'hello, ohad\n', stderr: '' });
  });

  it('asks for the scope that a tool wants, and keeps the scopes it had', async () => {
    expect(facts().tokens.scope).toBe('mcp');
    const stepped = await say('call', 'readNote');
    expect(stepped).toMatchObject({ code: 0, stdout: 'the note\n' });
    expect(stepped.stderr).toContain('notes%3Aread');
    expect(facts().tokens.scope.split(' ').sort()).toEqual(['mcp', 'notes:read']);
  });

  it('signs in again, as the same client, after the grant was revoked', async () => {
    const headers = { authorization: `Bearer ${ADMIN}` };
    const grants = (await (await fetch(`${house.gatehouse.url}/admin/v1/grants`, { headers })).json()) as {
      items: { id: string }[];
    };
    for (const { id } of grants.items)
      await fetch(`${house.gatehouse.url}/admin/v1/grants/${id}`, { method: 'DELETE', headers });
    const { client_id } = facts().client;
    const again = await say('tools', '--json');
    expect(again.code).toBe(0);
    expect(JSON.parse(again.stdout)).toContainEqual(expect.objectContaining({ name: 'hello' }));
    expect(again.stderr).toContain('/authorize?');
    expect(facts().client.client_id).toBe(client_id);
  });

  it('logout revokes and forgets', async () => {
    const { access_token } = facts().tokens;
    expect((await callTool(url, access_token, 'whoami')).status).toBe(200);
    expect(await say('logout', '--json')).toEqual({
      code: 0,
      stdout: `${JSON.stringify({ url, was_signed_in: true, revoked: true })}\n`,
      stderr: '',
    });
    expect((await callTool(url, access_token, 'whoami')).status).toBe(401);
    expect(readdirSync(kept)).toEqual([]);
    expect(await say('logout')).toMatchObject({ code: 0, stdout: `not signed in to ${url}\n` });
  });
});

describe('a person without a browser on this machine', { timeout: 90_000 }, () => {
  const shown = async (run: Run): Promise<URL> => {
    await expect.poll(() => run.stderr(), { timeout: 30_000 }).toMatch(/authorize\?\S+\n/);
    return new URL(/https?:\/\/\S+\/authorize\?\S+/.exec(run.stderr())?.[0] ?? '');
  };
  const home = join(folder.path, 'headless');
  const start = async () => {
    const run = command([url, 'call', 'hello', 'name=ohad', '--no-browser'], { XDG_CONFIG_HOME: home });
    const address = await shown(run);
    const redirectUri = address.searchParams.get('redirect_uri') ?? '';
    const browser = new Browser([new URL(redirectUri).origin]);
    return { run, address, redirectUri, browser };
  };

  it('follows the address that is printed, and reads that the page can be closed', async () => {
    const { run, address, redirectUri, browser } = await start();
    expect(redirectUri).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/callback$/);
    expect(address.searchParams.get('code_challenge_method')).toBe('S256');
    expect(address.searchParams.get('resource')).toBe(url);
    const stranger = await fetch(`${redirectUri}?code=stolen&state=guessed`);
    expect(stranger.status).toBe(400);
    await browser.open(address);
    await browser.press('provider=github');
    const page = await new Browser([]).open(browser.stoppedAt);
    expect(readable(page)).toContain('You can close this page');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(await ended(run)).toMatchObject({ code: 0, stdout: 'hello, ohad\n' });
    await ended(command([url, 'logout'], { XDG_CONFIG_HOME: home }));
  });

  it('who says no is told that nobody is signed in', async () => {
    const { run, address, redirectUri, browser } = await start();
    const issuer = house.gatehouse.url;
    const state = address.searchParams.get('state') ?? '';
    const answer = new URLSearchParams({
      error: 'access_denied',
      error_description: 'not \x1b[31mtoday',
      state,
      iss: issuer,
    });
    expect(readable(await browser.tab().open(`${redirectUri}?${answer.toString()}`))).toContain(
      'You were not signed in',
    );
    const { code, stdout, stderr } = await ended(run);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('you were not signed in: access_denied: not');
    expect(stderr).not.toContain('\x1b');
  });

  it('an answer that names another issuer is not believed', async () => {
    const { run, address, redirectUri } = await start();
    const state = address.searchParams.get('state') ?? '';
    const answer = new URLSearchParams({ code: 'x', state, iss: 'https://evil.example' });
    await fetch(`${redirectUri}?${answer.toString()}`);
    const { code, stderr } = await ended(run);
    expect(code).toBe(1);
    expect(stderr).toContain('the answer did not come from the authorization server that was asked');
    expect(stderr).not.toContain('evil.example');
  });

  it('Ctrl-C ends the wait at once', async () => {
    const { run } = await start();
    run.child.kill('SIGINT');
    expect(await run.exit).not.toBe(0);
    expect(run.stdout()).toBe('');
  });
});

describe('a server that cannot be signed in to says why', { timeout: 90_000 }, () => {
  const at = (to: string) => ended(command([to, 'tools'], { XDG_CONFIG_HOME: join(folder.path, 'elsewhere') }));

  it('one that takes static tokens only', async () => {
    const only = await startGatehouse();
    const { code, stderr } = await at(only.mcpUrl);
    expect(code).toBe(1);
    expect(stderr).toMatch(/asks for a bearer token and offers no sign-in: pass --token, or set GATEHOUSE_TOKEN\n$/);
    await only.close();
  });

  it('one that takes no new clients', async () => {
    const closed = await startWithGitHub({ env: { GATEHOUSE_REGISTRATION: 'closed' } });
    const { code, stderr } = await at(closed.gatehouse.mcpUrl);
    expect(code).toBe(1);
    expect(stderr).toContain('--client-id');
    await closed.close();
  });

  it('one whose metadata is of another server, or names another issuer', async () => {
    const fake = await new FakeServer().listen();
    const challenge = `Bearer resource_metadata="${fake.origin}/.well-known/oauth-protected-resource/mcp"`;
    let resource = 'https://elsewhere.example/mcp';
    fake.on('POST /mcp', () => ({ status: 401, headers: { 'www-authenticate': challenge }, body: {} }));
    fake.on('GET /.well-known/oauth-protected-resource/mcp', () => ({
      body: { resource, authorization_servers: [fake.origin] },
    }));
    const metadata = {
      issuer: fake.origin,
      authorization_endpoint: `${fake.origin}/authorize`,
      token_endpoint: `${fake.origin}/token`,
      registration_endpoint: `${fake.origin}/register`,
      response_types_supported: ['code'],
      code_challenge_methods_supported: ['S256'],
    };
    fake.on('GET /.well-known/oauth-authorization-server', () => ({ body: metadata }));
    expect(await at(`${fake.origin}/mcp`)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(resource) as string,
    });
    resource = `${fake.origin}/mcp`;
    metadata.issuer = 'https://impostor.example';
    const impostor = await at(`${fake.origin}/mcp`);
    expect(impostor.code).toBe(1);
    expect(impostor.stderr).toContain('names itself https://impostor.example');
    await fake.close();
  });

  it('one that is not there', async () => {
    expect(await at(`http://127.0.0.1:${await freePort()}/mcp`)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('ECONNREFUSED') as string,
    });
  });
});
