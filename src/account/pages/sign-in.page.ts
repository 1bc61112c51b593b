import { html } from '../../oauth/pages/html.js';
import { page, type Page } from '../../oauth/pages/layout.js';

/** Nobody is signed in to the account page: a button for each way in. `next`: the path to go on at. */
export function accountSignInPage(facts: {
  providers: readonly { readonly id: string; readonly label: string }[];
  publicHost: string;
  csrf: string;
  next: string;
  /** The person wants another account than the one they have just used. */
  another: boolean;
  /** Label of the provider that sent the browser back after signing out there; null: none did. */
  cameBackFrom: string | null;
}): Page {
  const { providers, publicHost, csrf, next, another, cameBackFrom } = facts;
  const widening = next !== '/account';
  return page({
    title: widening ? 'Sign in to decide' : 'Sign in to your account',
    body: html`${cameBackFrom && html`<p class="person" role="status">You are signed out here, and ${cameBackFrom} has sent you back.</p>`}
      <p>
        ${widening ? html`An application asks for another permission on` : html`See which applications use your tools on`}
        <span class="host">${publicHost}</span>${widening ? '. Sign in to see what it is.' : ', and disconnect them.'}
      </p>
      <form method="post" action="/account/sign-in">
        <input type="hidden" name="csrf" value="${csrf}" /><input type="hidden" name="next" value="${next}" />
        ${another && html`<input type="hidden" name="another" value="1" />`}
        <div class="actions">
          ${providers.map(({ id, label }) => html`<button name="provider" value="${id}">Continue with ${label}</button>`)}
        </div>
      </form>`,
  });
}
