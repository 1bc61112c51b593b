import { HttpConn } from './http1.mjs';
import { callBuilder, check, openSession } from './mcp.mjs';
import { Hist, cpuMs } from './stats.mjs';

/** Connections to one server, kept over many slices. */
export class Target {
  constructor(o) {
    this.o = { mode: 'stateless', tool: 'hello', expect: 'Hello, {name}!', connections: 8, ...o };
    this.url = new URL(this.o.url);
    this.conns = [];
    this.nextId = 1;
    this.errors = 0;
    this.firstError = undefined;
  }

  async open() {
    for (let i = 0; i < this.o.connections; i++) {
      const conn = new HttpConn(this.url);
      await conn.connect();
      let sid;
      if (this.o.mode === 'session') sid = await openSession(conn, this.url, this.o.token);
      this.conns.push({ conn, build: callBuilder(this.url, this.o.mode, this.o.token, this.o.tool, sid) });
    }
    // one call must be right before any load is sent
    await this.#one(this.conns[0]);
  }

  async #one({ conn, build }) {
    const { fixed, expect, mode } = this.o;
    const id = fixed ? 1 : this.nextId++;
    const name = fixed ? 'world' : `w${id}`;
    const res = await conn.request(build(id, name));
    check(res, id, expect.replace('{name}', name), mode);
  }

  /** At least `requests` calls, at most `seconds`: V8 optimises by count, not by time. */
  async warm(requests, seconds) {
    const until = performance.now() + seconds * 1000;
    for (let n = 0; n < requests && performance.now() < until;) n += (await this.slice(Math.min(1, seconds))).ok;
    this.errors = 0;
  }

  /** Closed loop on every connection for `seconds`; every response is checked. */
  async slice(seconds) {
    const hist = new Hist();
    let ok = 0;
    let errors = 0;
    const c0 = cpuMs(this.o.pid);
    const t0 = performance.now();
    const until = t0 + seconds * 1000;
    await Promise.all(
      this.conns.map(async (c) => {
        for (;;) {
          const s = performance.now();
          if (s >= until) return;
          try {
            await this.#one(c);
            ok++;
            hist.add((performance.now() - s) * 1000);
          } catch (e) {
            errors++;
            this.firstError ??= e.message;
            if (errors > 1000) return;
          }
        }
      }),
    );
    const ms = performance.now() - t0;
    const c1 = cpuMs(this.o.pid);
    this.errors += errors;
    return {
      rps: ok / (ms / 1000),
      ok,
      errors,
      hist,
      cpuUs: c1 === undefined ? undefined : ((c1 - c0) * 1000) / Math.max(1, ok),
      util: c1 === undefined ? undefined : (c1 - c0) / ms,
    };
  }

  close() {
    for (const { conn } of this.conns) conn.close();
  }
}
