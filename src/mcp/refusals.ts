import { Inject, Injectable, Logger, Optional } from '@nestjs/common';
import { Access } from '../access/access.js';
import { CallerAddresses } from '../access/caller-address.js';
import { PERSONAL_TOKEN } from '../access/personal-tokens.js';
import { Events } from '../audit/events.js';
import { Settings } from '../config/settings.js';
import { DatabaseUnavailable } from '../persistence/faults.js';
import type { Principal } from '../providers/contract.js';
import { STEP_UP_LINKS, stepUpWords, type StepUpLinks, type WantedScopes } from '../providers/step-up.js';
import { answer, type Exchange } from './exchange.js';
import { errorBody, idOf, messagesOf } from './json-rpc.js';
import type { Lacking } from './policy.js';
import { type AdmittedRequest, callerOf } from './request-caller.js';

/** Who lacks what. `legacy`: the client speaks a protocol of 2025. */
interface Shortfall {
  readonly principal: Principal;
  readonly lacking: Lacking;
  readonly legacy: boolean;
}

/** What was asked for in vain: names of tools, prompts or resources, and the scopes that would have opened them. */
interface Denied {
  readonly names: readonly string[];
  readonly scopes?: readonly string[] | undefined;
  readonly why: string;
}

/** How a Principal is told that a scope is missing, and the Event of it. */
@Injectable()
export class Refusals {
  readonly #log = new Logger('Mcp');

  constructor(
    private readonly settings: Settings,
    private readonly access: Access,
    private readonly events: Events,
    private readonly addresses: CallerAddresses,
    @Optional() @Inject(STEP_UP_LINKS) private readonly stepUpLinks?: StepUpLinks,
  ) {}

  /**
   * 403 before a stream opens, for every era and for all messages of a batch in one challenge (RS-13, RS-14). With `GATEHOUSE_STEP_UP=link` a tool
   * call of a 2025 client, which may ignore a 403, gets a result with a link instead (S2).
   */
  async answer(exchange: Exchange, { principal, lacking, legacy }: Shortfall): Promise<void> {
    const { response, body } = exchange;
    const wanted = { scopes: lacking.scopes, tools: lacking.names };
    const link = legacy && isToolCall(body) ? await this.#stepUpLink(principal, wanted) : null;
    if (link) {
      // An error result, since clients refuse a good one that lacks the structured content of the tool's output schema.
      const result = { content: [{ type: 'text', text: stepUpWords(link, wanted) }], isError: true };
      answer(response, 200, JSON.stringify({ jsonrpc: '2.0', id: idOf(body), result }));
    } else {
      const { status, headers, description, error } = this.access.insufficientScope(principal, lacking.scopes);
      answer(response, status, errorBody(status, description, idOf(body), { error }), headers);
    }
    this.record(exchange.request, principal, { ...lacking, why: 'a scope is missing' });
  }

  /** Writes the Event of a denied call, without a wait: nothing was changed that it would have to be committed with. */
  record(request: AdmittedRequest, principal: Principal, denied: Denied): void {
    const isPersonal = principal.via === PERSONAL_TOKEN;
    this.events
      .write({
        type: 'tool.denied',
        outcome: 'refused',
        actor: principal.user?.id ?? principal.key,
        userId: principal.user?.id,
        // What a personal token calls its client is its name: the person's own words, which stay out of the log. Its id leads an administrator there.
        clientId: isPersonal ? null : principal.client,
        grantId: principal.grantId,
        provider: principal.via,
        ip: this.addresses.of(request),
        reference: callerOf(request.auth).reference,
        detail: { ...denied, ...(isPersonal ? { token: principal.tokenId } : {}) },
      })
      .catch((fault: unknown) => this.#log.warn(`an event was not written: ${String(fault)}`));
  }

  /** null: the operator wants challenges, or there is no Grant to widen. */
  async #stepUpLink(principal: Principal, wanted: WantedScopes): Promise<URL | null> {
    if (this.settings.values.stepUp !== 'link') return null;
    try {
      return (await this.stepUpLinks?.linkFor(principal, wanted)) ?? null;
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable)) throw error;
      this.#log.warn(`a step-up link was not made: ${error.message}`);
      return null;
    }
  }
}

/** A single request, since a batch would need one result for each of its messages. */
function isToolCall(body: unknown): boolean {
  const [message] = Array.isArray(body) ? [] : messagesOf(body);
  return message?.method === 'tools/call' && message.id !== undefined;
}
