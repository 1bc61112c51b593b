import { Inject, Injectable } from '@nestjs/common';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { CallerAddresses } from '../../access/caller-address.js';
import { EventList } from '../../audit/event-list.js';
import { Events } from '../../audit/events.js';
import { type FlowStep, Flows } from '../../audit/flows.js';
import { Settings } from '../../config/settings.js';
import { isDocumentUrl } from '../../protocol/client-metadata.js';
import { DocumentUnavailable } from '../cimd-documents.js';
import { Clients } from '../clients.js';
import { referenceOf } from '../pages/reference.js';
import { DocumentClients } from './document-clients.js';
import { checkOfAuthorization, descriptionOf } from './refusals.js';

/** Ids that strangers sent are kept up to this length. */
const MAX_ID = 300;

/** Where an authorization request stopped, and what is known of it. */
interface Stop extends Pick<FlowStep, 'step' | 'detail'> {
  readonly check: string;
}

/** What `/authorize` adds to the trace of a sign-in and to the audit log, so that an administrator sees which check failed (real-clients U5). */
@Injectable()
export class SignInTraces {
  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Flows) private readonly flows: Flows,
    @Inject(Events) private readonly events: Events,
    @Inject(EventList) private readonly log: EventList,
    @Inject(CallerAddresses) private readonly addresses: CallerAddresses,
    @Inject(Clients) private readonly clients: Clients,
    @Inject(DocumentClients) private readonly documents: DocumentClients,
  ) {}

  /** An Interaction has begun: the person is about to see our page. */
  began(ctx: KoaContextWithOIDC): void {
    const { Interaction: interaction } = ctx.oidc.entities;
    if (interaction) this.#authorized(ctx, referenceOf(interaction.uid));
  }

  /** No page is needed: the person approved the same before. */
  remembered(
    ctx: KoaContextWithOIDC,
    reference: string,
    grant: { grantId: string; userId: string; provider: string | undefined },
  ): void {
    this.#authorized(ctx, reference);
    this.flows.step(reference, { step: 'consent', detail: { remembered: true }, ...grant });
  }

  /** An authorization request was refused. `reference`: what the page shows. @returns the check that failed */
  async refused(ctx: KoaContextWithOIDC, reference: string, error: Error): Promise<string> {
    const asked = ctx.oidc?.params?.['client_id'] ?? ctx.query['client_id'];
    const clientId = typeof asked === 'string' ? asked.slice(0, MAX_ID) : null;
    const stop = await this.#stopOf(clientId, error);
    const ip = this.addresses.of(ctx.req);
    const { Client: client } = ctx.oidc?.entities ?? {};
    // What came before the check that failed has its own step, as in every trace.
    const passed = stop.step === 'document' ? undefined : this.documents.readingOf(ctx);
    const traits = {
      name: client?.clientName,
      redirectUris: client?.redirectUris ?? [],
      userAgent: ctx.req.headers['user-agent'],
    };
    if (passed) this.flows.step(reference, { step: 'document', clientId, ip, traits, detail: { ...passed } });
    this.flows.step(reference, { ...stop, outcome: 'refused', clientId, ip, traits });
    await this.events.write({
      type: 'authorization.refused',
      outcome: 'refused',
      clientId,
      ip,
      reference,
      detail: { ...stop.detail, check: stop.check },
    });
    return stop.check;
  }

  #authorized(ctx: KoaContextWithOIDC, reference: string): void {
    const { Client: client } = ctx.oidc.entities;
    const reading = this.documents.readingOf(ctx);
    const known = {
      clientId: client?.clientId,
      ip: this.addresses.of(ctx.req),
      traits: {
        name: client?.clientName,
        redirectUris: client?.redirectUris ?? [],
        userAgent: ctx.req.headers['user-agent'],
      },
    };
    if (reading) this.flows.step(reference, { step: 'document', detail: { ...reading }, ...known });
    this.flows.step(reference, { step: 'authorize', ...known });
  }

  async #stopOf(clientId: string | null, error: Error): Promise<Stop> {
    const detail = { why: descriptionOf(error) };
    const { error: code } = error as { error?: unknown };
    if (clientId === null || (code !== 'invalid_client' && code !== 'invalid_client_metadata'))
      return { step: 'authorize', check: checkOfAuthorization(error), detail };
    const client = clientId.includes('\0') ? null : await this.clients.find(clientId);
    if (client?.status === 'blocked') {
      const block = await this.log.latest({ type: 'client.blocked', client: clientId });
      return { step: 'authorize', check: 'client-blocked', detail: { ...detail, ...block } };
    }
    const { clientIdDocuments, registration } = this.settings.values;
    const closed = registration === 'closed' && !client;
    if (closed && (clientIdDocuments || !isDocumentUrl(clientId)))
      return {
        step: 'authorize',
        check: 'registration-closed',
        detail: { why: 'no administrator has made this client' },
      };
    if (!isDocumentUrl(clientId)) return { step: 'authorize', check: checkOfAuthorization(error), detail };
    if (!clientIdDocuments) return { step: 'document', check: 'documents-off', detail };
    const { host } = new URL(clientId);
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause)
      if (cause instanceof DocumentUnavailable) {
        const { fault, ms } = cause;
        return { step: 'document', check: fault.check, detail: { host, ms, why: fault.why } };
      }
    return { step: 'document', check: 'document-invalid', detail: { host, ...detail } };
  }
}
