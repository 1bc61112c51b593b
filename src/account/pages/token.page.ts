import { html } from '../../oauth/pages/html.js';
import { page, type Page } from '../../oauth/pages/layout.js';

/** A new personal token: the only page that ever shows it. */
export function newTokenPage({ name, token, mcpUrl }: { name: string; token: string; mcpUrl: string }): Page {
  return page({
    title: 'Your new token',
    body: html`<p>Copy <strong>${name}</strong> now: it is not shown again.</p>
      <label class="field"
        >Token <input type="text" readonly value="${token}" spellcheck="false" autocomplete="off"
      /></label>
      <p class="small soft">
        Programs send it to <span class="host">${mcpUrl}</span> in the header <code>Authorization: Bearer …</code>
      </p>
      <div class="actions"><a class="button" href="/account">Back to my account</a></div>`,
  });
}
