import type { ServerResponse } from 'node:http';
import type { AdmittedRequest } from './request-caller.js';

/** One exchange at the MCP endpoint, its body parsed. */
export interface Exchange {
  readonly request: AdmittedRequest;
  readonly response: ServerResponse;
  readonly body: unknown;
}

/** Ends the exchange with a JSON body. */
export function answer(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    ...headers,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}
