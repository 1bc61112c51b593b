import { HttpOutbound } from '../outbound/http-outbound.js';
import type { Outbound, OutboundRequest, OutboundResponse } from '../outbound/outbound.js';
import type { ProviderHouse } from '../providers/contract.js';

/** A house for one provider under test: its log lines, and an outbound that loses patience soon. */
export interface TestHouse extends ProviderHouse {
  readonly lines: string[];
  close(): Promise<void>;
}

/** @param patienceMs every request fails after this time, so that silent upstreams do not slow tests down */
export function testHouse(over: Partial<ProviderHouse> = {}, patienceMs = 400): TestHouse {
  const lines: string[] = [];
  const http = new HttpOutbound();
  const outbound: Outbound = {
    send(url: URL, request: OutboundRequest = {}): Promise<OutboundResponse> {
      return http.send(url, { ...request, timeoutMs: Math.min(request.timeoutMs ?? patienceMs, patienceMs) });
    },
  };
  return {
    outbound,
    publicUrl: 'http://localhost:8000',
    mcpUrl: 'http://localhost:8000/mcp',
    ruleKinds: new Set(),
    cwd: process.cwd(),
    log: { warn: (line) => lines.push(`warn ${line}`), error: (line) => lines.push(`error ${line}`) },
    ...over,
    lines,
    close: () => http.onApplicationShutdown(),
  };
}
