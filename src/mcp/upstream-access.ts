import { Inject, Injectable, Optional } from '@nestjs/common';
import { UpstreamUnavailable } from '../providers/contract.js';
import {
  UPSTREAM_TOKENS,
  UpstreamNotEnabled,
  UpstreamReconnectNeeded,
  type UpstreamRefused,
  type UpstreamToken,
  type UpstreamTokenSource,
} from '../providers/upstream-tokens.js';
import type { McpCall } from './call.js';
import { ToolError } from './tool-error.js';

/** Scopes of upstreams that a handler declared, by provider id. */
export type DeclaredUpstreams = Readonly<Record<string, readonly string[]>>;

/** Upstream tokens as handlers get them: what stands in the way is told in words that the model may read. */
@Injectable()
export class UpstreamAccess {
  constructor(@Optional() @Inject(UPSTREAM_TOKENS) private readonly source?: UpstreamTokenSource) {}

  /** @throws ToolError there is no token with these scopes, and what the person can do about it */
  async token(call: McpCall, provider: string, scopes: readonly string[] = []): Promise<UpstreamToken> {
    try {
      return await this.#find(call, provider, scopes);
    } catch (cause) {
      throw inWords(cause, provider);
    }
  }

  /**
   * For what a handler declares and takes no token of. Where nobody can sign in with that provider the declaration stops nothing: the start has warned of it.
   * @throws ToolError the person's token lacks these scopes, or they have none
   */
  async demand(call: McpCall, provider: string, scopes: readonly string[]): Promise<void> {
    try {
      await this.#find(call, provider, scopes);
    } catch (cause) {
      if (!(cause instanceof UpstreamNotEnabled)) throw inWords(cause, provider);
    }
  }

  async #find(call: McpCall, provider: string, scopes: readonly string[]): Promise<UpstreamToken> {
    if (!this.source) throw new UpstreamNotEnabled(provider);
    return this.source.tokenFor(call.principal, provider, scopes);
  }

  /** Tells the upstream's refusal on. @throws ToolError always: what the model is to do now */
  async renew(call: McpCall, refusal: UpstreamRefused): Promise<never> {
    const { token } = refusal;
    await this.source?.refused(call.principal, token);
    await this.token(call, token.provider);
    throw new ToolError(`The access to ${token.provider} had ended and was renewed: repeat the call`, {
      cause: refusal,
    });
  }
}

function inWords(cause: unknown, provider: string): unknown {
  if (cause instanceof UpstreamReconnectNeeded || cause instanceof UpstreamNotEnabled)
    return new ToolError(cause.message, { cause });
  if (cause instanceof UpstreamUnavailable)
    return new ToolError(`${provider} cannot be reached now; try again in ${cause.retryAfter} seconds`, { cause });
  return cause;
}
