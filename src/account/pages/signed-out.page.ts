import { html, type Html } from '../../oauth/pages/html.js';
import { page, type Page } from '../../oauth/pages/layout.js';

/** Somebody has just signed out of the account page. */
interface SignedOutFacts {
  readonly publicHost: string;
  /** Label of the provider they had signed in with. */
  readonly provider: string;
  /** For signing out there too; null: it does not offer that. */
  readonly ticket: string | null;
  readonly csrf: string;
}

/** Signed out here; the session at the provider is the person's to end. */
export function signedOutPage(facts: SignedOutFacts): Page {
  const { publicHost, provider, ticket } = facts;
  return page({
    title: 'You are signed out',
    body: html`<p>
        This browser is signed out of <span class="host">${publicHost}</span>. Applications that you connected go on
        working.
      </p>
      <p>
        ${provider} may still know you in this browser.
        ${ticket === null ? `If others use it too, sign out at ${provider} as well.` : `If others use it too, sign out there as well; other sites that you use with ${provider} may then ask you to sign in again.`}
      </p>
      ${ticket === null ? null : leaveForm(facts, ticket)}
      <div class="actions"><a class="button quiet" href="/account">Sign in again</a></div>`,
  });
}

function leaveForm({ provider, csrf }: SignedOutFacts, ticket: string): Html {
  return html`<form method="post" action="/account/sign-out/provider">
    <input type="hidden" name="csrf" value="${csrf}" /><input type="hidden" name="ticket" value="${ticket}" />
    <div class="actions"><button name="leave" value="provider">Sign out of ${provider} too</button></div>
  </form>`;
}
