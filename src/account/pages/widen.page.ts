import { html } from '../../oauth/pages/html.js';
import { page, type Page } from '../../oauth/pages/layout.js';

/** A Client wants more than it was given. */
interface WideningFacts {
  readonly client: string;
  /** Host or application the Client returns to; null: unknown. */
  readonly place: string | null;
  readonly publicHost: string;
  readonly tools: readonly string[];
  readonly scopes: readonly { readonly name: string; readonly words: string }[];
  readonly person: string;
  readonly action: string;
  readonly csrf: string;
}

/** Where the person adds permissions to a living connection. */
export function wideningPage(facts: WideningFacts): Page {
  const { client, place, scopes, tools, person } = facts;
  return page({
    title: `Allow ${client} more?`,
    body: html`<p>
        <strong>${client}</strong
        >${place === null ? null : html`, which returns to <span class="host">${place}</span>,`} is connected to
        <span class="host">${facts.publicHost}</span> in your name. It wants to use
        ${tools.map((tool, i) => html`${i > 0 ? ', ' : ''}<code>${tool}</code>`)} and needs another permission for it.
      </p>
      <h2 id="asks">It asks also to</h2>
      <ul class="scopes" aria-labelledby="asks">
        ${scopes.map(({ name, words }) => html`<li>${words}${words === name ? null : html` <code>${name}</code>`}</li>`)}
      </ul>
      <div class="person">
        <p>You are signed in as <strong>${person}</strong>.</p>
      </div>
      <form method="post" action="${facts.action}">
        <input type="hidden" name="csrf" value="${facts.csrf}" />
        <div class="actions">
          <button name="decision" value="allow">Allow</button>
          <button class="quiet" name="decision" value="deny">Do not allow</button>
        </div>
      </form>`,
    footer: 'If you did not start this yourself, do not allow it.',
  });
}

/** The person has decided; they go back to their application by themselves. */
export function widenedPage({ client, allowed }: { client: string; allowed: boolean }): Page {
  return page({
    title: allowed ? 'Allowed' : 'Not allowed',
    body: html`<p>
        ${allowed ? html`<strong>${client}</strong> may use it now. Go back to it and let it try again.` : html`Nothing has changed for <strong>${client}</strong>.`}
      </p>
      <div class="actions"><a class="button quiet" href="/account">My account</a></div>`,
  });
}
