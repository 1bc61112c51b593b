import { IntrinsicException } from '@nestjs/common';
import type { Principal } from './contract.js';

/** Injection token of the `UpstreamTokenSource`; absent where no login provider is on. */
export const UPSTREAM_TOKENS = Symbol('UPSTREAM_TOKENS');

/** What `@Upstream('github')` puts into a handler: a fresh access token of the calling person. Never returned to the client, never logged. */
export interface UpstreamToken {
  readonly provider: string;
  readonly accessToken: string;
  /** Epoch seconds; undefined: the upstream gave no end. */
  readonly expiresAt?: number | undefined;
  readonly scopes: readonly string[];
}

/** Where tools get upstream tokens from. */
export interface UpstreamTokenSource {
  /**
   * A token that lives for at least another minute, refreshed when needed, once across nodes. `scopes`: what the upstream must have granted with it.
   * @throws UpstreamReconnectNeeded when only a new sign-in helps, also for scopes that are missing  @throws UpstreamUnavailable
   * @throws UpstreamNotEnabled nobody can sign in with this provider here
   */
  tokenFor(principal: Principal, provider: string, scopes?: readonly string[]): Promise<UpstreamToken>;
  /** A tool found the token refused: forget it, so that the next call refreshes it, or, where a refreshed one is refused too, asks for a new sign-in. */
  refused(principal: Principal, token: UpstreamToken): Promise<void>;
}

/** The calling person has no usable token at this upstream; `message` says how to reconnect and may be shown to the model. */
export class UpstreamReconnectNeeded extends Error {
  override readonly name = 'UpstreamReconnectNeeded';
  constructor(
    readonly provider: string,
    message: string,
  ) {
    super(message);
  }
}

/** No login provider of this id is on; `message` may be shown to the model: nothing that the person does will help. */
export class UpstreamNotEnabled extends Error {
  override readonly name = 'UpstreamNotEnabled';
  constructor(readonly provider: string) {
    super(
      `This needs a sign-in with "${provider}", which is not enabled on this server. Trying again or signing in anew will not help; whoever runs the server can enable it.`,
    );
  }
}

/**
 * For tools: the upstream answered 401 to this token. The next call gets a renewed one; where there is none, the model is told how the person reconnects.
 * @example if (answer.status === 401) throw new UpstreamRefused(token);
 */
export class UpstreamRefused extends IntrinsicException {
  override readonly name = 'UpstreamRefused';
  constructor(readonly token: UpstreamToken) {
    super(`${token.provider} refused the token`);
  }
}
