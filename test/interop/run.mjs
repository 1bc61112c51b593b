// MCP clients nobody here wrote, against the built server with a fake GitHub behind it: each signs in through a scripted browser, calls `hello`
// and `whoami`, comes back with what it stored, once more after its access token expired, and after an administrator revoked it, when it has to
// sign in anew. Skips itself when the clients cannot be installed. `npm run test:interop -- mcporter` runs one of them.
// Variables `GATEHOUSE_…` reach the server. INTEROP_CLIENTS: a folder where they are installed already; INTEROP_TRACE=1 shows the requests.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FakeGitHub } from '../../dist/src/testing.js';
import { startWire } from './wire.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const HERE = join(ROOT, 'test/interop');
const PACKAGES = {
  '@ai-sdk/mcp': '2.0.99',
  'mcp-remote': '0.15.1',
  mcporter: '0.12.3',
  '@modelcontextprotocol/inspector': '2.12.0',
};
/** Seconds an access token lives: the shortest there is. */
const LIFE = 10;
const ADMIN_TOKEN = randomBytes(32).toString('base64url');
const PATIENCE = 60_000;
const TRIES = 100;

const clientsFolder = process.env.INTEROP_CLIENTS ?? join(ROOT, 'node_modules/.cache/interop');
const scratch = mkdtempSync(join(tmpdir(), 'gatehouse-interop-'));

