import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Injectable } from '@nestjs/common';
import { afterAll, describe, expect, it } from 'vitest';
import { freePort, startGatehouse, TOKEN } from '../gatehouse.js';
import { Tool } from '../../src/mcp/decorators.js';
import { gatehouse, scratchFolder, type Run } from './process.js';

const folder = scratchFolder();
const running: Run[] = [];
afterAll(() => {
  for (const { child } of running) if (child.exitCode === null) child.kill('SIGKILL');
  folder.remove();
});

async function serve(env: Record<string, string> = {}): Promise<{ run: Run; url: string }> {
  const port = await freePort();
  const run = gatehouse(['serve'], { cwd: folder.path, env: { GATEHOUSE_PORT: String(port), ...env } });
  running.push(run);
  await run.said('Gatehouse serves MCP on');
  return { run, url: `http://localhost:${port}` };
}

const command = async (...args: string[]) => {
  const run = gatehouse(args, { cwd: folder.path });
  return { code: await run.exit, stdout: run.stdout(), stderr: run.stderr() };
};

describe('a laptop user', { timeout: 90_000 }, () => {
  it('starts with nothing, gets one token with client configuration, calls hello, and ends it by SIGTERM with exit 0', async () => {
    const { run, url } = await serve();
    const token = /gth_pat_[\w-]{49}/.exec(run.stdout())?.[0] ?? '';
    expect(token).not.toBe('');
    for (const client of ['Claude Code', 'Cursor', 'VS Code', 'curl']) expect(run.stdout()).toContain(client);
    expect(run.stdout()).toContain(`${url}/mcp`);

    const call = await command('client', `${url}/mcp`, 'call', 'hello', 'name=ohad', '--token', token);
    expect(call).toMatchObject({ code: 0, stdout: 'hello, ohad\n' });
    const tools = await command('client', `${url}/mcp`, 'tools', '--json', '--token', token);
    expect((JSON.parse(tools.stdout) as { name: string }[]).map(({ name }) => name)).toEqual(['hello', 'whoami']);
    expect(await command('client', `${url}/mcp`, 'tools')).toMatchObject({ code: 1, stderr: /--token/ });
    const refused = await command('client', `${url}/mcp`, 'tools', '--token', `${token}x`);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('does not accept the token of --token. It is unknown, expired, revoked');
    expect(refused.stderr).not.toContain(token);
    expect(await command('client', `${url}/mcp`, 'call', 'nothing', '--token', token)).toMatchObject({ code: 1 });
    expect(await command('doctor', `${url}/mcp`, '--token', token)).toMatchObject({
      code: 0,
      stdout: /ok +first call/,
    });

    run.child.kill('SIGTERM');
    expect(await run.exit).toBe(0);
    expect(run.stdout().slice(run.stdout().indexOf('{"level"'))).not.toContain(token);
  });

  it('sees the token only on the very first start', async () => {
    const { run } = await serve();
    run.child.kill('SIGINT');
    expect(await run.exit).toBe(0);
    expect(run.stdout()).not.toContain('gth_pat_');
  });

  it('makes, lists and revokes tokens by command, and a running server hears of it', async () => {
    const { run, url } = await serve();
    const made = await command('token', 'create', '--name', 'ci', '--expires', '1d', '--scope', 'mcp', '--json');
    const { id, token } = JSON.parse(made.stdout) as { id: string; token: string };
    const [row] = (JSON.parse((await command('token', 'list', '--json')).stdout) as Record<string, unknown>[]).filter(
      (one) => one['id'] === id,
    );
    expect(row).toMatchObject({ name: 'ci', status: 'active', user: null, scopes: ['mcp'], last_used_at: null });
    for (const time of ['created_at', 'expires_at']) expect(row?.[time]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    const listed = await command('token', 'list');
    expect(listed.stdout).toContain(id);
    expect(listed.stdout).not.toContain(token);
    const status = async () =>
      (await fetch(`${url}/mcp`, { method: 'POST', headers: { authorization: `Bearer ${token}` } })).status;
    expect(await status()).not.toBe(401);
    expect(await command('token', 'revoke', id, '--json')).toMatchObject({
      code: 0,
      stdout: `${JSON.stringify({ id, status: 'revoked' })}\n`,
    });
    expect((await command('token', 'revoke', id)).code).toBe(1);
    await expect.poll(status, { timeout: 10_000 }).toBe(401);
    run.child.kill('SIGTERM');
    expect(await run.exit).toBe(0);
  });

  it.each<[Record<string, string>, number, RegExp]>([
    [{ GATEHOUSE_PROT: '1' }, 78, /GATEHOUSE_PROT.*did you mean GATEHOUSE_PORT/],
    [
      { GATEHOUSE_DATABASE_URL: 'sqlite:/proc/x/y.sqlite' },
      1,
      /^gatehouse: database: cannot write \/proc\/x\/y.sqlite: ENOENT.*\n$/m,
    ],
    [{ GATEHOUSE_DATABASE_URL: 'sqlite:/tmp' }, 1, /^gatehouse: database: cannot open \/tmp: .*\n$/m],
  ])('%j is refused in plain words', async (env, code, words) => {
    const run = gatehouse(['serve'], { cwd: folder.path, env });
    expect(await run.exit).toBe(code);
    expect(run.stderr()).toMatch(words);
  });

  it('is told which port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const run = gatehouse(['serve'], { cwd: folder.path, env: { GATEHOUSE_PORT: String(port) } });
    expect(await run.exit).toBe(1);
    expect(run.stderr()).toContain(
      `gatehouse: port ${port} on 127.0.0.1 is taken; choose another with GATEHOUSE_PORT\n`,
    );
    other.close();
  });

  it('reads .env and the _FILE form, and never logs a query string', async () => {
    const cwd = folder.path;
    writeFileSync(join(cwd, 'admin-token'), 'a'.repeat(40));
    const { run, url } = await serve({ GATEHOUSE_ADMIN_TOKEN_FILE: 'admin-token', GATEHOUSE_METRICS: 'on' });
    await (await fetch(`${url}/callback/none?code=very-secret-code&state=s`)).text();
    await (await fetch(`${url}/metrics`)).text();
    await run.said('"path":"/metrics"');
    run.child.kill('SIGTERM');
    expect(await run.exit).toBe(0);
    expect(run.stdout()).toContain('"path":"/callback/none"');
    expect(run.stdout()).not.toMatch(/very-secret-code|aaaaaaaaaa/);
  });
});

