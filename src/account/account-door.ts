import { Inject, Injectable, Logger } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Settings } from '../config/settings.js';
import { Admission } from '../oauth/admission.js';
import { BrowserCookies } from '../oauth/browser-cookies.js';
import { errorPage } from '../oauth/pages/error.page.js';
import { newReference } from '../oauth/pages/reference.js';
import { NO_LONGER_ADMITTED } from '../oauth/pages/refused.page.js';
import { sendOn, sendPage } from '../oauth/pages/send-page.js';
import { Providers } from '../providers/providers.js';
import { AccountSignIns, type SignedIn } from './account-sign-ins.js';
import { notSignedInPage } from './pages/not-signed-in.page.js';
import { accountSignInPage } from './pages/sign-in.page.js';
import { UpstreamSignOut } from './upstream-sign-out.js';

/** To what the form of the sign-in page is tied, besides the browser. */
export const SIGN_IN_FORM = 'account-sign-in';

/** Lets a signed-in person through to the pages of their account, and sends everybody else to sign in. */
@Injectable()
export class AccountDoor {
  readonly #log = new Logger('Account');

  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Providers) private readonly providers: Providers,
    @Inject(BrowserCookies) private readonly cookies: BrowserCookies,
    @Inject(AccountSignIns) private readonly signIns: AccountSignIns,
    @Inject(Admission) private readonly admission: Admission,
    @Inject(UpstreamSignOut) private readonly upstreamSignOut: UpstreamSignOut,
  ) {}

  /** For a page; null: the sign-in page was sent instead, which comes back to `next`. */
  async enter(request: FastifyRequest, reply: FastifyReply, next: string): Promise<SignedIn | null> {
    const signedIn = await this.#current(request, reply);
    if (signedIn === 'answered') return null;
    if (signedIn) return signedIn;
    const asked = new URL(request.url, this.settings.publicUrl).searchParams;
    sendPage(
      reply,
      accountSignInPage({
        providers: this.providers.buttons,
        publicHost: new URL(this.settings.publicUrl).host,
        csrf: this.cookies.formToken(request, reply, SIGN_IN_FORM),
        next,
        // After a refusal: a provider that remembers the account would only bring the same one again.
        another: asked.has('another'),
        cameBackFrom: this.upstreamSignOut.cameBackFrom(request, asked.get('state'))?.label ?? null,
      }),
    );
    return null;
  }

  /** For a form; null: nobody is signed in, or the form is not of this browser and this sign-in; an answer was sent. */
  async submit(request: FastifyRequest, reply: FastifyReply, body: unknown): Promise<SignedIn | null> {
    const signedIn = await this.#current(request, reply);
    if (signedIn === 'answered') return null;
    if (!signedIn) {
      sendOn(reply, '/account');
      return null;
    }
    if (this.isOwnForm(request, signedIn.formSubject, body)) return signedIn;
    this.refuseForm(request, reply);
    return null;
  }

  /** Who is signed in here and may still be; null: nobody. `answered`: no rule admits them any more, and the page says so. */
  async #current(request: FastifyRequest, reply: FastifyReply): Promise<SignedIn | 'answered' | null> {
    const signedIn = await this.signIns.current(request);
    if (!signedIn) return null;
    const { user, provider } = signedIn;
    const standing = await this.admission.standingByAnyAccount(user.id);
    if (standing === 'admitted') return signedIn;
    if (standing === 'sign-in-again') return null;
    const reference = newReference();
    this.#log.warn(`${reference}: user ${user.id}, signed in to the account page, is no longer let in`);
    const refused = {
      kind: 'not-admitted' as const,
      account: user.email ?? user.name ?? user.id,
      provider: this.providers.login(provider)?.label ?? provider,
      reason: NO_LONGER_ADMITTED,
    };
    sendPage(reply, notSignedInPage(refused, { reference, againAt: '/account' }));
    return 'answered';
  }

  /** The token for the forms of a page. */
  formToken(request: FastifyRequest, reply: FastifyReply, { formSubject }: SignedIn): string {
    return this.cookies.formToken(request, reply, formSubject);
  }

  /** Does the form's `csrf` member belong to this browser and this subject? */
  isOwnForm(request: FastifyRequest, subject: string, body: unknown): boolean {
    const token = typeof body === 'object' && body !== null && 'csrf' in body ? body.csrf : undefined;
    return this.cookies.isOwnForm(request, subject, token);
  }

  /** The answer to a form that another site, or an older sign-in, has sent. */
  refuseForm(request: FastifyRequest, reply: FastifyReply): void {
    const reference = newReference();
    this.#log.warn(`${reference}: a form without this browser’s token, from ${request.headers.origin ?? 'no origin'}`);
    sendPage(
      reply,
      errorPage({
        status: 403,
        title: 'This form was not filled in here',
        what: 'It came without the cookie that ties it to your browser, or from an earlier sign-in. Nothing was done.',
        remedy: 'Allow cookies for this site, open your account page again and repeat what you wanted to do.',
        reference,
      }),
    );
  }
}
