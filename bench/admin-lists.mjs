// The admin API with many rows: first and last page of every list against the same page with 1,000 rows, and the memory of a whole NDJSON export.
// usage: node bench/admin-lists.mjs [sqlite|postgres://server/database] [users] [grants] [events]      (built; a Postgres database of its own is made)
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Sqlite from 'better-sqlite3';
import pg from 'pg';
import { writeCursor } from '../dist/src/admin/cursor.js';
import { median, rssKb } from './lib/stats.mjs';

const server = process.argv[2] ?? 'sqlite';
const [users, grants, events] = [3, 4, 5].map((i, n) => Number(process.argv[i] ?? [100_000, 300_000, 1_000_000][n]));
const SMALL = { users: 1000, grants: 1000, events: 1000 };
const ROUNDS = 150;
const LIMIT = 50;
const ADMIN = randomBytes(24).toString('hex');
const entry = fileURLToPath(new URL('../bin/gatehouse.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'));

/** An id of version 7 (RFC 9562) made at that millisecond: the n-th of its kind. */
const idAt = (at, n) => {
  const hex = at.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-${n.toString(16).padStart(12, '0')}`;
};

/** Rows to insert; those of one table come in the order of their list, oldest first. */
function* rowsOf({ users, grants, events }) {
  const now = Date.now();
  const seconds = Math.floor(now / 1000);
  const DAYS = 30 * 86_400_000;
  const user = (n) => idAt(now - DAYS + Math.floor((n / users) * DAYS), n % users);
  for (let n = 0; n < users; n++) {
    const made = seconds - 30 * 86_400;
    yield ['gatehouse_user', { id: user(n), name: `Person ${n}`, email: `person-${n}@example.com`, status: n % 50 ? 'active' : 'blocked', roles: n % 1000 ? '[]' : '["admin"]', rule_roles: '[]', created_at: made, last_seen_at: seconds }]; // prettier-ignore
    yield ['identity', { provider: 'github', subject: String(n), user_id: user(n), username: `p${n}`, email: null, created_at: made, last_used_at: seconds }]; // prettier-ignore
  }
  for (let n = 0; n < 200; n++)
    yield ['oauth_client', { id: `client-${n}`, source: 'dcr', status: 'active', name: `Client ${n}`, metadata: '{"redirect_uris":["http://localhost/callback"]}', trusted: false, version: 1, created_at: seconds - n }]; // prettier-ignore
  for (let n = 0; n < grants; n++)
    yield ['oauth_grant', { id: `grant-${n}`, user_id: user(n % users), client_id: `client-${n % 200}`, provider: 'github', scope: 'mcp', resource: 'http://localhost/mcp', payload: '{}', created_at: seconds - Math.floor((1 - n / grants) * 2_000_000), expires_at: seconds + 86_400 }]; // prettier-ignore
  const types = ['user.signed_in', 'grant.created', 'consent.given', 'tool.refused', 'token.refreshed'];
  for (let n = 0; n < events; n++) {
    const at = now - DAYS + Math.floor((n / events) * DAYS);
    yield ['event', { id: idAt(at, n), at, type: types[n % 5], outcome: n % 5 === 3 ? 'refused' : 'ok', actor: user(n % users), user_id: user(n % users), client_id: `client-${n % 200}`, grant_id: `grant-${n % grants}`, provider: 'github', ip: '192.0.2.1', reference: null, detail: '{"scope":"mcp"}' }]; // prettier-ignore
  }
}

async function sqliteDatabase(name) {
  const file = join(folder, `${name}.sqlite`);
  return {
    url: `sqlite:${file}`,
    async seed(rows) {
      const database = new Sqlite(file);
      database.pragma('synchronous = OFF');
      const statements = new Map();
      database.exec('BEGIN');
      for (const [table, row] of rows) {
        const columns = Object.keys(row);
        if (!statements.has(table))
          statements.set(table, database.prepare(`INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`)); // prettier-ignore
        statements.get(table).run(Object.values(row).map((value) => (value === false ? 0 : value)));
      }
      database.exec('COMMIT');
      database.close();
    },
    async drop() {},
  };
}

async function postgresDatabase(name) {
  const database = `gatehouse_bench_${name}_${randomBytes(3).toString('hex')}`;
  const run = async (text, at = server) => {
    const client = new pg.Client(at);
    await client.connect();
    await client.query(text).finally(() => client.end());
  };
  await run(`CREATE DATABASE ${database}`);
  const url = new URL(server);
  url.pathname = `/${database}`;
  return {
    url: url.href,
    async seed(rows) {
      const client = new pg.Client(url.href);
      await client.connect();
      await client.query('SET synchronous_commit = off');
      const waiting = new Map();
      const flush = async (table) => {
        const batch = waiting.get(table) ?? [];
        waiting.set(table, []);
        if (batch.length > 0)
          await client.query(`INSERT INTO ${table} SELECT * FROM json_populate_recordset(NULL::${table}, $1)`, [JSON.stringify(batch)]); // prettier-ignore
      };
      for (const [table, row] of rows) {
        if (!waiting.has(table)) waiting.set(table, []);
        waiting.get(table).push(row);
        if (waiting.get(table).length === 10_000) await flush(table);
      }
      for (const table of waiting.keys()) await flush(table);
      await client.query('ANALYZE');
      await client.end();
    },
    drop: () => run(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`),
  };
}

