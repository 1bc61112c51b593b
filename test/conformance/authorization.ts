// The official authorization suite against this server with a fake GitHub: registers a public client, follows the URL that the suite prints with a
// scripted browser, and passes the suite's verdict on. Run it compiled: `npm run test:conformance:authorization`.
import 'reflect-metadata';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Browser } from '../browser.js';
import { freePort } from '../gatehouse.js';
import { startWithGitHub, TestClient } from '../oauth-client.js';

const SUITE = join(process.cwd(), 'node_modules/@modelcontextprotocol/conformance/dist/index.js');

/** The suite's own dependencies need Node 22. */
function suiteCommand(args: readonly string[]): [string, string[]] {
  return Number(process.versions.node.split('.')[0]) >= 22
    ? [process.execPath, [SUITE, ...args]]
    : ['npx', ['-y', '-p', 'node@22', '--', 'node', SUITE, ...args]];
}

/** Approves at our page and lets the browser go on to the suite's own listener. */
async function walk(url: string): Promise<void> {
  const browser = new Browser([]);
  await browser.open(url);
  await browser.press('provider=github');
}

const house = await startWithGitHub({ env: { GATEHOUSE_RATE_LIMITS: 'off', GATEHOUSE_ERROR_REDIRECTS: 'all' } });
const out = await mkdtemp(join(tmpdir(), 'gatehouse-conformance-'));
const port = await freePort();
const { url, mcpUrl } = house.gatehouse;
const client = await TestClient.register(url, { redirect_uris: [`http://127.0.0.1:${port}/callback`] });
const args = [
  'authorization',
  '--url',
  url,
  '--client-id',
  client.id,
  '--resource',
  mcpUrl,
  '-p',
  String(port),
  '-o',
  out,
];
const [command, prefix] = suiteCommand(args);
const suite = spawn(command, prefix, { stdio: ['ignore', 'pipe', 'pipe'] });
const walked = new Set<string>();
let text = '';
for (const stream of [suite.stdout, suite.stderr])
  stream.on('data', (chunk: Buffer) => {
    process.stdout.write(chunk);
    text += chunk.toString();
    for (const [printed] of text.matchAll(/https?:\/\/localhost:\d+\/authorize\?[^\s"']+(?=\s)/g)) {
      if (walked.has(printed)) continue;
      walked.add(printed);
      walk(printed).catch((error: unknown) => console.error(error));
    }
  });
const [code] = (await once(suite, 'close')) as [number | null];
await house.close();
await rm(out, { recursive: true, force: true });
console.log(`${code === 0 ? 'passed' : 'FAILED'}  conformance authorization`);
process.exit(code === 0 ? 0 : 1);
