import fs from 'node:fs';

/** Log-bucketed latency histogram, microseconds, about 2 % wide buckets. */
export class Hist {
  constructor() {
    this.b = new Uint32Array(1200);
    this.n = 0;
  }
  add(us) {
    this.b[us < 1 ? 0 : Math.min(1199, (Math.log(us) * 50) | 0)]++;
    this.n++;
  }
  merge(o) {
    for (let i = 0; i < 1200; i++) this.b[i] += o.b[i];
    this.n += o.n;
  }
  q(p) {
    let k = Math.ceil(p * this.n);
    for (let i = 0; i < 1200; i++) {
      k -= this.b[i];
      if (k <= 0) return Math.exp((i + 0.5) / 50);
    }
    return NaN;
  }
}

export const median = (a) => {
  const s = [...a].sort((x, y) => x - y);
  const m = s.length >> 1;
  return s.length ? (s.length % 2 ? s[m] : (s[m - 1] + s[m]) / 2) : NaN;
};
export const quant = (a, p) => {
  const s = [...a].sort((x, y) => x - y);
  const i = (s.length - 1) * p;
  const l = Math.floor(i);
  return s[l] + (s[Math.min(l + 1, s.length - 1)] - s[l]) * (i - l);
};

/** CPU time (ms) used so far by a process and its descendants, all threads; undefined when unknown. Linux only. */
export function cpuMs(pid) {
  if (!pid) return undefined;
  let total = 0;
  for (const p of tree(pid)) {
    try {
      for (const t of fs.readdirSync(`/proc/${p}/task`))
        total += Number(fs.readFileSync(`/proc/${p}/task/${t}/schedstat`, 'latin1').split(' ')[0]) / 1e6;
    } catch {
      /* a thread ended */
    }
  }
  return total;
}
export function rssKb(pid) {
  let kb = 0;
  for (const p of tree(pid)) {
    try {
      kb += Number(/^VmRSS:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${p}/status`, 'latin1'))?.[1] ?? 0);
    } catch {
      /* gone */
    }
  }
  return kb;
}
function tree(pid) {
  const out = [pid];
  for (let i = 0; i < out.length; i++) {
    try {
      for (const t of fs.readdirSync(`/proc/${out[i]}/task`))
        for (const c of fs.readFileSync(`/proc/${out[i]}/task/${t}/children`, 'latin1').trim().split(' '))
          if (c) out.push(Number(c));
    } catch {
      /* gone */
    }
  }
  return out;
}
