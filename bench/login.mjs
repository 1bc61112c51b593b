// CPU of one whole login loop: authorize with PKCE and resource, consent form, upstream, callback, code exchange, one refresh.
// Gatehouse (built, SQLite file, synchronous=FULL) and SDK v1's in-memory demo take turns; usage: node bench/login.mjs [rounds] [seconds]
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cpuMs, median, quant } from './lib/stats.mjs';

const [rounds, seconds] = [Number(process.argv[2] ?? 8), Number(process.argv[3] ?? 2)];
const CONNECTIONS = 4;
const WARM_UP_LOOPS = 2000;
const WARM_UP_SECONDS = 60;
const REDIRECT = 'http://127.0.0.1:9/cb';
const here = fileURLToPath(new URL('.', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'));
const children = [];

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

async function start(args, env, probe) {
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: { ...process.env, NODE_ENV: 'production', ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  children.push(child);
  for (let i = 0; i < 200; i++) {
    if (child.exitCode !== null) throw new Error(`${args[0]} ended with ${child.exitCode}`);
    if (
      await fetch(probe).then(
        () => true,
        () => false,
      )
    )
      return child.pid;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${probe} did not answer`);
}

/** One browser: a cookie jar by origin (ports count, as `__Host-` cookies of one host would not in a real one), redirects followed by hand. */
class Browser {
  #jars = new Map();
  async open(url, form) {
    const jar = this.#jars.get(url.origin) ?? new Map();
    this.#jars.set(url.origin, jar);
    const response = await fetch(url, {
      method: form ? 'POST' : 'GET',
      redirect: 'manual',
      headers: {
        accept: 'text/html',
        'sec-fetch-site': 'none',
        ...(form ? { origin: url.origin } : {}),
        cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
      },
      ...(form ? { body: form } : {}),
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (/expires=Thu, 01 Jan 1970|max-age=0/i.test(line)) jar.delete(name);
      else jar.set(name, value);
    }
    return response;
  }
}

async function authorize(server, challenge, state) {
  const browser = new Browser();
  let url = new URL(`${server.url}/authorize`);
  url.search = new URLSearchParams({
    response_type: 'code',
    client_id: server.client,
    redirect_uri: REDIRECT,
    code_challenge: challenge,
    code_challenge_method: 'S256',
    state,
    scope: 'mcp',
    resource: `${server.url}/mcp`,
  });
  let form;
  for (let hops = 0; hops < 12; hops++) {
    const response = await browser.open(url, form);
    form = undefined;
    const location = response.headers.get('location');
    if (location) {
      await response.arrayBuffer();
      url = new URL(location, url);
      if (url.href.startsWith(REDIRECT)) return url;
      continue;
    }
    const page = await response.text();
    if (response.status !== 200 || !page.includes('<form'))
      throw new Error(`${url.pathname}: HTTP ${response.status} ${page.slice(0, 300)}`);
    ({ url, form } = submit(page, url));
  }
  throw new Error('too many steps');
}

/** Presses the first submit button of the first POST form: Approve, with the provider's name. */
function submit(page, base) {
  const [, attributes, inside] = /<form([^>]*)>([\s\S]*?)<\/form>/.exec(page);
  const attribute = (tag, name) => new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1]?.replaceAll('&amp;', '&');
  const form = new URLSearchParams();
  for (const [tag] of inside.matchAll(/<input[^>]*>/g)) {
    const type = attribute(tag, 'type') ?? 'text';
    if (type === 'checkbox' && !/\bchecked\b/.test(tag)) continue;
    const name = attribute(tag, 'name');
    if (name && type !== 'submit') form.append(name, attribute(tag, 'value') ?? '');
  }
  const button = /<button[^>]*>/.exec(inside)?.[0] ?? '';
  const name = attribute(button, 'name');
  if (name) form.append(name, attribute(button, 'value') ?? '');
  return { url: new URL(attribute(button, 'formaction') ?? attribute(attributes, 'action') ?? base.href, base), form };
}

async function tokens(server, params) {
  const response = await fetch(`${server.url}/token`, {
    method: 'POST',
    body: new URLSearchParams({ client_id: server.client, resource: `${server.url}/mcp`, ...params }),
  });
  const body = await response.json();
  if (response.status !== 200 || !body.access_token || !body.refresh_token)
    throw new Error(`${params.grant_type}: HTTP ${response.status} ${JSON.stringify(body)}`);
  return body;
}

async function loop(server) {
  const verifier = randomBytes(32).toString('base64url');
  const state = randomBytes(8).toString('base64url');
  const back = await authorize(server, createHash('sha256').update(verifier).digest('base64url'), state);
  const code = back.searchParams.get('code');
  if (!code || back.searchParams.get('state') !== state) throw new Error(`no code: ${back.search}`);
  const started = performance.now();
  const first = await tokens(server, {
    grant_type: 'authorization_code',
    code,
    redirect_uri: REDIRECT,
    code_verifier: verifier,
  });
  server.tokenMs.push(performance.now() - started);
  const second = await tokens(server, { grant_type: 'refresh_token', refresh_token: first.refresh_token });
  if (second.access_token === first.access_token) throw new Error('the refresh gave the same access token');
}

async function slice(server, duration) {
  const before = cpuMs(server.pid);
  const until = performance.now() + duration * 1000;
  let loops = 0;
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (performance.now() < until) {
        await loop(server);
        loops++;
      }
    }),
  );
  return ((cpuMs(server.pid) - before) * 1000) / loops;
}

try {
  const upstreamPort = await freePort();
  const upstream = `http://127.0.0.1:${upstreamPort}`;
  await start([join(here, 'servers/github-at-once.mjs')], { PORT: upstreamPort }, `${upstream}/user`);
  const [gatePort, demoPort] = [await freePort(), await freePort()];
  const servers = [
    {
      name: 'sdk v1 demo (memory)',
      url: `http://localhost:${demoPort}`,
      pid: await start(
        [join(here, 'servers/sdk-v1-auth.mjs')],
        { PORT: demoPort },
        `http://localhost:${demoPort}/.well-known/oauth-authorization-server`,
      ),
    },
    {
      name: 'gatehouse (sqlite)',
      url: `http://localhost:${gatePort}`,
      pid: await start(
        [join(here, '../bin/gatehouse.mjs'), 'serve'],
        {
          GATEHOUSE_PORT: String(gatePort),
          GATEHOUSE_PROVIDERS: 'github',
          GATEHOUSE_GITHUB_CLIENT_ID: 'bench',
          GATEHOUSE_GITHUB_CLIENT_SECRET: 'bench-secret',
          GATEHOUSE_GITHUB_BASE_URL: upstream,
          GATEHOUSE_GITHUB_API_URL: upstream,
          GATEHOUSE_RATE_LIMITS: 'off',
          GATEHOUSE_LOG_LEVEL: 'warn',
        },
        `http://localhost:${gatePort}/health/ready`,
      ),
    },
  ];
  for (const server of servers) {
    const response = await fetch(`${server.url}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        client_name: 'login bench',
        redirect_uris: [REDIRECT],
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
      }),
    });
    server.client = (await response.json()).client_id;
    Object.assign(server, { cpu: [], tokenMs: [] });
    // V8 optimises by count, not by time: cold code costs several times more.
    for (
      const until = performance.now() + WARM_UP_SECONDS * 1000;
      performance.now() < until && server.tokenMs.length < WARM_UP_LOOPS;
    )
      await slice(server, 1);
    server.tokenMs.length = 0;
  }
  for (let round = 0; round < rounds; round++)
    for (const server of round % 2 ? servers.toReversed() : servers) server.cpu.push(await slice(server, seconds));
  const [base] = servers;
  for (const { name, cpu, tokenMs } of servers) {
    const paired = cpu.map((value, i) => value / base.cpu[i]);
    console.log(
      `${name.padEnd(22)} cpu µs/loop median ${median(cpu).toFixed(0)} best ${quant(cpu, 0.1).toFixed(0)} | × demo: best ${(quant(cpu, 0.1) / quant(base.cpu, 0.1)).toFixed(2)}, paired ${median(paired).toFixed(2)} [${quant(paired, 0.1).toFixed(2)}..${quant(paired, 0.9).toFixed(2)}] | /token p50 ${quant(tokenMs, 0.5).toFixed(1)} ms p99 ${quant(tokenMs, 0.99).toFixed(1)} ms`,
    );
  }
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
