import { Injectable } from '@nestjs/common';
import { createRequestStateCodec, type RequestStateCodec, type ServerContext } from '@modelcontextprotocol/server';
import { Seals } from '../persistence/seals.js';
import { callerIn } from './request-caller.js';

const TTL_SECONDS = 600;

/** The state of multi-round calls, which travels through the client: signed, bound to Principal and call, short-lived (HT-24). */
@Injectable()
export class RequestStates {
  readonly #codecs: readonly RequestStateCodec[];

  constructor(seals: Seals) {
    this.#codecs = seals.keys('mcp request state').map((key) =>
      createRequestStateCodec({
        key,
        ttlSeconds: TTL_SECONDS,
        bind: (context) => callerIn(context).binding(context.mcpReq.method, context.mcpReq.id),
      }),
    );
  }

  /** Signs with the newest key. */
  async seal(payload: unknown, context: ServerContext): Promise<string> {
    return this.#codecs[0]!.mint(payload, context);
  }

  /** The payload. @throws Error when no key opens it, it has expired, or it belongs to another Principal or call */
  async open(state: string, context: ServerContext): Promise<unknown> {
    let fault: unknown;
    for (const codec of this.#codecs) {
      try {
        return await codec.verify(state, context);
      } catch (error) {
        fault = error;
      }
    }
    throw fault;
  }
}
