#!/usr/bin/env node
// mcp-bench: see README.md
import { parseArgs } from 'node:util';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { Target } from './lib/load.mjs';
import { MODES } from './lib/mcp.mjs';
import { Hist, median, quant, rssKb } from './lib/stats.mjs';

const num = (v, d) => (v === undefined ? d : Number(v));
const f = (x, d = 0) => (x === undefined || Number.isNaN(x) ? '-' : x.toFixed(d));
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));

const { values: v, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    url: { type: 'string' },
    token: { type: 'string' },
    mode: { type: 'string' },
    pid: { type: 'string' },
    'a-url': { type: 'string' },
    'a-token': { type: 'string' },
    'a-mode': { type: 'string' },
    'a-pid': { type: 'string' },
    'b-url': { type: 'string' },
    'b-token': { type: 'string' },
    'b-mode': { type: 'string' },
    'b-pid': { type: 'string' },
    tool: { type: 'string' },
    expect: { type: 'string' },
    fixed: { type: 'boolean' },
    connections: { type: 'string', short: 'c' },
    duration: { type: 'string', short: 'd' },
    warmup: { type: 'string' },
    'warmup-requests': { type: 'string' },
    rounds: { type: 'string', short: 'r' },
    slice: { type: 'string' },
    only: { type: 'string' },
    base: { type: 'string' },
    out: { type: 'string' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  },
});

const common = () => ({
  ...(v.tool && { tool: v.tool }),
  ...(v.expect && { expect: v.expect }),
  ...(v.fixed && { fixed: true }),
  connections: num(v.connections, 8),
});

async function run() {
  const t = new Target({ ...common(), url: v.url, token: v.token, mode: v.mode ?? 'stateless', pid: num(v.pid) });
  await t.open();
  await t.warm(num(v['warmup-requests'], 6000), num(v.warmup, 12));
  const r = await t.slice(num(v.duration, 5));
  t.close();
  report([
    {
      name: v.url,
      mode: t.o.mode,
      rps: [r.rps],
      cpu: [r.cpuUs],
      hist: r.hist,
      errors: t.errors,
      firstError: t.firstError,
    },
  ]);
  process.exitCode = t.errors ? 1 : 0;
}

async function ab() {
  const mk = (k) =>
    new Target({
      ...common(),
      url: v[`${k}-url`] ?? v.url,
      token: v[`${k}-token`] ?? v.token,
      mode: v[`${k}-mode`] ?? v.mode ?? 'stateless',
      pid: num(v[`${k}-pid`]),
    });
  await interleave(
    [
      { name: 'A', t: mk('a') },
      { name: 'B', t: mk('b') },
    ],
    'A',
  );
}

