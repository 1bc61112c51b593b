import { Inject, Injectable } from '@nestjs/common';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { CallerAddresses } from '../../access/caller-address.js';
import { Events } from '../../audit/events.js';
import { Flows } from '../../audit/flows.js';
import { referenceOf } from '../pages/reference.js';

/** Ids that strangers sent are kept up to this length. */
const MAX_ID = 300;

/** What the engine's endpoints add to the trace of a sign-in, so that an administrator sees which check failed (real-clients U5). */
@Injectable()
export class SignInTraces {
  constructor(
    @Inject(Flows) private readonly flows: Flows,
    @Inject(Events) private readonly events: Events,
    @Inject(CallerAddresses) private readonly addresses: CallerAddresses,
  ) {}

  /** An Interaction has begun: the person is about to see our page. */
  began(ctx: KoaContextWithOIDC): void {
    const { Interaction: interaction, Client: client } = ctx.oidc.entities;
    if (!interaction) return;
    this.flows.step(referenceOf(interaction.uid), {
      step: 'authorize',
      clientId: client?.clientId,
      ip: this.addresses.of(ctx.req),
      traits: {
        name: client?.clientName,
        redirectUris: client?.redirectUris ?? [],
        userAgent: ctx.req.headers['user-agent'],
      },
    });
  }

  /** An authorization request was refused; `reference` is what the page shows. */
  async refused(ctx: KoaContextWithOIDC, reference: string, error: Error): Promise<void> {
    const asked = ctx.oidc?.params?.['client_id'] ?? ctx.query['client_id'];
    const clientId = typeof asked === 'string' ? asked.slice(0, MAX_ID) : null;
    const check = checkOf(error);
    const ip = this.addresses.of(ctx.req);
    const detail = { why: descriptionOf(error) };
    this.flows.step(reference, { step: 'authorize', outcome: 'refused', check, clientId, ip, detail });
    await this.events.write({
      type: 'authorization.refused',
      outcome: 'refused',
      clientId,
      ip,
      reference,
      detail: { ...detail, check },
    });
  }

  /** A code was exchanged. */
  redeemed(grantId: string): void {
    this.flows.stepOfGrant(grantId, { step: 'token' });
  }

  /** A code was presented with a wrong PKCE verifier. */
  wrongVerifier(grantId: string): void {
    this.flows.stepOfGrant(grantId, { step: 'token', outcome: 'refused', check: 'pkce' });
  }
}

/** The name under which the remedies know a refusal. */
function checkOf(error: Error): string {
  const { error: code } = error as { error?: unknown };
  const description = descriptionOf(error);
  if (error.name === 'SessionNotFound') return 'request-expired';
  if (code === 'invalid_client') return description.includes('document') ? 'client-document' : 'unknown-client';
  if (code === 'invalid_redirect_uri') return 'redirect-uri';
  if (code === 'invalid_target') return 'resource';
  if (code === 'invalid_scope') return 'scope';
  return /code_challenge|PKCE/.test(description) ? 'pkce' : 'authorization-request';
}

function descriptionOf(error: Error): string {
  const { error_description: description } = error as { error_description?: unknown };
  return typeof description === 'string' ? description : error.name;
}