const freePort = () =>
  new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });

async function start(url) {
  const port = await freePort();
  const child = spawn(process.execPath, [entry, 'serve', '--migrate'], {
    cwd: folder,
    env: {
      ...process.env,
      NODE_ENV: 'production',
      GATEHOUSE_PORT: String(port),
      GATEHOUSE_DATABASE_URL: url,
      GATEHOUSE_SECRET: randomBytes(32).toString('base64'),
      GATEHOUSE_ADMIN_TOKEN: ADMIN,
      GATEHOUSE_PROVIDERS: 'static-token',
      GATEHOUSE_STATIC_TOKEN_TOKENS: '{}',
      GATEHOUSE_LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const base = `http://localhost:${port}`;
  for (let i = 0; ; i++) {
    if (child.exitCode !== null || i > 600) throw new Error(`the server did not start (${child.exitCode})`);
    const ready = await fetch(`${base}/health/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (ready) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const stop = () =>
    new Promise((resolve) => {
      child.once('exit', resolve);
      child.kill('SIGTERM');
    });
  return { base, pid: child.pid, stop };
}

const authorized = { headers: { authorization: `Bearer ${ADMIN}` } };

async function read(base, path) {
  const response = await fetch(`${base}/admin/v1${path}`, authorized);
  const body = await response.json();
  if (response.status !== 200) throw new Error(`${path}: ${response.status} ${JSON.stringify(body)}`);
  return body;
}

/** Medians of the same page of two servers, milliseconds; they take turns, so that a busy machine slows both. */
async function compare(path, one, other) {
  const times = [[], []];
  for (let round = -30; round < ROUNDS; round++)
    for (const [i, { base, pages }] of [one, other].entries()) {
      const before = performance.now();
      await read(base, pages[path]);
      if (round >= 0) times[i].push(performance.now() - before);
    }
  return times.map(median);
}

/** Streams every Event and looks at the server's resident memory meanwhile. */
async function exportAll({ base, pid }) {
  const before = rssKb(pid);
  let peak = before;
  const timer = setInterval(() => (peak = Math.max(peak, rssKb(pid))), 10);
  const began = performance.now();
  const response = await fetch(`${base}/admin/v1/events`, {
    headers: { ...authorized.headers, accept: 'application/x-ndjson' },
  });
  let lines = 0;
  for await (const chunk of response.body) for (const byte of chunk) if (byte === 10) lines++;
  clearInterval(timer);
  return { lines, seconds: (performance.now() - began) / 1000, extraMiB: (peak - before) / 1024 };
}

/** Notes, while rows pass by, after which key the last page of each list begins. */
function* noting(rows, keys) {
  const seen = new Map();
  const lists = { gatehouse_user: 'users', oauth_grant: 'grants', event: 'events' };
  for (const entry of rows) {
    const [table, row] = entry;
    const n = seen.get(table) ?? 0;
    seen.set(table, n + 1);
    if (n === LIMIT && table in lists)
      keys[lists[table]] = table === 'oauth_grant' ? [row.created_at, row.id] : [row.id];
    if (n === LIMIT && table === 'gatehouse_user') keys.person = row.id;
    yield entry;
  }
}

/** A server on a database with this many rows, and the pages to ask it for. */
async function prepare(kind, name, sizes) {
  const database = await kind(name);
  await (await start(database.url)).stop();
  const keys = {};
  const began = performance.now();
  await database.seed(noting(rowsOf(sizes), keys));
  const seeded = (performance.now() - began) / 1000;
  const running = await start(database.url);
  const last = (list) => `/${list}?limit=${LIMIT}&cursor=${writeCursor(list, keys[list])}`;
  const pages = {
    'users, first': `/users?limit=${LIMIT}`,
    'users, last': last('users'),
    'users by e-mail': '/users?email=person-7@example.com',
    'grants, first': `/grants?limit=${LIMIT}`,
    'grants, last': last('grants'),
    'grants of a client': '/grants?limit=5&client=client-7',
    'events, first': `/events?limit=${LIMIT}`,
    'events, last': last('events'),
    'events of a type, first': `/events?limit=${LIMIT}&type=tool.refused`,
    'events of a type, last': `${last('events').replace(/limit=\d+/, 'limit=10')}&type=tool.refused`,
    'events of a person': `/users/${keys.person}/events?limit=1`,
  };
  for (const list of ['users', 'grants', 'events']) {
    const { items, next_cursor: next } = await read(running.base, last(list));
    if (items.length !== LIMIT || next !== null) throw new Error(`not the last page of ${list}: ${items.length}`);
  }
  return { ...running, pages, seeded, drop: () => database.drop() };
}

const kind = server === 'sqlite' ? sqliteDatabase : postgresDatabase;
const open = [];
try {
  const small = await prepare(kind, 'small', SMALL);
  open.push(small);
  const large = await prepare(kind, 'large', { users, grants, events });
  open.push(large);
  console.log(`${server === 'sqlite' ? 'SQLite' : 'Postgres'}: ${users} users, ${grants} grants, ${events} events (seeded in ${large.seeded.toFixed(0)} s)`); // prettier-ignore
  console.log('| page, median of HTTP requests | 1,000 rows | all rows | ratio |\n|---|---|---|---|');
  let worst = 0;
  for (const page of Object.keys(large.pages)) {
    const [few, many] = await compare(page, small, large);
    worst = Math.max(worst, many / few);
    console.log(`| ${page} | ${few.toFixed(2)} ms | ${many.toFixed(2)} ms | ${(many / few).toFixed(2)} |`);
  }
  const { lines, seconds, extraMiB } = await exportAll(large);
  console.log(
    `export: ${lines} lines in ${seconds.toFixed(1)} s, ${extraMiB.toFixed(0)} MiB more resident memory at the peak`,
  );
  for (const when of ['first', 'second']) {
    const began = performance.now();
    await read(large.base, '/stats');
    console.log(`stats, ${when} time: ${(performance.now() - began).toFixed(0)} ms`);
  }
  if (worst > 3 || extraMiB > 64) process.exitCode = 1;
} finally {
  for (const { stop, drop } of open) {
    await stop();
    await drop();
  }
  rmSync(folder, { recursive: true, force: true });
}
