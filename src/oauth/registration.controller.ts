import { All, Body, Controller, Inject, Logger, Req, Res, UseFilters } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AttemptLimit } from '../access/attempt-limit.js';
import { CallerAddresses, limitKey } from '../access/caller-address.js';
import { Events } from '../audit/events.js';
import { Flows } from '../audit/flows.js';
import { Settings } from '../config/settings.js';
import { isFault, readClientMetadata, type ClientMetadata } from '../protocol/client-metadata.js';
import { Clients, RegistrationFull, type Registered } from './clients.js';
import { Engine } from './engine/engine.js';
import { oauthRoute, sendOauthError } from './oauth-hooks.js';
import { OauthFilter } from './oauth.filter.js';
import { newReference } from './pages/reference.js';

/** Registrations of one address, a minute; hosted clients register repeatedly from few addresses. */
const PER_MINUTE = 60;

/** Dynamic client registration (RFC 7591 §3). */
@Controller()
@UseFilters(OauthFilter)
export class RegistrationController {
  readonly #log = new Logger('Registration');
  readonly #limit = new AttemptLimit({ max: PER_MINUTE, seconds: 60 });

  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Clients) private readonly clients: Clients,
    @Inject(Engine) private readonly engine: Engine,
    @Inject(CallerAddresses) private readonly addresses: CallerAddresses,
    @Inject(Flows) private readonly flows: Flows,
    @Inject(Events) private readonly events: Events,
  ) {}

  @All('register')
  @RouteConfig(oauthRoute(['POST']))
  async register(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Body() body: unknown): Promise<void> {
    const ip = this.addresses.of(request.raw);
    if (this.settings.values.registration === 'closed') {
      await this.#noteRefused(request, 'registration-closed', 'registration is closed');
      return sendOauthError(reply, 403, {
        error: 'access_denied',
        error_description: 'clients are registered by an administrator here',
      });
    }
    const wait = this.settings.values.rateLimits ? this.#limit.count(limitKey(ip)) : null;
    if (wait !== null) return tooMany(reply, wait);
    if (!/^application\/([a-z0-9.-]+\+)?json\b/i.test(request.headers['content-type'] ?? '')) {
      await this.#noteRefused(request, 'registration-metadata', 'the body is not JSON');
      return sendOauthError(reply, 400, {
        error: 'invalid_client_metadata',
        error_description: 'the body must be JSON, with Content-Type: application/json',
      });
    }
    const metadata = readClientMetadata(body);
    if (isFault(metadata)) {
      await this.#noteRefused(request, 'registration-metadata', metadata.description);
      return sendOauthError(reply, 400, { error: metadata.error, error_description: metadata.description });
    }
    const fault = await this.engine.faultOfClient({ ...metadata });
    if (fault !== null) {
      await this.#noteRefused(request, 'registration-metadata', fault);
      return sendOauthError(reply, 400, { error: 'invalid_client_metadata', error_description: fault });
    }
    try {
      const registered = await this.clients.register(metadata, { ip, reference: request.id });
      this.flows.early({
        step: 'registration',
        clientId: registered.row.id,
        ip,
        traits: {
          name: metadata.client_name,
          redirectUris: metadata.redirect_uris,
          userAgent: request.headers['user-agent'],
        },
      });
      void reply
        .code(201)
        .headers({ 'content-type': 'application/json', 'cache-control': 'no-store' })
        .send(answerOf(registered, metadata));
    } catch (error) {
      if (!(error instanceof RegistrationFull)) throw error;
      tooMany(reply, error.retryAfter);
    }
  }

  /** A registration that is refused is the end: a trace and an Event of its own. */
  async #noteRefused(request: FastifyRequest, check: string, why: string): Promise<void> {
    const ip = this.addresses.of(request.raw);
    const reference = newReference();
    this.#log.warn(`${reference}: registration refused: ${why}`);
    const traits = { userAgent: request.headers['user-agent'] };
    const step = { step: 'registration', outcome: 'refused', check, ip, traits, detail: { why } } as const;
    if (!this.flows.stray(reference, step)) return;
    await this.events.write({
      type: 'client.registration_refused',
      outcome: 'refused',
      ip,
      reference,
      detail: { check, why },
    });
  }
}

/** RFC 7591 §3.2.1. A `none` client gets no secret: some use Basic as soon as one comes back (real-clients R5). */
function answerOf({ row, secret }: Registered, metadata: ClientMetadata): Record<string, unknown> {
  return {
    client_id: row.id,
    client_id_issued_at: row.createdAt,
    ...(secret === undefined ? {} : { client_secret: secret, client_secret_expires_at: 0 }),
    ...metadata,
  };
}

function tooMany(reply: FastifyReply, wait: number): void {
  void reply.header('retry-after', String(wait));
  sendOauthError(reply, 429, {
    error: 'temporarily_unavailable',
    error_description: 'too many clients register just now; try again later',
  });
}
