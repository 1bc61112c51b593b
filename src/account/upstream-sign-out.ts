import { Inject, Injectable, Logger } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Settings } from '../config/settings.js';
import { BrowserCookies } from '../oauth/browser-cookies.js';
import { SealBroken, Seals } from '../persistence/seals.js';
import { type EndsUpstreamSessions, type LoginProvider, UpstreamUnavailable } from '../providers/contract.js';
import { Providers } from '../providers/providers.js';

/** Seconds for which the button of the signed-out page works: the ticket behind it holds the sealed id_token. */
const TICKET_SECONDS = 600;
const SEAL = 'account-sign-out';

const ticketFacts = z.object({ provider: z.string(), idToken: z.string().optional(), until: z.number() });

/** A sign-in to the account page that has just ended. */
export interface EndedSignIn {
  /** Provider instance id. */
  readonly provider: string;
  /** undefined: the provider gave none. */
  readonly idToken: string | undefined;
}

/**
 * Signing out at the provider too (OpenID Connect RP-Initiated Logout 1.0): offered and never done unasked, since it ends the person's session with
 * everything else there. The browser is sent to the end-session endpoint of the provider's metadata and nowhere else.
 */
@Injectable()
export class UpstreamSignOut {
  readonly #log = new Logger('Account');

  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Providers) private readonly providers: Providers,
    @Inject(Seals) private readonly seals: Seals,
    @Inject(BrowserCookies) private readonly cookies: BrowserCookies,
  ) {}

  /** For the form of the signed-out page; null: the provider does not offer it, or cannot be asked whether it does. */
  async ticket(ended: EndedSignIn): Promise<string | null> {
    if (!(await this.#url(ended, ''))) return null;
    return this.seals.seal(JSON.stringify({ ...ended, until: now() + TICKET_SECONDS }), SEAL);
  }

  /** Where the browser goes with this ticket; null: it is over, or none of ours. */
  async leave(request: FastifyRequest, reply: FastifyReply, ticket: string): Promise<URL | null> {
    const ended = this.#open(ticket);
    if (!ended) return null;
    // Bound to this browser, so that nobody else's link can make the account page say that a provider sent the person back.
    const token = this.cookies.formToken(request, reply, subjectOf(ended.provider));
    return this.#url(ended, `${ended.provider}.${token}`);
  }

  /** The provider that sent this browser back after its own sign-out; null: none did. `state` comes from the address and may be anything. */
  cameBackFrom(request: FastifyRequest, state: unknown): LoginProvider | null {
    const [, id, token] = (typeof state === 'string' && /^([^.]+)\.([^.]+)$/.exec(state)) || [];
    if (id === undefined || !this.cookies.isOwnForm(request, subjectOf(id), token)) return null;
    return this.providers.login(id) ?? null;
  }

  async #url({ provider: id, idToken }: EndedSignIn, state: string): Promise<URL | null> {
    const provider = this.providers.login(id);
    if (!provider || !endsSessions(provider)) return null;
    try {
      const returnTo = new URL('/account', this.settings.publicUrl);
      return await provider.endSessionUrl({ idToken, returnTo, state });
    } catch (error) {
      if (!(error instanceof UpstreamUnavailable)) throw error;
      this.#log.warn(`${id} cannot be asked whether it ends sessions: ${error.message}`);
      return null;
    }
  }

  #open(ticket: string): EndedSignIn | null {
    try {
      const { until, provider, idToken } = ticketFacts.parse(JSON.parse(this.seals.open(ticket, SEAL)));
      return until > now() ? { provider, idToken } : null;
    } catch (error) {
      if (error instanceof SealBroken) return null;
      throw error;
    }
  }
}

function subjectOf(provider: string): string {
  return `signed-out-at ${provider}`;
}

function endsSessions(provider: LoginProvider): provider is LoginProvider & EndsUpstreamSessions {
  return 'endSessionUrl' in provider && typeof provider.endSessionUrl === 'function';
}

const now = (): number => Math.floor(Date.now() / 1000);