/** Spawn the servers of a JSON file, run them in alternation, print each one's ratio to the base. */
async function suite() {
  const file = positionals[1];
  const cfg = JSON.parse(fs.readFileSync(file, 'utf8'));
  const dir = path.dirname(path.resolve(file));
  const only = v.only?.split(',');
  const list = cfg.servers.filter(
    (s) => !only || only.some((o) => s.name === o || (o.endsWith('*') && s.name.startsWith(o.slice(0, -1)))),
  );
  const procs = [];
  const targets = [];
  try {
    for (const s of list) {
      const p = spawn(s.cmd[0].replace('$NODE', process.execPath), s.cmd.slice(1), {
        cwd: path.resolve(dir, s.cwd ?? '.'),
        env: { ...process.env, NODE_ENV: 'production', ...s.env },
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      procs.push(p);
      await ready(s.url, p);
      const token = s.tokenFile ? fs.readFileSync(path.resolve(dir, s.tokenFile), 'utf8').trim() : s.token;
      for (const mode of s.modes)
        targets.push({
          name: s.modes.length > 1 ? `${s.name}/${mode}` : s.name,
          t: new Target({ ...common(), ...cfg.defaults, ...s.options, url: s.url, token, mode, pid: p.pid }),
        });
    }
    await interleave(targets, v.base ?? cfg.base);
  } finally {
    for (const p of procs) p.kill('SIGKILL');
  }
}

async function ready(url, p) {
  for (let i = 0; i < 200; i++) {
    if (p.exitCode !== null) throw new Error(`server for ${url} exited with ${p.exitCode}`);
    try {
      await fetch(url, { signal: AbortSignal.timeout(2000) });
      return;
    } catch {
      await sleep(100);
    }
  }
  throw new Error(`${url} did not answer`);
}

async function interleave(targets, baseName) {
  const rounds = num(v.rounds, 20);
  const slice = num(v.slice, 0.5);
  const rows = [];
  for (const { name, t } of targets) {
    const row = { name, mode: t.o.mode, t, rps: [], cpu: [], hist: new Hist(), rss: [] };
    try {
      await t.open();
      await t.warm(num(v['warmup-requests'], 6000), num(v.warmup, 12));
      rows.push(row);
    } catch (e) {
      console.error(`${name}: cannot run: ${e.message}`);
      process.exitCode = 1;
    }
  }
  for (let i = 0; i < rounds; i++) {
    const order = i % 2 ? rows.toReversed() : rows; // ABBA
    for (const row of order) {
      const r = await row.t.slice(slice);
      row.rps.push(r.rps);
      row.cpu.push(r.cpuUs);
      row.hist.merge(r.hist);
      if (row.t.o.pid) row.rss.push(rssKb(row.t.o.pid));
    }
  }
  for (const row of rows) {
    row.t.close();
    row.errors = row.t.errors;
    row.firstError = row.t.firstError;
    if (row.errors) process.exitCode = 1;
  }
  report(rows, rows.find((r) => r.name === baseName) ?? rows[0]);
}

function ratios(xs, ys) {
  const q = xs.map((x, i) => x / ys[i]);
  return { med: median(q), lo: quant(q, 0.1), hi: quant(q, 0.9) };
}

function report(rows, base) {
  const out = rows.map((r) => {
    const o = {
      name: r.name,
      mode: r.mode,
      rps: median(r.rps),
      p50us: r.hist.q(0.5),
      p99us: r.hist.q(0.99),
      requests: r.hist.n,
      errors: r.errors,
      cpuUs: r.cpu[0] === undefined ? undefined : median(r.cpu),
      cpuBestUs: r.cpu[0] === undefined ? undefined : quant(r.cpu, 0.1),
      rpsBest: quant(r.rps, 0.9),
      rssMb: r.rss?.length ? Math.max(...r.rss) / 1024 : undefined,
    };
    if (base) {
      o.rpsRatio = ratios(r.rps, base.rps);
      o.rpsBestRatio = o.rpsBest / quant(base.rps, 0.9);
      if (r.cpu[0] !== undefined && base.cpu[0] !== undefined) {
        o.cpuRatio = ratios(r.cpu, base.cpu);
        o.cpuBestRatio = o.cpuBestUs / quant(base.cpu, 0.1);
      }
    }
    if (r.firstError) o.firstError = r.firstError;
    return o;
  });
  if (v.out)
    fs.writeFileSync(
      v.out,
      JSON.stringify(
        {
          date: new Date().toISOString(),
          node: process.version,
          argv: process.argv.slice(2),
          base: base?.name,
          rows: out,
        },
        null,
        1,
      ),
    );
  if (v.json) {
    console.log(JSON.stringify(out, null, 1));
    return;
  }
  const w = Math.max(12, ...out.map((o) => o.name.length)) + 1;
  const b = base ? `  vs ${base.name}:` : '';
  console.log(
    `${'server'.padEnd(w)}mode        req/s  best  p50ms  p99ms  cpu us/req   best  RSS MB errors${b}${base ? ' cpu best | cpu paired median [p10..p90] | req/s best | req/s paired median [p10..p90]' : ''}`,
  );
  const rr = (x) => (x ? `${f(x.med, 3)} [${f(x.lo, 3)}..${f(x.hi, 3)}]` : '-');
  for (const o of out) {
    console.log(
      `${o.name.padEnd(w)}${o.mode.padEnd(9)}${f(o.rps).padStart(8)}${f(o.rpsBest).padStart(7)}${f(o.p50us / 1000, 2).padStart(6)}${f(o.p99us / 1000, 2).padStart(8)}${f(o.cpuUs, 1).padStart(10)}${f(o.cpuBestUs, 1).padStart(8)}${f(o.rssMb).padStart(7)}${String(o.errors).padStart(7)}${base ? `   ${f(o.cpuBestRatio, 2).padStart(6)} | ${rr(o.cpuRatio).padEnd(24)} | ${f(o.rpsBestRatio, 3).padStart(6)} | ${rr(o.rpsRatio)}` : ''}${o.firstError ? `\n   first error: ${o.firstError}` : ''}`,
    );
  }
}

const cmds = { run, ab, suite };
if (v.help || !cmds[positionals[0]] || (v.mode && !MODES.includes(v.mode))) {
  console.log(fs.readFileSync(new URL('./README.md', import.meta.url), 'utf8'));
  process.exitCode = v.help ? 0 : 2;
} else
  await cmds[positionals[0]]().catch((e) => {
    console.error(`mcp-bench: ${e.message}`);
    process.exit(1);
  });
