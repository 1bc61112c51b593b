import { Inject, Injectable, Logger } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CallerAddresses } from '../access/caller-address.js';
import { Events } from '../audit/events.js';
import { type FlowStep, Flows } from '../audit/flows.js';
import { blockedClientPage, unknownClientPage } from './pages/client-refused.page.js';
import { errorPage, expiredPage } from './pages/error.page.js';
import type { Page } from './pages/layout.js';
import { newReference, referenceOf } from './pages/reference.js';
import { NO_LONGER_ADMITTED, refusedPage, waitingPage } from './pages/refused.page.js';
import { sendPage } from './pages/send-page.js';
import type { AskedFor, UnreadableAsk } from './sign-in-ask.js';

/** Why a callback cannot be worked on. Safe to show. */
export type CallbackFault = 'foreign' | 'over' | 'other-browser';

/** What is known of a refusal. */
interface Refused extends Pick<FlowStep, 'step' | 'clientId' | 'provider'> {
  readonly check: string;
  readonly why: string;
}

/** For the page of somebody who was signed in before. */
interface NoLongerAdmitted {
  readonly refused: NonNullable<AskedFor['refused']>;
  readonly clientId: string;
  readonly reference: string;
  readonly csrf: string;
}

/** Refusals that end a sign-in on a page of ours: the page, the line in the log, the step of the trace and the Event, all under one reference. */
@Injectable()
export class SignInRefusals {
  readonly #log = new Logger('SignIn');

  constructor(
    @Inject(Flows) private readonly flows: Flows,
    @Inject(Events) private readonly events: Events,
    @Inject(CallerAddresses) private readonly addresses: CallerAddresses,
  ) {}

  /** The page of an Interaction of which nothing is left to ask. */
  async unreadable(request: FastifyRequest, reply: FastifyReply, uid: string, why: UnreadableAsk): Promise<void> {
    const reference = referenceOf(uid);
    await this.#record(request, reference, { step: 'consent', check: why, why });
    sendPage(reply, UNREADABLE[why](reference));
  }

  /** The sign-in was finished or refused a moment ago, or never belonged to this browser. */
  async over(request: FastifyRequest, reply: FastifyReply, uid: string, why: string): Promise<void> {
    const reference = referenceOf(uid);
    await this.#record(request, reference, { step: 'consent', check: 'request-expired', why });
    sendPage(reply, expiredPage(reference));
  }

  /** An administrator has to approve the Client first. */
  async waiting(request: FastifyRequest, reply: FastifyReply, { client, reference }: AskedFor): Promise<void> {
    const why = 'the client waits for an administrator';
    await this.#record(request, reference, { step: 'consent', check: 'client-pending', why, clientId: client.id });
    sendPage(reply, waitingPage({ client: client.name, reference }));
  }

  /** A browser that was signed in, with an account that no rule admits any more. `csrf`: for the way back to the application. */
  async noLongerAdmitted(
    request: FastifyRequest,
    reply: FastifyReply,
    { refused, clientId, reference, csrf }: NoLongerAdmitted,
  ): Promise<void> {
    const { account, provider, label } = refused;
    const why = 'no rule admits the signed-in person any more';
    await this.#record(request, reference, { step: 'consent', check: 'not-admitted', why, clientId, provider });
    sendPage(reply, refusedPage({ account, provider: label, reason: NO_LONGER_ADMITTED, csrf, reference, pageAt: '' }));
  }

  /** A form that was not filled in on our page in this browser. */
  async foreignForm(request: FastifyRequest, reply: FastifyReply, uid: string): Promise<void> {
    const reference = referenceOf(uid);
    const why = `a form without this browser’s token, from ${request.headers.origin ?? 'no origin'}`;
    await this.#record(request, reference, { step: 'consent', check: 'foreign-form', why });
    sendPage(
      reply,
      errorPage({
        status: 403,
        title: 'This form was not filled in here',
        what: 'It came without the cookie that ties it to your browser. Nothing was done.',
        remedy: 'Allow cookies for this site, go back to your application and connect again.',
        reference,
      }),
    );
  }

  /** A callback that goes nowhere. `reference`: of the sign-in it belongs to, whose step is written already; null: it belongs to none. */
  async callback(
    request: FastifyRequest,
    reply: FastifyReply,
    { fault, reference: known, provider }: { fault: CallbackFault; reference: string | null; provider: string | null },
  ): Promise<void> {
    const reference = known ?? newReference();
    if (known === null)
      await this.#record(request, reference, {
        step: 'callback',
        check: fault === 'foreign' ? 'foreign-callback' : 'request-expired',
        why: `callback of ${provider ?? 'no provider'}: ${fault}`,
        provider,
      });
    sendPage(reply, callbackPage(fault, reference));
  }

  async #record(request: FastifyRequest, reference: string, refused: Refused): Promise<void> {
    const { step, check, why, clientId, provider } = refused;
    this.#log.warn(`${reference}: ${why}`);
    const ip = this.addresses.of(request.raw);
    const detail = { why };
    const facts = { clientId, provider, ip };
    if (!this.flows.stray(reference, { step, check, outcome: 'refused', detail, ...facts })) return;
    const type = 'interaction.refused';
    await this.events.write({ type, outcome: 'refused', reference, detail: { ...detail, check }, ...facts });
  }
}

const UNREADABLE: Readonly<Record<UnreadableAsk, (reference: string) => Page>> = {
  'request-expired': expiredPage,
  'unknown-client': unknownClientPage,
  'client-blocked': blockedClientPage,
};

function callbackPage(fault: CallbackFault, reference: string): Page {
  if (fault === 'over') return expiredPage(reference);
  return errorPage({
    status: 400,
    title: fault === 'foreign' ? 'This sign-in did not begin here' : 'This sign-in began in another browser',
    what:
      fault === 'foreign'
        ? 'Somebody sent your browser here with an answer that this server never asked for. Nothing was done.'
        : 'The approval was given in another browser, or this browser does not keep cookies. Nothing was done.',
    remedy:
      'If you were connecting an application, go back to it and connect again, in this browser, with cookies allowed.',
    reference,
  });
}