/** Runs a command to its end. `talk` gets the child to speak to it; it is ended when `talk` returns. */
async function run(command, args, { env = process.env, cwd = scratch, talk, patience = PATIENCE } = {}) {
  const child = spawn(command, args, { cwd, env, stdio: [talk ? 'pipe' : 'ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const timer = setTimeout(() => child.kill('SIGKILL'), patience);
  const closed = once(child, 'close').catch((error) => [1, String(error)]);
  if (talk) await Promise.race([talk(child), closed]).finally(() => child.kill());
  const [code, signal] = await closed;
  clearTimeout(timer);
  return { ok: code === 0 || Boolean(talk), output: signal === 'SIGKILL' ? `${output}\n(no end in sight)` : output };
}

function isInstalled() {
  return Object.entries(PACKAGES).every(([name, version]) => {
    const file = join(clientsFolder, 'node_modules', name, 'package.json');
    return existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).version === version;
  });
}

/** @returns undefined when every client is there, else why not */
async function install() {
  if (isInstalled()) return undefined;
  mkdirSync(clientsFolder, { recursive: true });
  writeFileSync(join(clientsFolder, 'package.json'), JSON.stringify({ private: true, dependencies: PACKAGES }));
  const npm = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--fetch-retries=0'];
  const { ok, output } = await run('npm', npm, { cwd: clientsFolder });
  if (ok && isInstalled()) return undefined;
  const said = output.trim().split('\n');
  return (said.find((line) => /^npm error (?!code)/.test(line)) ?? said.at(-1)).replace('npm error ', '');
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function startServer(github) {
  const cwd = mkdtempSync(join(scratch, 'server-'));
  const port = await freePort();
  const wire = await startWire(() => `http://127.0.0.1:${port}`);
  const env = {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith('GATEHOUSE_'))),
    PATH: process.env.PATH,
    GATEHOUSE_PORT: String(port),
    GATEHOUSE_PUBLIC_URL: wire.origin,
    GATEHOUSE_PROVIDERS: 'github',
    GATEHOUSE_GITHUB_CLIENT_ID: github.registration.clientId,
    GATEHOUSE_GITHUB_CLIENT_SECRET: github.registration.clientSecret,
    GATEHOUSE_GITHUB_BASE_URL: github.origin,
    GATEHOUSE_GITHUB_API_URL: github.origin,
    GATEHOUSE_ADMIN_TOKEN: ADMIN_TOKEN,
    GATEHOUSE_ACCESS_TOKEN_TTL: `${LIFE}s`,
  };
  const child = spawn(process.execPath, [join(ROOT, 'bin/gatehouse.mjs'), 'serve'], {
    cwd,
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaints = '';
  child.stderr.on('data', (chunk) => (complaints += chunk));
  const close = async () => {
    const ended = once(child, 'exit');
    if (child.exitCode === null && child.kill()) await ended;
    wire.close();
  };
  for (let i = 0; ; i++) {
    const up = await fetch(`http://127.0.0.1:${port}/.well-known/oauth-authorization-server`).then(
      (answer) => answer.ok,
      () => false,
    );
    if (up) return { wire, close };
    if (i === TRIES || child.exitCode !== null) throw new Error(`gatehouse did not start: ${complaints}`);
    await wait(100);
  }
}

/** The environment of every client: a home of its own, and our browser under each name it may be called by. */
function clientEnvironment() {
  const shims = join(scratch, 'shims');
  mkdirSync(shims);
  for (const name of ['xdg-open', 'open', 'visit'])
    writeFileSync(join(shims, name), `#!/bin/sh\nexec "${process.execPath}" "${join(HERE, 'visit.mjs')}" "$@"\n`, {
      mode: 0o755,
    });
  return {
    PATH: [shims, process.env.PATH, dirname(process.execPath)].join(delimiter),
    BROWSER: join(shims, 'visit'),
    MCP_AUTO_OPEN_ENABLED: 'true',
    MCP_INSPECTOR_SECRET_STORE: 'file',
  };
}

/** Speaks MCP over standard input and output: initialize, then both tools. */
async function callOverPipes(child) {
  const answers = new Map();
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
    const lines = text.split('\n');
    text = lines.pop();
    for (const line of lines.filter(Boolean)) answers.get(JSON.parse(line).id)?.();
  });
  const say = (message) => child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  const ask = (id, method, params) =>
    new Promise((resolve) => {
      answers.set(id, resolve);
      say({ id, method, params });
    });
  await ask(1, 'initialize', {
    protocolVersion: '2025-06-18',
    capabilities: {},
    clientInfo: { name: 'interop', version: '1' },
  });
  say({ method: 'notifications/initialized' });
  await ask(2, 'tools/call', { name: 'hello', arguments: { name: 'ohad' } });
  await ask(3, 'tools/call', { name: 'whoami', arguments: {} });
}

const bin = (name) => join(clientsFolder, 'node_modules/.bin', name);

async function inTurn(commands, env) {
  const results = [];
  for (const [command, ...args] of commands) results.push(await run(command, args, { env }));
  return { ok: results.every(({ ok }) => ok), output: results.map(({ output }) => output).join('\n') };
}

function inspector(era) {
  return ({ phase, url, env }) => {
    const common = [bin('mcp-inspector'), '--cli', url, '--transport', 'http', '--format', 'json', '-q'];
    const call = [...common, '--protocol-era', era, '--method', 'tools/call', '--tool-name'];
    const how = phase.endsWith('in') ? [] : ['--stored-auth-only'];
    return inTurn(
      [
        [...call, 'hello', '--tool-arg', 'name=ohad', ...how],
        [...call, 'whoami', '--stored-auth-only'],
      ],
      env,
    );
  };
}

/** `oauthRedirectUrl` fixes the port of its listener: with another port each time mcporter registers anew and loses its refresh token. */
async function mcporter({ phase, url, env }) {
  const file = join(env.HOME, 'mcporter.json');
  if (!existsSync(file)) {
    const gate = { baseUrl: url, auth: 'oauth', oauthRedirectUrl: `http://127.0.0.1:${await freePort()}/callback` };
    writeFileSync(file, JSON.stringify({ mcpServers: { gate } }));
  }
  const command = [bin('mcporter'), '--config', file];
  const calls = [
    [...command, 'call', 'gate.hello', 'name=ohad'],
    [...command, 'call', 'gate.whoami'],
  ];
  return inTurn(phase === 'sign in' ? [[...command, 'auth', 'gate'], ...calls] : calls, env);
}

/** Each calls both tools, and signs in when it must. */
const CLIENTS = {
  mcporter,
  'ai-sdk': ({ url, env }) => {
    const script = join(clientsFolder, 'ai-sdk.mjs');
    copyFileSync(join(HERE, 'ai-sdk.mjs'), script);
    return run('node', [script, url, join(env.HOME, 'ai-sdk.json')], { env });
  },
  'mcp-remote': ({ url, env }) => run(bin('mcp-remote'), [url], { env, talk: callOverPipes }),
  'inspector --protocol-era legacy': inspector('legacy'),
  'inspector --protocol-era auto': inspector('auto'),
  'inspector --protocol-era modern': inspector('modern'),
};

/** What is wrong with a run; empty: nothing. */
function faults(phase, { ok, output }, seen) {
  const signedIn = seen.some((line) => line === 'POST /token 200 authorization_code');
  const refreshed = seen.some((line) => line === 'POST /token 200 refresh_token');
  return [
    !ok && 'it ended with an error',
    !output.includes('hello, ohad') && 'hello did not answer',
    !output.includes('octocat@github.example') && 'whoami did not answer',
    seen.some((line) => / 5\d\d( |$)/.test(line)) && 'an answer was 5xx',
    phase.endsWith('in') && !signedIn && 'nobody signed in',
    phase.endsWith('tokens') && signedIn && 'it signed in again',
    phase === 'expired tokens' && !refreshed && 'it did not refresh',
  ].filter(Boolean);
}

/** Takes every connection away, as an administrator. */
async function revokeEverything(origin) {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
  const { items } = await (await fetch(`${origin}/admin/v1/grants?limit=100`, { headers })).json();
  for (const { id } of items) await fetch(`${origin}/admin/v1/grants/${id}`, { method: 'DELETE', headers });
}

/** Drives one client once. @returns whether all went well */
async function attempt(name, phase, { wire, env }) {
  wire.seen.length = 0;
  const result = await CLIENTS[name]({ phase, url: `${wire.origin}/mcp`, env });
  const wrong = faults(phase, result, wire.seen);
  console.log([`${wrong.length === 0 ? 'ok  ' : 'FAIL'} ${name}: ${phase}`, ...wrong].join('; '));
  if (wrong.length > 0 || process.env.INTEROP_TRACE) console.log(`${wire.seen.join('\n')}\n${result.output}`);
  return wrong.length === 0;
}

async function main() {
  const missing = await install();
  if (missing) {
    console.log(`skipped: the clients could not be installed here: ${missing}`);
    return 0;
  }
  const wanted = process.argv.slice(2);
  const names = Object.keys(CLIENTS).filter(
    (name) => wanted.length === 0 || wanted.some((word) => name.includes(word)),
  );
  const github = await new FakeGitHub().listen();
  const common = clientEnvironment();
  let well = true;
  let server;
  try {
    server = await startServer(github);
    const settings = new Map(
      names.map((name) => [name, { wire: server.wire, env: { ...common, HOME: mkdtempSync(join(scratch, 'home-')) } }]),
    );
    const phase = async (title, who = names) => {
      for (const name of who) well = (await attempt(name, title, settings.get(name))) && well;
    };
    for (const name of names) {
      await phase('sign in', [name]);
      await phase('stored tokens', [name]);
    }
    await wait((LIFE + 1) * 1000);
    await phase('expired tokens');
    await revokeEverything(server.wire.origin);
    await phase('revoked, sign in');
  } finally {
    await server?.close();
    await github.close();
  }
  return well ? 0 : 1;
}

process.exitCode = await main().finally(() => rmSync(scratch, { recursive: true, force: true }));
