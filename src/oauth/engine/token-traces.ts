import { Inject, Injectable, Logger } from '@nestjs/common';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { AttemptLimit } from '../../access/attempt-limit.js';
import { CallerAddresses, limitKey } from '../../access/caller-address.js';
import { Events } from '../../audit/events.js';
import { Flows } from '../../audit/flows.js';
import { GrantList } from '../grant-list.js';
import type { TokenKind } from '../token.entity.js';
import { detailOf } from './refusals.js';

/** Refusals of one Client at one address that are recorded in a minute; the others are in the log alone. */
const RECORDED_A_MINUTE = 60;
/** Ids that strangers sent are kept up to this length. */
const MAX_ID = 300;

/** What `/token` adds to the trace of a sign-in and to the audit log. */
@Injectable()
export class TokenTraces {
  readonly #log = new Logger('Token');
  readonly #recorded = new AttemptLimit({ max: RECORDED_A_MINUTE, seconds: 60 });

  constructor(
    @Inject(Flows) private readonly flows: Flows,
    @Inject(Events) private readonly events: Events,
    @Inject(CallerAddresses) private readonly addresses: CallerAddresses,
    @Inject(GrantList) private readonly grants: GrantList,
  ) {}

  /** A code was exchanged. */
  redeemed(grantId: string): void {
    this.flows.stepOfGrant(grantId, { step: 'token' });
  }

  /** A request was refused. `presented`: the code or token that came with it; null: none of ours. Never fails the answer, which is ready. */
  async refused(
    ctx: KoaContextWithOIDC,
    presented: { readonly kind: TokenKind; readonly grantId: string | null } | null,
    { check, error }: { check: string; error: Error },
  ): Promise<void> {
    const asked = ctx.oidc.client?.clientId ?? ctx.oidc.params?.['client_id'];
    const clientId = typeof asked === 'string' ? asked.slice(0, MAX_ID) : null;
    const ip = this.addresses.of(ctx.req);
    const detail = { why: detailOf(error) };
    const grantId = presented?.grantId ?? null;
    if (presented?.kind === 'AuthorizationCode' && grantId !== null)
      this.flows.stepOfGrant(grantId, { step: 'token', outcome: 'refused', check, detail });
    if (this.#recorded.count(`${limitKey(ip)} ${clientId ?? ''}`) !== null) return;
    try {
      const grant = grantId === null ? null : await this.grants.find(grantId);
      await this.events.write({
        type: 'token.refused',
        outcome: 'refused',
        userId: grant?.user.id,
        clientId,
        grantId,
        ip,
        reference: grant?.reference,
        detail: { ...detail, check },
      });
    } catch (failed) {
      this.#log.warn(`a refusal was not recorded: ${String(failed)}`);
    }
  }
}