let release: () => void = () => undefined;
@Injectable()
class SlowTools {
  @Tool({ description: 'Waits until it is told to go on' })
  async wait(): Promise<string> {
    await new Promise<void>((resolve) => (release = resolve));
    return 'done';
  }
}

describe('operations', () => {
  it('health says live and ready, metrics are off unless asked for', async () => {
    const off = await startGatehouse();
    expect((await fetch(`${off.url}/health/live`)).status).toBe(200);
    const ready = await fetch(`${off.url}/health/ready`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({ status: 'ok', info: { database: { status: 'up' } } });
    expect((await fetch(`${off.url}/metrics`)).status).toBe(404);
    await off.close();

    const on = await startGatehouse({ env: { GATEHOUSE_METRICS: 'on' } });
    await fetch(`${on.url}/health/live`);
    const text = await (await fetch(`${on.url}/metrics`)).text();
    expect(text).toContain('gatehouse_http_requests_total{route="/health/live",status="200"} 1');
    await on.close();
  });

  it('at shutdown a call under way finishes, and nothing new is accepted', async () => {
    const server = await startGatehouse({ tools: [SlowTools] });
    const began = new Promise<void>((resolve) => {
      const before = release;
      const look = setInterval(() => release !== before && (clearInterval(look), resolve()), 5);
    });
    const call = fetch(server.mcpUrl, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${TOKEN}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'wait', arguments: {} } }),
    });
    await began;
    const closed = server.close();
    const refused = await new Promise<string>((resolve) => {
      const attempt = () => {
        const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
        socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
        socket.on('connect', () => socket.destroy()).on('close', (failed) => !failed && setImmediate(attempt));
      };
      attempt();
    });
    expect(refused).toBe('ECONNREFUSED');
    release();
    const answer = await call;
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain('done');
    await closed;
  });
});
