// The official MCP conformance suites against a built server with the fixtures beside this file.
// The suites know no bearer token, so a loopback proxy adds it and changes nothing else.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SUITE = join(ROOT, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');
const TOKEN = 'conformance-token-0123456789';
const RUNS = [
  { name: '2025-11-25, sessions on', sessions: 'on', args: ['--requirements', '2025-11-25'] },
  { name: '2026-07-28, sessions on', sessions: 'on', args: ['--requirements', '2026-07-28'] },
  {
    name: '2025-11-25, sessions off',
    sessions: 'off',
    args: ['--requirements', '2025-11-25', '--expected-failures', join(ROOT, 'test/conformance/stateless.yml')],
  },
  { name: '2026-07-28, sessions off', sessions: 'off', args: ['--requirements', '2026-07-28'] },
];

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Resolves with exit code and output; the output is passed through as it comes. */
async function run(command, args, options = {}) {
  const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], ...options });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      output += chunk;
      process.stdout.write(chunk);
    });
  const [code] = await once(child, 'close');
  return { code, output };
}

async function startServer(port, publicUrl, sessions) {
  const child = spawn(process.execPath, [join(ROOT, 'dist/conformance/test/conformance/server.js')], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env.PATH,
      GATEHOUSE_PORT: String(port),
      GATEHOUSE_PUBLIC_URL: publicUrl,
      GATEHOUSE_PROVIDERS: 'static-token',
      GATEHOUSE_STATIC_TOKEN_TOKENS: JSON.stringify({ [TOKEN]: { client_id: 'conformance', scopes: ['mcp'] } }),
      GATEHOUSE_DATABASE_URL: 'sqlite::memory:',
      GATEHOUSE_SECRET: Buffer.alloc(32, 7).toString('base64'),
      GATEHOUSE_RATE_LIMITS: 'off',
      GATEHOUSE_LEGACY_SESSIONS: sessions,
    },
  });
  await new Promise((resolve, reject) => {
    child.stdout.once('data', resolve);
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
  });
  return child;
}

function startProxy(target) {
  const proxy = createServer((incoming, outgoing) => {
    const headers = { ...incoming.headers, authorization: `Bearer ${TOKEN}` };
    const forward = request(
      { host: '127.0.0.1', port: target, method: incoming.method, path: incoming.url, headers },
      (answer) => {
        outgoing.writeHead(answer.statusCode, answer.headers);
        answer.pipe(outgoing);
      },
    );
    forward.on('error', () => outgoing.destroy());
    outgoing.on('close', () => forward.destroy());
    incoming.pipe(forward);
  });
  return proxy;
}

// The suite's own dependencies need Node 22.
function suiteCommand(args) {
  return Number(process.versions.node.split('.')[0]) >= 22
    ? [process.execPath, [SUITE, ...args]]
    : ['npx', ['-y', '-p', 'node@22', '--', 'node', SUITE, ...args]];
}

const build = await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', 'test/conformance']);
if (build.code !== 0) process.exit(1);

const wanted = process.argv.slice(2);
const results = [];
for (const { name, sessions, args } of RUNS.filter(({ name }) => wanted.every((word) => name.includes(word)))) {
  const port = await freePort();
  const proxy = startProxy(port).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const publicUrl = `http://localhost:${proxy.address().port}`;
  const server = await startServer(port, publicUrl, sessions);
  try {
    const [command, prefix] = suiteCommand(['server', '--url', `${publicUrl}/mcp`, ...args]);
    const { code } = await run(command, prefix);
    results.push({ name, passed: code === 0 });
  } finally {
    server.kill('SIGTERM');
    proxy.closeAllConnections();
    proxy.close();
    await once(server, 'exit');
  }
}

for (const { name, passed } of results) console.log(`${passed ? 'passed' : 'FAILED'}  conformance ${name}`);
const failed = results.filter(({ passed }) => !passed).length;
console.log(`${results.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 && results.length > 0 ? 0 : 1);
