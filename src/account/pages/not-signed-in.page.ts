import type { Outcome } from '../../oauth/attempts.js';
import { html } from '../../oauth/pages/html.js';
import { errorPage } from '../../oauth/pages/error.page.js';
import type { Page } from '../../oauth/pages/layout.js';

/** Why a walk to a provider for the account page did not end as it should, and the way back to the buttons. */
export function notSignedInPage(
  outcome: Exclude<Outcome, { kind: 'signed-in' }> | { readonly kind: 'taken' },
  { reference, againAt }: { readonly reference: string; readonly againAt: string },
): Page {
  const again = html`<div class="actions"><a class="button" href="${againAt}">Try again</a></div>`;
  switch (outcome.kind) {
    case 'not-admitted':
      return errorPage({
        status: 403,
        title: 'You are signed in, but not let in',
        what: html`You used the ${outcome.provider} account <strong>${outcome.account}</strong>. ${outcome.reason}`,
        remedy: html`<p>Choose another account, or ask whoever runs this server to let this account in.</p>
          <div class="actions"><a class="button" href="${againAt}?another=1">Use another account</a></div>`,
        reference,
      });
    case 'taken':
      return errorPage({
        status: 409,
        title: 'This account belongs to somebody here',
        what: 'Another person already signs in with it, or you have done so yourself before you added it here.',
        remedy: html`<p>Sign in with that account, or ask whoever runs this server to remove it there first.</p>
          ${again}`,
        reference,
      });
    case 'refused':
      return errorPage({
        status: 403,
        title: 'The sign-in was refused',
        what: outcome.reason,
        remedy: again,
        reference,
      });
    case 'unavailable':
      return errorPage({
        status: 503,
        title: 'The sign-in cannot be finished now',
        what: 'The provider does not answer as it should.',
        remedy: html`<p>Wait a moment, then try again.</p>
          ${again}`,
        reference,
      });
    default:
      return errorPage({
        status: 503,
        title: 'The sign-in could not be finished',
        what: 'This is a fault of the server, not of yours.',
        remedy: html`<p>Try again. If it happens again, give the reference below to whoever runs this server.</p>
          ${again}`,
        reference,
      });
  }
}
