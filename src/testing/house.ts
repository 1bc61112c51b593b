import { HttpOutbound } from '../outbound/http-outbound.js';
import type { Outbound, OutboundRequest, OutboundResponse } from '../outbound/outbound.js';
import type { ProviderHouse } from '../providers/contract.js';

/** A house for one provider under test: its log lines, and an outbound whose patience can be shortened. */
export interface TestHouse extends ProviderHouse {
  readonly lines: string[];
  /** Requests fail after this many milliseconds from now on, so that silent upstreams do not slow tests down; undefined: as in production. */
  hurry(patienceMs: number | undefined): void;
  /** Sets its clock forward, so that cool-downs end without waiting. */
  pass(seconds: number): void;
  close(): Promise<void>;
}

/** @param over replaces parts of it */
export function testHouse(over: Partial<ProviderHouse> = {}): TestHouse {
  const lines: string[] = [];
  let patienceMs: number | undefined;
  let passed = 0;
  const http = new HttpOutbound();
  const outbound: Outbound = {
    send(url: URL, request: OutboundRequest = {}): Promise<OutboundResponse> {
      return http.send(url, patienceMs === undefined ? request : { ...request, timeoutMs: patienceMs });
    },
  };
  return {
    outbound,
    publicUrl: 'http://localhost:8000',
    mcpUrl: 'http://localhost:8000/mcp',
    ruleKinds: new Set(),
    cwd: process.cwd(),
    log: { warn: (line) => lines.push(`warn ${line}`), error: (line) => lines.push(`error ${line}`) },
    now: () => performance.now() / 1000 + passed,
    ...over,
    lines,
    hurry: (ms) => (patienceMs = ms),
    pass: (seconds) => (passed += seconds),
    close: () => http.onApplicationShutdown(),
  };
}
