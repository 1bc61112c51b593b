import { Inject, Injectable, Logger } from '@nestjs/common';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { Settings } from '../../config/settings.js';
import { DatabaseUnavailable } from '../../persistence/faults.js';
import { isLoopback } from '../../protocol/redirect-uri.js';
import { Clients } from '../clients.js';
import { errorPage, expiredPage, returnPage } from '../pages/error.page.js';
import {
  blockedClientPage,
  documentPage,
  notAdmittedClientPage,
  unknownClientPage,
} from '../pages/client-refused.page.js';
import { pageHeaders, type Page } from '../pages/layout.js';
import { newReference } from '../pages/reference.js';
import { detailOf } from './refusals.js';
import { SignInTraces } from './sign-in-traces.js';
import { answerUnavailable } from './token-requests.js';

/** What the engine says went wrong. */
interface EngineError {
  readonly error?: unknown;
  readonly error_description?: unknown;
}

/** Parameters of an authorization response. */
const RESPONSE = ['code', 'state', 'iss', 'error', 'error_description', 'error_uri', 'scope', 'id_token'];

/** What browsers see when an authorization request fails, and which errors may be sent to clients by a redirect. */
@Injectable()
export class AuthorizeErrors {
  readonly #log = new Logger('Authorize');

  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Clients) private readonly clients: Clients,
    @Inject(SignInTraces) private readonly traces: SignInTraces,
  ) {}

  /** An error that does not redirect: a page for browsers, JSON for everything else (real-clients A3, R3). */
  async render(ctx: KoaContextWithOIDC, out: EngineError, error: Error): Promise<void> {
    const reference = newReference();
    this.#log.warn(`${reference}: ${ctx.path} refused: ${String(out.error)}: ${detailOf(error)}`);
    if (error instanceof DatabaseUnavailable) answerUnavailable(ctx, error);
    else ctx.body = { ...out };
    ctx.set('Cache-Control', 'no-store');
    const check = await this.#note(ctx, reference, error);
    if (!(ctx.req.headers.accept ?? '').includes('text/html')) return;
    show(ctx, this.#pageOf(ctx, out, { error, reference, check }));
  }

  /** Traces and Events must not make an answer fail that is ready. @returns the check that failed; null: unknown */
  async #note(ctx: KoaContextWithOIDC, reference: string, error: Error): Promise<string | null> {
    if (error instanceof DatabaseUnavailable) return null;
    return this.traces.refused(ctx, reference, error).catch((failed: unknown) => {
      this.#log.warn(`${reference}: not recorded: ${String(failed)}`);
      return null;
    });
  }

  /** A bug or an unreachable database: the engine has answered `server_error` already; the cause belongs into the log. */
  explain(ctx: KoaContextWithOIDC, error: Error): void {
    if (error instanceof DatabaseUnavailable) {
      if (ctx.path !== '/authorize') answerUnavailable(ctx, error);
      return;
    }
    this.#log.error(`${ctx.method} ${ctx.path}: ${error.stack ?? error.message}`);
  }

  /**
   * Koa middleware: puts responses onto the redirect URI byte for byte, and holds back errors that nobody has vouched for. Before a person has acted on
   * our page, `/authorize` must not send browsers wherever a stranger wants (RFC 9700 §4.11.2, security.md 9).
   */
  async guardRedirects(ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> {
    await next();
    try {
      await this.#putRight(ctx);
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable)) throw error;
      ctx.remove('Location');
      await this.render(ctx, {}, error);
    }
  }

  async #putRight(ctx: KoaContextWithOIDC): Promise<void> {
    if (!ctx.path.startsWith('/authorize')) return;
    ctx.set('Referrer-Policy', 'no-referrer');
    const location = ctx.response.headers['location'] ?? '';
    const redirectUri = ctx.oidc?.params?.['redirect_uri'];
    // Koa writes the target into the body, where uid and code have no business.
    if (location !== '') ctx.body = '';
    if (location === '' || location.startsWith('/') || typeof redirectUri !== 'string') return;
    const answer = responseOf(location, redirectUri);
    const target = `${redirectUri}${redirectUri.includes('?') ? '&' : '?'}${answer.toString()}`;
    const isError = answer.has('error') && !answer.has('code');
    const reference = newReference();
    // Errors after our page, at `/authorize/<uid>`, have their step already: the page itself ended the sign-in.
    if (isError && ctx.path === '/authorize') await this.#note(ctx, reference, errorOf(answer));
    if (isError && ctx.path === '/authorize' && !(await this.#mayRedirect(ctx, redirectUri))) {
      ctx.remove('Location');
      this.#log.warn(`${reference}: error held back from ${redirectUri}: ${answer.get('error')}`);
      const what = `The application asked for something that this server cannot do: ${answer.get('error_description') ?? answer.get('error')}.`;
      show(ctx, returnPage({ what, returnTo: new URL(target), reference }));
      return;
    }
    ctx.response.set('Location', target);
    ctx.body = '';
    ctx.status = 303;
  }

  async #mayRedirect(ctx: KoaContextWithOIDC, redirectUri: string): Promise<boolean> {
    if (this.settings.values.errorRedirects === 'all' || isLoopback(redirectUri)) return true;
    const id = ctx.oidc.client?.clientId;
    const client = id === undefined ? null : await this.clients.find(id);
    if (!client) return false;
    if (client.trusted) return true;
    return (
      client.source === 'cimd' &&
      redirectUri.startsWith('https:') &&
      new URL(redirectUri).host === new URL(client.id).host
    );
  }

  #pageOf(
    ctx: KoaContextWithOIDC,
    out: EngineError,
    { error, reference, check }: { error: Error; reference: string; check: string | null },
  ): Page {
    if (error instanceof DatabaseUnavailable)
      return errorPage({
        status: 503,
        title: 'Please try again in a moment',
        what: 'The server cannot reach its database just now. Nothing is lost.',
        remedy: 'Wait a few seconds and reload this page.',
        reference,
      });
    if (check === 'client-blocked') return blockedClientPage(reference);
    if (check?.startsWith('document-')) return documentPage(reference);
    const mayRegister = this.settings.values.registration !== 'closed';
    if (check === 'registration-closed' || (check === 'documents-off' && !mayRegister)) {
      const asked = ctx.oidc?.params?.['client_id'] ?? ctx.query['client_id'];
      return notAdmittedClientPage({ clientId: typeof asked === 'string' ? asked : '', reference });
    }
    if (out.error === 'invalid_client') return { ...unknownClientPage(reference), status: 400 };
    if (error.name === 'SessionNotFound') return expiredPage(reference);
    const { status } = ctx;
    if (status >= 500)
      return errorPage({
        status: 500,
        title: 'Something broke here',
        what: 'This is a fault of the server, not of yours.',
        remedy: 'Try again. If it happens again, give the reference below to whoever runs this server.',
        reference,
      });
    return errorPage({
      status: 400,
      title: 'This request cannot be answered',
      what: `Your application sent something that this server does not accept: ${String(out.error_description ?? out.error)}.`,
      remedy: 'Go back to your application and connect again. If it happens again, tell whoever makes the application.',
      reference,
    });
  }
}

/** The response parameters that the engine put onto `redirectUri`. */
function responseOf(location: string, redirectUri: string): URLSearchParams {
  const start = redirectUri.indexOf('?');
  const registered = new URLSearchParams(start < 0 ? '' : redirectUri.slice(start + 1));
  // Errors of unsupported response types come in the fragment; only the query is offered here.
  const [address = '', fragment] = location.split('#');
  const query = fragment ?? (address.includes('?') ? address.slice(address.indexOf('?') + 1) : '');
  return new URLSearchParams(
    [...new URLSearchParams(query)].filter(([name]) => RESPONSE.includes(name) && !registered.has(name)),
  );
}

/** The error that a redirect carries, in the form in which the engine throws it. */
function errorOf(answer: URLSearchParams): Error {
  const error_description = answer.get('error_description') ?? undefined;
  return Object.assign(new Error('authorization request refused'), { error: answer.get('error'), error_description });
}

function show(ctx: KoaContextWithOIDC, { status, markup }: Page): void {
  ctx.status = status;
  ctx.set({ ...pageHeaders });
  ctx.body = markup;
}
