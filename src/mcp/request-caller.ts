import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { AuthInfo, ServerContext } from '@modelcontextprotocol/server';
import type { Principal } from '../providers/contract.js';
import { messagesOf } from './json-rpc.js';

/** Who sent one HTTP request, and what it was; travels through the SDK inside its `AuthInfo`. */
export class RequestCaller {
  #body: unknown;

  /** @param reference the id of the request in the log, for Events */
  constructor(
    readonly principal: Principal,
    readonly reference: string,
  ) {}

  /** The parsed body, once it has been read. */
  carry(body: unknown): void {
    this.#body = body;
  }

  /** What a `requestState` is bound to: the Principal, the method and its parameters without the answers (HT-24). */
  binding(method: string, id: unknown): string {
    const params = messagesOf(this.#body).find((message) => message.id === id)?.params ?? {};
    const { name, uri, arguments: args } = params;
    const digest = createHash('sha256')
      .update(JSON.stringify([name, uri, args]))
      .digest('base64url');
    return `${this.principal.key}\n${method}\n${digest}`;
  }
}

/** A request that the hooks have let through. */
export type AdmittedRequest = IncomingMessage & { auth?: AuthInfo };

/** Notes on the raw request who calls, in the form the SDK passes on. The token itself is left out: tools never see it. */
export function admit(request: AdmittedRequest, principal: Principal, reference: string): void {
  request.auth = {
    token: '',
    clientId: principal.client,
    scopes: [...principal.scopes],
    expiresAt: principal.expiresAt ?? Number.MAX_SAFE_INTEGER,
    extra: { caller: new RequestCaller(principal, reference) },
  };
}

/** Who calls. @throws Error when the hooks were passed by: fail closed */
export function callerOf(auth: AuthInfo | undefined): RequestCaller {
  const caller = auth?.extra?.['caller'];
  if (!(caller instanceof RequestCaller)) throw new Error('an MCP request reached its handler without a Principal');
  return caller;
}

/** Who calls, inside the SDK's handlers. */
export function callerIn(context: ServerContext): RequestCaller {
  return callerOf(context.http?.authInfo);
}
